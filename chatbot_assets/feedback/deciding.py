"""Writes review decisions: append-only, and of two people who decide on one turn the second is told.

A decision costs the same however many turns wait: texts are looked up in the files that can hold the turns, and earlier
decisions are held in memory (:class:`DecisionLog`).
"""

import bisect
import difflib
import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.feedback.decision_log import DecisionLog
from chatbot_assets.process.decisions import ACTIONS, LANDED, MODIFY, SERVED, UNDO, Decided
from chatbot_assets.refused import RefusedError
from resources.lakehouse import ConflictError, Lake, LakeTable
from resources.remembered import Remembered

ATTEMPTS = 10
"""Times that decisions are tried again because another machine's, on other turns, came first."""
LOCK = ".review.lock"


class DecisionError(RefusedError):
    """A decision that cannot be written; its text says what to do."""


class AlreadyDecidedError(DecisionError):
    """Somebody else was first; its text says who."""


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
    """Appends one decision and gives its row; see :func:`write_decisions`."""
    return write_decisions(lake, key, [decision], new_intent=new_intent, again=again)[0]


def write_decisions(
    lake: Lake, key: str, decisions: Sequence[Decision], *, new_intent: bool = False, again: bool = False
) -> list[dict[str, Any]]:
    """Appends decisions to a bot's ``review_decisions``, all of them in one commit or none, and gives the rows.

    Args:
        lake: where the bot's tables are.
        key: the bot.
        decisions: what was decided; no turn stands in two of them.
        new_intent: whether intents may be ones that the bot does not have yet.
        again: whether turns that were decided on before may be decided on anew.

    Raises:
        DecisionError: when a decision makes no sense, a turn is unknown or was decided on before.
    """
    for decision in decisions:
        _check(decision)
    turn_ids = [turn_id for decision in decisions for turn_id in decision.turn_ids]
    if not turn_ids:
        raise DecisionError("no_turns", "name at least one turn")
    if len(set(turn_ids)) < len(turn_ids):
        raise DecisionError("twice", "a turn is named twice; decide on each one once")
    if not new_intent:
        for intent in sorted({decision.intent for decision in decisions if decision.intent is not None}):
            _check_intent(lake, key, intent)
    texts = _texts(lake, key, turn_ids)
    sources = [_source(key, decision.turn_ids, texts) for decision in decisions]

    def rows(log: DecisionLog, at: datetime) -> list[dict[str, Any]]:
        if not again:
            _check_undecided(log, turn_ids)
        return [
            {
                "decision_id": _identity(decision.turn_ids, decision.action, decision.reviewer, at),
                "turn_ids": list(decision.turn_ids),
                "texts": [texts[source][turn_id] for turn_id in decision.turn_ids],
                "source": source,
                "action": decision.action,
                "intent": decision.intent,
                "answer": decision.answer,
                "reviewer": decision.reviewer,
                "reason": decision.reason,
                "decided_at": at,
                "undoes": None,
            }
            for decision, source in zip(decisions, sources, strict=True)
        ]

    return _append(lake, key, rows)


def undo_decision(lake: Lake, key: str, decision_id: str, reviewer: str, reason: str | None = None) -> dict[str, Any]:
    """Takes a decision back, by a row of its own: what was in force on its turns before is in force again.

    Gives the row. Turns that no other decision settles return to the queue.

    Raises:
        DecisionError: when there is no such decision, or it was taken back before.
    """

    def rows(log: DecisionLog, at: datetime) -> list[dict[str, Any]]:
        undone = log.row(decision_id)
        if undone is None or undone["action"] == UNDO:
            raise DecisionError("no_decision", f"{key} has no decision {decision_id} that could be taken back")
        if before := log.undone_by(decision_id):
            said = f"decision {decision_id} was already taken back by {before['reviewer']}"
            raise AlreadyDecidedError("undone", said, reviewer=before["reviewer"])
        kept = {name: undone[name] for name in ("turn_ids", "texts", "source")}
        row = {"action": UNDO, "intent": None, "answer": None, "reviewer": reviewer, "reason": reason}
        identity = _identity(kept["turn_ids"], UNDO, reviewer, at)
        return [{"decision_id": identity, **kept, **row, "decided_at": at, "undoes": decision_id}]

    return _append(lake, key, rows)[0]


def _append(
    lake: Lake, key: str, make: Callable[[DecisionLog, datetime], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Commits the rows that ``make`` gives for the log as it stands; made anew when another machine was first."""
    log = DecisionLog.kept(lake.table(key, "review_decisions"))
    with _in_turn(lake, key):
        for _ in range(ATTEMPTS):
            last = log.update()
            rows = make(log, _moment(log))
            with suppress(ConflictError):
                log.append(rows, last)
                return rows
    raise DecisionError("busy", f"{key}: others are deciding at this moment; try again")


@contextmanager
def _in_turn(lake: Lake, key: str) -> Iterator[None]:
    """Lets one person after the other decide on this machine, so that nobody's commit is in vain."""
    folder = lake.bot_folder(key)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _identity(turn_ids: Sequence[str], action: str, reviewer: str, at: datetime) -> str:
    identity = json.dumps([list(turn_ids), action, reviewer, at.isoformat()])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _moment(log: DecisionLog) -> datetime:
    """Now, or just after the last decision when the clock was set back: the one that is made last is in force."""
    now = datetime.now(UTC)
    return max(now, log.last_at + timedelta(microseconds=1)) if log.last_at else now


def _check(decision: Decision) -> None:
    if decision.action not in ACTIONS:
        said = f"action {decision.action!r} is unknown; allowed: {', '.join(ACTIONS)}"
        raise DecisionError("no_action", said, action=decision.action)
    if not decision.turn_ids:
        raise DecisionError("no_turns", "name at least one turn")
    given = [value for value in (decision.intent, decision.answer) if value is not None]
    if decision.action == MODIFY and not given:
        raise DecisionError("no_choice", "modify needs the right intent, the right answer or both")
    if decision.action != MODIFY and given:
        said = f"{decision.action} takes neither intent nor answer; use modify to give one"
        raise DecisionError("takes_none", said, action=decision.action)
    if any(not value.strip() for value in given):
        raise DecisionError("empty", "intent and answer must not be empty")


def known_intents(lake: Lake, key: str) -> frozenset[str]:
    """The intents of a bot's utterances."""
    table = lake.table(key, "utterances")
    last = table.last()
    if last is None:
        return frozenset()
    column = "intent"

    def read() -> frozenset[str]:
        found = {
            name for batch in table.batches([column], last.version) for name in pc.unique(batch.column(0)).to_pylist()
        }
        return frozenset(found - {None})

    return _intents.get(table.path, last.version, read)


_intents: Remembered[frozenset[str]] = Remembered()


def _check_intent(lake: Lake, key: str, intent: str) -> None:
    known = known_intents(lake, key)
    if intent not in known:
        near = difflib.get_close_matches(intent, sorted(known), n=3, cutoff=0.4)
        meant = f"; did you mean {', '.join(near)}?" if near else ""
        said = f"{key} has no intent {intent!r}{meant} (for a new one say so: --new-intent)"
        raise DecisionError("no_intent_but" if near else "no_intent", said, intent=intent, near=near)


def _texts(lake: Lake, key: str, turn_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The turns' texts, by where they are and by turn."""
    served = _texts_in(lake.table(key, SERVED), turn_ids)
    rest = [turn_id for turn_id in turn_ids if turn_id not in served]
    return {SERVED: served, LANDED: _texts_in(lake.table(key, LANDED), rest) if rest else {}}


def _texts_in(table: LakeTable, turn_ids: Sequence[str]) -> dict[str, str]:
    wanted = pa.array(turn_ids, pa.string())
    found: dict[str, str] = {}
    for batch in table.read_files(_files_with(table, turn_ids), ["turn_id", "text"]):
        rows = batch.filter(pc.is_in(batch.column("turn_id"), value_set=wanted))
        found.update(zip(rows.column("turn_id").to_pylist(), rows.column("text").to_pylist(), strict=True))
    return found


def _files_with(table: LakeTable, turn_ids: Sequence[str]) -> list[str]:
    """The files that can hold the turns, by the smallest and largest turn of each."""
    last = table.last()
    if last is None:
        return []
    bounds = _bounds.get(table.path, last.version, lambda: table.file_bounds("turn_id"))
    ordered = sorted(turn_ids)
    return [path for path, low, high in bounds if low is None or high is None or _any_between(ordered, low, high)]


_bounds: Remembered[list[tuple[str, Any, Any]]] = Remembered()


def _any_between(ordered: Sequence[str], low: str, high: str) -> bool:
    place = bisect.bisect_left(ordered, low)
    return place < len(ordered) and ordered[place] <= high


def _source(key: str, turn_ids: Sequence[str], texts: dict[str, dict[str, str]]) -> str:
    for source, found in texts.items():
        if all(turn_id in found for turn_id in turn_ids):
            return source
    missing = [turn_id for turn_id in turn_ids if all(turn_id not in found for found in texts.values())]
    if missing:
        said = f"{key} has no turn {', '.join(missing)}; review_queue and conversations name turns"
        raise DecisionError("no_turn", said, turns=missing)
    said = "some of these turns were served and some were landed; decide on them one kind at a time"
    raise DecisionError("two_kinds", said)


def _check_undecided(log: DecisionLog, turn_ids: Sequence[str]) -> None:
    for turn_id in turn_ids:
        before = log.decided(turn_id)
        if before is not None and before.is_settled:
            raise _second(turn_id, before)


def _second(turn_id: str, before: Decided) -> AlreadyDecidedError:
    right = " → ".join(value for value in (before.new_intent, before.new_answer) if value)
    told = f"{before.reviewer}: {before.action}{f' ({right})' if right else ''}"
    said = f"turn {turn_id} was already decided by {told}; use --again to decide anew"
    facts = {"reviewer": before.reviewer, "action": before.action, "right": right}
    return AlreadyDecidedError("decided_right" if right else "decided", said, **facts)
