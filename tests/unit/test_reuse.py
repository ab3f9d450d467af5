"""Row-level reuse: only rows that were not computed before are computed, and they are computed once."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from resources.reuse import Compute, Scratch, compute_new, compute_reusing, scratch
from resources.spark import SparkEngine

DDL = "key string, length bigint"


def counting(log: Path) -> Compute:
    """Gives the length of each row's text, and writes down the keys of the rows that it was given."""

    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            keys = batch.column("key").to_pylist()
            with log.open("a", encoding="utf-8") as lines:
                lines.writelines(f"{key}\n" for key in keys)
            lengths = [len(text) for text in batch.column("text").to_pylist()]
            arrays = [pa.array(keys, pa.string()), pa.array(lengths, pa.int64())]
            yield pa.RecordBatch.from_arrays(arrays, ["key", "length"])

    return compute


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "computed"
    path.touch()
    return path


def computed(log: Path) -> list[str]:
    return sorted(log.read_text(encoding="utf-8").split())


def pairs(frame: object) -> list[tuple[str, int]]:
    return sorted((row["key"], row["length"]) for row in frame.collect())  # type: ignore[attr-defined]


def texts(engine: SparkEngine, **rows: str) -> object:
    return engine.session.createDataFrame(list(rows.items()), "key string, text string")


def test_without_earlier_results_all_rows_are_computed_once(engine: SparkEngine, temporary: Scratch, log: Path) -> None:
    found = compute_reusing(texts(engine, a="x", b="yy"), None, "key", counting(log), DDL, temporary)  # type: ignore[arg-type]
    assert pairs(found.rows) == pairs(found.rows) == [("a", 1), ("b", 2)]
    assert (found.rows_in, found.rows_computed, found.rows_reused) == (2, 2, 0)
    assert computed(log) == ["a", "b"]


def test_only_rows_with_a_new_key_are_computed(engine: SparkEngine, temporary: Scratch, log: Path) -> None:
    known = engine.session.createDataFrame([("a", 100), ("gone", 7)], DDL)
    found = compute_reusing(texts(engine, a="x", b="yy"), known, "key", counting(log), DDL, temporary)  # type: ignore[arg-type]
    assert pairs(found.rows) == [("a", 100), ("b", 2)], "a known result is given again, one no longer asked for is not"
    assert (found.rows_in, found.rows_computed, found.rows_reused) == (2, 1, 1)
    assert computed(log) == ["b"]


def test_the_new_results_alone_can_be_had(engine: SparkEngine, temporary: Scratch, log: Path) -> None:
    known = engine.session.createDataFrame([("a", 100)], DDL)
    new, count = compute_new(texts(engine, a="x", b="yy"), known, "key", counting(log), DDL, temporary)  # type: ignore[arg-type]
    assert (pairs(new), count, computed(log)) == ([("b", 2)], 1, ["b"])


def test_where_all_rows_are_new_no_more_than_the_keys_of_earlier_results_is_read(
    engine: SparkEngine, temporary: Scratch, log: Path
) -> None:
    keys_alone = engine.session.createDataFrame([("gone",)], "key string")
    found = compute_reusing(texts(engine, a="x"), keys_alone, "key", counting(log), DDL, temporary)  # type: ignore[arg-type]
    assert (pairs(found.rows), found.rows_computed, found.rows_reused) == ([("a", 1)], 1, 0)


def test_with_nothing_new_nothing_is_computed(engine: SparkEngine, temporary: Scratch, log: Path) -> None:
    known = engine.session.createDataFrame([("a", 100)], DDL)
    found = compute_reusing(texts(engine, a="x"), known, "key", counting(log), DDL, temporary)  # type: ignore[arg-type]
    assert (pairs(found.rows), found.rows_computed, computed(log)) == ([("a", 100)], 0, [])


def test_no_rows_at_all_give_no_results(engine: SparkEngine, temporary: Scratch, log: Path) -> None:
    nothing = engine.session.createDataFrame([], "key string, text string")
    found = compute_reusing(nothing, None, "key", counting(log), DDL, temporary)
    assert (pairs(found.rows), found.rows_in, computed(log)) == ([], 0, [])
    assert found.rows.columns == ["key", "length"]


def test_what_was_kept_is_removed_afterwards_even_after_an_error(engine: SparkEngine, tmp_path: Path) -> None:
    parent = tmp_path / "cache"
    with pytest.raises(RuntimeError), scratch(engine.session, parent) as folder:
        frame, rows = folder.keep(engine.session.createDataFrame([("a", 1)], DDL))
        assert (pairs(frame), rows) == ([("a", 1)], 1)
        assert list(parent.rglob("*.parquet"))
        raise RuntimeError
    assert list(parent.iterdir()) == []
