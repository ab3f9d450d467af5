"""``status``: how every bot stands, from the lake, the landing folders and the bot files alone."""

from typing import Any

from chatbot_assets.automation import bot_state
from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.code_version import one_look
from chatbot_assets.commands.versions import trial_report
from chatbot_assets.deploy.record import history
from resources.environment import Home
from resources.lakehouse import Lake
from resources.verifications import found_wrong


def run(key: str | None = None) -> dict[str, Any]:
    """The contract's report for one bot or for all; a bot file with a mistake is reported as blocked by it."""
    home = Home.from_environment()
    lake = Lake(home.lake)
    if key is not None:
        load_bot(home.bots, key)
    with one_look():
        return {"bots": [_bot(home, lake, name) for name in ([key] if key else bot_keys(home.bots))]}


def _bot(home: Home, lake: Lake, key: str) -> dict[str, Any]:
    past = history(lake.table(key, "deployments"))
    live, waiting, rollback = past.live, past.waiting, past.rollback
    report: dict[str, Any] = {
        "bot": key,
        "language": live.config["language"] if live else None,
        "deployment_id": live.deployment_id if live else None,
        "model_id": live.model_id if live else None,
        "deployed_at": live.at.isoformat() if live else None,
        "metrics": live.metrics if live else None,
        "trial": trial_report(past.trial) if past.trial else None,
        "waits_for_promote": waiting["deployment_id"] if waiting else None,
        "rolled_back": {
            **{name: rollback[name] for name in ("deployment_id", "actor", "reason")},
            "at": rollback["at"].isoformat(),
        }
        if rollback
        else None,
        "failed_verification": found_wrong(lake.bot_folder(key)),
        "refused": None,
        "golden": None,
    }
    try:
        bot = load_bot(home.bots, key)
        state = bot_state(home, lake, bot)
    except BotError as error:
        return {
            **report,
            "data_version": None,
            "stale": [],
            "reasons": {},
            "blocked": str(error),
            "obstacle": None,
            "retry_at": None,
        }
    utterances = state.commits["utterances"]
    evaluations = state.commits["evaluations"]
    judged = evaluations.record.notes if evaluations and evaluations.record else {}
    gate = judged.get("gate", {})
    return {
        **report,
        "refused": None if gate.get("passed", True) else gate,
        "golden": judged.get("golden"),
        "language": bot.language,
        "data_version": utterances.record.data_version if utterances and utterances.record else None,
        "stale": [item.table for item in state.stale],
        "reasons": {item.table: list(item.reasons) for item in state.stale},
        "blocked": state.blocked,
        "obstacle": state.obstacle,
        "retry_at": state.retry_at.isoformat() if state.retry_at else None,
    }


def describe(report: dict[str, Any]) -> str:
    lines = []
    for bot in report["bots"]:
        accuracy = (bot["metrics"] or {}).get("accuracy")
        quality = f"accuracy {accuracy:.3f}" if accuracy is not None else "accuracy unknown"
        live = f"live since {bot['deployed_at'][:16]}Z, {quality}" if bot["deployment_id"] else "not deployed"
        if bot["obstacle"] == "imported":
            state = bot["blocked"]
        elif bot["blocked"]:
            again = f"; trying again at {bot['retry_at'][:16]}Z" if bot["retry_at"] else ""
            state = f"blocked: {bot['blocked']}{again}"
        elif bot["stale"]:
            state = "behind: " + "; ".join(f"{name}: {', '.join(why)}" for name, why in bot["reasons"].items())
        else:
            state = "up to date"
        if trial := bot["trial"]:
            state += f"; {trial['said']}"
        if bot["waits_for_promote"]:
            state += f"; deployment {bot['waits_for_promote'][:12]} waits for: ./chatbot promote {bot['bot']}"
        if back := bot["rolled_back"]:
            state += f"; rolled back from {back['deployment_id'][:12]} by {back['actor']}: {back['reason']}"
        for table, words in bot["failed_verification"].items():
            state += f"; failed its verification: {table}: {words}"
        lines.append(f"{bot['bot']:<16} {bot['language'] or '-':<8} {live}; {state}")
        lines += _deciding_rows(bot["refused"]) if bot["refused"] else []
    return "\n".join(lines) or "no bots; write bots/<tenant>/<name>.yaml with 'language: en'"


def _deciding_rows(gate: dict[str, Any]) -> list[str]:
    """The rows that decided a refusal; of a gate of the user's own there may be none."""
    rows = gate.get("rows", ())
    lines = [
        f"    {row['rule']}: {row['text']!r} is {row['wanted']}; the new model: {row['challenger']}"
        + (f"; the live one: {row['champion']}" if row["champion"] is not None else "")
        for row in rows
    ]
    more = gate.get("count", 0) - len(rows)
    return [*lines, *([f"    and {more:,} more"] if more > 0 else [])]
