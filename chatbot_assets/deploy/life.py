"""What is appended to the history of deployments: the events of a new one, and changes of what is live.

Every change is made by compare-and-set: of two that are made at once one wins, and the other one is told.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from chatbot_assets.deploy.record import ERASED, History, history
from chatbot_assets.deploy.share import CANARY
from resources.lakehouse import ConflictError, LakeError, LakeTable


def deployment_id(model_id: str, config_hash: str) -> str:
    """Identifies what answers: the model and the whole configuration around it."""
    return hashlib.blake2b(f"{model_id}:{config_hash}".encode(), digest_size=16).hexdigest()


def event_id(identity: str, event: str, position: int) -> str:
    """Identifies an event of a deployment by the version that the table had before it."""
    return hashlib.blake2b(f"{identity}:{event}:{position}".encode(), digest_size=16).hexdigest()


def events(
    names: Sequence[str],
    *,
    identity: str,
    model_id: str,
    at: datetime,
    position: int,
    actor: str,
    reasons: Sequence[str],
    config_hash: str,
    config: dict[str, Any],
    code_revision: str,
    data_versions: dict[str, Any],
    metrics: dict[str, Any],
) -> list[dict[str, Any]]:
    """Rows of ``deployments``: one for each named event, in order; ``position`` is the table's version before them."""
    return [
        {
            "event_id": event_id(identity, name, position),
            "deployment_id": identity,
            "model_id": model_id,
            "event": name,
            "at": at,
            "actor": actor,
            "reason": reason,
            "config_hash": config_hash,
            "config": json.dumps(config, ensure_ascii=False, sort_keys=True),
            "code_revision": code_revision,
            "data_versions": json.dumps(data_versions, sort_keys=True),
            "metrics": json.dumps(metrics, sort_keys=True),
        }
        for name, reason in zip(names, reasons, strict=True)
    ]


def moment(past: History) -> datetime:
    """Now, or just after the last event when the clock was set back: the order of events is that of their times."""
    now = datetime.now(UTC)
    return max(now, past.newest["at"] + timedelta(microseconds=1)) if past.newest else now


def after_verified(policy: str, past: History) -> tuple[str, str] | None:
    """The event that follows ``verified`` by a bot's ``deploy.policy``, and why; None when a person is waited for."""
    if policy == "manual":
        return None
    if policy == "automatic":
        return "live", "deploy.policy is automatic"
    if past.live is None:
        return "live", f"deploy.policy is {policy}, but nothing is live that it could be compared with"
    return policy, f"deploy.policy is {policy}"


def put_live(table: LakeTable, past: History, deployment: Mapping[str, Any], *, actor: str, reason: str) -> None:
    """Makes the deployment of an earlier event the live one.

    Raises:
        ConflictError: when the history has changed since it was read; nothing was written.
        LakeError: when the table cannot be appended to.
    """
    _append(table, past, [(deployment, "live", reason)], actor)


def start_trial(
    table: LakeTable, past: History, deployment: Mapping[str, Any], kind: str, *, actor: str, reason: str
) -> None:
    """Tries the deployment of an earlier event beside the live one, as a ``canary`` or a ``shadow``.

    Raises:
        ConflictError: when the history has changed since it was read; nothing was written.
        LakeError: when nothing is live, or the table cannot be appended to.
    """
    if past.live is None or past.live.deployment_id == deployment["deployment_id"]:
        raise LakeError(f"{deployment['deployment_id']} cannot be tried: no other deployment is live")
    _append(table, past, [(deployment, kind, reason)], actor)


def end_trial(table: LakeTable, past: History, *, event: str | None = None, actor: str, reason: str) -> None:
    """Ends the trial that is under way with an event of its deployment.

    Args:
        event: ``live``, ``verified`` (it waits for somebody to promote it), or by default that it is taken back:
            ``rolled_back`` after it answered users, ``rejected`` after it answered none.

    Raises:
        ConflictError: when the history has changed since it was read; nothing was written.
        LakeError: when there is no trial, or the table cannot be appended to.
    """
    news = _ending(past, reason, event)
    if not news:
        raise LakeError(f"{table.path}: no deployment is being tried")
    _append(table, past, news, actor)


def roll_back(table: LakeTable, past: History, to: str, *, actor: str, reason: str, trial_too: bool = False) -> None:
    """Takes back what is live, and makes a deployment that was live earlier the live one, as it is recorded.

    A trial ends with that; its deployment waits for somebody to promote it, or is taken back with ``trial_too``.

    Raises:
        ConflictError: when the history has changed since it was read; nothing was written.
        LakeError: when ``to`` never was live or is live now, or the table cannot be appended to.
    """
    earlier = past.last_live(to)
    live = past.last_live(past.live.deployment_id) if past.live else None
    if earlier is None or live is None or live["deployment_id"] == to:
        raise LakeError(f"{to} cannot be gone back to: it never was live, or is live now")
    said = f"rolled back from {live['deployment_id'][:12]}: {reason}"
    news = [(live, "rolled_back", reason), (earlier, "live", said)]
    _append(table, past, [*news, *(_ending(past, reason) if trial_too else ())], actor)


def _ending(past: History, reason: str, event: str | None = None) -> list[tuple[Mapping[str, Any], str, str]]:
    """What ends the trial that is under way; nothing when there is none."""
    if past.trial is None:
        return []
    taken_back = "rolled_back" if past.trial.kind == CANARY else "rejected"
    return [(past.last(past.trial.deployment.deployment_id), event or taken_back, reason)]


def mark_erased(table: LakeTable, models: Collection[str], *, actor: str, reason: str) -> list[str]:
    """Appends the event ``erased`` for each deployment of the models that has none yet; gives these deployments.

    Raises:
        ConflictError: when somebody else changed the deployments meanwhile; nothing was written.
        LakeError: when the table cannot be appended to.
    """
    past = history(table)
    newest = {event["deployment_id"]: event for event in past.events if event["model_id"] in models}
    news = [event for event in newest.values() if event["event"] != ERASED]
    if news:
        _append(table, past, [(event, ERASED, reason) for event in news], actor)
    return sorted(event["deployment_id"] for event in news)


def take_back(table: LakeTable, wrong: str, to: str, *, actor: str, reason: str) -> bool:
    """Rolls back to ``to`` if the deployment that was found to be wrong is live still.

    False when it is not, or somebody else changed the deployments first: nothing was written.
    """
    past = history(table)
    if past.live is None or past.live.deployment_id != wrong:
        return False
    try:
        roll_back(table, past, to, actor=actor, reason=reason)
    except ConflictError:
        return False
    return True


def _append(table: LakeTable, past: History, news: Sequence[tuple[Mapping[str, Any], str, str]], actor: str) -> None:
    """Appends an event for each (earlier row of the deployment, name, reason), if the history is still ``past``."""
    last = table.last()
    if last is None or last.record is None:
        raise LakeError(f"{table.path}: rows were written by something else; restore or remove the table")
    at = moment(past)
    rows = [
        dict(row)
        | {"event_id": event_id(row["deployment_id"], name, past.version), "event": name, "at": at}
        | {"actor": actor, "reason": reason}
        for row, name, reason in news
    ]
    staged = table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema))
    # The record goes on to say what the newest deployment was made from: for the graph nothing is behind.
    change = table.append(staged, data_version=last.record.data_version)
    try:
        table.commit(change, last.record.after(change), past.version)
    except ConflictError:
        table.discard(change)
        raise
