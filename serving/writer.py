"""Brings what the journal holds into each bot's ``conversations``: every turn and verdict, and each once.

One process does it for all processes that serve, so that no answer waits for its work: ``python -m serving.writer``.
Every commit to a table says how far each segment has come, so a writer that is killed at any moment leaves behind what
the next one needs to go on without losing or doubling a row. What the journal holds is safe already, so the tables of a
bot that is asked all the time are written to now and then; those of one that was quiet, a moment after its turn.
"""

import fcntl
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chatbot_assets.tables import CONVERSATIONS, SHADOW_ANSWERS
from resources.environment import Home
from resources.lakehouse import Lake
from serving.conversation_log import FEEDBACK, SHADOW, TURN, turns_and_feedback, typed
from serving.conversations import Conversations
from serving.journal import Entry, entries, remove_if_passed_on, remove_unfinished, retiring, segments_in
from serving.logs import log_as_json
from serving.metrics import Counted, shared_folder
from serving.priority import NICENESS

FLUSH_SECONDS = 0.5
"""How often it is looked what is new, and how long at most it is written before somebody looks again."""
STEADY_SECONDS = 30.0
"""How often a bot that is asked all the time is written to: so long a turn or a verdict is on its way at most. A commit
costs some 20 ms of a core, and its log keeps it for all who walk it later. Those who read the table look each half
minute at most (the page of reviews, the sensors); feedback on turns and ``erase`` do not wait for it."""
SAVED_WRITES = 60
"""Writes that a bot has saved up when it was quiet: each of them is made at the next flush. So somebody who tries a bot
for some minutes, or sends it load for half a minute, finds every turn in its table at once."""
SAVED_SHARE = 0.1
"""What writes that were saved up may take of a processor together: where a hundred bots are asked all the time they are
spread, so that freshness and not the processor gives way."""
MANY_RECORDS = 5_000
"""A bot of which so many records wait is written to at once, lest they fill the memory: some 4 MB, half a segment."""
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


_Gathered = dict[Path, list[Entry]]
"""What was read of a bot and is not in its tables so far, by segments."""


class Writer:
    """Passes the journal on; to be used by one thread, of one process at a time."""

    def __init__(self, lake: Lake, journal: Path, steady_seconds: float = STEADY_SECONDS) -> None:
        """``journal`` is the folder that the service's processes share."""
        self._lake = lake
        self._steady_seconds = steady_seconds
        self._folder = journal
        self._progress: dict[Path, _Progress] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._pace: dict[str, float] = {}
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

    def pass_on(self, now: float = math.inf) -> None:
        """Writes what the journal holds to the tables, but for bots whose tables are to be left alone until later.

        The rate is kept by the generic cell rate algorithm (ITU-T I.371): each write moves a bot's theoretical time on,
        which may be ahead of the present by as much as was saved up. Bots that were quiet come first. Where there are
        too many, the others wait for the next call, so that whoever becomes due meanwhile waits for few of them.

        ``now`` is as :func:`time.monotonic` tells it; without it nothing is left for later.
        """
        remove_unfinished(self._folder)
        held = {key for key, moment in self._retry_at.items() if moment > now}
        again = self._retry_at.keys() - held
        for key in again:
            self._gathered.pop(key, None)
        judged = self._read(held, again)
        # A turn was on the disk, whichever segment has it, before a verdict on it was: now the turns of all verdicts so
        # far are read. The verdicts that come with them wait for the next time.
        served = self._read(held)
        wanted = set(retiring(self._folder))
        moments = {
            key: -math.inf if self._is_urgent(records, wanted) else self._pace.get(key, 0.0)
            for key, records in self._gathered.items()
            if key not in held
        }
        started = time.monotonic()
        for number, key in enumerate(sorted(moments, key=moments.__getitem__)):
            share = SAVED_SHARE if moments[key] > now else 1.0
            is_late = number > 0 and time.monotonic() > started + share * FLUSH_SECONDS
            if moments[key] > now + (SAVED_WRITES - 1) * self._steady_seconds or (is_late and now < math.inf):
                break
            self._write(key, judged, now)
        for segment, end in served.items():
            is_done = not any(segment in records for records in self._gathered.values())
            if is_done and not self._progress[segment].waiting and remove_if_passed_on(segment, end):
                del self._progress[segment]
                self._sure -= {(key, path) for key, path in self._sure if path == segment}

    def waiting_bytes(self) -> int:
        """Bytes of the journal that were read and could not be written to the tables so far."""
        return sum(progress.read - progress.done for progress in list(self._progress.values()))

    def _read(self, held: Set[str], again: Set[str] = frozenset()) -> dict[Path, int]:
        """Gathers what is new in all segments, and what waits of the bots in ``again``; gives how far each was read.

        What is new of ``held`` bots waits.
        """
        ends = {}
        for segment in segments_in(self._folder):
            progress = self._progress.setdefault(segment, _Progress())
            places = {key: place for key, place in progress.waiting.items() if key in again}
            for entry in entries(segment, min([progress.read, *places.values()])):
                if entry.start < places.get(entry.key, progress.read):
                    continue
                if entry.key in self._retry_at:
                    progress.waiting.setdefault(entry.key, entry.start)
                if entry.key not in held:
                    self._gathered.setdefault(entry.key, {}).setdefault(segment, []).append(entry)
                progress.read = max(progress.read, entry.end)
            ends[segment] = progress.read
        return ends

    def _is_urgent(self, records: _Gathered, wanted: Set[Path]) -> bool:
        """Whether what waits of a bot cannot wait: for its journal is wanted, or it fills the memory."""
        return not wanted.isdisjoint(records) or sum(map(len, records.values())) >= MANY_RECORDS

    def _write(self, key: str, judged: Mapping[Path, int], now: float) -> None:
        """Writes what was gathered of a bot, but for verdicts that come after ``judged``.

        What cannot be written waits in the journal.
        """
        gathered = self._gathered.pop(key)
        read = {segment: self._progress[segment].read for segment in gathered}
        ends = {segment: {TURN: end, FEEDBACK: judged.get(segment, 0), SHADOW: end} for segment, end in read.items()}
        try:
            self._commit(key, gathered, ends)
        except Exception:
            # Whatever was known of the table may be wrong: somebody may have restored an older one.
            self._tables.pop(key, None)
            self._sure = {(other, path) for other, path in self._sure if other != key}
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
            for segment, records in gathered.items():
                self._progress[segment].waiting[key] = records[0].start
            logger.exception("conversations of %s cannot be written; trying again", key)
            return
        self._sure.update((key, segment) for segment in gathered)
        self._retry_at.pop(key, None)
        latest = now + SAVED_WRITES * self._steady_seconds
        self._pace[key] = min(max(self._pace.get(key, now), now) + self._steady_seconds, latest)
        for segment, records in gathered.items():
            self._progress[segment].waiting.pop(key, None)
            if left := [record for record in records if record.start >= ends[segment][record.kind]]:
                self._gathered.setdefault(key, {})[segment] = left

    def _commit(self, key: str, gathered: _Gathered, ends: Mapping[Path, Mapping[str, int]]) -> None:
        """Brings a bot's records that come before ``ends`` into its tables, unless they are there."""
        table = self._tables.setdefault(key, Conversations(self._lake.table(key, CONVERSATIONS.name)))
        shadows = self._lake.table(key, SHADOW_ANSWERS.name)
        fresh: dict[str, list[Entry]] = {kind: [] for kind in (TURN, FEEDBACK, SHADOW)}
        progress: dict[str, dict[str, int]] = {kind: {} for kind in fresh}
        for segment, records in gathered.items():
            for kind, end in ends[segment].items():
                source = f"{kind}s of {segment.stem}"
                # After a failure, or another writer's end, it is not known which commits were made.
                is_sure = (key, segment) in self._sure
                done = 0 if is_sure else (shadows if kind == SHADOW else table).progress(source)
                fresh[kind] += [record for record in records if record.kind == kind and done <= record.start < end]
                progress[kind][source] = max(done, end)
        turns, feedback = turns_and_feedback(fresh[TURN], fresh[FEEDBACK])
        if turns:
            table.append(list(turns.values()), progress[TURN] | ({} if feedback else progress[FEEDBACK]))
        if feedback:
            table.amend(feedback, progress[FEEDBACK])
        if fresh[SHADOW]:
            shadows.append_rows([typed(record.value()) for record in fresh[SHADOW]], progress[SHADOW])


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
