"""A write-ahead log: what it has taken is on the disk, and is still there after the process was killed.

Each process appends to a segment file of its own, which it holds by a file lock; the lock is freed when the process
ends, however it ends, and then another process may adopt the segment. A record is one line: the CRC-32 of what
follows in hexadecimal, the bot's key, the kind of the record, and JSON. A segment has its full size from the beginning,
so a disk that fills up later leaves it room, and ends at the first line that is not whole.
"""

import fcntl
import json
import logging
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEGMENT_BYTES = 8 << 20
"""A segment's size: some ten thousand turns."""
SUFFIX, UNFINISHED = ".log", ".new"
RETIRE = ".retire"
"""Touched by whoever wants all that was served so far out of the journal: older segments are appended to no more."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A record as a segment holds it; ``start`` is the place of its first byte."""

    start: int
    key: str
    kind: str
    body: bytes

    def value(self) -> dict[str, Any]:
        """The JSON object that was appended."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Segment:
    """A segment that this process holds. ``adopted`` is one that another process has left behind."""

    def __init__(self, path: Path, descriptor: int, size: int, end: int, *, adopted: bool) -> None:
        self.path = path
        self.adopted = adopted
        self.end = end
        self._size = size
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, size: int) -> "Segment":
        """A new, empty one.

        Raises:
            OSError: when the disk has no room for it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # Under another name until it is locked and whole: nobody adopts it before.
        unfinished = folder / f"{time.time_ns():020d}-{os.getpid()}{UNFINISHED}"
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _reserve(descriptor, size)
            os.fsync(descriptor)
            path = unfinished.replace(unfinished.with_suffix(SUFFIX))
            _sync_folder(folder)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        return cls(path, descriptor, size, 0, adopted=False)

    @classmethod
    def adopt(cls, path: Path) -> "Segment | None":
        """One that nobody holds; None when somebody does, or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if not os.fstat(descriptor).st_nlink:
            os.close(descriptor)
            return None
        content = path.read_bytes()
        end = sum(len(line) + 1 for line in _lines(content, 0))
        return cls(path, descriptor, len(content), end, adopted=True)

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def made_ns(self) -> int:
        """When it was made, in nanoseconds since 1970."""
        return int(self.name.partition("-")[0])

    def has_room_for(self, data: bytes) -> bool:
        """Whether this process may still append so much."""
        return not self.adopted and self.end + len(data) <= self._size

    def append(self, data: bytes) -> None:
        """Writes whole lines at the end, to the disk itself.

        Raises:
            OSError: when they cannot be written; none of them counts then.
        """
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], self.end + written)
            _sync_data(self._descriptor)
        except OSError:
            # What the disk now holds behind the end is not known: nothing may follow it.
            self._size = self.end
            os.ftruncate(self._descriptor, self.end)
            raise
        self.end += len(data)

    def entries(self, start: int, stop: int) -> Iterator[Entry]:
        """The records between two places; none when it has been removed meanwhile."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(start)
                content = stream.read(stop - start)
        except FileNotFoundError:
            return
        for line in _lines(content, start):
            yield _entry(start, line)
            start += len(line) + 1

    def remove(self) -> None:
        """Deletes it and frees the lock."""
        self.path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        """Leaves it to whoever adopts it."""
        os.close(self._descriptor)


class Journal:
    """A process's part of the log in ``folder``: one thread writes what many append, together (group commit)."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._current: Segment | None = None
        self._segments: list[Segment] = []
        self._group: list[bytes] = []
        self._gathering = _shared_future()
        self._in_writing = _shared_future()
        self._in_writing.set_result(None)
        self._wake = threading.Condition()
        self._closing = False
        self._retiring = False
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def append(self, key: str, kind: str, value: Mapping[str, Any]) -> "Future[None]":
        """Takes a record. The future ends when it is on the disk, or with the OSError that kept it from there."""
        content = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        record = f"{key} {kind} {content}".encode("utf-8", "surrogatepass")
        line = b"%08x %s\n" % (zlib.crc32(record), record)
        with self._wake:
            self._group.append(line)
            self._wake.notify()
            return self._gathering

    def wait(self) -> None:
        """Waits until all that was appended is on the disk, or known not to be."""
        with self._wake:
            last = self._gathering if self._group else self._in_writing
        last.exception()

    def segments(self) -> list[Segment]:
        """Those that this process holds, the oldest first."""
        with self._wake:
            return list(self._segments)

    def adopt(self) -> list[Segment]:
        """Takes the segments that ended processes have left behind."""
        mine = {segment.path for segment in self.segments()}
        paths = [path for path in self._folder.glob(f"*{SUFFIX}") if path not in mine]
        found = [segment for path in sorted(paths) if (segment := Segment.adopt(path))]
        with self._wake:
            self._segments = found + self._segments
        for path in self._folder.glob(f"*{UNFINISHED}"):
            _remove_unfinished(path)
        return found

    def remove(self, segment: Segment) -> None:
        """Deletes a segment of which everything has been passed on, unless records are still appended to it."""
        with self._wake:
            if segment is self._current and not self._closing:
                return
            self._segments.remove(segment)
        segment.remove()

    def retire_if_asked(self) -> None:
        """Appends no more to a segment that is older than a wish for it (``RETIRE``), so that it can be removed."""
        try:
            asked_ns = (self._folder / RETIRE).stat().st_mtime_ns
        except FileNotFoundError:
            return
        with self._wake:
            if self._current is not None and self._current.made_ns <= asked_ns:
                self._retiring = True
                self._wake.notify()

    def elsewhere(self, text: bytes) -> Iterator[Entry]:
        """The records of other processes' segments that hold a text."""
        mine = {segment.path for segment in self.segments()}
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path in mine:
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            if text in content:
                yield from (_entry(0, line) for line in _lines(content, 0) if text in line)

    def stop(self) -> None:
        """Writes what was appended and takes no more."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def release(self) -> None:
        """Leaves what was not removed to the next process."""
        for segment in self.segments():
            segment.release()
        self._segments = []

    def _write(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._group or self._closing or self._retiring)
                if self._retiring:
                    self._current, self._retiring = None, False
                    continue
                if not self._group:
                    return
                data, self._group = b"".join(self._group), []
                self._in_writing, self._gathering = self._gathering, _shared_future()
            try:
                self._segment_for(data).append(data)
            except OSError as error:
                logger.error("what was served cannot be kept: %s", error)
                self._in_writing.set_exception(error)
            else:
                self._in_writing.set_result(None)

    def _segment_for(self, data: bytes) -> Segment:
        segment = self._current
        if segment is None or not segment.has_room_for(data):
            segment = Segment.create(self._folder, max(self._segment_bytes, len(data)))
            with self._wake:
                self._current = segment
                self._segments.append(segment)
        return segment


def ask_to_retire(folder: Path) -> int:
    """Asks every process that writes to the journal in ``folder`` to start a new segment; gives when, in nanoseconds.

    Segments that were made before, and that processes hold, are removed as soon as all of them is in the tables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RETIRE).touch()
    now = time.time_ns()
    os.utime(folder / RETIRE, ns=(now, now))
    return now


def segments_before(folder: Path, moment_ns: int) -> list[Path]:
    """The segments that were made before a moment and are still there."""
    return [path for path in sorted(folder.glob(f"*{SUFFIX}")) if int(path.stem.partition("-")[0]) <= moment_ns]


def _shared_future() -> "Future[None]":
    """One that many wait for, so none of them may cancel it."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def _lines(content: bytes, start: int) -> Iterator[bytes]:
    """The whole lines at the beginning of a segment's bytes."""
    place = 0
    while (stop := content.find(b"\n", place)) >= 0:
        line = content[place:stop]
        if line[8:9] != b" " or line[:8] != b"%08x" % zlib.crc32(line[9:]):
            return
        yield line
        place = stop + 1


def _entry(start: int, line: bytes) -> Entry:
    _, key, kind, body = line.split(b" ", 3)
    return Entry(start, key.decode(), kind.decode(), body)


def _remove_unfinished(path: Path) -> None:
    """Removes a segment whose maker was killed while making it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _reserve(descriptor: int, size: int) -> None:
    # macOS has no posix_fallocate, and there a full disk is met while writing.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _sync_data(descriptor: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
