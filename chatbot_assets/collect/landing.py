"""Reads landing files row by row: every row comes out once, accepted with its fields or rejected with a reason.

Formats are JSON Lines, CSV, TSV and Parquet, each also with ``.gz``. Nothing in a file can stop the rows around it.
"""

import contextlib
import csv
import gzip
import hashlib
import io
import json
import os
import time
import unicodedata
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, AnyStr

import pyarrow as pa
import pyarrow.parquet as pq

from chatbot_assets.collect.sources import Sources
from chatbot_assets.modules import ModuleRef

FORMATS = (".jsonl", ".csv", ".tsv", ".parquet")
SETTLE_SECONDS = 2.0
"""A file that was modified more recently may still be being written."""
TEXT_LIMIT = 10_000
"""Characters of a text or answer; longer ones are no turns of a dialogue."""
RAW_LIMIT = 2_000
RECORD_LIMIT = 100_000
"""Characters of a CSV record of several lines; beyond, a quote was opened and never closed."""
LINE_LIMIT = 1_000_000
"""Bytes (JSON Lines) or characters (CSV, TSV) of one line; of a longer one no more than that is held in memory."""
BATCH_ROWS = 4_096

DISGUISES = {
    b"\x1f\x8b\x08": "is gzip-compressed; land it under a name that ends in .gz",
    b"PK\x03\x04": "is an Excel file or a ZIP archive; export it as CSV or JSON Lines",
    b"PAR1": "is a Parquet file; land it under a name that ends in .parquet",
}
"""What a text file cannot begin with, and what is wrong then."""
UNREADABLE = (gzip.BadGzipFile, EOFError, zlib.error, pa.ArrowException, csv.Error)
"""What is raised where a file cannot be read on; the rows before it are good."""
NO_JSON = "no JSON object; each line must be one {...} (if the file is a table, name it .csv or .tsv)"
TOO_LONG = f"the line is longer than {LINE_LIMIT:,} characters; take out what is no part of a dialogue"

PARSED_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("dialogue_id", pa.string()),
        ("turn", pa.int64()),
        ("speaker", pa.string()),
        ("text", pa.string()),
        ("intent", pa.string()),
        ("answer", pa.string()),
        ("user_id", pa.string()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("channel", pa.string()),
        ("file_sha256", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("raw", pa.string()),
        ("reason", pa.string()),
    ]
)
PARSED_DDL = (
    "row_id string, dialogue_id string, turn bigint, speaker string, text string, intent string, answer string, "
    "user_id string, timestamp timestamp, channel string, file_sha256 string, source_file string, source_line bigint, "
    "raw string, reason string"
)


@dataclass(frozen=True)
class LandingFile:
    """A complete file in a landing folder, or a folder that somebody put there (which is refused when it is read).

    ``place`` is its path; ``arrived`` is when it came into the folder under this name, in seconds since 1970.
    """

    name: str
    place: str
    size: int
    modified_ns: int
    arrived: float

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return Path(self.place)


class RowError(ValueError):
    """A row that cannot be used; its text is the reason."""


def listing(folder: Path, settle: float = SETTLE_SECONDS) -> list[LandingFile]:
    """The files in a landing folder that are complete, by name.

    Left out are hidden and temporary names, and files modified within ``settle`` seconds from now.
    """
    found = []
    now = time.time()
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            temporary = entry.name.startswith((".", "_")) or entry.name.endswith((".tmp", ".part", "~"))
            if temporary or not (entry.is_file() or entry.is_dir()):
                continue
            stat = entry.stat()
            if abs(now - stat.st_mtime) >= settle:
                # Names that are no UTF-8 (from old archives) cannot be stored as they are.
                name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                found.append(LandingFile(name, entry.path, stat.st_size, stat.st_mtime_ns, stat.st_ctime))
    return sorted(found, key=lambda file: file.name)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes (of a folder, of its name), in hexadecimal."""
    if path.is_dir():
        return hashlib.sha256(b"folder\0" + os.fsencode(path.name)).hexdigest()
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def format_of(name: str) -> str | None:
    """The format's suffix, without ``.gz``; None when it is unknown."""
    suffix = os.path.splitext(name.lower().removesuffix(".gz"))[1]
    return suffix if suffix in FORMATS else None


class ParseFiles:
    """For ``mapInArrow``: rows (path as bytes, source_file, file_sha256) become rows of ``PARSED_SCHEMA``."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        waiting: list[dict[str, Any]] = []
        for batch in batches:
            for file in batch.to_pylist():
                path = Path(os.fsdecode(file["path"]))
                for row in parse_file(path, file["source_file"], file["file_sha256"], self.sources):
                    waiting.append(row)
                    if len(waiting) == BATCH_ROWS:
                        yield pa.RecordBatch.from_pylist(waiting, PARSED_SCHEMA)
                        waiting = []
        yield pa.RecordBatch.from_pylist(waiting, PARSED_SCHEMA)


def parse_file(path: Path, name: str, sha256: str, sources: Sources) -> Iterator[dict[str, Any]]:
    """The rows of one file, as dictionaries of ``PARSED_SCHEMA``; those with a ``reason`` are rejected."""
    last_line = 0
    empty = True
    try:
        for line, raw, found in raw_rows(path, name):
            last_line, empty = line, False
            try:
                if isinstance(found, RowError):
                    raise found
                fields: dict[str, Any] = accept(found, sources)
            except RowError as error:
                fields = {"raw": raw[:RAW_LIMIT], "reason": str(error)}
            yield _identified(fields, name, sha256, line)
    except UNREADABLE as error:
        reason = f"the file cannot be read on from here: {_one_line(error)}; land a complete copy of it"
        yield _identified({"raw": "", "reason": reason}, name, sha256, last_line + 1)
    else:
        if empty:
            yield _identified({"raw": "", "reason": "the file holds no rows"}, name, sha256, 0)


def _identified(fields: dict[str, Any], name: str, sha256: str, line: int) -> dict[str, Any]:
    row_id = hashlib.blake2b(f"{sha256}:{line}".encode(), digest_size=16).hexdigest()
    return fields | {"row_id": row_id, "file_sha256": sha256, "source_file": name, "source_line": line}


def raw_rows(path: Path, name: str) -> Iterator[tuple[int, str, dict[str, Any] | RowError]]:
    """Line number, the line as text, and its fields by the file's own column names (or what is wrong with it)."""
    suffix = format_of(name)
    if problem := _not_what_it_seems(path, name):
        yield 0, "", RowError(problem)
    elif suffix == ".parquet":
        yield from _parquet_rows(path, compressed=name.lower().endswith(".gz"))
    else:
        with _opened(path, name) as stream:
            if suffix == ".jsonl":
                yield from _json_rows(stream)
            else:
                yield from _delimited_rows(stream, "," if suffix == ".csv" else "\t")


def _not_what_it_seems(path: Path, name: str) -> str | None:
    """Why no row of a file can be read, where its kind or its first bytes tell; None when it may be read."""
    suffix = format_of(name)
    if path.is_dir():
        return f"{name} is a folder; move its files into the landing folder itself"
    if suffix is None:
        return f"unknown kind of file; allowed: {', '.join(FORMATS)}, each also with .gz"
    with path.open("rb") as stream:
        first = stream.read(4)
    if name.lower().endswith(".gz"):
        whole = not first or first.startswith(b"\x1f\x8b")
        return None if whole else f"{name} is not gzip-compressed; land it under a name without .gz"
    if suffix != ".parquet":
        for magic, problem in DISGUISES.items():
            if first.startswith(magic):
                return f"{name} {problem}"
    return None


def _opened(path: Path, name: str) -> IO[bytes]:
    return gzip.GzipFile(path) if name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]


def _json_rows(stream: IO[bytes]) -> Iterator[tuple[int, str, dict[str, Any] | RowError]]:
    for number, line in enumerate(_lines(stream), 1):
        data = line.removeprefix(b"\xef\xbb\xbf").strip() if number == 1 else line.strip()
        if not data:
            continue
        raw = data[: 4 * RAW_LIMIT].decode("utf-8", "replace")
        if len(line) > LINE_LIMIT:
            yield number, raw, RowError(TOO_LONG)
            continue
        try:
            found = json.loads(data.decode("utf-8"))
        except UnicodeDecodeError:
            yield number, raw, RowError("not UTF-8; save the file as UTF-8")
        except (ValueError, RecursionError) as error:
            reason = f"no valid JSON: {_one_line(error)}" if data[:1] in b"{[" else NO_JSON
            yield number, raw, RowError(reason)
        else:
            good = isinstance(found, dict)
            yield number, raw, found if good else RowError(NO_JSON)


def _lines(stream: IO[AnyStr]) -> Iterator[AnyStr]:
    """The lines of a stream; of one that is longer than ``LINE_LIMIT``, that much and one more."""
    cut_within_end = False
    while line := stream.readline(LINE_LIMIT + 1):
        if cut_within_end and line in ("\n", b"\n"):
            line = stream.readline(LINE_LIMIT + 1)
        yield line
        rest = line
        while len(rest) > LINE_LIMIT and not rest.endswith(_line_ends(rest)):
            rest = stream.readline(LINE_LIMIT + 1)
        cut_within_end = len(rest) > LINE_LIMIT and rest[-1:] == "\r"


def _line_ends(line: AnyStr) -> tuple[AnyStr, ...]:
    return ("\n", "\r") if isinstance(line, str) else (b"\n",)


def _delimited_rows(stream: IO[bytes], delimiter: str) -> Iterator[tuple[int, str, dict[str, Any] | RowError]]:
    csv.field_size_limit(2**31 - 1)
    # Bytes that are no UTF-8 become lone surrogates, so that only the row that holds them is refused.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    header: list[str] | None = None
    for line, raw, row in _records(_lines(text), delimiter):
        if isinstance(row, list) and not any(row):
            continue
        clean = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        if header is not None and clean != raw:
            yield line, clean, RowError("not UTF-8; save the file as UTF-8")
        elif isinstance(row, RowError):
            yield line, clean, row
        elif header is None:
            header = [name.strip() for name in row]
            if header[0].startswith("{"):
                yield line, clean, RowError("the first line is JSON, not the columns' names; name the file .jsonl")
        elif len(row) > len(header):
            yield line, raw, RowError(f"{len(row)} fields, but the header has {len(header)}; quote the separators")
        else:
            yield line, raw, dict(zip(header, row, strict=False))


def _records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, str, list[str] | RowError]]:
    """Line number, text and fields of each record.

    A record may span lines within quotes. Where a quote is never closed, only the line that opens it is refused: the
    lines after it are read again, as records of their own.
    """
    source = iter(lines)
    waiting: deque[str] = deque()
    number = 1

    def take() -> str | None:
        return waiting.popleft() if waiting else next(source, None)

    while (first := take()) is not None:
        taken = [first]
        row: list[str] | RowError
        if len(first) > LINE_LIMIT:
            row = RowError(TOO_LONG)
        elif '"' not in first:
            row = first.rstrip("\r\n").split(delimiter)
        else:
            try:
                row = next(csv.reader(_record_lines(taken, take), delimiter=delimiter, strict=True))
            except csv.Error:
                alone = next(csv.reader([first.rstrip("\r\n") + "\n"], delimiter=delimiter))
                unclosed = alone[-1].endswith("\n")
                row = RowError("a quote opens here that nothing closes; close it or remove it") if unclosed else alone
                waiting.extendleft(reversed(taken[1:]))
                del taken[1:]
        yield number, "".join(taken).rstrip("\r\n"), row
        number += len(taken)


def _record_lines(taken: list[str], take: Callable[[], str | None]) -> Iterator[str]:
    yield taken[0]
    size = len(taken[0])
    while (line := take()) is not None:
        taken.append(line)
        size += len(line)
        if size > RECORD_LIMIT:
            raise csv.Error("the record is too long")
        yield line


def _parquet_rows(path: Path, *, compressed: bool) -> Iterator[tuple[int, str, dict[str, Any] | RowError]]:
    source: Any = io.BytesIO(gzip.decompress(path.read_bytes())) if compressed else path
    number = 0
    for batch in pq.ParquetFile(source).iter_batches():
        for found in _parquet_batch(batch):
            number += 1
            yield number, "" if isinstance(found, RowError) else str(found), found


def _parquet_batch(batch: pa.RecordBatch) -> Iterator[dict[str, Any] | RowError]:
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException) as error:
        if len(batch) == 1:
            yield RowError(f"a value cannot be read: {_one_line(error)}")
        else:
            for row in range(len(batch)):
                yield from _parquet_batch(batch.slice(row, 1))


def accept(found: dict[str, Any], sources: Sources) -> dict[str, Any]:
    """The landing fields of a row, transformed and named by the bot's ``sources``.

    Raises:
        RowError: with the reason, when the row cannot be used.
    """
    if sources.transform is not None:
        found = _transformed(found, sources.transform)
    if sources.text not in found:
        columns = ", ".join(sorted(str(name)[:40] for name in found)[:12]) or "none"
        if not _is_unicode(columns):
            raise RowError("the names of the columns are not UTF-8; save the file as UTF-8")
        raise RowError(f"no column {sources.text!r}; columns: {columns}; name yours under 'sources' in the bot's YAML")
    text = _text(found, sources.text)
    if text is None:
        raise RowError(f"{sources.text!r} is empty")
    speaker = _text(found, sources.speaker) or "user"
    return {
        "text": text,
        "intent": _text(found, sources.intent),
        "answer": _text(found, sources.answer),
        "dialogue_id": _text(found, sources.dialogue_id),
        "turn": _integer(found, sources.turn),
        "speaker": "bot" if speaker.lower() in sources.bot_speakers else "user",
        "user_id": _text(found, sources.user_id),
        "timestamp": _time(found, sources.timestamp),
        "channel": _text(found, sources.channel),
        "reason": None,
    }


def _transformed(found: dict[str, Any], transform: ModuleRef) -> dict[str, Any]:
    try:
        row = transform.load()(found)
    except Exception as error:  # whatever the user's module makes of a row must not stop the good ones
        raise RowError(f"sources.transform: {type(error).__name__}: {_one_line(error)}") from error
    if row is None:
        raise RowError("sources.transform leaves it out")
    return dict(row)


def _text(found: dict[str, Any], column: str) -> str | None:
    value = found.get(column)
    if value is None:
        return None
    if isinstance(value, bool | float | list | dict | bytes):
        raise RowError(f"{column!r} is {_kind(value)}, not a text")
    text = str(value).strip()
    if len(text) > TEXT_LIMIT:
        raise RowError(f"{column!r} has {len(text):,} characters; at most {TEXT_LIMIT:,} are read")
    if not _is_unicode(text):
        raise RowError(f"{column!r} holds half a surrogate pair; save the file as UTF-8")
    return unicodedata.normalize("NFC", text) or None


def _integer(found: dict[str, Any], column: str) -> int | None:
    value = found.get(column)
    if value is None or value == "":
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if isinstance(value, bool) or (number != value and not isinstance(value, str)) or not 0 <= number < 2**63:
        raise RowError(f"{column!r} is {str(value)[:40]!r}, not a whole number from 0")
    return number


def _time(found: dict[str, Any], column: str) -> datetime | None:
    value = found.get(column)
    if value is None or value == "":
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise RowError(f"{column!r} is {str(value)[:40]!r}, no ISO 8601 time like 2026-01-31T09:00:00+09:00") from None
    if moment.tzinfo is None:
        raise RowError(f"{column!r} has no time zone; write it like 2026-01-31T09:00:00+09:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise RowError(f"{column!r} is {str(value)[:40]!r}, outside of the years 1 to 9999") from None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    names = {bool: "true or false", float: "a decimal number", list: "a list", dict: "an object", bytes: "bytes"}
    return names[type(value)]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
