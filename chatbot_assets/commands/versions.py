"""``versions``: every deployment of a bot with what happened to it, when, by whom and why."""

import json
from datetime import UTC, datetime
from typing import Any

from chatbot_assets.bot_key import check_key
from chatbot_assets.commands import UserError
from chatbot_assets.deploy.record import History, Trial, history
from chatbot_assets.deploy.share import SHADOW
from resources.environment import Home
from resources.lakehouse import Lake, LakeTable


def deployments_of(lake: Lake, key: str) -> LakeTable:
    """The table of a bot that has deployments.

    Raises:
        UserError: when it has none.
        BotError: when ``key`` is no bot key.
    """
    table = lake.table(key, "deployments")
    if table.last() is None:
        check_key(key)
        raise UserError(f"{key} has no deployment yet; run: ./chatbot refresh {key}")
    return table


DIGITS = 4
"""The fewest digits of a deployment's id that may stand for it."""


def chosen(key: str, past: History, start: str, event: str, was: str) -> dict[str, Any]:
    """The last event of a kind of the deployment whose id begins so; ``was`` is what it must have been, in words.

    Raises:
        UserError: when there is not exactly one.
    """
    events = {row["deployment_id"]: row for row in past.events if row["event"] == event}
    found = [identity for identity in events if identity.startswith(start)] if len(start) >= DIGITS else []
    if len(found) == 1:
        return events[found[0]]
    why = f"give {DIGITS} digits or more" if len(start) < DIGITS else "it begins several ids" if found else ""
    raise UserError(f"{key}: --to {start}: {why or f'no deployment of that id {was}'}; see: ./chatbot versions {key}")


def who_was_first(key: str, table: LakeTable) -> str:
    """The one line for somebody whose change was refused because another one was faster."""
    newest = history(table).newest
    assert newest is not None
    done = f"{newest['deployment_id']} is {newest['event']}, by {newest['actor']} ({newest['reason']})"
    return f"{key}: somebody else was first: {done}; nothing was changed, look and try again"


def run(key: str) -> dict[str, Any]:
    """All deployments, the one that was made last first.

    Raises:
        UserError: when there is none.
    """
    home = Home.from_environment()
    lake = Lake(home.lake)
    past = history(deployments_of(lake, key))
    found: dict[str, dict[str, Any]] = {}
    for event in past.events:
        one = found.setdefault(
            event["deployment_id"],
            {
                **{name: event[name] for name in ("deployment_id", "model_id")},
                "live": bool(past.live and past.live.deployment_id == event["deployment_id"]),
                **{name: event[name] for name in ("config_hash", "code_revision")},
                "data_versions": json.loads(event["data_versions"]),
                "metrics": json.loads(event["metrics"]),
                "events": [],
            },
        )
        one["events"].append(
            {"event": event["event"], "at": event["at"].isoformat(), "actor": event["actor"], "reason": event["reason"]}
        )
    return {
        "bot": key,
        "live": past.live.deployment_id if past.live else None,
        "trial": _trial(home, lake, key, past),
        "deployments": list(found.values())[::-1],
    }


def _trial(home: Home, lake: Lake, key: str, past: History) -> dict[str, Any] | None:
    """What is tried, since when, on which share, and how far it has come."""
    if past.trial is None or past.live is None:
        return None
    from chatbot_assets.bot import load_bot
    from chatbot_assets.deploy.trial import compare, progress

    compared = compare(lake, key, past.trial, past.live.deployment_id, datetime.now(UTC))
    return {
        **trial_report(past.trial),
        "turns": compared.trial.turns,
        "live_turns": compared.live.turns,
        "differing": compared.differing if past.trial.kind == SHADOW else None,
        "hours": round(compared.hours, 3),
        "progress": progress(past.trial, compared, load_bot(home.bots, key).deploy),
    }


def trial_report(trial: Trial) -> dict[str, Any]:
    """A deployment that is tried: as what, on which share, and since when."""
    return {
        "kind": trial.kind,
        "deployment_id": trial.deployment.deployment_id,
        "share": trial.share,
        "since": trial.deployment.at.isoformat(),
        "said": str(trial),
    }


def describe(report: dict[str, Any]) -> str:
    lines = []
    trial = report["trial"]
    for one in report["deployments"]:
        accuracy = one["metrics"].get("accuracy")
        is_tried = trial is not None and trial["deployment_id"] == one["deployment_id"]
        stands = "  LIVE" if one["live"] else f"  {trial['kind'].upper()}" if is_tried else ""
        lines.append(
            f"{one['deployment_id']}{stands}  model {one['model_id'][:12]}, "
            + (f"accuracy {accuracy:.3f}, " if accuracy is not None else "")
            + f"configuration {one['config_hash']}, code {one['code_revision'][:12]}"
        )
        lines += [f"  {trial['said']}; {trial['progress']}"] if is_tried else []
        lines += [f"  {e['at'][:19]}Z  {e['event']:<11} {e['actor']}: {e['reason']}" for e in one["events"]]
    return "\n".join(lines)
