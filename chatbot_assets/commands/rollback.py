"""``rollback``: takes back a canary, or what is live for an earlier one. Imports little: it is wanted at once."""

import getpass
from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.commands import UserError
from chatbot_assets.commands.versions import chosen, deployments_of, who_was_first
from chatbot_assets.deploy.life import end_trial, roll_back
from chatbot_assets.deploy.record import Deployment, history
from chatbot_assets.deploy.share import CANARY
from resources.environment import Home
from resources.lakehouse import ConflictError, Lake
from resources.model_store import holds


def run(key: str, *, to: str | None, reason: str, actor: str | None) -> dict[str, Any]:
    """Appends the events ``rolled_back`` and ``live``, unless somebody else changed the deployments in the meantime.

    While a canary answers, that is what is taken back, and what is live goes on.

    Args:
        to: the beginning of the id of a deployment that was live, which ends a trial too; by default the one before.

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
    trial = past.trial
    if trial and trial.kind == CANARY and not to:
        try:
            end_trial(table, past, actor=actor or getpass.getuser(), reason=reason)
        except ConflictError:
            raise UserError(who_was_first(key, table)) from None
        return _report(key, live, trial.deployment, reason, ended=CANARY, only_trial=True)
    target = Deployment.of(chosen(key, past, to, "live", "was ever live")) if to else past.before
    if target is None:
        raise UserError(f"{key}: no earlier deployment is left to go back to; see: ./chatbot versions {key}")
    if target.deployment_id == live.deployment_id:
        raise UserError(f"{key}: {target.deployment_id} is live already")
    if erased := past.erased(target.model_id):
        raise UserError(
            f"{key}: {target.deployment_id} cannot be gone back to: its model was erased on {erased['at']:%Y-%m-%d} "
            f"({erased['reason']})"
        )
    if not holds(lake.table(key, "models"), target.model_id):
        raise UserError(f"{key}: the model of {target.deployment_id} is no longer in the lake; choose another one")
    try:
        who = actor or getpass.getuser()
        roll_back(table, past, target.deployment_id, actor=who, reason=reason, trial_too=True)
    except ConflictError:
        raise UserError(who_was_first(key, table)) from None
    note_events(home, *key.split("."))
    return _report(key, target, live, reason, ended=trial.kind if trial else None)


def _report(
    key: str, target: Deployment, taken_back: Deployment, reason: str, ended: str | None, *, only_trial: bool = False
) -> dict[str, Any]:
    return {
        "bot": key,
        "deployment_id": target.deployment_id,
        "model_id": target.model_id,
        "rolled_back": taken_back.deployment_id,
        "trial_ended": ended,
        "only_trial": only_trial,
        "reason": reason,
    }


def describe(report: dict[str, Any]) -> str:
    bot, live, gone, why = (report[name] for name in ("bot", "deployment_id", "rolled_back", "reason"))
    if report["only_trial"]:
        again = f"to go back from {live[:12]} too, give the command again"
        return f"{bot}: the canary {gone} was taken back ({why}); {live} goes on answering everybody; {again}"
    also = f"; the {report['trial_ended']} was taken back too" if report["trial_ended"] else ""
    return f"{bot}: {live} is live again (rolled back: {gone}; {why}{also})"
