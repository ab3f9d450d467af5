"""``refresh``: materialises a bot's graph through Dagster, in this process, and reports what each asset cost."""

import os
import sys
import time
import warnings
from typing import Any

from chatbot_assets.automation import bot_state
from chatbot_assets.bot import load_bot
from chatbot_assets.collect.landing import SETTLE_SECONDS, listing
from chatbot_assets.commands import UserError
from chatbot_assets.commands.dagster_home import prepare_dagster_home
from chatbot_assets.commands.progress import Progress
from chatbot_assets.deploy.record import live_deployment
from chatbot_assets.modules import load_ahead
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home
from resources.lakehouse import Lake, LakeError
from resources.spark import ENGINES

NAMES = tuple(table.name for table in MATERIALISED)


def run(key: str, *, select: str | None = None, engine: str | None = None) -> dict[str, Any]:
    """Refreshes a bot and gives the contract's report.

    Raises:
        UserError: when the run failed, with its reason.
    """
    started = time.monotonic()
    home = Home.from_environment()
    bot = load_bot(home.bots, key)
    selection = _selection(select)
    if engine not in (None, *ENGINES):
        raise UserError(f"engine {engine!r} is unknown; allowed: {', '.join(ENGINES)}")
    if Lake(home.lake).is_being_written(key):
        print(f"{key}: another refresh holds its tables; waiting for it", file=sys.stderr)
    if bot_state(home, Lake(home.lake), bot, settle=0.0).needs_refresh:
        load_ahead(*bot.process.modules)  # takes a second or two, as importing Dagster does
    prepare_dagster_home(home)
    _wait_until_settled(home, key)
    with Progress(len(selection)) as progress:
        result = _materialise(key, selection, engine, progress)
    deployment = live_deployment(Lake(home.lake).table(key, "deployments"))
    return {
        "bot": key,
        "run_id": result.run_id,
        "engine": engine or bot.engine,
        "seconds": round(time.monotonic() - started, 3),
        "deployment_id": deployment.deployment_id if deployment else None,
        "model_id": deployment.model_id if deployment else None,
        "assets": _assets(result),
    }


def describe(report: dict[str, Any]) -> str:
    width = max((len(name) for name in report["assets"]), default=0)
    lines = [
        f"{name:<{width}}  {asset['seconds']:7.2f} s  {asset['rows']:>8,} rows  {asset['rows_computed']:>8,} computed  "
        + (f"version {asset['version']}" if asset["committed"] else f"version {asset['version']} (up to date)")
        for name, asset in report["assets"].items()
    ]
    live = report["deployment_id"] or "none"
    return "\n".join([*lines, f"{report['bot']}: {report['seconds']:.1f} s; live deployment {live}"])


def _selection(select: str | None) -> list[str]:
    chosen = [name.strip() for name in select.split(",")] if select else list(NAMES)
    unknown = [name for name in chosen if name not in NAMES]
    if unknown:
        raise UserError(f"unknown assets: {', '.join(unknown)}; allowed: {', '.join(NAMES)}")
    landing = set(NAMES[:3])
    return sorted(set(chosen) | (landing if landing & set(chosen) else set()), key=NAMES.index)


def _wait_until_settled(home: Home, key: str) -> None:
    """A file that was copied a moment ago is complete: the command asks for it to be read, so waits that moment."""
    if len(listing(home.landing(key), 0.0)) > len(listing(home.landing(key))):
        time.sleep(SETTLE_SECONDS)


def _materialise(key: str, selection: list[str], engine: str | None, progress: Progress) -> Any:
    import dagster as dg

    warnings.simplefilter("ignore", dg.BetaWarning)
    from chatbot_assets.definitions import build_defs
    from chatbot_assets.jobs import BOT_TAG, REASON_TAG, REFRESH
    from chatbot_assets.partitions import BOTS
    from resources.spark import SparkEngine

    defs = build_defs({"engine": SparkEngine(engine=engine)})
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(BOTS.name or "", [key])
        with progress.following(instance):
            result = defs.resolve_job_def(REFRESH).execute_in_process(
                instance=instance,
                partition_key=key,
                asset_selection=[dg.AssetKey(name) for name in selection],
                tags={BOT_TAG: key, REASON_TAG: f"refresh by {os.environ.get('USER', 'hand')}"},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
    if not result.success:
        raise UserError(f"{key}: {why_failed(result)}")
    return result


def why_failed(result: Any) -> str:
    """In one line, why a run that ``execute_in_process`` gave did not succeed."""
    from chatbot_assets.checks import MAY_BE_DEPLOYED

    for evaluation in result.get_asset_check_evaluations():
        if evaluation.check_name == MAY_BE_DEPLOYED.name and not evaluation.passed:
            return f"the new model was refused: {evaluation.description}"
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data is not None:
                return failure.user_failure_data.description or "failed"
            print(failure.error.to_string(), file=sys.stderr)
            return f"step {event.step_key} failed: {_cause(failure.error)}"
        if event.is_resource_init_failure:
            return _cause(event.engine_event_data.error)
    return "the run failed; its page in Dagster's UI says why"


def _cause(error: Any) -> str:
    """The first line of what began a chain of errors, without the name of its class where that says nothing."""
    while error.cause is not None:
        error = error.cause
    line: str = error.message.strip().splitlines()[0]
    return line.removeprefix(f"{LakeError.__module__}.").removeprefix(f"{LakeError.__name__}: ")


def _assets(result: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        metadata = {name: value.value for name, value in event.materialization.metadata.items()}
        found[event.asset_key.path[-1]] = {
            "seconds": metadata["seconds"],
            "peak_memory_mb": metadata["peak_memory_mb"],
            "modules": metadata["modules"],
            "rows_in": metadata["rows_in"],
            "rows_computed": metadata["rows_computed"],
            "rows_reused": metadata["rows_reused"],
            "rows": metadata["dagster/row_count"],
            "version": metadata["delta_version"],
            "data_version": metadata["data_version"],
            "committed": metadata["committed"],
        }
    return {name: found[name] for name in NAMES if name in found}
