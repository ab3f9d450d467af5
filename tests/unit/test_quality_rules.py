"""The functions behind the checks: each marks exactly the rows that break its rule, whatever the rows are."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.embed.vectors import pack_vectors
from chatbot_assets.quality.findings import NAMED_ROWS, Finding, from_notes, judged, to_notes
from chatbot_assets.quality.rules import (
    any_null,
    broken_files,
    keys_of,
    lengths_differ,
    may_hold_nulls,
    on_both_sides,
    outside_of,
    repeated,
    unknown,
    unsound_vectors,
    wrong_types,
)

words = st.sampled_from(["a", "b", "c", "d"])
maybe = st.none() | words
lists = st.lists(words, max_size=3)
SCHEMA = pa.schema([("id", pa.string()), ("words", pa.list_(pa.string())), ("at", pa.timestamp("us", "UTC"))])


def strings(values: list[str | None]) -> pa.ChunkedArray:
    """A column in chunks, as tables of several files have them."""
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], pa.string()), pa.array(values[half:], pa.string())])


@given(st.lists(st.tuples(words, words), max_size=12))
def test_exactly_the_keys_of_several_rows_are_repeated(pairs: list[tuple[str, str]]) -> None:
    table = pa.table({"one": strings([one for one, _ in pairs]), "two": strings([two for _, two in pairs])})
    for key, of in ((("one",), [one for one, _ in pairs]), (("one", "two"), [" / ".join(pair) for pair in pairs])):
        found = repeated(table, key)
        counts = {name: count for name, count in Counter(of).items() if count > 1}
        assert dict(zip(keys_of(found, key), found.column("count").to_pylist(), strict=True)) == counts


@given(st.lists(maybe, max_size=8), st.lists(words, max_size=3))
def test_exactly_the_values_that_are_not_among_the_known_ones_are_unknown(
    values: list[str | None], known: list[str]
) -> None:
    marks = unknown(strings(values), strings(list(known))).to_pylist()
    assert marks == [value is not None and value not in known for value in values]


@given(st.lists(st.tuples(words, st.sampled_from(["train", "test"])), max_size=12))
def test_exactly_the_learnt_rows_whose_text_is_held_out_too_stand_on_both_sides(rows: list[tuple[str, str]]) -> None:
    marks = on_both_sides(strings([text for text, _ in rows]), strings([side for _, side in rows]), "test")
    held_out = {text for text, side in rows if side == "test"}
    assert marks.to_pylist() == [side == "train" and text in held_out for text, side in rows]


@given(st.lists(st.tuples(maybe, maybe), min_size=1, max_size=6))
def test_exactly_the_rows_that_lack_a_value_are_marked(rows: list[tuple[str | None, str | None]]) -> None:
    batch = pa.RecordBatch.from_pylist(
        [{"one": one, "two": two} for one, two in rows], pa.schema([("one", pa.string()), ("two", pa.string())])
    )
    assert any_null(batch, ("one", "two")).to_pylist() == [None in row for row in rows]


@given(st.lists(st.tuples(lists, lists), min_size=1, max_size=6))
def test_exactly_the_rows_with_lists_of_several_lengths_are_marked(rows: list[tuple[list[str], list[str]]]) -> None:
    schema = pa.schema([("one", pa.list_(pa.string())), ("two", pa.list_(pa.string()))])
    batch = pa.RecordBatch.from_pylist([{"one": one, "two": two} for one, two in rows], schema)
    assert lengths_differ(batch, ("one", "two")).to_pylist() == [len(one) != len(two) for one, two in rows]


@given(st.lists(st.none() | st.floats(-2, 2) | st.just(float("nan")), max_size=6))
def test_exactly_the_values_outside_of_their_bounds_are_marked(values: list[float | None]) -> None:
    column = pa.array(values, pa.float64())
    bounds = [pa.array([bound] * len(values), pa.float64()) for bound in (0.0, 1.0)]
    assert outside_of(column, *bounds).to_pylist() == [value is not None and not 0 <= value <= 1 for value in values]


@given(st.lists(st.sampled_from(["unit", "zero", "long", "nan", "inf", "narrow"]), max_size=8))
def test_exactly_the_vectors_that_are_neither_of_unit_length_nor_zero_are_unsound(kinds: list[str]) -> None:
    cells = {
        "unit": np.full((1, 4), 0.5),
        "zero": np.zeros((1, 4)),
        "long": np.ones((1, 4)),
        "nan": np.array([[np.nan, 0, 0, 1]]),
        "inf": np.array([[np.inf, 0, 0, 0]]),
        "narrow": np.array([[1.0, 0]]),
    }
    column = pa.array([pack_vectors(cells[kind].astype(np.float32))[0].as_py() for kind in kinds], pa.binary())
    assert unsound_vectors(column, 8).tolist() == [kind not in ("unit", "zero") for kind in kinds]


@given(st.permutations(range(5)), st.sets(st.integers(0, 4)), st.booleans())
def test_a_model_is_whole_when_no_chunk_is_missing_and_the_bytes_are_those_recorded(
    order: list[int], missing: set[int], damaged: bool
) -> None:
    parts = [bytes([number]) * 3 for number in range(5)]
    sha256 = hashlib.sha256(b"".join(parts)).hexdigest()
    rows = [
        {"file": "weights", "chunk": place, "chunks": 5, "sha256": sha256, "data": parts[place]}
        for place in order
        if place not in missing
    ]
    if damaged and rows:
        rows[0]["data"] = b"other"
    problems = broken_files(rows)
    if not rows:
        assert problems == []
    elif missing:
        assert problems == [f"weights has {len(rows)} of 5 chunks"]
    else:
        assert problems == (["weights has another SHA-256 than recorded"] if damaged else [])


def test_columns_of_another_type_and_missing_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table({"id": pa.array([1]), "more": ["x"], "words": pa.array([["a"]])}), path)
    assert wrong_types(path, SCHEMA) == [
        "at is missing",
        "more is not declared",
        "id is int64 instead of string",
    ]


def test_what_engines_write_in_their_own_ways_is_the_same_type(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    own = pa.schema(
        [
            ("id", pa.large_string()),
            ("words", pa.large_list(pa.field("element", pa.large_string()))),
            ("at", pa.timestamp("ns", "Europe/Berlin")),
        ]
    )
    pq.write_table(own.empty_table(), path)
    assert wrong_types(path, SCHEMA) == []


@given(st.lists(maybe, min_size=1, max_size=6), st.booleans())
def test_a_column_that_holds_a_null_is_always_looked_at(
    tmp_path_factory: object, values: list[str | None], statistics: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "nulls.parquet"  # type: ignore[attr-defined]
    pq.write_table(pa.table({"one": pa.array(values, pa.string())}), path, write_statistics=statistics)
    found = may_hold_nulls(path, ["one"])
    assert found == ["one"] if None in values or not statistics else found == []


def test_a_finding_names_the_first_rows_and_counts_all() -> None:
    found = judged(30, "all is well", "odd rows", (f"row {number}" for number in range(30)))
    assert not found.passed and len(found.rows) == NAMED_ROWS
    assert found.description == "odd rows: 30 (row 0, row 1, row 2, row 3, row 4 and 25 more)"


def test_findings_come_back_from_a_commit_s_notes() -> None:
    finding = Finding("unique_key", False, "blocks", "twice: 1 (a)", ("a",))
    assert from_notes({"train": 5, **to_notes([finding])}) == {"unique_key": finding}
    assert from_notes({"train": 5}) == {}
