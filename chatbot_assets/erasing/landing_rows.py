"""Takes single rows out of landing files, so that the lines around them keep their numbers."""

import gzip
import io
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chatbot_assets.collect.landing import UNREADABLE, RowError, accept, format_of, raw_rows
from chatbot_assets.collect.sources import Sources
from chatbot_assets.erasing.markers import is_telling_id

LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class OwnRows:
    """The person's rows in a landing file.

    ``lines`` gives, for the first line of each row (row number in Parquet), how many lines it takes. ``texts`` are what
    they say.
    """

    path: Path
    lines: Mapping[int, int]
    texts: frozenset[str]
    rows_left: int


def mentions(user_id: str) -> "re.Pattern[str]":
    """Finds an identifier that stands for itself: neither a letter, a digit nor ``_`` or ``-`` touches it.

    One that is too short or too common to say who is meant is found only as the value of a user's or an id's JSON key.
    """
    alone = rf"{re.escape(user_id)}(?![\w\-])"
    if is_telling_id(user_id):
        return re.compile(rf"(?<![\w\-]){alone}")
    return re.compile(rf'"[^"]*(?:user|id)[^"]*"\s*:\s*"?{alone}', re.IGNORECASE)


def own_rows(path: Path, user_id: str, sources: Sources) -> OwnRows:
    """The rows of a person in a landing file: those with their ``user_id``, and the rest of their dialogues.

    Rows of a dialogue that name another user stay. A row that cannot be read is theirs when it mentions them.
    """
    mention = mentions(user_id)
    own: dict[int, tuple[int, Mapping[str, Any]]] = {}
    nobodys: defaultdict[str, list[tuple[int, int, Mapping[str, Any]]]] = defaultdict(list)
    dialogues: set[str] = set()
    rows = 0
    for line, raw, fields in _rows(path, sources):
        rows += 1
        lines = len(LINE_END.findall(raw)) + 1
        if fields.get("user_id") == user_id or (fields.get("user_id") is None and not fields and mention.search(raw)):
            own[line] = lines, fields
            if fields.get("dialogue_id"):
                dialogues.add(fields["dialogue_id"])
        elif fields.get("user_id") is None and fields.get("dialogue_id"):
            nobodys[fields["dialogue_id"]].append((line, lines, fields))
    for dialogue in dialogues:
        own |= {line: (lines, fields) for line, lines, fields in nobodys[dialogue]}
    texts = {fields[name] for _, fields in own.values() for name in ("text", "answer") if fields.get(name)}
    counts = {line: lines for line, (lines, _) in own.items()}
    return OwnRows(path, counts, frozenset(texts), rows - len(own))


def _rows(path: Path, sources: Sources) -> Iterator[tuple[int, str, Mapping[str, Any]]]:
    """Line, text and fields of each row that has a line; no fields of a row that says nothing of who is meant."""
    try:
        for line, raw, found in raw_rows(path, path.name):
            if line:
                yield line, raw, {} if isinstance(found, RowError) else _fields(found, sources)
    except UNREADABLE:
        return


def _fields(found: Mapping[str, Any], sources: Sources) -> Mapping[str, Any]:
    try:
        return accept(dict(found), sources)
    except RowError:
        named = {name: found.get(getattr(sources, name)) for name in ("user_id", "dialogue_id", "text", "answer")}
        plain = {name: _plain(value) for name, value in named.items() if value is not None and value != ""}
        return plain if "user_id" in plain else {}


def _plain(value: object) -> str:
    return unicodedata.normalize("NFC", str(value).strip())


def rewritten(rows: OwnRows) -> bytes | None:
    """The file's bytes without the person's rows; None when no row is left. Nothing is written.

    Lines become empty, and rows of Parquet files empty in all columns, so that those around them keep their numbers.
    """
    if not rows.rows_left:
        return None
    data = rows.path.read_bytes()
    packed = rows.path.name.lower().endswith(".gz")
    plain = gzip.decompress(data) if packed else data
    suffix = format_of(rows.path.name)
    emptied = {line + more for line, lines in rows.lines.items() for more in range(lines)}
    if suffix == ".parquet":
        plain = _without_parquet_rows(plain, rows.lines.keys())
    elif suffix == ".jsonl":
        lines = plain.split(b"\n")
        plain = b"\n".join(b"" if number in emptied else line for number, line in enumerate(lines, 1))
    else:
        # As the reader does: only these ends part lines, and bytes that are no UTF-8 stay as they are.
        text = io.StringIO(plain.decode("utf-8", "surrogateescape"), newline="")
        kept = ("\n" if number in emptied else line for number, line in enumerate(text, 1))
        plain = "".join(kept).encode("utf-8", "surrogateescape")
    return gzip.compress(plain, mtime=0) if packed else plain


def _without_parquet_rows(data: bytes, numbers: Any) -> bytes:
    table = pq.read_table(io.BytesIO(data))
    keep = pa.array([number not in numbers for number in range(1, table.num_rows + 1)])
    places = pa.array([place if one else None for place, one in enumerate(keep.to_pylist())], pa.int64())
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    out = io.BytesIO()
    pq.write_table(table.cast(schema).take(places), out, compression="zstd")
    return out.getvalue()


def put(path: Path, data: bytes, like: os.stat_result) -> Path:
    """Writes bytes beside a file, under a hidden name, with the times of the file that they are to replace."""
    temporary = path.with_name(f".erasing-{path.name}")
    with open(temporary, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.utime(temporary, ns=(like.st_atime_ns, like.st_mtime_ns))
    return temporary
