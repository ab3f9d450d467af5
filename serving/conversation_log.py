"""Writes served turns to each bot's ``conversations`` table, a few at a time.

A turn is in the table at most ``FLUSH_SECONDS`` (and the time of one commit) after its answer was sent, and before the
service ends in order; a service that is killed loses the turns of that interval.
"""

import logging
import threading
from collections import defaultdict
from typing import Any

from resources.lakehouse import Lake

FLUSH_SECONDS = 0.5
logger = logging.getLogger(__name__)


class ConversationLog:
    """Collects turns from any thread; its own thread appends them."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._waiting: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conversation-log", daemon=True)
        self._thread.start()

    def add(self, key: str, turn: dict[str, Any]) -> None:
        """Takes a turn with the columns of ``conversations``."""
        with self._lock:
            self._waiting[key].append(turn)

    def flush(self) -> None:
        """Appends what is waiting; turns whose table cannot be written wait for the next time."""
        with self._lock:
            taken, self._waiting = self._waiting, defaultdict(list)
        for key, turns in taken.items():
            try:
                self._lake.table(key, "conversations").append_rows(turns)
            except Exception:
                logger.exception("%d turns of %s could not be written; trying again", len(turns), key)
                with self._lock:
                    self._waiting[key] = turns + self._waiting[key]

    def close(self) -> None:
        """Writes what is waiting and stops."""
        self._closing.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self.flush()
