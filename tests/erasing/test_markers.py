"""What is looked for, and in which forms bytes may hold it."""

import gzip
import json
import sqlite3
import tarfile
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.erasing.markers import ERASED, Markers, redacted
from chatbot_assets.erasing.occurrence import BLOCK, Occurrence
from chatbot_assets.erasing.search import search

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=30).filter(
    lambda text: len(text.encode()) >= 20 and text.strip()
)

VALUES = st.recursive(
    st.text() | st.integers() | st.none(), lambda one: st.lists(one) | st.dictionaries(st.text(), one), max_leaves=6
)


@given(TEXTS, st.booleans())
def test_a_text_is_found_in_each_form_that_json_utf_16_and_addresses_give_it(text: str, ascii_only: bool) -> None:
    markers = Markers.of([], [text])
    inner = json.dumps({"text": text}, ensure_ascii=ascii_only)
    for data in (
        f"a {text} b".encode(),
        inner.encode(),
        json.dumps({"note": inner}, ensure_ascii=ascii_only).encode(),
        f"a {text}".encode("utf-16-le"),
        f"a {text}".encode("utf-16-be"),
        quote(text).encode(),
    ):
        assert markers.is_in(data)


@given(TEXTS, VALUES)
def test_what_was_redacted_holds_no_marker_and_stays_as_it_is_without_one(text: str, value: object) -> None:
    markers = Markers.of([], [text])
    plain = json.dumps(value, ensure_ascii=False)
    if text not in plain and not markers.is_in(plain.encode()):
        assert redacted(value, markers) == value
    holding = {"rows": [text, {"text": f"so {text}"}, "stays"], "note": json.dumps({"said": text}), "other": value}
    clean = redacted(holding, markers)
    assert not markers.is_in(json.dumps({name: clean[name] for name in ("rows", "note")}).encode())
    assert clean["rows"] == ["stays"] and json.loads(clean["note"]) == {"said": ERASED}


def test_what_is_too_short_or_too_common_is_looked_for_as_a_whole_value_alone() -> None:
    markers = Markers.of(
        ["7", "customer", "u-4711", "kim@example.com"], ["ok", "metadata", "where is it now", "환불해 주세요"]
    )
    assert markers.whole == {"7", "customer", "ok", "metadata"}
    assert markers.without(["so where is it now then", "ok"]).telling == {"u-4711", "kim@example.com", "환불해 주세요"}
    assert not markers.is_in(b'{"metadata": 7, "customer": "ok"}')
    assert redacted({"metadata": ["ok", "fine"]}, markers) == {"metadata": ["fine"]}


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


PAD = " ".join(f"{number} umbrellas" for number in range(99))
"""Long enough for a compressor to code every letter, so that the text beside it does not stand in the file as it is."""


def pack(path: Path, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), path, compression="zstd", write_statistics=False, use_dictionary=False)


def write_parquet(path: Path, text: str) -> None:
    pack(path, n=pa.array([1, 2]), lists=pa.array([["a"], [PAD, text]]))


def write_binary_cells(path: Path, text: str) -> None:
    pack(path, data=pa.array([zstd(f"{PAD} {text}".encode()), b""], pa.binary()))


def write_views(path: Path, text: str) -> None:
    """As Delta's own writer stores texts."""
    pack(path, lists=pa.array([["a"], [PAD, text]], pa.list_(pa.string_view())))


def write_binary_views(path: Path, text: str) -> None:
    pack(path, data=pa.array([zstd(f"{PAD} {text}".encode()), b"", None], pa.binary_view()))


def write_sqlite(path: Path, text: str) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA page_size = 4096")
        database.execute("PRAGMA encoding = 'UTF-16'")
        database.execute("CREATE TABLE t (a TEXT)")
        # 4092 bytes fill a page, and 8160 follow the text: it lies across the border of two pages.
        database.execute("INSERT INTO t VALUES (?)", ("x" * 5000 + text + "y" * 4080,))
    database.close()


def write_archive(path: Path, text: str) -> None:
    inner = path.with_name("inner.parquet")
    write_parquet(inner, text)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inner, "inner.parquet")
    inner.unlink()


@pytest.mark.parametrize(
    "write",
    [
        lambda path, text: path.write_bytes(gzip.compress(text.encode())),
        lambda path, text: path.write_bytes(zstd(f"{PAD} {text}".encode("utf-16"))),
        lambda path, text: path.with_name(f"{text}.txt").write_text("named so"),
        write_parquet,
        write_binary_cells,
        write_views,
        write_binary_views,
        write_sqlite,
        write_archive,
    ],
)
def test_the_search_looks_into_what_is_compressed_packed_or_in_pages(tmp_path: Path, write: object) -> None:
    text = "where is my little parcel"
    write(tmp_path / "file", text)  # type: ignore[operator]
    (written,) = tmp_path.iterdir()
    assert not Markers.of([], [text]).is_in(written.read_bytes()), "it does not stand there as it is"
    assert len(search(tmp_path, Markers.of([], [text])).places) == 1
    assert search(tmp_path, Markers.of([], ["where is my large parcel"])).places == []


@given(
    st.lists(st.binary(min_size=1, max_size=12), max_size=6),
    st.lists(st.binary(max_size=40), max_size=6),
    st.integers(0, 9),
)
def test_many_strings_are_found_wherever_they_stand(strings: list[bytes], parts: list[bytes], shift: int) -> None:
    filler = bytes(range(256)) * 9
    for data in (b"".join(parts), filler + b"x" * shift + b"".join(parts) + filler):
        found = Occurrence(strings).is_in(data)
        assert found == any(one in data for one in strings)
        for one in strings:
            assert Occurrence(strings).is_in(data + one) and Occurrence(strings).is_in(b"x" * shift + one + filler)


def test_a_string_across_two_blocks_is_found() -> None:
    text = b"where is my parcel"
    for shift in range(len(text) + 9):
        assert Occurrence([text]).is_in(b"x" * (BLOCK - shift) + text + b"y" * 20)
