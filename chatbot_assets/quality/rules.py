"""The checks' computing: functions over Arrow columns that tell which rows break a rule."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

UNIT_TOLERANCE = 0.01
"""How far a vector's length may be from 1: float16 keeps about three digits."""


def keys_of(rows: pa.Table | pa.RecordBatch, key: Sequence[str]) -> Iterator[str]:
    """Each row's key in words; the parts of a key of several columns are joined by slashes."""
    for row in rows.select(list(key)).to_pylist():
        yield " / ".join(str(row[name]) for name in key)


def repeated(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The keys that more than one row has, with the column ``count``."""
    if len(key) == 1 and pc.count_distinct(rows.column(key[0]), mode="all").as_py() == len(rows):
        return rows.select(list(key)).slice(0, 0).append_column("count", pa.chunked_array([], pa.int64()))
    counted = rows.group_by(list(key)).aggregate([([], "count_all")]).rename_columns([*key, "count"])
    return counted.filter(pc.greater(counted.column("count"), 1))


def unknown(values: pa.ChunkedArray | pa.Array, known: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Marks the values that are not among the known ones; null is not looked up."""
    value_set = known.combine_chunks() if isinstance(known, pa.ChunkedArray) else known
    return pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=value_set)))


def wrong_types(path: Path, schema: pa.Schema) -> list[str]:
    """How a Parquet file's columns differ from the declared ones, in words."""
    found = pq.read_schema(path)
    problems = [f"{field.name} is missing" for field in schema if field.name not in found.names]
    problems += [f"{name} is not declared" for name in found.names if name not in schema.names]
    return problems + [
        f"{field.name} is {found.field(field.name).type} instead of {field.type}"
        for field in schema
        if field.name in found.names and _kind(found.field(field.name).type) != _kind(field.type)
    ]


def _kind(of_column: pa.DataType) -> str:
    """A type without what engines write in their own ways: size of offsets, unit of time, name of a list's items."""
    if pa.types.is_list(of_column) or pa.types.is_large_list(of_column):
        return f"list of {_kind(of_column.value_type)}"
    if pa.types.is_timestamp(of_column):
        return "timestamp"
    return str(of_column).removeprefix("large_").removesuffix("_view")


def may_hold_nulls(path: Path, columns: Iterable[str]) -> list[str]:
    """The columns of which the footer of a Parquet file does not say that no value is null."""
    footer = pq.read_metadata(path)
    whole = dict.fromkeys(columns, True)
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for chunk in map(group.column, range(footer.num_columns)):
            name = chunk.path_in_schema.partition(".")[0]
            if name in whole:
                statistics = chunk.statistics
                whole[name] &= bool(statistics and statistics.has_null_count and not statistics.null_count)
    return [column for column, no_null in whole.items() if not no_null]


def any_null(rows: pa.RecordBatch, columns: Iterable[str]) -> pa.Array:
    """Marks the rows that lack a value in one of the columns."""
    marks = pa.array(np.zeros(len(rows), np.bool_))
    for column in columns:
        marks = pc.or_(marks, pc.is_null(rows.column(column)))
    return marks


def lengths_differ(rows: pa.RecordBatch, columns: Sequence[str]) -> pa.Array:
    """Marks the rows whose lists in these columns are not equally long."""
    first, *others = (pc.list_value_length(rows.column(column)) for column in columns)
    marks = pa.array(np.zeros(len(rows), np.bool_))
    for other in others:
        marks = pc.or_(marks, pc.not_equal(first, other))
    return marks


def on_both_sides(values: pa.ChunkedArray, side: pa.ChunkedArray, rarer: str) -> pa.ChunkedArray:
    """Marks the rows outside of the side ``rarer`` whose value stands there too."""
    there = pc.equal(side, rarer)
    inside = pc.unique(values.filter(there))
    return pc.and_(pc.invert(there), pc.is_in(values, value_set=inside))


def unsound_vectors(cells: pa.Array, width: int) -> NDArray[np.bool_]:
    """Marks the cells of float16 vectors that are not ``width`` bytes, not finite, or neither of unit length nor zero.

    A text without any known piece has the zero vector.
    """
    bad = np.asarray(pc.not_equal(pc.binary_length(cells), width).to_numpy(zero_copy_only=False), np.bool_)
    good = np.flatnonzero(~bad)
    packed = b"".join(cells.take(pa.array(good)).to_pylist())
    vectors = np.frombuffer(packed, np.dtype("<f2")).reshape(len(good), -1 if packed else 0).astype(np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    # A comparison with a length that is not finite is false, so such a vector is bad too.
    bad[good] = ~((np.abs(length - 1) <= UNIT_TOLERANCE) | (length == 0))
    return bad


def outside_of(values: pa.Array, lowest: pa.Array, highest: pa.Array) -> pa.Array:
    """Marks the values outside of their own bounds; null is no value and lies nowhere. NaN lies outside."""
    inside = pc.and_(pc.greater_equal(values, lowest), pc.less_equal(values, highest))
    return pc.and_(pc.is_valid(values), pc.invert(pc.fill_null(inside, True)))


def broken_files(chunks: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the files of one model, given its chunks: gaps or, where they hold ``data``, other bytes."""
    files: dict[str, dict[int, Mapping[str, Any]]] = {}
    for chunk in chunks:
        files.setdefault(chunk["file"], {})[chunk["chunk"]] = chunk
    problems = []
    for name, found in sorted(files.items()):
        parts = [part for _, part in sorted(found.items())]
        wanted = max(part["chunks"] for part in parts)
        if sorted(found) != list(range(wanted)):
            problems.append(f"{name} has {len(parts)} of {wanted} chunks")
        elif all("data" in part for part in parts):
            digest = hashlib.sha256()
            for part in parts:
                digest.update(part["data"])
            if {digest.hexdigest()} != {part["sha256"] for part in parts}:
                problems.append(f"{name} has another SHA-256 than recorded")
    return problems
