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

TURN, FEEDBACK, SHADOW = "turn", "feedback", "shadow"
SAID_AT = "said_at_ns"
"""Of feedback in the journal: when it was said, as :func:`time.monotonic_ns` counts."""
JUDGED = ("turn_id", "category", "candidates")
"""What has to be known of a turn to take feedback on it."""

Values = dict[str, Any]


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
        """Takes values of ``satisfied`` and ``chosen_candidate`` for a turn; of each the last one counts.

        Which is the last one tells the time since the machine was started: all processes share it, and nobody sets it.
        """
        return self._journal.append(key, FEEDBACK, {"turn_id": turn_id, SAID_AT: time.monotonic_ns(), **feedback})

    def add_shadow(self, key: str, answer: Mapping[str, Any]) -> "Future[None]":
        """Takes what a shadow made of a turn, with the columns of ``shadow_answers``; otherwise as :meth:`add`."""
        return self._journal.append(key, SHADOW, _plain(answer))

    def find(self, key: str, turn_id: str, columns: Sequence[str] = JUDGED) -> Mapping[str, Any] | None:
        """A turn that the bot served, with at least these columns, where it has them.

        Feedback on it may follow at once, also when it is in the segment of another process.
        """
        if not TURN_ID.match(turn_id):
            return None
        # What leaves the journal is in the table before.
        waiting = _turn_among(self._journal.holding(turn_id.encode()), key, turn_id)
        return waiting or Conversations(self._lake.table(key, CONVERSATIONS.name)).find(turn_id, columns)

    def close(self) -> None:
        """Writes what was taken to the disk and takes no more."""
        self._journal.close()


def turns_and_feedback(served: Iterable[Entry], judged: Iterable[Entry]) -> tuple[dict[str, Values], dict[str, Values]]:
    """A bot's turns, each with the feedback on it, and the feedback on other turns."""
    turns = {turn["turn_id"]: typed(turn) for turn in (entry.value() for entry in served)}
    feedback: dict[str, Values] = {}
    for said in sorted((entry.value() for entry in judged), key=lambda said: said.pop(SAID_AT, 0)):
        turn_id = said.pop("turn_id")
        (turns[turn_id] if turn_id in turns else feedback.setdefault(turn_id, {})).update(said)
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
