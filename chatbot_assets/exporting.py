"""Writes a table's rows into a file that others can read: CSV that no spreadsheet takes for formulas, or JSON Lines."""

import base64
import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.tables import Table
from resources.lakehouse import LakeTable

FORMATS = ("csv", "jsonl")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a cell begins with that spreadsheets take for a formula, or that hides one (OWASP, "CSV Injection")."""
QUOTE = "'"
MOMENTS = ("served_at", "decided_at", "arrived_at", "read_at", "trained_at", "evaluated_at", "at")
"""The columns that say when a row came to be, in the order in which they are looked for."""


def guarded(text: str) -> str:
    """The text as a cell: with a quote before it where it would be taken for a formula, or begins with one itself."""
    return QUOTE + text if text.startswith((*FORMULA, QUOTE)) else text


def unguarded(cell: str) -> str:
    """The inverse of :func:`guarded`."""
    return cell.removeprefix(QUOTE)


def moment_column(table: Table) -> str | None:
    """The column by which a table's rows can be chosen by time; None when it has none."""
    names = {column.name for column in table.columns}
    return next((name for name in MOMENTS if name in names), None)


def export(
    table: LakeTable, target: Path, form: str, since: datetime | None = None, until: datetime | None = None
) -> int:
    """Writes the rows of ``since`` and later, and before ``until``, into a new file; gives how many.

    The file has its name only when it is whole. Rows are read and written in batches.

    Raises:
        FileExistsError: when there is such a file.
        OSError: when it cannot be written.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline=""
        ) as f:
            rows = _WRITERS[form](f, table.table.schema.names, _rows(table, since, until))
            f.flush()
            os.fsync(f.fileno())
        os.link(temporary, target)  # fails, where a rename would replace it, when somebody else made such a file
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def _rows(table: LakeTable, since: datetime | None, until: datetime | None) -> Iterator[dict[str, Any]]:
    last = table.last()
    column = moment_column(table.table)
    for batch in table.batches(table.table.schema.names, last.version if last else None):
        if column is not None:
            at, kind = batch.column(column), batch.schema.field(column).type
            if since is not None:
                batch = batch.filter(pc.greater_equal(at, pa.scalar(since, kind)))
                at = batch.column(column)
            if until is not None:
                batch = batch.filter(pc.less(at, pa.scalar(until, kind)))
        yield from batch.to_pylist()


def _write_csv(stream: IO[str], names: Iterable[str], rows: Iterable[dict[str, Any]]) -> int:
    writer = csv.writer(stream, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(names)
    count = 0
    for row in rows:
        writer.writerow(map(_cell, row.values()))
        count += 1
    return count


def _cell(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, str):
        return guarded(plain)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, list) else plain


def _write_jsonl(stream: IO[str], names: Iterable[str], rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    for row in rows:
        stream.write(json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=False) + "\n")
        count += 1
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


_WRITERS: dict[str, Callable[[IO[str], Iterable[str], Iterable[dict[str, Any]]], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
