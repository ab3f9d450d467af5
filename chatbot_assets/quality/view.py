"""What a check looks at: the rows that a table will hold, those that a change writes, and the tables they refer to."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from chatbot_assets.tables import TABLES, Table
from resources.lakehouse import Change, Lake, LakeTable, Signature

RECENT_COMMITS = 5
"""Commits that a table's size is compared with."""


class View:
    """One table of a bot, as it will be once ``change`` is committed, or as it is when there is no change.

    Only the columns that a check asks for are read, each of them once, and tables that the rows refer to in the version
    that they were made from.
    """

    def __init__(
        self,
        lake: Lake,
        key: str,
        table: LakeTable,
        change: Change | None,
        made_from: Signature,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """``config`` is the bot's effective configuration, where it is known to be what the rows were made with."""
        self.lake = lake
        self.key = key
        self.config = config
        self._table = table
        self._change = change
        self._made_from = made_from
        self._columns: dict[tuple[str, str], pa.ChunkedArray] = {}

    @property
    def table(self) -> Table:
        return self._table.table

    @cached_property
    def count(self) -> int:
        """How many rows the table will hold."""
        if self._change is not None:
            return self._change.rows
        last = self._table.last()
        return last.record.rows if last and last.record else sum(len(batch) for batch in self.written())

    @cached_property
    def data_version(self) -> str:
        """The table's DataVersion with these rows."""
        last = self._table.last()
        return self._change.data_version if self._change is not None else last.data_version if last else ""

    @cached_property
    def past(self) -> list[int]:
        """How many rows the table held after its recent commits, the newest first."""
        records = self._table.records()
        if self._change is None:
            next(records, None)
        return [record.rows for _, record in islice(records, RECENT_COMMITS)]

    def rows(self, *columns: str) -> pa.Table:
        """Columns of all rows that the table will hold."""
        return self._read(self.table.name, columns)

    def other(self, name: str, *columns: str) -> pa.Table:
        """Columns of another table of the bot; without rows when there is no such table."""
        return self._read(name, columns)

    @property
    def written_files(self) -> list[Path]:
        """The data files that the change adds; all files of the table when there is no change."""
        return [self._table.path / name for name in self._written]

    def written(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """The rows of :attr:`written_files` in batches, with the table's key and these columns."""
        yield from self._table.read_files(self._written, [*dict.fromkeys((*self.table.key, *columns))])

    @cached_property
    def _written(self) -> list[str]:
        return self._files if self._change is None else [file.path for file in self._change.adds]

    @cached_property
    def _files(self) -> list[str]:
        return self._table.files(self._change)

    def _read(self, name: str, columns: Sequence[str]) -> pa.Table:
        missing = [column for column in columns if (name, column) not in self._columns]
        if missing:
            found = self._of_this(missing) if name == self.table.name else self._of_another(name, missing)
            self._columns.update(((name, column), found.column(column)) for column in missing)
        return pa.table({column: self._columns[name, column] for column in columns})

    def _of_this(self, columns: Sequence[str]) -> pa.Table:
        schema = pa.schema([self.table.schema.field(column) for column in columns])
        return pa.Table.from_batches(self._table.read_files(self._files, columns), schema)

    def _of_another(self, name: str, columns: Sequence[str]) -> pa.Table:
        table = self.lake.table(self.key, name)
        read = self._made_from.inputs.get(name)
        if read is not None and read.version < 0:
            return TABLES[name].schema.empty_table().select(list(columns))
        try:
            return table.arrow(columns, read.version if read else None)
        except FileNotFoundError:  # a version whose files have been removed since
            return table.arrow(columns)
