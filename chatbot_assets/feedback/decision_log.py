"""What was decided about a bot's turns, held in memory: each look reads only what commits have added since the last."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from chatbot_assets.process.decisions import UNDO, Decided, decided_of, in_order
from resources.environment import code_revision
from resources.lakehouse import Commit, LakeTable

if TYPE_CHECKING:
    from deltalake import DeltaTable

Row = Mapping[str, Any]


class DecisionLog:
    """A bot's ``review_decisions``, by turn and by decision. May be asked from several threads at once."""

    def __init__(self, table: LakeTable) -> None:
        self._table = table
        self._lock = threading.Lock()
        self.last_at: datetime | None = None
        """When the newest decision was made."""
        self._version: int | None = None
        self._opened: DeltaTable | None = None
        self._forget()

    @classmethod
    def of(cls, table: LakeTable) -> "DecisionLog":
        """This process's log of a table, brought up to date."""
        log = cls.kept(table)
        log.update()
        return log

    @classmethod
    def kept(cls, table: LakeTable) -> "DecisionLog":
        """The same as it stands, for who brings it up to date."""
        with _lock:
            return _logs.setdefault(table.path, cls(table))

    def update(self) -> Commit | None:
        """Reads what is new; gives the commit that the log now tells of."""
        with self._lock:
            last = self._table.last()
            version = last.version if last else None
            if version == self._version:
                return last
            names = self._table.table.schema.names
            added = self._added(version)
            if added is None:
                self._forget()
                rows = self._table.arrow(names, version).to_pylist() if version is not None else []
            else:
                rows = [row for batch in self._table.read_files(added, names) for row in batch.to_pylist()]
            for row in in_order(rows):
                self._add(row)
            self._version = version
            return last

    def append(self, rows: Sequence[Row], last: Commit | None) -> None:
        """Commits rows, if the table still stands at ``last``; one after the other, whoever calls sees to that.

        Raises:
            ConflictError: when somebody else committed first.
        """
        version = last.version if last else None
        added = pa.Table.from_pylist(list(rows), self._table.table.schema)
        opened = self._table.append_recorded(added, last, self._opened_at(version), code_revision=code_revision())
        self._opened = opened
        with self._lock:
            # Unless a page has read the commit, and its rows with it, in the meantime.
            if self._version == version and opened.version() == (0 if version is None else version + 1):
                for row in rows:
                    self._add(row)
                self._version = opened.version()

    def _opened_at(self, version: int | None) -> "DeltaTable | None":
        """The table at a version. It stays open: opening it anew would take most of a decision's time."""
        from deltalake import DeltaTable

        if version is None:
            return None
        opened = self._opened
        if opened is None or opened.version() > version:
            return DeltaTable(str(self._table.path), version=version)
        if opened.version() < version:
            opened.update_incremental()
        return opened

    def decided(self, turn_id: str) -> Decided | None:
        """The decision in force on a turn."""
        for row in self.history(turn_id):
            if row["action"] != UNDO and row["decision_id"] not in self._undone_by:
                return next(decided for decided in decided_of(row) if decided.turn_id == turn_id)
        return None

    def history(self, turn_id: str) -> list[Row]:
        """All rows about a turn, the newest first."""
        return list(reversed(in_order(self._rows[name] for name in self._of_turn.get(turn_id, ()))))

    def row(self, decision_id: str) -> Row | None:
        """A decision, or None when there is none of that id."""
        return self._rows.get(decision_id)

    def undone_by(self, decision_id: str) -> Row | None:
        """The row that took a decision back."""
        return self._undone_by.get(decision_id)

    def newest(self, count: int) -> list[Row]:
        """The newest rows, at most so many, the newest first."""
        return list(reversed(in_order(self._rows.values())[-count:])) if count > 0 else []

    def _added(self, version: int | None) -> Iterable[str] | None:
        if version is None or self._version is None or version < self._version:
            return None
        files = self._table.files_added(self._version, version)
        return None if files is None else [file.relative_to(self._table.path).as_posix() for file in files]

    def _add(self, row: Row) -> None:
        self._rows[row["decision_id"]] = row
        self.last_at = max(row["decided_at"], self.last_at or row["decided_at"])
        for turn_id in row["turn_ids"]:
            self._of_turn[turn_id].append(row["decision_id"])
        if row["action"] == UNDO:
            self._undone_by[row["undoes"]] = row

    def _forget(self) -> None:
        self.last_at = None
        self._rows: dict[str, Row] = {}
        self._of_turn: dict[str, list[str]] = defaultdict(list)
        self._undone_by: dict[str, Row] = {}


_lock = threading.Lock()
_logs: dict[Path, DecisionLog] = {}
