"""Landing files: which are looked at, and that every row comes out once, accepted or with a reason."""

import csv
import gzip
import io
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from chatbot_assets.collect.landing import (
    DISGUISES,
    LINE_LIMIT,
    PARSED_SCHEMA,
    RAW_LIMIT,
    ParseFiles,
    file_sha256,
    listing,
    parse_file,
)
from chatbot_assets.collect.sources import Sources

KOREAN = "안녕하세요, 조명을 켜 주세요"
quick = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def parse(folder: Path, name: str, data: bytes, sources: Sources | None = None) -> list[dict[str, Any]]:
    """The rows of a file with these bytes, as they are stored."""
    path = folder / name
    path.write_bytes(data)
    found = list(parse_file(path, name, "sha", sources or Sources()))
    stored: list[dict[str, Any]] = pa.RecordBatch.from_pylist(found, PARSED_SCHEMA).to_pylist()
    return stored


def good(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows if row["reason"] is None]


def reasons(rows: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(row["source_line"], row["reason"]) for row in rows if row["reason"] is not None]


# -- any bytes --------------------------------------------------------------------------------------------------------

JSON_LINES = st.sampled_from(
    [
        b'{"text": "hi", "intent": "greet"}',
        b'{"text": "hi", "turn": 1e999}',
        b'{"text": "hi", "timestamp": "0001-01-01T00:00:00+14:00"}',
        b'{"text": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"text": NaN}',
        b'{"text": "a\\u0000b"}',
        b'{"text": {"text": 1}}',
        b'"text"',
        b"[" * 3000,
        b"9" * 5000,
        b"\xef\xbb\xbf",
        b"  \t ",
        b"\x0c",
        KOREAN.encode("cp949"),
    ]
)
json_files = st.lists(
    JSON_LINES | st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"")), max_size=8
).flatmap(lambda lines: st.sampled_from([b"\n", b"\r\n"]).map(lambda end: end.join(lines)))


def lines_of(data: bytes) -> list[int]:
    lines = data.split(b"\n")
    lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
    return [number for number, line in enumerate(lines, 1) if line.strip()]


def check(rows: list[dict[str, Any]]) -> None:
    """What holds for the rows of any file."""
    assert rows, "a file leaves at least one row: what it held, or that it held nothing"
    assert len({row["row_id"] for row in rows}) == len(rows)
    lines = [row["source_line"] for row in rows]
    assert lines == sorted(lines)
    for row in rows:
        assert (row["reason"] is None) == (row["text"] is not None), "accepted and rejected at once"
        assert row["reason"] is None or (row["reason"].strip() and "\n" not in row["reason"])


@quick
@given(json_files | st.binary(max_size=60))
@example(b"")
@example(b"\n" * 5)
def test_each_line_of_any_jsonl_file_comes_out_once(tmp_path: Path, data: bytes) -> None:
    assume(not data.startswith(tuple(DISGUISES)))
    rows = parse(tmp_path, "any.jsonl", data)
    check(rows)
    assert [row["source_line"] for row in rows] == (lines_of(data) or [0])
    zipped = parse(tmp_path, "any.jsonl.gz", gzip.compress(data, mtime=0))
    assert [(row["source_line"], row["text"], row["reason"]) for row in zipped] == [
        (row["source_line"], row["text"], row["reason"]) for row in rows
    ]


@quick
@given(
    st.sampled_from(["any.jsonl.gz", "any.csv.gz", "any.tsv.gz", "any.csv", "any.tsv", "any.txt"]),
    st.binary(max_size=80),
)
def test_any_bytes_under_any_name_are_read_without_an_error(tmp_path: Path, name: str, data: bytes) -> None:
    check(parse(tmp_path, name, data))


@quick
@given(st.integers(0, 200), st.integers(0, 300), st.integers(0, 255))
def test_what_can_be_read_of_a_damaged_gzip_file_goes_through(tmp_path: Path, rows: int, at: int, byte: int) -> None:
    whole = b"".join(b'{"text": "row %d"}\n' % number for number in range(rows))
    data = bytearray(gzip.compress(whole, mtime=0))
    data[at % len(data)] = byte
    found = parse(tmp_path, "any.jsonl.gz", bytes(data))
    check(found)
    truncated = parse(tmp_path, "any.jsonl.gz", gzip.compress(whole, mtime=0)[: at % 200])
    check(truncated)
    assert good(truncated) == [f"row {number}" for number in range(len(good(truncated)))]


@quick
@given(st.lists(st.text(alphabet='",\t ;x\r\n\x00é한\x0b\x85\u2028', max_size=12), max_size=6), st.sampled_from(",\t"))
def test_each_record_of_any_well_written_csv_comes_out_once(tmp_path: Path, texts: list[str], delimiter: str) -> None:
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "intent"])
    writer.writerows([text, "greet"] for text in texts)
    name = "any.csv" if delimiter == "," else "any.tsv"
    rows = parse(tmp_path, name, written.getvalue().encode())
    check(rows)
    if texts:
        kept = [text.strip() for text in texts if text.strip()]
        assert (good(rows), len(rows)) == (kept, len(texts))


junk_lines = st.text(alphabet='",\tx ', max_size=8).map(str.encode) | st.binary(max_size=10).map(
    lambda junk: junk.translate(None, b"\r\n")
)


@quick
@given(
    st.lists(junk_lines, max_size=10),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
    st.sampled_from([("any.csv", b","), ("any.tsv", b"\t")]),
)
@example([b',"', b"", b',"x"y', b'"'], b"\n", True, ("any.csv", b","))
def test_each_line_of_a_badly_written_csv_comes_out_once(
    tmp_path: Path, junk: list[bytes], end: bytes, ends: bool, kind: tuple[str, bytes]
) -> None:
    """Quotes that are never closed, bytes that are no text, too many fields: the lines around go through."""
    name, delimiter = kind
    header = delimiter.join([b"text", b"intent", b"answer"])
    lines = [b"<%d>" % number + (delimiter + b'"' if b'"' in more else b"") + more for number, more in enumerate(junk)]
    rows = parse(tmp_path, name, end.join([header, *lines]) + (end if ends else b""))
    check(rows)
    columns = ("text", "intent", "answer", "raw")
    everything = "\n".join(row[column] or "" for row in rows for column in columns)
    assert [everything.count(f"<{number}>") for number in range(len(junk))] == [1] * len(junk)


def test_a_quote_that_is_never_closed_costs_its_own_line_alone(tmp_path: Path) -> None:
    lines = ["text,intent", "one,x", '"two,x', *(f"row {number},y" for number in range(20_000)), '"a ""b"", c",z']
    rows = parse(tmp_path, "quotes.csv", "\n".join(lines).encode())
    assert [(line, "quote" in reason) for line, reason in reasons(rows)] == [(3, True)]
    assert good(rows) == ["one", *(f"row {number}" for number in range(20_000)), 'a "b", c']


def test_quotes_inside_of_a_text_do_no_harm(tmp_path: Path) -> None:
    rows = parse(tmp_path, "quotes.tsv", b'text\tintent\nsay "hi" now\ta\n"hi" she said\tb\n')
    assert (good(rows), reasons(rows)) == (['say "hi" now', "hi she said"], [])


# -- what is accepted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["f.jsonl", "f.csv", "f.tsv", "f.parquet", "F.CSV"])
@pytest.mark.parametrize("zipped", [False, True])
def test_the_same_rows_in_each_format_give_the_same_fields(tmp_path: Path, name: str, zipped: bool) -> None:
    columns = ["text", "intent", "answer", "dialogue_id", "turn", "speaker", "timestamp", "user_id", "channel"]
    time_ = "2026-01-31T09:00:00+09:00"
    table = [
        [KOREAN, "light-on", None, "d1", 0, "user", time_, "u1", "web"],
        ["켰습니다", None, None, "d1", 1, "agent", None, None, None],
    ]
    if name.endswith(".parquet"):
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in table]), sink)
        data = sink.getvalue()
    elif name.endswith(".jsonl"):
        data = "\n".join(json.dumps(dict(zip(columns, row, strict=True))) for row in table).encode()
    else:
        written = io.StringIO(newline="")
        csv.writer(written, delimiter="\t" if name.endswith(".tsv") else ",").writerows([columns, *table])
        data = written.getvalue().encode("utf-8-sig")
    rows = parse(tmp_path, name + (".gz" if zipped else ""), gzip.compress(data, mtime=0) if zipped else data)

    assert reasons(rows) == []
    found = [[row[column] for column in columns] for row in rows]
    assert found == [
        [KOREAN, "light-on", None, "d1", 0, "user", datetime(2026, 1, 31, tzinfo=UTC), "u1", "web"],
        ["켰습니다", None, None, "d1", 1, "bot", None, None, None],
    ]


def test_columns_are_named_by_the_bot_s_sources(tmp_path: Path) -> None:
    rows = parse(tmp_path, "f.csv", b"utt,label\nhi,greet\n", Sources(text="utt", intent="label"))
    assert [(row["text"], row["intent"]) for row in rows] == [("hi", "greet")]


def test_texts_are_kept_in_nfc_and_trimmed(tmp_path: Path) -> None:
    rows = parse(tmp_path, "f.jsonl", json.dumps({"text": " \u1112\u1161\u11ab\n", "intent": "  "}).encode())
    assert [(row["text"], row["intent"]) for row in rows] == [("한", None)]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        (
            "f.jsonl",
            gzip.compress(b'{"text": "hi"}\n', mtime=0),
            "f.jsonl is gzip-compressed; land it under a name that ends",
        ),
        ("f.csv", b"PK\x03\x04\x14\0\x06\0 sheet\n", "f.csv is an Excel file or a ZIP archive; export it as CSV"),
        ("f.tsv", b"PAR1\x15\x04", "f.tsv is a Parquet file; land it under a name that ends in .parquet"),
        ("f.csv.gz", b"text\nhi\n", "f.csv.gz is not gzip-compressed; land it under a name without .gz"),
    ],
)
def test_a_file_of_another_kind_than_its_name_says_is_refused_once(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    [(line, found)] = reasons(parse(tmp_path, name, data))
    assert line == 0 and found.startswith(reason)


def test_json_in_a_file_named_as_a_table_and_a_table_named_as_json_say_how_to_name_them(tmp_path: Path) -> None:
    (line, json_), *_ = reasons(parse(tmp_path, "f.csv", b'{"text": "one", "intent": "x"}\n{"text": "two"}\n'))
    assert line == 1 and "name the file .jsonl" in json_
    (line, table), *_ = reasons(parse(tmp_path, "f.jsonl", b"text,intent\nhi,greet\n"))
    assert line == 1 and "name it .csv or .tsv" in table


sizes_around_the_limit = st.lists(st.sampled_from([30, *range(LINE_LIMIT - 2, LINE_LIMIT + 3)]), min_size=1, max_size=3)


@settings(quick, max_examples=40)
@given(sizes_around_the_limit, st.sampled_from(["f.jsonl", "f.csv"]), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_a_line_beyond_the_limit_is_refused_as_one_line(
    tmp_path: Path, sizes: list[int], name: str, end: bytes, ends: bool
) -> None:
    """The sizes are those of the lines with their ends; a long column that nobody asked for makes them so."""
    begin, close = (b"x,", b"") if name == "f.csv" else (b'{"text": "x", "more": "', b'"}')
    ends_of = [end] * (len(sizes) - 1) + [end if ends else b""]
    lines = [
        begin + b"y" * (size - len(begin + close + line_end)) + close + line_end
        for size, line_end in zip(sizes, ends_of, strict=True)
    ]
    header = [b"text,more" + end] if name == "f.csv" else []
    rows = parse(tmp_path, name, b"".join([*header, *lines]))
    expected = [(line, size > LINE_LIMIT) for line, size in enumerate(sizes, 1 + len(header))]
    assert [(row["source_line"], row["reason"] is not None) for row in rows] == expected


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"utterance": "hi"}, "no column 'text'; columns: utterance; name yours under 'sources' in the bot's YAML"),
        ({"text": "  "}, "'text' is empty"),
        ({"text": None}, "'text' is empty"),
        ({"text": 1.5}, "'text' is a decimal number, not a text"),
        ({"text": True}, "'text' is true or false, not a text"),
        ({"text": ["hi"]}, "'text' is a list, not a text"),
        ({"text": "hi", "intent": {"name": "x"}}, "'intent' is an object, not a text"),
        ({"text": "x" * 10_001}, "'text' has 10,001 characters; at most 10,000 are read"),
        ({"text": "\ud800"}, "'text' holds half a surrogate pair; save the file as UTF-8"),
        ({"\ud800": "hi"}, "the names of the columns are not UTF-8; save the file as UTF-8"),
        ({"text": "hi", "turn": -1}, "'turn' is '-1', not a whole number from 0"),
        ({"text": "hi", "turn": 1.5}, "'turn' is '1.5', not a whole number from 0"),
        ({"text": "hi", "turn": 2**63}, "'turn' is '9223372036854775808', not a whole number from 0"),
        ({"text": "hi", "timestamp": "2026-01-31T09:00:00"}, "'timestamp' has no time zone; write it like"),
        ({"text": "hi", "timestamp": "yesterday"}, "'timestamp' is 'yesterday', no ISO 8601 time like"),
        ({"text": "hi", "timestamp": "9999-12-31T23:59:59-12:00"}, "outside of the years 1 to 9999"),
        ([1, 2], "no JSON object; each line must be one {...}"),
    ],
)
def test_a_row_that_cannot_be_used_says_what_to_change(tmp_path: Path, row: object, reason: str) -> None:
    rows = parse(tmp_path, "f.jsonl", b'{"text": "before"}\n' + json.dumps(row).encode() + b'\n{"text": "after"}')
    assert good(rows) == ["before", "after"]
    [(line, found)] = reasons(rows)
    assert line == 2 and reason in found


def test_a_parquet_value_that_cannot_be_read_costs_its_own_row_alone(tmp_path: Path) -> None:
    times = pa.array([0, 2**60, 1_000_000], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"text": ["a", "b", "c"], "timestamp": times}), tmp_path / "f.parquet")
    rows = parse(tmp_path, "f.parquet", (tmp_path / "f.parquet").read_bytes())
    assert good(rows) == ["a", "c"]
    assert [(line, "cannot be read" in reason) for line, reason in reasons(rows)] == [(2, True)]


def test_a_rejected_row_keeps_its_bytes_as_text_up_to_a_limit(tmp_path: Path) -> None:
    long = b"{" + b"x" * 5000
    rows = parse(tmp_path, "f.jsonl", b"\xff\xfe oops\n" + long)
    assert [row["raw"] for row in rows] == ["\ufffd\ufffd oops", long[:RAW_LIMIT].decode()]


def test_a_row_is_identified_by_the_file_s_content_and_its_line(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text('{"text": "hi"}\n{"text": "hi"}\n')

    def ids(name: str, sha256: str) -> list[str]:
        return [row["row_id"] for row in parse_file(path, name, sha256, Sources())]

    assert ids("f.jsonl", "a") == ids("copy.jsonl", "a")
    assert len({*ids("f.jsonl", "a"), *ids("f.jsonl", "b")}) == 4


def test_many_files_are_read_in_batches(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text('{"text": "hi"}\n' * 3000)
    files = [
        {
            "path": os.fsencode(tmp_path / f"{number}.jsonl"),
            "source_file": f"{number}.jsonl",
            "file_sha256": str(number),
        }
        for number in range(3)
    ]
    batches = list(ParseFiles(Sources())(iter([pa.RecordBatch.from_pylist(files)])))
    assert sum(batch.num_rows for batch in batches) == 9000 and max(batch.num_rows for batch in batches) < 9000
    assert all(batch.schema == PARSED_SCHEMA for batch in batches)


# -- which files are looked at ----------------------------------------------------------------------------------------


def land(folder: Path, name: str, data: bytes = b'{"text": "hi"}\n', age: float = 60) -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_complete_files_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.csv", "notes.txt"):
        land(tmp_path, name)
    assert [file.name for file in listing(tmp_path)] == ["a.csv", "b.jsonl", "notes.txt"]
    stat = (tmp_path / "a.csv").stat()
    first = listing(tmp_path)[0]
    assert (first.path, first.size, first.modified_ns) == (tmp_path / "a.csv", stat.st_size, stat.st_mtime_ns)


@pytest.mark.parametrize("name", [".hidden.jsonl", "a.jsonl.tmp", "a.jsonl.part", "a.jsonl~", "_partial.jsonl"])
def test_half_written_files_are_not_listed_by_their_names(tmp_path: Path, name: str) -> None:
    land(tmp_path, name)
    assert listing(tmp_path) == []


def test_a_file_that_was_just_written_is_not_listed_before_it_has_settled(tmp_path: Path) -> None:
    land(tmp_path, "a.jsonl", age=0)
    assert listing(tmp_path, settle=600) == []
    land(tmp_path, "a.jsonl", age=601)
    assert [file.name for file in listing(tmp_path, settle=600)] == ["a.jsonl"]
    land(tmp_path, "a.jsonl", age=3)
    assert [file.name for file in listing(tmp_path)] == ["a.jsonl"], "it needs no more than two seconds"


def test_a_file_from_a_machine_whose_clock_is_ahead_is_listed(tmp_path: Path) -> None:
    land(tmp_path, "a.jsonl", age=-3600)
    assert [file.name for file in listing(tmp_path)] == ["a.jsonl"]


def test_dangling_links_and_a_missing_folder_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "nowhere")
    assert listing(tmp_path, 0) == []
    assert listing(tmp_path / "missing") == []


def test_a_folder_among_the_files_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    [file] = listing(tmp_path, 0)
    [row] = parse_file(file.path, file.name, file_sha256(file.path), Sources())
    assert row["reason"] == "folder.jsonl is a folder; move its files into the landing folder itself"


def test_a_file_whose_name_is_no_utf_8_is_listed_under_a_name_that_can_be_stored(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + "한.jsonl".encode("cp949"))).write_bytes(b'{"text": "hi"}')
    [file] = listing(tmp_path, 0)
    assert file.name.encode() and file.name.endswith(".jsonl")
    assert file_sha256(file.path)
