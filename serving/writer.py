"""Brings what the journal holds into each bot's ``conversations``: every turn and verdict, and each once.

One process does it for all processes that serve, so that no answer waits for its work: ``python -m serving.writer``.
Every commit to a table says how far the segment has come, so a writer that is killed at any moment leaves behind what
the next one needs to go on without losing or doubling a row.
"""

import fcntl
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chatbot_assets.tables import CONVERSATIONS, SHADOW_ANSWERS
from resources.environment import Home
from resources.lakehouse import Lake
from serving.conversation_log import FEEDBACK, SHADOW, TURN, turns_and_feedback, typed
from serving.conversations import Conversations
from serving.journal import Entry, entries, remove_if_passed_on, remove_unfinished, segments_in
from serving.logs import log_as_json
from serving.metrics import Counted, shared_folder
from serving.priority import NICENESS

FLUSH_SECONDS = 0.5
RETRY_SECONDS = 1.0
"""Pause before a table that could not be written is tried again, and before a writer that has ended is replaced."""
STOP_SECONDS = 15.0
"""How long a writer that is told to stop may take to write what waits."""
WAITING = ("chatbot_journal_waiting_bytes", "Bytes that were kept and could not be written to the tables so far.")
"""The metric of :meth:`Writer.waiting_bytes`."""
logger = logging.getLogger(__name__)


@dataclass
class _Progress:
    """What of a segment is in the tables: all before ``read``, but what begins at a bot's place in ``waiting``."""

    read: int = 0
    waiting: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """The place before which everything is in the tables."""
        return min([self.read, *self.waiting.values()])


class Writer:
    """Passes the journal on; to be used by one thread, of one process at a time."""

    def __init__(self, lake: Lake, journal: Path) -> None:
        """``journal`` is the folder that the service's processes share."""
        self._lake = lake
        self._folder = journal
        self._progress: dict[Path, _Progress] = {}
        self._retry_at: dict[str, float] = {}
        self._tables: dict[str, Conversations] = {}
        self._sure: set[tuple[str, Path]] = set()
        """Bots and segments of which this writer knows, without asking the table, what was committed."""

    def run(self, stop: threading.Event) -> None:
        """Passes on each ``FLUSH_SECONDS`` until it is told to stop, and then what is left.

        Waits while another writer is at it.
        """
        with alone(self._folder, stop) as is_alone:
            while is_alone and not stop.wait(FLUSH_SECONDS):
                try:
                    self.pass_on(time.monotonic())
                except Exception:
                    logger.exception("the journal cannot be passed on; trying again")
            if is_alone:
                self.pass_on()

    def pass_on(self, now: float = float("inf")) -> None:
        """Writes what the journal holds to the tables, but for bots whose tables are to be left alone until later."""
        remove_unfinished(self._folder)
        held = {key for key, moment in self._retry_at.items() if moment > now}
        for segment in segments_in(self._folder):
            progress = self._progress.setdefault(segment, _Progress())
            self._pass_on_segment(segment, progress, held)
            if not progress.waiting and remove_if_passed_on(segment, progress.read):
                del self._progress[segment]
                self._sure -= {(key, path) for key, path in self._sure if path == segment}

    def waiting_bytes(self) -> int:
        """Bytes of the journal that were read and could not be written to the tables so far."""
        return sum(progress.read - progress.done for progress in list(self._progress.values()))

    def _pass_on_segment(self, segment: Path, progress: _Progress, held: set[str]) -> None:
        """Writes one segment's records. ``held`` bots wait, and so do those that fail: in later segments as well."""
        start = min([progress.read, *(place for key, place in progress.waiting.items() if key not in held)])
        found: dict[str, list[Entry]] = defaultdict(list)
        end = progress.read
        for entry in entries(segment, start):
            if entry.start >= progress.waiting.get(entry.key, progress.read):
                found[entry.key].append(entry)
            end = max(end, entry.end)
        for key, records in found.items():
            if key not in held and not self._write(key, segment, end, records):
                held.add(key)
            if key in held:
                progress.waiting.setdefault(key, records[0].start)
            else:
                progress.waiting.pop(key, None)
        progress.read = end

    def _write(self, key: str, segment: Path, end: int, records: Sequence[Entry]) -> bool:
        """Writes a bot's records of a segment up to ``end``; False when that failed."""
        try:
            table = self._tables.setdefault(key, Conversations(self._lake.table(key, CONVERSATIONS.name)))
            shadows = self._lake.table(key, SHADOW_ANSWERS.name)
            sources = {kind: f"{kind}s of {segment.stem}" for kind in (TURN, FEEDBACK, SHADOW)}
            # After a failure, or another writer's end, it is not known which commits were made.
            sure = (key, segment) in self._sure
            done = {kind: 0 if sure else table.progress(source) for kind, source in sources.items() if kind != SHADOW}
            done[SHADOW] = 0 if sure else shadows.progress(sources[SHADOW])
            records = [record for record in records if record.start >= done[record.kind]]
            turns, feedback = turns_and_feedback(record for record in records if record.kind != SHADOW)
            if turns:
                kinds = (TURN,) if feedback else (TURN, FEEDBACK)
                table.append(list(turns.values()), {sources[kind]: end for kind in kinds})
            if feedback:
                table.amend(feedback, {sources[FEEDBACK]: end})
            if answers := [typed(record.value()) for record in records if record.kind == SHADOW]:
                shadows.append_rows(answers, {sources[SHADOW]: end})
        except Exception:
            # Whatever was known of the table may be wrong: somebody may have restored an older one.
            self._tables.pop(key, None)
            self._sure = {(other, path) for other, path in self._sure if other != key}
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
            logger.exception("conversations of %s cannot be written; trying again", key)
            return False
        self._sure.add((key, segment))
        self._retry_at.pop(key, None)
        return True


@contextmanager
def alone(folder: Path, stop: threading.Event) -> Iterator[bool]:
    """Waits until no other writer is at the journal, until the end of the block; False when told to stop before."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        while not (locked := _locked(descriptor)) and not stop.wait(FLUSH_SECONDS / 5):
            pass
        yield locked
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def writing_beside(home: Home) -> Iterator[None]:
    """Keeps a writer running as a process of its own, until the end of the block and all is written."""
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(home, stop), name="writer")
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep(home: Home, stop: threading.Event) -> None:
    process = _start(home)
    while not stop.wait(FLUSH_SECONDS / 5):
        if process.poll() is not None:
            logger.error("the process that writes conversations has ended (status %s); one more", process.returncode)
            stop.wait(RETRY_SECONDS)
            process = _start(home)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=STOP_SECONDS)
    process.kill()


def _start(home: Home) -> "subprocess.Popen[bytes]":
    """A writer that ends when its standard input does: when that is closed, and also when this process is killed."""
    environment = os.environ | {"CHATBOT_HOME": str(home.root), "CHATBOT_BOTS": str(home.bots)}
    return subprocess.Popen([sys.executable, "-m", "serving.writer"], stdin=subprocess.PIPE, env=environment)


def _stop_with(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def main() -> None:
    """Writes until standard input ends. Signals that are meant for all of the service do not end it before that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    log_as_json()
    os.nice(NICENESS)  # answers come first: it gets a tenth of a core that they want as well
    home, stop = Home.from_environment(), threading.Event()
    threading.Thread(target=_stop_with, args=(stop,), daemon=True).start()
    writer, counted = Writer(Lake(home.lake), home.journal), Counted()
    counted.watch(*WAITING, writer.waiting_bytes)
    with counted.published(shared_folder()):
        writer.run(stop)


if __name__ == "__main__":
    main()
