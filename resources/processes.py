"""The processes below a process, where the system tells (Linux); elsewhere none are known."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_PARENT, _RESIDENT = 1, 21
"""Places of what is read, among the fields of a process's ``stat`` that follow its name."""


def descendants(root: int) -> list[int]:
    """The children of a process, theirs, and so on; an orphan is nobody's."""
    return [pid for pid in resident_pages(root) if pid != root]


def resident_pages(root: int) -> dict[int, int]:
    """The resident pages of a process and of all its descendants, by their ids."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            # The name in the second field is in parentheses and may hold blanks: the rest is counted from its end.
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # It ended meanwhile.
        parents[int(folder.name)] = int(fields[_PARENT])
        resident[int(folder.name)] = int(fields[_RESIDENT])
    return {pid: pages for pid, pages in resident.items() if _descends(pid, root, parents)}


def is_there(pid: int) -> bool:
    """Whether a process has not ended, or has not been taken note of by its parent."""
    return (PROC / str(pid)).exists()


def kill(pid: int) -> None:
    """Ends a process at once; one that has ended already stays so."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _descends(pid: int, root: int, parents: Mapping[int, int]) -> bool:
    seen: set[int] = set()
    while pid != root:
        if pid not in parents or pid in seen:
            return False
        seen.add(pid)
        pid = parents[pid]
    return True
