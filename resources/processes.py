"""The processes below a process, where the system tells (Linux); elsewhere none are known."""

import os
import signal
from contextlib import suppress

from resources.metering import PROC


def descendants(root: int) -> list[int]:
    """The children of a process, theirs, and so on; an orphan is nobody's."""
    parents = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, waiting = [], [root]
    while waiting:
        children = [pid for pid, parent in parents.items() if parent == waiting[0]]
        found += children
        waiting = waiting[1:] + children
    return found


def is_there(pid: int) -> bool:
    """Whether a process has not ended, or has not been taken note of by its parent."""
    return (PROC / str(pid)).exists()


def kill(pid: int) -> None:
    """Ends a process at once; one that has ended already stays so."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
