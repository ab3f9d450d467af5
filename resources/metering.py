"""What work costs: seconds, and the memory of the whole process tree that does it."""

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from resources.processes import PROC, resident_pages

SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Cost:
    """What a module took: seconds (of all threads together), and the rows that it was given."""

    seconds: float = 0.0
    rows: int = 0


_costs: dict[str, Cost] = defaultdict(Cost)
_costs_lock = threading.Lock()


@contextmanager
def timed(module: str, rows: int) -> Iterator[None]:
    """Counts the time of its block as that of a module, by the module's place in the bot's YAML.

    Where the engine runs functions in processes of their own (``local``), their time is not seen here.
    """
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        with _costs_lock:
            before = _costs[module]
            _costs[module] = Cost(before.seconds + seconds, before.rows + rows)


def _costs_so_far() -> dict[str, Cost]:
    with _costs_lock:
        return dict(_costs)


class Meter:
    """Measures this process and its descendants from its making on, until stopped."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._ended: float | None = None
        self._before = _costs_so_far()
        self._memory = TreeMemory(os.getpid())

    @property
    def seconds(self) -> float:
        """Seconds from the start until now or until it was stopped."""
        return (self._ended or time.monotonic()) - self._started

    @property
    def peak_bytes(self) -> int | None:
        """The largest memory seen so far; None where there is no ``/proc``."""
        return self._memory.peak_bytes

    @property
    def modules(self) -> dict[str, Cost]:
        """What each module took since the start, the slowest first."""
        found = {}
        for name, now in _costs_so_far().items():
            before = self._before.get(name, Cost())
            if now != before:
                found[name] = Cost(now.seconds - before.seconds, now.rows - before.rows)
        return dict(sorted(found.items(), key=lambda item: -item[1].seconds))

    def stop(self) -> None:
        """Ends the measuring."""
        self._ended = self._ended or time.monotonic()
        self._memory.stop()


class TreeMemory:
    """Samples the summed resident memory of a process and its descendants until stopped.

    Pages that processes share are counted in each of them, so the sum is an upper bound.
    """

    def __init__(self, pid: int, every: float = SAMPLE_SECONDS) -> None:
        self._pid = pid
        self._every = every
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop(self) -> int | None:
        """The largest sum seen, in bytes."""
        self._ended.set()
        self._thread.join()
        return self.peak_bytes

    @property
    def peak_bytes(self) -> int | None:
        """The largest sum seen so far, in bytes."""
        return self._peak or None

    def _sample(self) -> None:
        while True:
            self._peak = max(self._peak, tree_bytes(self._pid))
            if self._ended.wait(self._every):
                return


def tree_bytes(root: int) -> int:
    """Resident bytes of a process and all its descendants; 0 when it is gone or there is no ``/proc``."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(pages * page for pages in resident_pages(root).values())


def tree_own_bytes(root: int) -> int:
    """As :func:`tree_bytes`, but a page that several processes share counts in each for its part alone (PSS)."""
    found = 0
    for pid in resident_pages(root):
        with contextlib.suppress(OSError):  # It ended meanwhile.
            lines = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii").splitlines()
            found += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return found


def free_memory() -> int:
    """Bytes that new work may use without swapping; a large number where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in (PROC / "meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 62
