"""Rows that are computed in groups come out alike, however the engine parts and orders them."""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pytest

from resources.reuse import Scratch, compute_new
from resources.spark import SparkEngine

KEYS = [f"{number * 7919 % 1000:03d}" for number in range(400)]


def neighbours(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Each row with the one before it in its batch, and the size of the batch."""
    for batch in batches:
        keys = batch.column("key").to_pylist()
        yield pa.record_batch({"key": keys, "before": ["", *keys[:-1]], "size": [len(keys)] * len(keys)})


def computed(rows: list[str], parts: int, groups: int, engine: SparkEngine, temporary: Scratch) -> set[tuple[str, ...]]:
    frame = engine.session.createDataFrame(pa.table({"key": pa.array(rows, pa.string())}), "key string")
    schema = "key string, before string, size bigint"
    found, count = compute_new(frame.repartition(parts), None, "key", neighbours, schema, temporary, groups)
    assert count == len(rows)
    return {tuple(row) for row in found.collect()}


@pytest.mark.parametrize("groups", [1, 3])
def test_a_row_s_neighbours_depend_on_the_keys_alone(engine: SparkEngine, temporary: Scratch, groups: int) -> None:
    one = computed(KEYS, 1, groups, engine, temporary)
    assert computed(KEYS[::-1], 5, groups, engine, temporary) == one
    assert len({size for _, _, size in one}) <= groups
    assert sum(before == "" for _, before, _ in one) == groups, "each group is one batch"
    assert all(before < key for key, before, _ in one), "in the order of the keys"


def test_without_rows_nothing_comes_out(engine: SparkEngine, temporary: Scratch) -> None:
    assert computed([], 2, 2, engine, temporary) == set()
