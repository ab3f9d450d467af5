"""Declares Delta-backed assets: a stage's ``assets.py`` says what is computed, this says when and how it is recorded.

An asset runs its stage only when the table's recorded inputs, code or configuration differ from those of now; otherwise
it reports the table as it is and commits nothing.
"""

import dataclasses
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from chatbot_assets.asset_pages import prepare_to_show, shown
from chatbot_assets.automation import current_signature, pinned_inputs
from chatbot_assets.bot import Bot, BotError
from chatbot_assets.checks import check_result
from chatbot_assets.checks import check_specs as declared_checks
from chatbot_assets.code_version import code_version, edited_modules
from chatbot_assets.partitions import BOTS
from chatbot_assets.quality.audit import check_change
from chatbot_assets.quality.declarations import CHECKS
from chatbot_assets.quality.findings import Finding, from_notes, to_notes
from chatbot_assets.quality.view import View
from chatbot_assets.refreshing import KIND, SUPERSEDED, Refresh
from chatbot_assets.tables import STAGES, Table
from resources.delta_io import Materialisation, PinnedTable
from resources.environment import Home, code_revision
from resources.java import EngineError
from resources.lakehouse import Change, Commit, Lake, LakeError, LakeTable, Record, Signature
from resources.metering import Meter
from resources.reuse import Scratch, scratch
from resources.spark import SparkEngine

OWNERS = {
    "collect": "team:service-developers",
    "process": "team:researchers",
    "augment": "team:researchers",
    "denoise": "team:researchers",
    "embed": "team:researchers",
    "train": "team:researchers",
    "validate": "team:researchers",
    "deploy": "team:service-developers",
    "feedback": "team:planners",
}
IO_MANAGER = "delta_io"
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=30), warn_window=timedelta(days=7))
"""When Dagster calls an asset late: no bot at all was refreshed for a week (a warning) or for a month (a failure).

Dagster judges an asset by the newest materialisation of any of its partitions. Every refresh of any bot materialises
every asset, also one that finds nothing to do; the nightly verification materialises none. So this tells a platform
whose sensor is off, or to which nobody has brought data for long. Whether one bot is behind is told by the check
``up_to_date`` of ``dialogues`` and ``deployments``, which an idle bot passes.
"""
STAGE_TAG = "chatbot/stage"
"""The tag that sorts the assets in the order of the data's way."""


class StageError(RuntimeError):
    """A stage that cannot do its work with this data or configuration; trying again would not help."""


class SupersededError(RuntimeError):
    """The code has been edited since this process began to use it, so what it computes is of neither state."""


@dataclass(frozen=True)
class Stage:
    """What a stage is given to compute one table of one bot."""

    bot: Bot
    home: Home
    lake: Lake
    table: LakeTable
    last: Commit | None
    signature: Signature
    inputs: Mapping[str, PinnedTable]
    engine: SparkEngine
    run_id: str
    reason: str
    log: Callable[[str], None]
    warn: Callable[[str], None]

    def code(self, place: str) -> str:
        """The code version of the module at a place in the bot's YAML, as recorded for this table."""
        return self.signature.code[place]

    @contextmanager
    def temporary(self) -> Iterator[Scratch]:
        """A :class:`Scratch` for intermediate results, on this stage's engine."""
        with scratch(self.engine.session, self.home.cache / "scratch") as folder:
            yield folder

    def files_added_to(self, name: str) -> list[Path] | None:
        """The data files that input ``name`` gained since the last record, if that is all that has changed; else None.

        None also when the table was never made or is to be made in a new way: then all rows must be looked at.
        """
        made = self.last.record.signature if self.last and self.last.record else None
        now = self.inputs[name].commit
        if made is None or now is None or self.signature.differences(made) != [f"{name} changed"]:
            return None
        return self.inputs[name].table.files_added(made.inputs[name].version, now.version)

    def record(self, change: Change) -> Record:
        """What the commit of a change says about itself.

        Raises:
            SupersededError: when that would not be true, since the code on disk is not the code that ran.
        """
        if edited := edited_modules():
            names = ", ".join(edited[:3]) + (" …" if len(edited) > 3 else "")
            raise SupersededError(f"{names} changed while the refresh ran; another one follows with the new code")
        return Record.of(
            change,
            self.signature,
            config_hash=self.bot.config_hash(),
            code_revision=code_revision(),
            engine=self.engine.engine or "",
            run_id=self.run_id,
            accepted=self.last.record.accepted if self.last and self.last.record else {},
        )


ComputeStage = Callable[[Stage], Change]
MakeChecks = Callable[[Mapping[str, Any]], Iterable[dg.AssetCheckResult]]


def delta_asset(
    table: Table,
    compute: ComputeStage,
    *,
    kinds: set[str],
    check_specs: Iterable[dg.AssetCheckSpec] = (),
    checks: MakeChecks | None = None,
) -> dg.AssetsDefinition:
    """An asset for one table, made from its inputs when one of them, the code or the configuration has changed.

    It has the table's declared checks. For further ``check_specs``, ``checks`` turns the notes that the stage left in
    its commit into results.
    """

    def materialise(
        context: dg.AssetExecutionContext, refreshing: dg.ResourceParam[Refresh], engine: SparkEngine, **inputs: Any
    ) -> Iterator[dg.MaterializeResult[Materialisation] | dg.AssetCheckResult]:
        with running(context, table, refreshing, engine, inputs) as (stage, meter):
            last = stage.last
            behind = last is None or last.record is None or stage.signature.differences(last.record.signature)
            if behind:
                prepare_to_show(table)
            change, results = yield from audited(stage, compute(stage) if behind else None)
            record = stage.record(change) if change else None
            current = record or (last.record if last else None)
            assert current is not None
            meter.stop()
            yield dg.MaterializeResult(
                value=Materialisation(stage.table, last, change, record, meter, shown(stage, change, record)),
                data_version=dg.DataVersion(current.data_version),
                check_results=[*results, *(checks(current.notes) if checks else ())],
            )

    asset: dg.AssetsDefinition = dg.asset(
        name=table.name,
        ins={name: dg.AssetIn(key=name, input_manager_key=IO_MANAGER) for name in table.inputs},
        io_manager_key=IO_MANAGER,
        check_specs=[*declared_checks(table), *check_specs],
        **asset_properties(table, kinds),
    )(materialise)
    return asset


def asset_properties(table: Table, kinds: set[str]) -> dict[str, Any]:
    """What the UI shows of a table: stage, owner, columns, kinds, tags, description."""
    # Dagster's open-source UI shows the columns, but not their lineage.
    sources = "\n".join(f"| `{c.name}` | {', '.join(c.made_from)} |" for c in table.columns if c.made_from)
    lineage = f"\n\n| column | made from |\n|---|---|\n{sources}" if sources else ""
    return {
        "partitions_def": BOTS,
        "group_name": table.stage,
        "kinds": {"deltalake", *kinds},
        "owners": [OWNERS[table.stage]],
        "freshness_policy": FRESH,
        "tags": {STAGE_TAG: f"{STAGES.index(table.stage) + 1}-{table.stage}"},
        "code_version": code_version(table.code),
        "description": f"{table.description}\n\nA row is {table.row}.{lineage}",
        "metadata": {
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(c.name, str(c.type), c.description) for c in table.columns]
            ),
            "dagster/storage_kind": "deltalake",
        },
    }


def audited(
    stage: Stage, change: Change | None
) -> Generator[dg.AssetCheckResult, None, tuple[Change | None, list[dg.AssetCheckResult]]]:
    """Gives the change with its checks' findings in its notes, and the checks' results, before it is committed.

    Without a change the results are those that the last commit noted: no row is read.

    Yields:
        The results, if one of them forbids the commit.

    Raises:
        StageError: then; what was staged is discarded.
    """
    findings = _findings(stage, change)
    table = stage.table.table
    results = [check_result(finding, table) for finding in findings]
    if refused := [finding for finding in findings if finding.blocks]:
        yield from results
        if change is not None:
            stage.table.discard(change)
        why = "; ".join(f"{finding.description} (check {finding.check})" for finding in refused)
        raise StageError(f"{table.name} of {stage.bot.key} stays as it was: {why}")
    return change and dataclasses.replace(change, notes={**change.notes, **to_notes(findings)}), results


def _findings(stage: Stage, change: Change | None) -> list[Finding]:
    table = stage.table.table
    if change is None and stage.last and stage.last.record:
        noted = from_notes(stage.last.record.notes)
        if noted.keys() >= (names := {check.name for check in CHECKS[table.name]}):
            return [finding for name, finding in noted.items() if name in names]
    view = View(stage.lake, stage.bot.key, stage.table, change, stage.signature, stage.bot.effective())
    try:
        return check_change(view)
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"{table.name} cannot be checked: {str(error).splitlines()[0]}") from error


@contextmanager
def running(
    context: dg.AssetExecutionContext,
    table: Table,
    refresh: Refresh,
    engine: SparkEngine,
    inputs: Mapping[str, PinnedTable],
) -> Iterator[tuple[Stage, Meter]]:
    """Gives a table's :class:`Stage` and a running meter.

    A user's mistake ends the run with its one line, and each failure says whether its cause can pass by itself.
    """
    meter = Meter()
    lake = refresh.lake
    try:
        bot = refresh.bot
        engine = engine.or_else(bot.engine)
        lake_table = lake.table(bot.key, table.name)
        last = lake_table.last()
        inputs = {name: dataclasses.replace(pinned, engine=engine) for name, pinned in inputs.items()}
        pins = pinned_inputs(table, {name: pinned.commit for name, pinned in inputs.items()}) or {}
        yield (
            Stage(
                bot=bot,
                home=refresh.home,
                lake=lake,
                table=lake_table,
                last=last,
                signature=current_signature(table, bot, pins, last),
                inputs=inputs,
                engine=engine,
                run_id=context.run.run_id,
                reason=context.run.tags.get("chatbot/reason", "asked for by hand"),
                log=context.log.info,
                warn=context.log.warning,
            ),
            meter,
        )
    except (BotError, StageError, LakeError) as error:
        raise dg.Failure(str(error), metadata={KIND: "lasting"}, allow_retries=False) from error
    except EngineError as error:
        raise dg.Failure(str(error), metadata={KIND: "passing"}, allow_retries=False) from error
    except SupersededError as error:
        raise dg.Failure(str(error), metadata={KIND: SUPERSEDED}, allow_retries=False) from error
    finally:
        meter.stop()
