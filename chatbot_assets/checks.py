"""Asset checks: what must hold before the graph goes on, and what is looked at again every night.

What is checked, and how, stands in ``chatbot_assets/quality`` and knows nothing of Dagster.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import dagster as dg

from chatbot_assets.automation import BotState, bot_state
from chatbot_assets.bot import load_bot
from chatbot_assets.partitions import BOTS
from chatbot_assets.quality.audit import audit_table
from chatbot_assets.quality.declarations import CHECKS
from chatbot_assets.quality.findings import Finding
from chatbot_assets.quality.freshness import NAME, data_read, deployment_current
from chatbot_assets.tables import DEPLOYMENTS, DIALOGUES, EVALUATIONS, SOURCES, TABLES, Table
from resources.environment import Home
from resources.lakehouse import Lake
from resources.verifications import note

AS_RECORDED = "as_recorded"
NOT_THERE = "there is no such table yet"
IF_IT_FAILS = {
    "blocks": "If it fails, the change is not committed and what was there before stays.",
    "fails": "If it fails, it is reported as an error, and nothing stops.",
    "warns": "If it fails, it is a warning: somebody should look.",
}


def check_spec(name: str, asset: str, description: str, *, blocking: bool = False) -> dg.AssetCheckSpec:
    """A check whose results are kept by bot: else one bot's pass would hide another bot's failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(name, asset=asset, description=description, blocking=blocking, partitions_def=BOTS)


class OneOfMany(dg.AssetCheckResult):
    """A result among many of its table.

    Dagster asks its storage twice for each result which materialisation it is about: a fifth of what it costs to report
    a refresh. Here it is asked once for all results of a step on a table.
    """

    def _get_target_materialization_data(self, step_context: Any, check_key: dg.AssetCheckKey) -> Any:
        found = _targets.setdefault(step_context, {})
        if check_key.asset_key not in found:
            found[check_key.asset_key] = super()._get_target_materialization_data(step_context, check_key)
        return found[check_key.asset_key]


_targets: WeakKeyDictionary[Any, dict[dg.AssetKey, Any]] = WeakKeyDictionary()


MAY_BE_DEPLOYED = check_spec(
    "may_be_deployed",
    EVALUATIONS.name,
    "The model is good enough by itself, no worse than the champion and right about the golden dialogues; else nothing "
    "is deployed.",
    blocking=True,
)


def may_be_deployed(notes: Mapping[str, Any]) -> Iterator[dg.AssetCheckResult]:
    """The result of :data:`MAY_BE_DEPLOYED` from what the evaluation left in its commit."""
    gate = notes["gate"]
    figures = {name: value for name, value in notes["overall"].items() if value is not None}
    golden = {"golden": dg.MetadataValue.json(notes["golden"])} if "golden" in notes else {}
    decided = (
        {"decided_by": dg.MetadataValue.json(list(gate["rows"])), "deciding_rows": gate["count"]}
        if gate.get("rows")
        else {}
    )
    yield OneOfMany(
        check_name=MAY_BE_DEPLOYED.name,
        passed=gate["passed"],
        severity=dg.AssetCheckSeverity.ERROR,
        description=gate["reason"],
        metadata={**figures, **golden, **decided},
    )


def check_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """The declared checks of a table."""
    return [
        check_spec(
            check.name,
            table.name,
            f"{check.protects} {IF_IT_FAILS[check.effect]}",
            blocking=check.effect == "blocks",
        )
        for check in CHECKS[table.name]
    ]


def check_result(finding: Finding, table: Table) -> dg.AssetCheckResult:
    """A finding as Dagster shows it, with the rows that it names."""
    return OneOfMany(
        asset_key=table.name,
        check_name=finding.check,
        passed=finding.passed,
        severity=_severity([finding]),
        description=finding.description,
        metadata={"rows": dg.MetadataValue.json(list(finding.rows))} if finding.rows else {},
    )


def _severity(findings: Iterable[Finding]) -> dg.AssetCheckSeverity:
    only_warnings = all(finding.effect == "warns" for finding in findings)
    return dg.AssetCheckSeverity.WARN if only_warnings else dg.AssetCheckSeverity.ERROR


def _audit(table: Table) -> dg.AssetChecksDefinition:
    """The nightly audit of a table; the declared checks of a source table, which no step makes, are part of it."""
    whole = check_spec(
        AS_RECORDED,
        table.name,
        "Reads the whole table again: its rows are those that its last commit recorded, and its checks hold for all of "
        f"them. {IF_IT_FAILS['fails']}",
    )
    declared = CHECKS[table.name] if table in SOURCES else ()

    @dg.multi_asset_check(name=f"audit_{table.name}", specs=[whole, *(check_specs(table) if declared else ())])
    def audit(context: dg.AssetCheckExecutionContext, home: dg.ResourceParam[Home]) -> Iterator[dg.AssetCheckResult]:
        findings = audit_table(Lake(home.lake), context.partition_key, table.name)
        failed = [finding for finding in findings if not finding.passed]
        words = [f"{finding.check}: {finding.description}" for finding in failed or findings[:1]]
        is_wrong = bool(failed) and _severity(failed) == dg.AssetCheckSeverity.ERROR
        note(Lake(home.lake).bot_folder(context.partition_key), table.name, "; ".join(words) if is_wrong else None)
        yield dg.AssetCheckResult(
            asset_key=table.name,
            check_name=AS_RECORDED,
            passed=not failed,
            severity=_severity(failed or findings),
            description="; ".join(words) or NOT_THERE,
            metadata={
                finding.check: dg.MetadataValue.json({"found": finding.description, "rows": list(finding.rows)})
                for finding in findings
            },
        )
        found = {finding.check: finding for finding in findings}
        for check in declared:
            unread = Finding(check.name, not findings, check.effect, "; ".join(words) or NOT_THERE)
            yield check_result(found.get(check.name, unread), table)

    return audit


def _up_to_date(table: Table, protects: str, look: Callable[[Home, BotState], Finding]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"{NAME}_{table.name}", specs=[check_spec(NAME, table.name, f"{protects} {IF_IT_FAILS['warns']}")]
    )
    def up_to_date(
        context: dg.AssetCheckExecutionContext, home: dg.ResourceParam[Home]
    ) -> Iterator[dg.AssetCheckResult]:
        state = bot_state(home, Lake(home.lake), load_bot(home.bots, context.partition_key))
        yield check_result(look(home, state), table)

    return up_to_date


VERIFICATIONS = [
    *(_audit(table) for table in TABLES.values()),
    _up_to_date(
        DIALOGUES,
        "No landing file waits for more than an hour.",
        lambda _, state: data_read(state, datetime.now(UTC)),
    ),
    _up_to_date(
        DEPLOYMENTS,
        "No table is out of date for more than an hour, so that what answers was made from what there is.",
        lambda home, state: deployment_current(home, state, datetime.now(UTC)),
    ),
]
"""What the job ``verify`` runs, for one bot: no refresh makes these checks."""
