"""Declares ``deployments``. The computing code is imported when it runs: loading the graph stays light."""

from dataclasses import asdict
from typing import Any

import pyarrow as pa

from chatbot_assets.delta_asset import Stage, StageError, delta_asset
from chatbot_assets.deploy.life import after_verified, deployment_id, events, moment
from chatbot_assets.deploy.record import History, history, served_config
from chatbot_assets.tables import DEPLOYMENTS, TABLES
from resources.environment import code_revision
from resources.lakehouse import Change
from resources.metering import timed
from resources.model_store import unpack


def _compute(stage: Stage) -> Change:
    from chatbot_assets.deploy.verification import Verification

    evaluation = stage.inputs["evaluations"].record
    models = stage.inputs["models"]
    gate = evaluation.notes["gate"]
    if not gate["passed"]:
        raise StageError(f"{stage.bot.key}: the new model was refused: {gate['reason']}")
    model_id = models.record.data_version
    config_hash = stage.bot.config_hash()
    identity = deployment_id(model_id, config_hash)
    past = history(stage.table)
    if said := _settled(stage, past, identity):
        stage.log(said)
        return stage.table.unchanged(data_version=identity, rows_in=1)
    folder = unpack(models.table, model_id, stage.home.cache)
    config = stage.bot.effective()
    metrics = {**evaluation.notes["overall"], "serving": evaluation.notes.get("serving", {})}
    with timed("deploy.verification", len(evaluation.notes["sample"])):
        verification: Verification = stage.bot.deploy.verification.load()(
            folder, served_config(config, metrics), evaluation.notes["sample"]
        )
    stage.log(verification.reason)
    names, reasons = ["candidate"], [stage.reason]
    if not verification.passed:
        names, reasons = [*names, "rejected"], [*reasons, verification.reason]
    else:
        names, reasons = [*names, "verified"], [*reasons, verification.reason]
        if following := after_verified(stage.bot.deploy.policy, past):
            event, why = following
            names, reasons = [*names, event], [*reasons, f"{why}; {gate['reason']}"]
    rows = events(
        names,
        identity=identity,
        model_id=model_id,
        at=moment(past),
        position=stage.last.version if stage.last else -1,
        actor=f"run {stage.run_id}",
        reasons=reasons,
        config_hash=config_hash,
        config=config,
        code_revision=code_revision(),
        data_versions=_data_versions(stage),
        metrics=metrics,
    )
    staged = stage.table.stage_arrow(pa.Table.from_pylist(rows, stage.table.table.schema))
    return stage.table.append(
        staged, data_version=identity, rows_in=1, rows_computed=len(rows), notes={"verification": asdict(verification)}
    )


def _settled(stage: Stage, past: History, identity: str) -> str | None:
    """In words, why nothing is to be done about a deployment; None when it is to be verified.

    What was taken back stays so while the code that answers and verifies is the same; new data or another configuration
    make another deployment.
    """
    if past.live and past.live.deployment_id == identity:
        return f"{identity} is live"
    if past.trial and past.trial.deployment.deployment_id == identity:
        return f"{identity} is tried as {past.trial}"
    if past.waiting and past.waiting["deployment_id"] == identity:
        return f"{identity} waits for: ./chatbot promote {stage.bot.key}"
    made = stage.last.record.signature if stage.last and stage.last.record else None
    taken_back = past.stands(identity) == "rolled_back" or (
        past.stands(identity) == "rejected" and past.was_tried(identity)
    )
    if taken_back and made and made.code == stage.signature.code:
        return f"{identity} was taken back; ./chatbot promote {stage.bot.key} --to {identity} puts it live all the same"
    return None


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
