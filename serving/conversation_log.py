"""Keeps served turns, and what users say about them, on the disk, and finds turns again before they are in the lake.

A turn or a verdict is written to this process's part of the journal; its future ends when it is on the disk. From there
:class:`serving.writer.Writer`, in a process of its own, brings it into the bot's ``conversations``.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import Any

from chatbot_assets.tables import CONVERSATIONS
from resources.lakehouse import Lake
from serving.conversations import TURN_ID, Conversations
from serving.journal import Entry, Journal

OTHERS_SECONDS = 3.0
"""How long feedback waits for its turn to come into the table from another process's journal."""
LOOK_SECONDS = 0.1
"""How often it looks meanwhile."""
TURN, FEEDBACK, SHADOW = "turn", "feedback", "shadow"
JUDGED = ("turn_id", "category", "candidates")
"""What has to be known of a turn to take feedback on it."""

Values = dict[str, Any]


class NotYetError(RuntimeError):
    """The turn was served by another process, and is not in the table so far."""


class ConversationLog:
    """Takes turns and feedback from any thread."""

    def __init__(self, lake: Lake, journal: Path) -> None:
        """``journal`` is the folder that the service's processes share."""
        self._lake = lake
        self._journal = Journal(journal)

    def add(self, key: str, turn: Mapping[str, Any]) -> "Future[None]":
        """Takes a turn with the columns of ``conversations``; the future ends when it is kept, or with an OSError."""
        return self._journal.append(key, TURN, _plain(turn))

    def add_feedback(self, key: str, turn_id: str, feedback: Mapping[str, Any]) -> "Future[None]":
        """Takes values of ``satisfied`` and ``chosen_candidate`` for a turn; of each the last one counts."""
        return self._journal.append(key, FEEDBACK, {"turn_id": turn_id, **feedback})

    def add_shadow(self, key: str, answer: Mapping[str, Any]) -> "Future[None]":
        """Takes what a shadow made of a turn, with the columns of ``shadow_answers``; otherwise as :meth:`add`."""
        return self._journal.append(key, SHADOW, _plain(answer))

    def find(self, key: str, turn_id: str, columns: Sequence[str] = JUDGED) -> Mapping[str, Any] | None:
        """A turn that the bot served, with at least these columns, where it has them.

        Feedback on a turn of this process's segment may follow it there at once: they are passed on in their order.

        Raises:
            NotYetError: when feedback on the turn cannot be taken before it is in the table, and it does not get there.
        """
        if not TURN_ID.match(turn_id):
            return None
        own = _turn_among(self._journal.own(turn_id.encode()), key, turn_id)
        if own is not None:
            return own
        table = Conversations(self._lake.table(key, CONVERSATIONS.name))
        until = time.monotonic() + OTHERS_SECONDS
        while (found := table.find(turn_id, columns)) is None:
            if _turn_among(self._journal.elsewhere(turn_id.encode()), key, turn_id) is None:
                return table.find(turn_id, columns)
            if time.monotonic() > until:
                raise NotYetError
            time.sleep(LOOK_SECONDS)
        return found

    def close(self) -> None:
        """Writes what was taken to the disk and takes no more."""
        self._journal.close()


def turns_and_feedback(entries: Iterable[Entry]) -> tuple[dict[str, Values], dict[str, Values]]:
    """The turns among a bot's records, each with the feedback on it, and the feedback on other turns."""
    turns: dict[str, Values] = {}
    feedback: dict[str, Values] = {}
    for entry in entries:
        value = entry.value()
        if entry.kind == TURN:
            turns[value["turn_id"]] = typed(value)
        else:
            turn_id = value.pop("turn_id")
            (turns[turn_id] if turn_id in turns else feedback.setdefault(turn_id, {})).update(value)
    return turns, feedback


def _turn_among(entries: Iterable[Entry], key: str, turn_id: str) -> Values | None:
    for entry in entries:
        if (entry.key, entry.kind) == (key, TURN):
            turn = entry.value()
            if turn["turn_id"] == turn_id:
                return typed(turn)
    return None


def _plain(turn: Mapping[str, Any]) -> Values:
    """A turn as JSON can hold it."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in turn.items()}


def typed(turn: Values) -> Values:
    """The inverse of :func:`_plain`."""
    if "served_at" in turn:
        turn["served_at"] = datetime.fromisoformat(turn["served_at"])
    return turn
