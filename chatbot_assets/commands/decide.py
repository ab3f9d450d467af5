"""``decide``: records what a person decided about served turns or landed rows."""

import getpass
from typing import Any

from chatbot_assets.auditing import note_events
from chatbot_assets.bot import load_bot
from chatbot_assets.commands import UserError
from chatbot_assets.feedback.deciding import Decision, DecisionError, write_decision
from resources.environment import Home
from resources.lakehouse import Lake


def run(
    key: str,
    turn_ids: tuple[str, ...],
    *,
    action: str,
    intent: str | None,
    answer: str | None,
    reviewer: str | None,
    reason: str | None,
    new_intent: bool,
    again: bool,
) -> dict[str, Any]:
    """Appends the decision; the bot's next refresh applies it.

    Raises:
        UserError: when the decision cannot be written, with what to do.
    """
    home = Home.from_environment()
    load_bot(home.bots, key)
    decision = Decision(turn_ids, action, intent, answer, reviewer or getpass.getuser(), reason)
    try:
        row = write_decision(Lake(home.lake), key, decision, new_intent=new_intent, again=again)
    except DecisionError as error:
        raise UserError(str(error)) from None
    note_events(home, *key.split("."))
    return {"bot": key, **row}


def describe(report: dict[str, Any]) -> str:
    right = " → ".join(value for value in (report["intent"], report["answer"]) if value)
    texts = ", ".join(repr(text) for text in report["texts"])
    return f"{report['bot']}: {report['action']} {texts}{f' → {right}' if right else ''}; the next refresh applies it"
