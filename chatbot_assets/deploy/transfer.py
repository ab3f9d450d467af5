"""Brings a deployment from another home's lake into this one: from staging to production, bit for bit.

The model's rows, what its evaluation found and the deployment's record are copied as they are, so the deployment has
the same id in both lakes. What explains its answers comes along as replicas of the tables behind it. Here it begins its
life anew: it is a candidate, this machine asks it what its evaluation asked, and it goes live by the policy of this
home's bot file, or is rejected.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.automation import current_signature, pinned_inputs
from chatbot_assets.bot import Bot
from chatbot_assets.deploy.life import after_verified, event_id, mark_erased, moment
from chatbot_assets.deploy.record import ERASED, History, history, served_config
from chatbot_assets.deploy.replica import Copied, replicate
from chatbot_assets.deploy.verification import Verification
from chatbot_assets.explain.lineage import recorded, versions_of
from chatbot_assets.modules import ModuleRef
from chatbot_assets.tables import DEPLOYMENTS
from chatbot_assets.train.manifest import ModelFormatError
from resources.environment import code_revision
from resources.lakehouse import Change, Commit, InputVersion, Lake, LakeTable, Record
from resources.model_store import holds, unpack

ERASED_THERE = "a person whom it had learnt from was erased where it was made; ./chatbot erase removes it here"


class TransferError(RuntimeError):
    """A deployment that cannot be brought here; its text says what to do."""


@dataclass(frozen=True)
class Transferred:
    """What came of a transfer: the deployment's last event here and why, and what was copied to explain its answers."""

    deployment_id: str
    model_id: str
    event: str
    reason: str
    lineage: Copied


def transfer(
    source: Lake, target: Lake, bot: Bot, cache: Path, *, deployment: str | None, actor: str, reason: str
) -> Transferred:
    """Copies a deployment of a bot (its id, or the beginning of it; by default what is live there) and verifies it.

    ``cache`` is where models are unpacked. To be called while the bot's tables in ``target`` are held.

    Raises:
        TransferError: when there is no such deployment, its evaluation or model is gone, or it is here already.
        LakeError: when the model's bytes are damaged.
        ConflictError: when somebody else writes the tables here at the same time.
    """
    event = _deployment(source.table(bot.key, DEPLOYMENTS.name), deployment)
    identity, model_id = str(event["deployment_id"]), str(event["model_id"])
    here = target.table(bot.key, DEPLOYMENTS.name)
    past = history(here)
    if past.live and past.live.deployment_id == identity:
        raise TransferError(f"{bot.key}: deployment {identity} is here already, and live")
    if past.waiting and past.waiting["deployment_id"] == identity:
        raise TransferError(f"{bot.key}: deployment {identity} is here already, and verified")
    model = _record(source.table(bot.key, "models"), lambda record: record.data_version == model_id)
    evaluation = _record(
        source.table(bot.key, "evaluations"),
        lambda record: (
            "models" in record.signature.inputs and record.signature.inputs["models"].data_version == model_id
        ),
    )
    if model is None or evaluation is None:
        raise TransferError(f"{bot.key}: {source.root} no longer says how model {model_id} was made and measured")
    note = {"from": str(source.root), "code_revision": event["code_revision"], "tables": event["data_versions"]}
    for name, record in (("models", model), ("evaluations", evaluation)):
        _copy(source.table(bot.key, name), target.table(bot.key, name), model_id, record, note)
    lineage = replicate(_tables_behind(source, bot.key, event), target, bot.key)
    config = served_config(json.loads(event["config"]), json.loads(event["metrics"]))
    verification = _verify(target.table(bot.key, "models"), model_id, config, evaluation, cache)
    names, reasons = ["candidate"], [reason]
    if not verification.passed:
        names, reasons = [*names, "rejected"], [*reasons, verification.reason]
    else:
        names, reasons = [*names, "verified"], [*reasons, verification.reason]
        if following := after_verified(bot.deploy.policy, past):
            names, reasons = [*names, following[0]], [*reasons, f"{following[1]}; {reason}"]
    _append(
        target, bot, past, event, list(zip(names, reasons, strict=True)), actor, note | {"passed": verification.passed}
    )
    _follow_erasures(source.table(bot.key, DEPLOYMENTS.name), here, actor)
    return Transferred(identity, model_id, names[-1], reasons[-1], lineage)


def _follow_erasures(there: LakeTable, here: LakeTable, actor: str) -> None:
    """Models that the other home has erased are marked here as well, but for one that is live still."""
    past = history(here)
    erased = {event["model_id"] for event in history(there).events if event["event"] == ERASED}
    mark_erased(here, erased - {past.live.model_id if past.live else None}, actor=actor, reason=ERASED_THERE)


def _deployment(deployments: LakeTable, identity: str | None) -> dict[str, Any]:
    """The newest event ``live`` (or, of a named deployment, ``verified`` too) in another lake."""
    rows = deployments.arrow().to_pylist() if deployments.last() else []
    good = [row for row in rows if row["event"] == "live" or (identity and row["event"] == "verified")]
    found = [row for row in good if row["deployment_id"].startswith(identity or "")]
    if identity and len({row["deployment_id"] for row in found}) > 1:
        raise TransferError(f"several deployments begin with {identity}; give more of the id")
    if not found:
        wanted = f"no verified deployment {identity}" if identity else "no live deployment"
        raise TransferError(f"there is {wanted} in {deployments.path}; is it the right home, and the right bot?")
    newest: dict[str, Any] = max(found, key=lambda row: row["at"])
    return newest


def _tables_behind(source: Lake, key: str, event: Mapping[str, Any]) -> Iterator[tuple[LakeTable, int]]:
    """The tables that a deployment was made from, but for those that are copied whole, each with the version read."""
    for name, state in versions_of(source, key, json.loads(event["data_versions"])).items():
        found = recorded(source, key, name, InputVersion(state.version, state.data_version))
        if found and name not in DEPLOYMENTS.inputs:
            yield found[0], state.version


def _record(table: LakeTable, is_wanted: Callable[[Record], bool]) -> Record | None:
    """The newest record that is wanted, if there is one."""
    return next((record for _, record in table.records() if is_wanted(record)), None)


def _copy(source: LakeTable, target: LakeTable, model_id: str, record: Record, note: Mapping[str, Any]) -> None:
    """Appends a model's rows of one table, unless they are here, with the record that they were made under."""
    last = target.last()
    known = holds(target, model_id)
    if known and last and last.record and last.record.data_version == record.data_version:
        return
    staged = () if known else target.stage_arrow(_rows_of(source, model_id))
    if not known and not staged:
        raise TransferError(f"model {model_id} is no longer in {source.path}; its files were removed")
    change = target.append(staged, data_version=record.data_version, notes={**record.notes, "imported": dict(note)})
    _commit(target, change, replace(record, notes=change.notes), last)


def _rows_of(table: LakeTable, model_id: str) -> Iterator[pa.RecordBatch]:
    for batch in table.batches(table.table.schema.names):
        yield batch.filter(pc.equal(batch.column("model_id"), model_id))


def _commit(table: LakeTable, change: Change, made: Record, last: Commit | None) -> None:
    table.commit(change, made.after(change), last.version if last else None)


def _verify(models: LakeTable, model_id: str, config: dict[str, Any], evaluation: Record, cache: Path) -> Verification:
    """Asks the model on this machine what its evaluation asked, as its configuration says."""
    folder = unpack(models, model_id, cache)
    try:
        verify = ModuleRef.model_validate(config["deploy"]["verification"]).load()
        found: Verification = verify(folder, config, evaluation.notes["sample"])
    except (ModelFormatError, ValueError) as error:
        return Verification(False, str(error), None)
    return found


def _append(
    target: Lake,
    bot: Bot,
    past: History,
    event: Mapping[str, Any],
    life: Iterable[tuple[str, str]],
    actor: str,
    note: dict[str, Any],
) -> None:
    table = target.table(bot.key, DEPLOYMENTS.name)
    last = table.last()
    commits = {name: target.table(bot.key, name).last() for name in DEPLOYMENTS.inputs}
    pins = pinned_inputs(DEPLOYMENTS, commits) or {}
    versions = {name: {"version": pin.version, "data_version": pin.data_version} for name, pin in pins.items()}
    now = moment(past)
    rows = [
        {
            **event,
            "event_id": event_id(event["deployment_id"], name, past.version),
            "event": name,
            "at": now,
            "actor": actor,
            "reason": reason,
            "data_versions": json.dumps(versions, sort_keys=True),
        }
        for name, reason in life
    ]
    staged = table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema))
    notes = {"imported": note, "verification": {"passed": note["passed"], "reason": rows[-1]["reason"]}}
    change = table.append(staged, data_version=event["deployment_id"], rows_in=1, rows_computed=len(rows), notes=notes)
    record = Record.of(
        change,
        current_signature(DEPLOYMENTS, bot, pins, last),
        config_hash=bot.config_hash(),
        code_revision=code_revision(),
        accepted=last.record.accepted if last and last.record else {},
    )
    _commit(table, change, record, last)
