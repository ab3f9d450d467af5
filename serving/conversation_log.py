"""Writes served turns, and what users say about them, to each bot's ``conversations``, a few at a time.

A turn or a verdict is in the table at most ``FLUSH_SECONDS`` (and the time of one or two commits) after it was taken,
and before the service ends in order; a service that is killed loses those of that interval.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any

from chatbot_assets.tables import CONVERSATIONS
from resources.lakehouse import Lake
from serving.conversations import Conversations

FLUSH_SECONDS = 0.5
logger = logging.getLogger(__name__)

ByTurn = dict[str, dict[str, Any]]


class ConversationLog:
    """Collects turns and feedback from any thread; its own thread writes them."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._turns: dict[str, ByTurn] = {}
        self._in_writing: dict[str, ByTurn] = {}
        self._feedback: dict[str, ByTurn] = {}
        self._tables: dict[str, Conversations] = {}
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conversation-log", daemon=True)
        self._thread.start()

    def add(self, key: str, turn: Mapping[str, Any]) -> None:
        """Takes a turn with the columns of ``conversations``."""
        with self._lock:
            self._turns.setdefault(key, {})[turn["turn_id"]] = dict(turn)

    def add_feedback(self, key: str, turn_id: str, feedback: Mapping[str, Any]) -> None:
        """Takes values of ``satisfied`` and ``chosen_candidate`` for a turn; of each the last one counts."""
        with self._lock:
            waiting = self._turns.get(key, {}).get(turn_id)
            if waiting is None:
                waiting = self._feedback.setdefault(key, {}).setdefault(turn_id, {})
            waiting.update(feedback)

    def find(self, key: str, turn_id: str) -> Mapping[str, Any] | None:
        """A turn that the bot served, written yet or not, with at least its ``category`` and ``candidates``."""
        with self._lock:
            for turns in (self._turns, self._in_writing):
                if turn_id in turns.get(key, {}):
                    return dict(turns[key][turn_id])
        return Conversations(self._lake.table(key, CONVERSATIONS.name)).find(turn_id)

    def flush(self) -> None:
        """Writes what is waiting; what cannot be written waits for the next time."""
        with self._flushing:
            with self._lock:
                keys = sorted(self._turns.keys() | self._feedback.keys())
            for key in keys:
                try:
                    self._write_turns(key)
                    self._write_feedback(key)
                except Exception:
                    # Whatever was known of the table may be wrong: somebody may have restored an older one.
                    self._tables.pop(key, None)
                    logger.exception("conversations of %s cannot be written; trying again", key)

    def close(self) -> None:
        """Writes what is waiting and stops."""
        self._closing.set()
        self._thread.join()
        self.flush()

    def _write_turns(self, key: str) -> None:
        with self._lock:
            turns = self._turns.pop(key, {})
            self._in_writing[key] = turns
        try:
            if turns:
                self._table(key).append(list(turns.values()))
        except BaseException:
            with self._lock:
                self._turns[key] = turns | self._turns.get(key, {})
            raise
        finally:
            with self._lock:
                del self._in_writing[key]

    def _write_feedback(self, key: str) -> None:
        with self._lock:
            feedback = self._feedback.pop(key, {})
        try:
            if feedback:
                self._table(key).amend(feedback)
        except BaseException:
            with self._lock:
                newer = self._feedback.get(key, {})
                self._feedback[key] = newer | {
                    turn_id: earlier | newer.get(turn_id, {}) for turn_id, earlier in feedback.items()
                }
            raise

    def _table(self, key: str) -> Conversations:
        if key not in self._tables:
            self._tables[key] = Conversations(self._lake.table(key, CONVERSATIONS.name))
        return self._tables[key]

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self.flush()
