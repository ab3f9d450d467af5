"""A write-ahead log: what it has taken is on the disk, and is still there after the process was killed.

Each process appends to a segment file of its own, which it holds by a file lock until the segment is full or the
process ends, however it ends. Another process, one for all of them, reads the segments while they grow, and removes
those that nobody holds any more. Segments are named by when they were made, which is never before what is in the folder
already, whatever becomes of the clock; chance in a name keeps it from coming back. A record is one line: the CRC-32 of
what follows in hexadecimal, the bot's key, the kind of the record, and JSON. A segment has its full size from the
beginning, so a disk that fills up later leaves it room, and ends at the first line that is not whole.
"""

import fcntl
import json
import logging
import os
import secrets
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEGMENT_BYTES = 8 << 20
"""A segment's size: some ten thousand turns."""
DIGITS, SUFFIX, UNFINISHED = 20, ".log", ".new"
"""Of a segment's name: digits of the moment that it begins with, and its ending, and that until it is whole."""
RETIRE = ".retire"
"""Touched by whoever wants all that was served so far out of the journal: older segments are appended to no more."""
LOOK_SECONDS = 0.5
"""How often it is looked whether somebody wants that."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A record as a segment holds it, from the place ``start`` to the place before ``end``."""

    start: int
    end: int
    key: str
    kind: str
    body: bytes

    def value(self) -> dict[str, Any]:
        """The JSON object that was appended."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Segment:
    """A segment that this process appends to."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self.end = 0
        self._size = size
        self._descriptor = descriptor

    @classmethod
    def create(cls, folder: Path, size: int) -> "Segment":
        """A new, empty one.

        Raises:
            OSError: when the disk has no room for it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        # Under another name until it is locked and whole: nobody removes it before.
        name = f"{_next_moment_ns(folder):0{DIGITS}d}-{os.getpid()}-{secrets.token_hex(4)}"
        unfinished = folder / f"{name}{UNFINISHED}"
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
        return cls(path, descriptor, size)

    def has_room_for(self, data: bytes) -> bool:
        """Whether so much may still be appended."""
        return self.end + len(data) <= self._size

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

    def release(self) -> None:
        """Leaves it to whoever passes it on: nothing more is appended."""
        os.close(self._descriptor)


class Journal:
    """A process's part of the log in ``folder``: one thread writes what many append, together (group commit)."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._current: Segment | None = None
        self._group: list[bytes] = []
        self._gathering = _shared_future()
        self._in_writing = _shared_future()
        self._in_writing.set_result(None)
        self._wake = threading.Condition()
        self._closing = False
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

    def holding(self, text: bytes) -> Iterator[Entry]:
        """The records of all processes that hold a text, those of the newest segment first."""
        for path in reversed(segments_in(self._folder)):
            yield from _holding(path, text)

    def close(self) -> None:
        """Writes what was appended and takes no more."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        if self._current:
            self._current.release()
            self._current = None

    def _write(self) -> None:
        while True:
            with self._wake:
                is_woken = self._wake.wait_for(lambda: self._group or self._closing, LOOK_SECONDS)
                self._retire_if_asked()
                if not is_woken:
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

    def _retire_if_asked(self) -> None:
        """Appends no more to a segment that is older than a wish for it (``RETIRE``), so that it can be removed."""
        if self._current and _made_ns(self._current.path) <= _asked_ns(self._folder):
            self._current.release()
            self._current = None

    def _segment_for(self, data: bytes) -> Segment:
        full = self._current
        if full and full.has_room_for(data):
            return full
        self._current = segment = Segment.create(self._folder, max(self._segment_bytes, len(data)))
        if full:
            full.release()
        return segment


def segments_in(folder: Path) -> list[Path]:
    """The segments of all processes, the oldest first."""
    return sorted(folder.glob(f"{'[0-9]' * DIGITS}-*{SUFFIX}"))


def entries(path: Path, start: int = 0) -> Iterator[Entry]:
    """The whole records from a place on; none when the segment has been removed meanwhile."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return
    with stream:
        stream.seek(start)
        # What is reserved and not written yet is zeros: they are not read.
        while stream.peek(1)[:1] not in (b"", b"\0"):
            line = stream.readline()
            if not _is_whole(line):
                return
            yield _entry(start, line)
            start += len(line)


def remove_if_passed_on(path: Path, end: int) -> bool:
    """Deletes a segment that nobody holds and that has no record from ``end`` on; False when it has to stay."""
    with _held(path) as held:
        if not held or next(entries(path, end), None):
            return False
        path.unlink(missing_ok=True)
        return True


def remove_unfinished(folder: Path) -> None:
    """Deletes the segments whose maker was killed while making them."""
    for path in folder.glob(f"*{UNFINISHED}"):
        with _held(path) as held:
            if held:
                path.unlink(missing_ok=True)


@contextmanager
def _held(path: Path) -> Iterator[bool]:
    """Whether the file's lock was free; it is this process's until the end of the block then."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def ask_to_retire(folder: Path) -> int:
    """Asks every process that writes to the journal in ``folder`` to start a new segment; gives when, in nanoseconds.

    Segments that were made before, and that processes hold, are removed as soon as all of them is in the tables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    moment_ns = _next_moment_ns(folder)
    (folder / RETIRE).touch()
    os.utime(folder / RETIRE, ns=(moment_ns, moment_ns))
    return moment_ns


def retiring(folder: Path) -> list[Path]:
    """The segments that somebody has asked to be rid of and that are still there."""
    return segments_before(folder, _asked_ns(folder))


def segments_before(folder: Path, moment_ns: int) -> list[Path]:
    """The segments that were made before a moment and are still there."""
    return [path for path in segments_in(folder) if _made_ns(path) <= moment_ns]


def _next_moment_ns(folder: Path) -> int:
    """The clock's time, in nanoseconds since 1970; after a clock was set back, just later than the last moment there.

    The source of the idea: Kulkarni and others, "Logical Physical Clocks", OPODIS 2014.
    """
    last = max([_asked_ns(folder), *map(_made_ns, segments_in(folder))])
    return max(time.time_ns(), last + 1)


def _made_ns(segment: Path) -> int:
    """When it was made, as :func:`_next_moment_ns` gave it."""
    return int(segment.stem.partition("-")[0])


def _asked_ns(folder: Path) -> int:
    """When somebody last asked for new segments; 0 when nobody has."""
    try:
        return (folder / RETIRE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _shared_future() -> "Future[None]":
    """One that many wait for, so none of them may cancel it."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()
    return future


def _is_whole(line: bytes) -> bool:
    return line.endswith(b"\n") and line[8:9] == b" " and line[:8] == b"%08x" % zlib.crc32(line[9:-1])


def _entry(start: int, line: bytes) -> Entry:
    _, key, kind, body = line[:-1].split(b" ", 3)
    return Entry(start, start + len(line), key.decode(), kind.decode(), body)


def _holding(path: Path, text: bytes) -> Iterator[Entry]:
    """The records that hold a text; the others, of which there may be ten thousand, are not looked at one by one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    end = 0
    while (place := content.find(text, end)) >= 0:
        start = content.rfind(b"\n", 0, place) + 1
        end = content.find(b"\n", place) + 1 or len(content)
        if _is_whole(line := content[start:end]) and text in (entry := _entry(start, line)).body:
            yield entry


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
