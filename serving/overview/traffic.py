"""How served turns fared, over time: counted once for each data file of ``conversations``, and then only added up.

A data file never changes. What was counted of it therefore holds for as long as the table names it, through new turns,
verdicts that come later (they write the files of their turns anew), compaction and expiry. The counts hold no text and
no identifier of anybody. They are kept in the cache, so that a service that starts need not read the tables.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from resources.lakehouse import LakeTable

QUARTER = 900
"""Seconds that counts are kept for: all time zones begin their hours and days at a multiple of it."""
KINDS = ("answered", "similar", "failed", "satisfied", "dissatisfied")
ROW = np.dtype([("file", np.uint64), ("quarter", np.int64), ("counts", np.int32, (len(KINDS),))])
"""The turns of a data file (a hash of its name) in a quarter of an hour, counted from 1970: a count of each kind."""
Rows = npt.NDArray[Any]
FOLDER = "traffic-1"
"""In the cache; another number for another meaning of ``ROW``."""
UNSAVED_FILES = 16
"""So many data files may be counted before the counts are kept: reading them again is as quick as keeping them."""


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
    """Turns by the quarter of an hour that they were served in: rows of ``ROW``, the earliest first."""

    rows: Rows = field(default_factory=lambda: np.zeros(0, ROW))

    def between(self, edges: Sequence[datetime]) -> list[Shares]:
        """The turns from each of the moments to the next one."""
        bounds = np.searchsorted(self.rows["quarter"], [int(edge.timestamp()) // QUARTER for edge in edges])
        counts = self.rows["counts"]
        # Five times as quick as sum(axis=0) on rows as short as these.
        return [Shares(*np.einsum("ij->j", counts[start:end]).tolist()) for start, end in pairwise(bounds)]


class Traffic:
    """The counts of one bot. ``kept`` is where they are kept from one start of the service to the next."""

    def __init__(self, table: LakeTable, kept: Path) -> None:
        self._table = table
        self._kept = kept
        self._seen: tuple[int, datetime] | None = None
        self._counts = Counts()
        self._unsaved = 0

    def counts(self) -> Counts:
        """All turns up to now; only data files that are new are read."""
        last = self._table.last()
        if last is None:
            return Counts()
        if self._seen == (last.version, last.committed_at):
            return self._counts
        rows = self._counts.rows if self._seen else _load(self._kept)
        seen = self._seen[0] if self._seen else last.version
        added = self._table.files_added(seen, last.version) if seen < last.version else None
        if added is None:
            files = {_hash(name): name for name in self._table.files()}
            rows = rows[np.isin(rows["file"], np.fromiter(files, np.uint64))]
            known = set(rows["file"].tolist())
            files = {file: name for file, name in files.items() if file not in known}
        else:
            names = (path.relative_to(self._table.path).as_posix() for path in added)
            files = {_hash(name): name for name in names}
        new = [_counted(self._batches(name), file) for file, name in files.items()]
        if new:
            rows = np.concatenate([rows, *new])
            rows = rows[np.argsort(rows["quarter"], kind="stable")]
        self._counts, self._seen = Counts(rows), (last.version, last.committed_at)
        self._unsaved += len(new)
        if self._unsaved >= UNSAVED_FILES:
            _save(self._kept, rows)
            self._unsaved = 0
        return self._counts

    def _batches(self, name: str) -> Iterable[pa.RecordBatch]:
        return self._table.read_files([name], ("served_at", "category", "satisfied"))


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def _counted(batches: Iterable[pa.RecordBatch], file: int) -> Rows:
    """The rows of one data file."""
    quarters, marks = [np.zeros(0, np.int64)], [np.zeros((0, len(KINDS)), bool)]
    for batch in batches:
        seconds = pc.divide(batch.column("served_at").cast(pa.int64()), 1_000_000 * QUARTER)
        quarters.append(pc.fill_null(seconds, 0).to_numpy(zero_copy_only=False))
        category, satisfied = batch.column("category"), batch.column("satisfied")
        kinds = (*(pc.equal(category, kind) for kind in KINDS[:3]), satisfied, pc.invert(satisfied))
        marks.append(np.stack([pc.fill_null(kind, False).to_numpy(zero_copy_only=False) for kind in kinds], axis=1))
    found, places = np.unique(np.concatenate(quarters), return_inverse=True)
    rows = np.zeros(len(found), ROW)
    rows["file"], rows["quarter"] = file, found
    np.add.at(rows["counts"], places, np.concatenate(marks))
    return rows


def _load(path: Path) -> Rows:
    """The rows of an earlier process; none where it kept none that can be read."""
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.zeros(0, ROW)
    return rows if isinstance(rows, np.ndarray) and rows.dtype == ROW else np.zeros(0, ROW)


def _save(path: Path, rows: Rows) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(OSError):  # on a full disk, or one that cannot be written, the tables are read again
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            np.save(file, rows, allow_pickle=False)
        os.replace(temporary, path)
