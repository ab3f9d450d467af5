"""Declares ``deployments``. The computing code is imported when it runs: loading the graph stays light."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from chatbot_assets.delta_asset import Stage, StageError, delta_asset
from chatbot_assets.deploy.record import live_deployment, newest_event
from chatbot_assets.tables import DEPLOYMENTS, TABLES
from resources.environment import code_revision
from resources.lakehouse import Change
from resources.metering import timed
from resources.model_store import unpack


def _compute(stage: Stage) -> Change:
    from chatbot_assets.deploy.verification import Verification, deployment_id, events

    evaluation = stage.inputs["evaluations"].record
    models = stage.inputs["models"]
    gate = evaluation.notes["gate"]
    if not gate["passed"]:
        raise StageError(f"{stage.bot.key}: the new model was refused: {gate['reason']}")
    model_id = models.record.data_version
    config_hash = stage.bot.config_hash()
    identity = deployment_id(model_id, config_hash)
    live = live_deployment(stage.table)
    newest = newest_event(stage.table)
    waiting = newest and newest["deployment_id"] == identity and newest["event"] == "verified"
    if waiting or (live and live.deployment_id == identity):
        return stage.table.unchanged(data_version=identity, rows_in=1)
    folder = unpack(models.table, model_id, stage.home.cache)
    config = stage.bot.effective()
    with timed("deploy.verification", len(evaluation.notes["sample"])):
        verification: Verification = stage.bot.deploy.verification.load()(folder, config, evaluation.notes["sample"])
    stage.log(verification.reason)
    names, reasons = ["candidate"], [stage.reason]
    if not verification.passed:
        names, reasons = [*names, "rejected"], [*reasons, verification.reason]
    else:
        names, reasons = [*names, "verified"], [*reasons, verification.reason]
        if stage.bot.deploy.policy == "automatic":
            names, reasons = [*names, "live"], [*reasons, f"deploy.policy is automatic; {gate['reason']}"]
    rows = events(
        names,
        identity=identity,
        model_id=model_id,
        at=datetime.now(UTC),
        position=stage.last.version if stage.last else -1,
        actor=f"run {stage.run_id}",
        reasons=reasons,
        config_hash=config_hash,
        config=config,
        code_revision=code_revision(),
        data_versions=_data_versions(stage),
        metrics=evaluation.notes["overall"],
    )
    staged = stage.table.stage_arrow(pa.Table.from_pylist(rows, stage.table.table.schema))
    return stage.table.append(
        staged, data_version=identity, rows_in=1, rows_computed=len(rows), notes={"verification": asdict(verification)}
    )


def _data_versions(stage: Stage) -> dict[str, Any]:
    """The state of every table that the deployment was made from, directly or not."""
    found: dict[str, Any] = {}
    waiting = list(DEPLOYMENTS.inputs)
    while waiting:
        name = waiting.pop()
        commit = stage.lake.table(stage.bot.key, name).last()
        if commit and name not in found:
            found[name] = {"version": commit.version, "data_version": commit.data_version}
            waiting += TABLES[name].inputs
    return found


deployments = delta_asset(DEPLOYMENTS, _compute, kinds={"python"})
