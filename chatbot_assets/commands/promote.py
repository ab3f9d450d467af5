"""``promote``: puts the newest verified deployment live, for bots whose ``deploy.policy`` is manual."""

import dataclasses
import getpass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from chatbot_assets.bot import load_bot
from chatbot_assets.commands import UserError
from chatbot_assets.deploy.record import live_deployment, newest_event
from chatbot_assets.deploy.verification import event_id
from resources.environment import Home
from resources.lakehouse import ConflictError, Lake


def run(key: str, *, reason: str, actor: str | None) -> dict[str, Any]:
    """Appends the ``live`` event, unless somebody else changed the deployments in the meantime.

    Raises:
        UserError: when there is nothing to promote, or another writer came first.
    """
    home = Home.from_environment()
    load_bot(home.bots, key)
    table = Lake(home.lake).table(key, "deployments")
    last = table.last()
    newest = newest_event(table)
    if last is None or last.record is None or newest is None:
        raise UserError(f"{key} has no deployment yet; run: ./chatbot refresh {key}")
    live = live_deployment(table)
    if newest["event"] != "verified":
        raise UserError(f"{key}: the newest deployment is {newest['event']}, so there is nothing to promote")
    row = newest | {
        "event_id": event_id(newest["deployment_id"], "live", last.version),
        "event": "live",
        "at": datetime.now(UTC),
        "actor": actor or getpass.getuser(),
        "reason": reason,
    }
    staged = table.stage_arrow(pa.Table.from_pylist([row], table.table.schema))
    change = table.append(staged, data_version=last.record.data_version)
    record = dataclasses.replace(
        last.record, content_hash=change.content_hash, row_hash=change.row_hash, rows=change.rows
    )
    try:
        table.commit(change, record, last.version)
    except ConflictError as error:
        raise UserError(f"{key}: {error}") from None
    return {"bot": key, "deployment_id": row["deployment_id"], "before": live.deployment_id if live else None}


def describe(report: dict[str, Any]) -> str:
    return f"{report['bot']}: {report['deployment_id']} is live (before: {report['before'] or 'none'})"
