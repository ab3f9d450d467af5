"""The ``conversations`` table as the chat service uses it: appended to, looked up and amended by several processes.

Identifiers of turns begin with the time. A file of the table holds the turns of a moment, so the smallest and largest
identifier that Delta's log keeps for each file tell which one file to read or to rewrite.
"""

import json
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from resources.lakehouse import LakeTable, with_progress

if TYPE_CHECKING:
    from deltalake import DeltaTable

TURN_ID = re.compile(r"^[0-9a-f]{32}\Z")
AMENDED_AT_ONCE = 500
"""Turns that one statement amends: keeps its text, and the plan made of it, small."""
ATTEMPTS = 20
"""Times that a removal is tried again because another writer came first."""


def new_turn_id() -> str:
    """A UUID of version 7 (RFC 9562, section 5.7) as 32 hexadecimal digits: 48 bits of milliseconds, then chance."""
    chance = secrets.randbits(74)
    number = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | chance >> 62 << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    return f"{number:032x}"


class Conversations:
    """One bot's served turns. The first write looks whether the table has all columns, and adds those that it lacks."""

    def __init__(self, table: LakeTable) -> None:
        self._table = table
        self._has_all_columns = False
        self._opened: DeltaTable | None = None

    def append(self, turns: Sequence[Mapping[str, Any]], progress: Mapping[str, int] | None = None) -> None:
        """Appends turns; such commits of several processes never conflict.

        ``progress`` says in the same commit how far what comes from some sources is in the table, for :meth:`progress`.
        """
        self._add_missing_columns()
        from deltalake.exceptions import CommitFailedError

        try:
            self._opened = self._table.append_rows(turns, progress, self._opened)
        except CommitFailedError:
            if self._opened is None:
                raise
            # Rows were taken out of the table since it was opened: nothing of this was written.
            self._opened = self._table.append_rows(turns, progress)

    def progress(self, source: str) -> int:
        """How far what comes from a source is in the table; 0 when nothing of it is."""
        return self._table.progress(source)

    def amend(self, changes: Mapping[str, Mapping[str, Any]], progress: Mapping[str, int] | None = None) -> None:
        """Sets some columns of turns (``satisfied``, say), by their identifiers; other processes' rows stay.

        ``progress`` is as for :meth:`append`.

        Raises:
            deltalake.exceptions.CommitFailedError: when another writer was first; doing it again is safe.
        """
        from deltalake import DeltaTable

        self._add_missing_columns()
        turn_ids = sorted(turn_id for turn_id in changes if TURN_ID.match(turn_id))
        for start in range(0, len(turn_ids), AMENDED_AT_ONCE):
            part = {turn_id: changes[turn_id] for turn_id in turn_ids[start : start + AMENDED_AT_ONCE]}
            columns = sorted({name for change in part.values() for name in change})
            DeltaTable(str(self._table.path)).update(
                predicate=f"turn_id IN ({', '.join(map(_literal, part))})",
                updates={name: _new_values(name, part) for name in columns},
                commit_properties=with_progress(progress if start + AMENDED_AT_ONCE >= len(turn_ids) else None),
            )

    def remove(self, turn_ids: Iterable[str], note: Mapping[str, Any]) -> None:
        """Takes turns out of the table; each commit says why in ``note``. Doing it again is safe.

        Raises:
            deltalake.exceptions.CommitFailedError: when other writers were first too many times.
        """
        leaving = sorted(turn_id for turn_id in turn_ids if TURN_ID.match(turn_id))
        for start in range(0, len(leaving), AMENDED_AT_ONCE):
            part = leaving[start : start + AMENDED_AT_ONCE]
            self._delete(f"turn_id IN ({', '.join(map(_literal, part))})", note)

    def remove_before(self, moment: datetime, note: Mapping[str, Any]) -> None:
        """Takes all turns that were served earlier out of the table, in one commit that says why in ``note``.

        Raises:
            deltalake.exceptions.CommitFailedError: as :meth:`remove`.
        """
        self._delete(f"served_at < arrow_cast('{moment.isoformat()}', 'Timestamp(Microsecond, Some(\"UTC\"))')", note)

    def _delete(self, predicate: str, note: Mapping[str, Any]) -> None:
        from deltalake import CommitProperties, DeltaTable
        from deltalake.exceptions import CommitFailedError

        properties = CommitProperties(custom_metadata={"userMetadata": json.dumps(dict(note))})
        for attempt in range(ATTEMPTS):
            try:
                DeltaTable(str(self._table.path)).delete(predicate, commit_properties=properties)
                return
            except CommitFailedError:
                if attempt + 1 == ATTEMPTS:
                    raise

    def find(self, turn_id: str, columns: Sequence[str]) -> dict[str, Any] | None:
        """Some columns of a turn; None when there is no such turn. Reads the files it may be in."""
        paths = self._files_with(turn_id) if TURN_ID.match(turn_id) else ()
        return next(iter(self._table.rows_of_files(paths, "turn_id", [turn_id], columns)), None)

    def _files_with(self, turn_id: str) -> Iterator[str]:
        for path, smallest, largest in self._table.file_bounds("turn_id"):
            if (smallest is None or smallest <= turn_id) and (largest is None or turn_id <= largest):
                yield path

    def _add_missing_columns(self) -> None:
        """Gives a table of an earlier release the columns that it lacks; its rows hold null there."""
        from deltalake import DeltaTable, Schema

        if self._has_all_columns or self._table.last() is None:
            return
        delta = DeltaTable(str(self._table.path))
        present = {field.name for field in delta.schema().fields}
        wanted = Schema.from_arrow(self._table.table.schema).fields
        missing = [field for field in wanted if field.name not in present]
        if missing:
            delta.alter.add_columns(missing)
        self._has_all_columns = True


def _new_values(column: str, changes: Mapping[str, Mapping[str, Any]]) -> str:
    """SQL that gives each turn its new value of a column, and the others the one they have."""
    cases = (
        f"WHEN {_literal(turn_id)} THEN {_literal(change[column])}"
        for turn_id, change in changes.items()
        if column in change
    )
    return f"CASE turn_id {' '.join(cases)} ELSE {column} END"


def _literal(value: str | bool | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'"
