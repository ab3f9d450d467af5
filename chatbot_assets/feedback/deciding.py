"""Writes review decisions: append-only, and of two people who decide on one turn the second is told."""

import difflib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.process.decisions import ACTIONS, COLUMNS, HOLD, LANDED, MODIFY, SERVED, in_force
from resources.environment import code_revision
from resources.lakehouse import ConflictError, Lake, LakeTable, Record, Signature

ATTEMPTS = 10
"""Times that a decision is tried again because somebody else's, on other turns, came first."""


class DecisionError(ValueError):
    """A decision that cannot be written; its text says what to do."""


@dataclass(frozen=True)
class Decision:
    """What a person decided on turns. ``modify`` gives the right intent, the right answer or both."""

    turn_ids: tuple[str, ...]
    action: str
    intent: str | None
    answer: str | None
    reviewer: str
    reason: str | None = None


def write_decision(
    lake: Lake, key: str, decision: Decision, *, new_intent: bool = False, again: bool = False
) -> dict[str, Any]:
    """Appends a decision to a bot's ``review_decisions`` and gives the row.

    Args:
        lake: where the bot's tables are.
        key: the bot.
        decision: what was decided.
        new_intent: whether the intent may be one that the bot does not have yet.
        again: whether turns that were decided on before may be decided on anew.

    Raises:
        DecisionError: when the decision makes no sense, a turn is unknown or was decided on before.
    """
    _check(decision)
    if decision.intent is not None and not new_intent:
        _check_intent(lake, key, decision.intent)
    source, texts = _texts(lake, key, decision.turn_ids)
    table = lake.table(key, "review_decisions")
    for _ in range(ATTEMPTS):
        last = table.last()
        if not again:
            _check_undecided(table, decision)
        at = _moment(table)
        identity = json.dumps([decision.turn_ids, decision.action, decision.reviewer, at.isoformat()])
        row = {
            "decision_id": hashlib.sha256(identity.encode()).hexdigest()[:32],
            "turn_ids": list(decision.turn_ids),
            "texts": texts,
            "source": source,
            "action": decision.action,
            "intent": decision.intent,
            "answer": decision.answer,
            "reviewer": decision.reviewer,
            "reason": decision.reason,
            "decided_at": at,
        }
        change = table.append(table.stage_arrow(pa.Table.from_pylist([row], table.table.schema)), rows_computed=1)
        record = Record.of(change, Signature(), code_revision=code_revision())
        try:
            table.commit(change, record, last.version if last else None)
        except ConflictError:
            continue
        return row
    raise DecisionError(f"{key}: others are deciding at this moment; try again")


def _moment(table: LakeTable) -> datetime:
    """Now, or just after the last decision when the clock was set back: the one that is made last is in force."""
    now = datetime.now(UTC)
    last = pc.max(table.arrow(["decided_at"]).column("decided_at")).as_py()
    return max(now, last + timedelta(microseconds=1)) if last else now


def _check(decision: Decision) -> None:
    if decision.action not in ACTIONS:
        raise DecisionError(f"action {decision.action!r} is unknown; allowed: {', '.join(ACTIONS)}")
    if not decision.turn_ids:
        raise DecisionError("name at least one turn")
    given = [value for value in (decision.intent, decision.answer) if value is not None]
    if decision.action == MODIFY and not given:
        raise DecisionError("modify needs the right intent, the right answer or both")
    if decision.action != MODIFY and given:
        raise DecisionError(f"{decision.action} takes neither intent nor answer; use modify to give one")
    if any(not value.strip() for value in given):
        raise DecisionError("intent and answer must not be empty")


def _check_intent(lake: Lake, key: str, intent: str) -> None:
    known = set(lake.table(key, "utterances").arrow(["intent"]).column("intent").unique().to_pylist()) - {None}
    if intent not in known:
        near = difflib.get_close_matches(intent, sorted(known), n=3, cutoff=0.4)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        raise DecisionError(f"{key} has no intent {intent!r}{meant} (for a new one say so: --new-intent)")


def _texts(lake: Lake, key: str, turn_ids: Sequence[str]) -> tuple[str, list[str]]:
    """Where the turns are, and their texts in the order of the turns."""
    wanted = pa.array(turn_ids, pa.string())
    missing: list[str] = list(turn_ids)
    for source in (SERVED, LANDED):
        rows = lake.table(key, source).arrow(["turn_id", "text"])
        rows = rows.filter(pc.is_in(rows.column("turn_id"), value_set=wanted))
        texts = {row["turn_id"]: row["text"] for row in rows.to_pylist()}
        if len(texts) == len(set(turn_ids)):
            return source, [texts[turn_id] for turn_id in turn_ids]
        missing = [turn_id for turn_id in missing if turn_id not in texts]
    if missing:
        raise DecisionError(f"{key} has no turn {', '.join(missing)}; review_queue and conversations name turns")
    raise DecisionError("some of these turns were served and some were landed; decide on them one kind at a time")


def _check_undecided(table: LakeTable, decision: Decision) -> None:
    decided = in_force(table.arrow(COLUMNS))
    for turn_id in decision.turn_ids:
        before = decided.get(turn_id)
        if before and before.action != HOLD:
            to = " → ".join(value for value in (before.new_intent, before.new_answer) if value)
            raise DecisionError(
                f"turn {turn_id} was already decided by {before.reviewer}: {before.action}{f' ({to})' if to else ''}; "
                "use --again to decide anew"
            )
