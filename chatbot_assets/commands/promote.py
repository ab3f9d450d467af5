"""``promote``: puts the newest verified deployment live, for bots whose ``deploy.policy`` is manual."""

import getpass
from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.bot import load_bot
from chatbot_assets.commands import UserError
from chatbot_assets.commands.versions import who_was_first
from chatbot_assets.deploy.life import put_live
from chatbot_assets.deploy.record import history
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
    past = history(table)
    if past.newest is None:
        raise UserError(f"{key} has no deployment yet; run: ./chatbot refresh {key}")
    waiting = past.waiting
    if waiting is None:
        raise UserError(f"{key}: the newest deployment is {past.newest['event']}, so there is nothing to promote")
    try:
        put_live(table, past, waiting, actor=actor or getpass.getuser(), reason=reason)
    except ConflictError:
        raise UserError(who_was_first(key, table)) from None
    note_events(home, *key.split("."))
    return {
        "bot": key,
        "deployment_id": waiting["deployment_id"],
        "before": past.live.deployment_id if past.live else None,
    }


def describe(report: dict[str, Any]) -> str:
    return f"{report['bot']}: {report['deployment_id']} is live (before: {report['before'] or 'none'})"
