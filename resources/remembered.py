"""Keeps what was made of files for as long as they are unchanged, so that looking at a thousand bots stays cheap."""

import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Fingerprint = tuple[tuple[int, int, int], ...]
RACY_NS = 2_000_000_000
"""A change so recent may be followed by another one that carries the same time (git calls such entries racy)."""


def fingerprint(*paths: Path) -> Fingerprint | None:
    """Equal as long as these files (of folders: the entries in them) are the same.

    None when one is missing, or was changed so recently that a further change might not show.
    """
    found = []
    newest = time.time_ns() - RACY_NS
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            return None
        if stat.st_mtime_ns > newest or stat.st_ctime_ns > newest:
            return None
        found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


class Remembered(Generic[T]):
    """Values by key, each kept with a mark: another mark, or none, and the value is made anew."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[Hashable, T]] = {}

    def get(self, key: Hashable, mark: Hashable | None, make: Callable[[], T]) -> T:
        """The value kept for ``key`` under this ``mark``, or what ``make`` gives; with ``mark`` None it is not kept."""
        kept = self._kept.get(key)
        if kept is not None and mark is not None and kept[0] == mark:
            return kept[1]
        value = make()
        if mark is None:
            self._kept.pop(key, None)
        else:
            self._kept[key] = (mark, value)
        return value
