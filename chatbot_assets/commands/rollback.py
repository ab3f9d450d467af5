"""``rollback``: takes back the live deployment and puts an earlier one live. Imports little: it is wanted at once."""

import getpass
from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.commands import UserError
from chatbot_assets.commands.versions import deployments_of, who_was_first
from chatbot_assets.deploy.life import roll_back
from chatbot_assets.deploy.record import Deployment, History, history
from resources.environment import Home
from resources.lakehouse import ConflictError, Lake
from resources.model_store import holds

DIGITS = 4
"""The fewest digits of a deployment's id that may stand for it."""


def run(key: str, *, to: str | None, reason: str, actor: str | None) -> dict[str, Any]:
    """Appends the events ``rolled_back`` and ``live``, unless somebody else changed the deployments in the meantime.

    Args:
        to: the beginning of the id of a deployment that was live; by default the one before.

    Raises:
        UserError: when there is nothing to go back to, or another writer came first.
    """
    home = Home.from_environment()
    lake = Lake(home.lake)
    table = deployments_of(lake, key)
    past = history(table)
    live = past.live
    if live is None:
        raise UserError(f"{key}: nothing is live, so there is nothing to roll back")
    target = _chosen(key, past, to) if to else past.before
    if target is None:
        raise UserError(f"{key}: no earlier deployment is left to go back to; see: ./chatbot versions {key}")
    if target.deployment_id == live.deployment_id:
        raise UserError(f"{key}: {target.deployment_id} is live already")
    if not holds(lake.table(key, "models"), target.model_id):
        raise UserError(f"{key}: the model of {target.deployment_id} is no longer in the lake; choose another one")
    try:
        roll_back(table, past, target.deployment_id, actor=actor or getpass.getuser(), reason=reason)
    except ConflictError:
        raise UserError(who_was_first(key, table)) from None
    note_events(home, *key.split("."))
    return {
        "bot": key,
        "deployment_id": target.deployment_id,
        "model_id": target.model_id,
        "rolled_back": live.deployment_id,
        "reason": reason,
    }


def _chosen(key: str, past: History, start: str) -> Deployment:
    lives = {event["deployment_id"]: event for event in past.events if event["event"] == "live"}
    found = [identity for identity in lives if identity.startswith(start)] if len(start) >= DIGITS else []
    if len(found) == 1:
        return Deployment.of(lives[found[0]])
    why = f"give {DIGITS} digits or more" if len(start) < DIGITS else "it begins several ids" if found else ""
    raise UserError(
        f"{key}: --to {start}: {why or 'no deployment of that id was ever live'}; see: ./chatbot versions {key}"
    )


def describe(report: dict[str, Any]) -> str:
    return (
        f"{report['bot']}: {report['deployment_id']} is live again "
        f"(rolled back: {report['rolled_back']}; {report['reason']})"
    )
