"""How served turns fared, over time: counted once for each data file of ``conversations``, and then only added up.

A data file never changes. What was counted of it therefore holds for as long as the table names it, through new turns,
verdicts that come later (they write the files of their turns anew) and compaction.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from resources.lakehouse import LakeTable

QUARTER = 900
"""Seconds that counts are kept for: all time zones begin their hours and days at a multiple of it."""
KINDS = ("answered", "similar", "failed", "satisfied", "dissatisfied")
Numbers = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass(frozen=True)
class Shares:
    """Turns by how they were answered, and users' verdicts."""

    answered: int = 0
    similar: int = 0
    failed: int = 0
    satisfied: int = 0
    dissatisfied: int = 0

    @property
    def turns(self) -> int:
        return self.answered + self.similar + self.failed

    @property
    def judged(self) -> int:
        return self.satisfied + self.dissatisfied

    def share(self, kind: str) -> float | None:
        """The share of the turns, or (of verdicts) of the judged ones; None without any."""
        whole = self.judged if kind in ("satisfied", "dissatisfied") else self.turns
        return getattr(self, kind) / whole if whole else None

    def __add__(self, other: "Shares") -> "Shares":
        return Shares(*(getattr(self, kind) + getattr(other, kind) for kind in KINDS))


@dataclass(frozen=True)
class Counts:
    """Turns by the quarter of an hour (counted from 1970) that they were served in."""

    quarters: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Numbers = field(default_factory=lambda: np.zeros((0, len(KINDS)), np.int64))

    @classmethod
    def merged(cls, parts: Sequence["Counts"]) -> "Counts":
        parts = [part for part in parts if len(part.quarters)]
        if len(parts) < 2:
            return parts[0] if parts else cls()
        quarters, places = np.unique(np.concatenate([part.quarters for part in parts]), return_inverse=True)
        counts = np.zeros((len(quarters), len(KINDS)), np.int64)
        np.add.at(counts, places, np.concatenate([part.counts for part in parts]))
        return cls(quarters, counts)

    def between(self, edges: Sequence[datetime]) -> list[Shares]:
        """The turns from each of the moments to the next one."""
        bounds = np.searchsorted(self.quarters, [int(edge.timestamp()) // QUARTER for edge in edges])
        return [Shares(*row) for row in np.diff(self._until[bounds], axis=0).tolist()]

    @cached_property
    def _until(self) -> Numbers:
        """The turns before each quarter, and all."""
        return np.vstack([np.zeros((1, len(KINDS)), np.int64), np.cumsum(self.counts, axis=0)])


class ByFile(Generic[T]):
    """What was made of each data file of a table, made anew only for files that are new."""

    def __init__(self, make: Callable[[Iterable[pa.RecordBatch]], T], columns: Sequence[str]) -> None:
        self._make = make
        self._columns = columns
        self._version = -1
        self._files: dict[str, T] = {}

    def follow(self, table: LakeTable) -> tuple[list[T], bool]:
        """What was made of the files that came since the last call, and whether that is all that has changed."""
        last = table.last()
        if last is None or last.version == self._version:
            return [], True
        added = table.files_added(self._version, last.version) if self._version >= 0 else None
        if added is None:
            names = table.files()
        else:
            names = [*self._files, *(path.relative_to(table.path).as_posix() for path in added)]
        new = {name: self._make(table.read_files([name], self._columns)) for name in names if name not in self._files}
        grown = all(name in set(names) for name in self._files) if added is None else True
        self._files = {name: new[name] if name in new else self._files[name] for name in names}
        self._version = last.version
        return list(new.values()), grown

    def all(self) -> list[T]:
        """What was made of every file of the table."""
        return list(self._files.values())


class Traffic:
    """The counts of one bot."""

    def __init__(self, table: LakeTable) -> None:
        self._table = table
        self._by_file = ByFile(_counted, ("served_at", "category", "satisfied"))
        self._total = Counts()

    def counts(self) -> Counts:
        """All turns up to now."""
        new, grown = self._by_file.follow(self._table)
        if not grown:
            self._total = Counts.merged(self._by_file.all())
        elif new:
            self._total = Counts.merged([self._total, *new])
        return self._total


def _counted(batches: Iterable[pa.RecordBatch]) -> Counts:
    parts = []
    for batch in batches:
        seconds = pc.divide(batch.column("served_at").cast(pa.int64()), 1_000_000 * QUARTER)
        category, satisfied = batch.column("category"), batch.column("satisfied")
        marks = [
            *(pc.equal(category, kind) for kind in KINDS[:3]),
            satisfied,
            pc.invert(satisfied),
        ]
        counts = np.stack([_ones(mark) for mark in marks], axis=1)
        quarters, places = np.unique(np.asarray(pc.fill_null(seconds, 0), np.int64), return_inverse=True)
        summed = np.zeros((len(quarters), len(KINDS)), np.int64)
        np.add.at(summed, places, counts)
        parts.append(Counts(quarters, summed))
    return Counts.merged(parts)


def _ones(mark: pa.Array) -> Numbers:
    return np.asarray(pc.fill_null(mark, False).cast(pa.int64()), np.int64)
