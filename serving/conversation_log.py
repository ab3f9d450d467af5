"""Brings served turns, and what users say about them, into each bot's ``conversations``: every one, and each once.

A turn or a verdict is first written to this process's part of the journal; its future ends when it is on the disk. A
thread passes on what the journal holds, each ``FLUSH_SECONDS``. Every commit to the table says how far the segment has
come, so a process that is killed at any moment leaves behind what the next one needs to go on without doubling a row.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chatbot_assets.tables import CONVERSATIONS
from resources.lakehouse import Lake
from serving.conversations import TURN_ID, Conversations
from serving.journal import Entry, Journal, Segment

FLUSH_SECONDS = 0.5
ADOPT_SECONDS = 5.0
"""How often a process looks for what others have left behind."""
RETRY_SECONDS = 1.0
"""Pause before a table that could not be written is tried again."""
OTHERS_SECONDS = 3.0
"""How long feedback waits for its turn to come into the table from another process's journal."""
TURN, FEEDBACK = "turn", "feedback"
logger = logging.getLogger(__name__)

Values = dict[str, Any]


class NotYetError(RuntimeError):
    """The turn was served by another process, which could not write it to the table so far."""


@dataclass
class _Progress:
    """What of a segment is in the tables: all before ``read``, but what begins at a bot's place in ``waiting``."""

    read: int = 0
    waiting: dict[str, int] = field(default_factory=dict)

    def start(self, key: str) -> int:
        return self.waiting.get(key, self.read)


class ConversationLog:
    """Takes turns and feedback from any thread; its own thread writes them to the tables."""

    def __init__(self, lake: Lake, journal: Path) -> None:
        """``journal`` is the folder that the service's processes share."""
        self._lake = lake
        self._journal = Journal(journal)
        self._progress: dict[str, _Progress] = {}
        self._retry_at: dict[str, float] = {}
        self._tables: dict[str, Conversations] = {}
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="conversation-log", daemon=True)
        self._thread.start()

    def add(self, key: str, turn: Mapping[str, Any]) -> "Future[None]":
        """Takes a turn with the columns of ``conversations``; the future ends when it is kept, or with an OSError."""
        return self._journal.append(key, TURN, _plain(turn))

    def add_feedback(self, key: str, turn_id: str, feedback: Mapping[str, Any]) -> "Future[None]":
        """Takes values of ``satisfied`` and ``chosen_candidate`` for a turn; of each the last one counts."""
        return self._journal.append(key, FEEDBACK, {"turn_id": turn_id, **feedback})

    def find(self, key: str, turn_id: str) -> Mapping[str, Any] | None:
        """A turn that the bot served, with at least its ``category`` and ``candidates``.

        Raises:
            NotYetError: when feedback on the turn cannot be taken before another process has written it.
        """
        if not TURN_ID.match(turn_id):
            return None
        own = self._find_in(self._unwritten(), key, turn_id)
        if own is not None:
            return own
        table = Conversations(self._lake.table(key, CONVERSATIONS.name))
        until = time.monotonic() + OTHERS_SECONDS
        while (found := table.find(turn_id)) is None:
            if self._find_in(self._journal.elsewhere(turn_id.encode()), key, turn_id) is None:
                return table.find(turn_id)
            if time.monotonic() > until:
                raise NotYetError
            time.sleep(FLUSH_SECONDS / 5)
        return found

    def waiting_bytes(self) -> int:
        """Bytes of this process's journal that are not in the tables yet."""
        return sum(
            segment.end - min([progress.read, *progress.waiting.values()])
            for segment in self._journal.segments()
            for progress in [self._progress.get(segment.name, _Progress())]
        )

    def flush(self) -> None:
        """Writes all that was taken to the tables; what cannot be written waits for the next time."""
        self._journal.wait()
        self._pass_on(float("inf"))

    def close(self) -> None:
        """Writes what was taken and stops; what cannot be written stays in the journal for the next process."""
        self._closing.set()
        self._thread.join()
        self._journal.stop()
        self._pass_on(float("inf"))
        self._journal.release()

    def _run(self) -> None:
        adopt_at = 0.0
        while not self._closing.wait(FLUSH_SECONDS):
            try:
                if time.monotonic() >= adopt_at:
                    adopt_at = time.monotonic() + ADOPT_SECONDS
                    for segment in self._journal.adopt():
                        logger.info("takes over what an ended process has served: %s", segment.name)
                self._journal.retire_if_asked()
                self._pass_on(time.monotonic())
            except Exception:
                logger.exception("the journal cannot be passed on; trying again")

    def _pass_on(self, now: float) -> None:
        """Writes what the journal holds to the tables, but for bots whose tables are to be left alone until later."""
        with self._writing:
            held = {key for key, moment in self._retry_at.items() if moment > now}
            for segment in self._journal.segments():
                progress = self._progress.setdefault(segment.name, _Progress())
                self._pass_on_segment(segment, progress, held)
                if not progress.waiting and progress.read == segment.end:
                    self._journal.remove(segment)

    def _pass_on_segment(self, segment: Segment, progress: _Progress, held: set[str]) -> None:
        """Writes one segment's records. ``held`` bots wait, and so do those that fail: in later segments as well."""
        end = segment.end
        start = min([progress.read, *(place for key, place in progress.waiting.items() if key not in held)])
        entries: dict[str, list[Entry]] = defaultdict(list)
        for entry in segment.entries(start, end):
            if entry.start >= progress.start(entry.key):
                entries[entry.key].append(entry)
        for key, found in entries.items():
            if key not in held and not self._write(key, segment, end, found):
                held.add(key)
            if key in held:
                progress.waiting.setdefault(key, found[0].start)
            else:
                progress.waiting.pop(key, None)
        progress.read = end

    def _write(self, key: str, segment: Segment, end: int, entries: Iterable[Entry]) -> bool:
        """Writes a bot's records of a segment up to ``end``; False when that failed."""
        try:
            sure = key in self._tables and not segment.adopted
            table = self._tables.setdefault(key, Conversations(self._lake.table(key, CONVERSATIONS.name)))
            sources = {kind: f"{kind}s of {segment.name}" for kind in (TURN, FEEDBACK)}
            # After a failure, or another process's end, it is not known which commits were made.
            done = {kind: 0 if sure else table.progress(source) for kind, source in sources.items()}
            turns, feedback = _by_turn(entry for entry in entries if entry.start >= done[entry.kind])
            if turns:
                kinds = (TURN,) if feedback else (TURN, FEEDBACK)
                table.append(list(turns.values()), {sources[kind]: end for kind in kinds})
            if feedback:
                table.amend(feedback, {sources[FEEDBACK]: end})
        except Exception:
            # Whatever was known of the table may be wrong: somebody may have restored an older one.
            self._tables.pop(key, None)
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
            logger.exception("conversations of %s cannot be written; trying again", key)
            return False
        self._retry_at.pop(key, None)
        return True

    def _unwritten(self) -> Iterable[Entry]:
        """This process's records that are not known to be in the tables."""
        for segment in self._journal.segments():
            progress = self._progress.get(segment.name, _Progress())
            start = min([progress.read, *progress.waiting.values()])
            yield from segment.entries(start, segment.end)

    def _find_in(self, entries: Iterable[Entry], key: str, turn_id: str) -> Values | None:
        for entry in entries:
            if (entry.key, entry.kind) == (key, TURN) and turn_id.encode() in entry.body:
                turn = entry.value()
                if turn["turn_id"] == turn_id:
                    return _typed(turn)
        return None


def _by_turn(entries: Iterable[Entry]) -> tuple[dict[str, Values], dict[str, Values]]:
    """The turns among a bot's records, each with the feedback on it, and the feedback on other turns."""
    turns: dict[str, Values] = {}
    feedback: dict[str, Values] = {}
    for entry in entries:
        value = entry.value()
        if entry.kind == TURN:
            turns[value["turn_id"]] = _typed(value)
        else:
            turn_id = value.pop("turn_id")
            (turns[turn_id] if turn_id in turns else feedback.setdefault(turn_id, {})).update(value)
    return turns, feedback


def _plain(turn: Mapping[str, Any]) -> Values:
    """A turn as JSON can hold it."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in turn.items()}


def _typed(turn: Values) -> Values:
    """The inverse of :func:`_plain`."""
    if "served_at" in turn:
        turn["served_at"] = datetime.fromisoformat(turn["served_at"])
    return turn
