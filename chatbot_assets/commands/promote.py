"""``promote``: puts a verified deployment live: the one that is tried, the one that waits, or a chosen one."""

import getpass
from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.bot import load_bot
from chatbot_assets.commands import UserError
from chatbot_assets.commands.versions import chosen, who_was_first
from chatbot_assets.deploy.life import put_live, start_trial
from chatbot_assets.deploy.record import History, history
from chatbot_assets.deploy.share import CANARY
from resources.environment import Home
from resources.lakehouse import ConflictError, Lake
from resources.model_store import holds


def run(key: str, *, reason: str, actor: str | None, canary: bool = False, to: str | None = None) -> dict[str, Any]:
    """Appends the ``live`` (or ``canary``) event, unless somebody else changed the deployments in the meantime.

    Args:
        canary: try it on a share of the sessions first.
        to: the beginning of the id of a verified deployment; by default the one that is tried or, without one, waits.

    Raises:
        UserError: when there is nothing to promote, or another writer came first.
    """
    home = Home.from_environment()
    load_bot(home.bots, key)
    lake = Lake(home.lake)
    table = lake.table(key, "deployments")
    past = history(table)
    event = _wanted(key, past, to)
    identity = event["deployment_id"]
    live = past.live.deployment_id if past.live else None
    if identity == live:
        raise UserError(f"{key}: {identity} is live already")
    if canary and live is None:
        raise UserError(f"{key}: nothing is live that a canary could be compared with; promote without --canary")
    if canary and past.trial and (past.trial.kind, past.trial.deployment.deployment_id) == (CANARY, identity):
        raise UserError(f"{key}: {identity} is a canary already; without --canary it goes live")
    if not holds(lake.table(key, "models"), event["model_id"]):
        raise UserError(f"{key}: the model of {identity} is no longer in the lake; choose another one")
    who = actor or getpass.getuser()
    try:
        if canary:
            start_trial(table, past, event, CANARY, actor=who, reason=reason)
        else:
            put_live(table, past, event, actor=who, reason=reason)
    except ConflictError:
        raise UserError(who_was_first(key, table)) from None
    note_events(home, *key.split("."))
    trial = history(table).trial if canary else None
    return {"bot": key, "deployment_id": identity, "before": live, "canary_share": trial.share if trial else None}


def _wanted(key: str, past: History, to: str | None) -> dict[str, Any]:
    """An event of the deployment to promote."""
    if past.newest is None:
        raise UserError(f"{key} has no deployment yet; run: ./chatbot refresh {key}")
    if to:
        return chosen(key, past, to, "verified", "was ever verified")
    if past.trial:
        return past.last(past.trial.deployment.deployment_id)
    if past.waiting is None:
        raise UserError(f"{key}: the newest deployment is {past.newest['event']}, so there is nothing to promote")
    return past.waiting


def describe(report: dict[str, Any]) -> str:
    if report["canary_share"]:
        share = f"{report['canary_share'] * 100:g} % of the sessions"
        return f"{report['bot']}: {report['deployment_id']} answers {share} as a canary, {report['before']} the others"
    return f"{report['bot']}: {report['deployment_id']} is live (before: {report['before'] or 'none'})"
