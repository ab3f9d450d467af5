"""Runs a command as a user would, and measures its seconds and the memory of its whole process tree."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Measured:
    """What a finished command printed and took. ``peak_tree_bytes`` is None where there is no ``/proc``."""

    output: str
    seconds: float
    peak_tree_bytes: int | None


def run_measured(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Measured:
    """Runs a command to its end; its standard error goes to ours.

    Raises:
        RuntimeError: when it fails.
    """
    started = time.monotonic()
    with subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        sampler = TreeMemory(process.pid)
        try:
            output, _ = process.communicate()
        finally:
            peak = sampler.stop()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode} from: {' '.join(command)}")
    return Measured(output, time.monotonic() - started, peak)


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
        return self._peak or None

    def _sample(self) -> None:
        while True:
            self._peak = max(self._peak, tree_bytes(self._pid))
            if self._ended.wait(self._every):
                return


def tree_bytes(root: int) -> int:
    """Resident bytes of a process and all its descendants; 0 when it is gone or there is no ``/proc``."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    page = os.sysconf("SC_PAGE_SIZE")
    for folder in PROC.glob("[0-9]*"):
        try:
            # The name in the second field is in parentheses and may hold blanks: the rest is counted from its end.
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # It ended meanwhile.
        parents[int(folder.name)] = int(fields[1])
        resident[int(folder.name)] = int(fields[21]) * page
    return sum(size for pid, size in resident.items() if _descends(pid, root, parents))


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    seen: set[int] = set()
    while pid != root:
        if pid not in parents or pid in seen:
            return False
        seen.add(pid)
        pid = parents[pid]
    return True
