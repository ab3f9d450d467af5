"""``versions``: every deployment of a bot with what happened to it, when, by whom and why."""

import json
from typing import Any

from chatbot_assets.commands import UserError
from chatbot_assets.deploy.record import history
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
        from chatbot_assets.bot import check_key  # takes a fifth of a second, and a rollback is wanted at once

        check_key(key)
        raise UserError(f"{key} has no deployment yet; run: ./chatbot refresh {key}")
    return table


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
    past = history(deployments_of(Lake(Home.from_environment().lake), key))
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
        "deployments": list(found.values())[::-1],
    }


def describe(report: dict[str, Any]) -> str:
    lines = []
    for one in report["deployments"]:
        accuracy = one["metrics"].get("accuracy")
        lines.append(
            f"{one['deployment_id']}{'  LIVE' if one['live'] else ''}  model {one['model_id'][:12]}, "
            + (f"accuracy {accuracy:.3f}, " if accuracy is not None else "")
            + f"configuration {one['config_hash']}, code {one['code_revision'][:12]}"
        )
        lines += [f"  {e['at'][:19]}Z  {e['event']:<11} {e['actor']}: {e['reason']}" for e in one["events"]]
    return "\n".join(lines)
