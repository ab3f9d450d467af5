"""Reads every byte of a home again, decoded as well, and tells where markers are.

Looked at are the bytes of each file and, beyond them, what is inside: the columns of Parquet files, the cells of SQLite
databases, the content of gzip and Zstandard streams and of the archives in them, and files' names.
"""

import contextlib
import gzip
import io
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chatbot_assets.erasing.markers import Markers

GZIP, ZSTD, PARQUET, SQLITE = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"SQLite format 3\0"
DEPTH = 4
"""Archives within archives that are looked into."""
ROWS_AT_ONCE = 1_000


@dataclass
class Searched:
    """What was read: files, and bytes, those of decoded contents included; and the places where markers are."""

    files: int
    bytes: int
    places: list[str]


def search(root: Path, markers: Markers, skip: frozenset[Path] = frozenset()) -> Searched:
    """Searches all files below a folder but for ``skip``; ``places`` are their names relative to the folder."""
    done = Searched(0, 0, [])
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not path.is_file() or path in skip:
            continue
        name = path.relative_to(root).as_posix()
        done.files += 1
        try:
            read = _search_file(path, name, markers)
        except FileNotFoundError:
            continue  # a running service has removed it
        done.bytes += read[0]
        if read[1]:
            done.places.append(name)
    return done


def _search_file(path: Path, name: str, markers: Markers) -> tuple[int, bool]:
    data = path.read_bytes()
    size, found = 0, markers.is_in(name.encode("utf-8", "surrogateescape"))
    for part in parts_of(data, path):
        size += len(part)
        found = found or markers.is_in(part)
    return size, found


def holds_marker(path: Path, markers: Markers) -> bool:
    """Whether a file, or what is inside it, holds a marker."""
    return any(markers.is_in(part) for part in parts_of(path.read_bytes(), path))


def parts_of(data: bytes, path: Path | None = None, depth: int = DEPTH) -> Iterator[bytes]:
    """Some bytes and, after them, what is inside: decoded, unpacked, and that of archives' members."""
    yield data
    if not depth:
        return
    if data.startswith(PARQUET):
        yield from _parquet(data, depth)
    elif data.startswith(SQLITE):
        yield from _sqlite(data, path)
    elif data.startswith((GZIP, ZSTD)):
        inner = _unpacked(data)
        if inner is None:
            return
        yield from parts_of(inner, depth=depth - 1)
        if inner[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(inner)) as archive:
                for member in archive:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        yield from parts_of(stream.read(), depth=depth - 1)


def _unpacked(data: bytes) -> bytes | None:
    if data.startswith(GZIP):
        try:
            return gzip.decompress(data)
        except (OSError, EOFError):
            return None
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            return bytes(stream.read())
    except (OSError, pa.ArrowException):
        return None


def _parquet(data: bytes, depth: int) -> Iterator[bytes]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        yield str(file.schema_arrow.metadata).encode()
        for group in range(file.num_row_groups):
            for column in file.read_row_group(group).columns:
                for chunk in column.chunks:
                    yield from _cells(chunk, depth)
    except pa.ArrowException:
        return


def _cells(array: pa.Array, depth: int) -> Iterator[bytes]:
    """The bytes of a column's texts, one behind the other; binary cells are looked into as files are."""
    kind = array.type
    if pa.types.is_struct(kind):
        for below in array.flatten():
            yield from _cells(below, depth)
    elif pa.types.is_map(kind):
        yield from _cells(array.keys, depth)
        yield from _cells(array.items, depth)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _cells(array.flatten(), depth)
    elif pa.types.is_dictionary(kind):
        yield from _cells(array.dictionary, depth)
    elif any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        yield column_bytes(array.cast(pa.large_string()))
    elif any(is_kind(kind) for is_kind in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)):
        yield column_bytes(array.cast(pa.large_binary()))
        for cell in array.to_pylist():
            if cell and cell.startswith((GZIP, ZSTD, PARQUET)):
                yield from parts_of(cell, depth=depth - 1)


def column_bytes(array: pa.Array) -> bytes:
    """The bytes of a column's cells, one behind the other."""
    data = array.buffers()[2]
    return bytes(data) if data else b""


def _sqlite(data: bytes, path: Path | None) -> Iterator[bytes]:
    if path is None:
        connection = sqlite3.connect(":memory:")
        connection.deserialize(data)
    else:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)
    with contextlib.closing(connection), contextlib.suppress(sqlite3.DatabaseError):
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            rows = connection.execute(f'SELECT * FROM "{table}"')
            while some := rows.fetchmany(ROWS_AT_ONCE):
                yield b"\0".join(_bytes(cell) for row in some for cell in row if isinstance(cell, str | bytes))


def _bytes(cell: str | bytes) -> bytes:
    return cell.encode("utf-8", "surrogatepass") if isinstance(cell, str) else cell
