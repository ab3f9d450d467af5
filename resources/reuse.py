"""Row-level reuse: a row-wise stage computes only the rows that it has not computed before.

A row is known by a key that covers the fields its modules read, their code versions and their parameters. Equal key,
equal result; so a row whose other fields changed is not computed again.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Compute = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]


class Scratch:
    """A temporary folder for results that are read more than once within a run."""

    def __init__(self, spark: "SparkSession", folder: Path) -> None:
        self.spark = spark
        self.folder = folder
        self._count = 0

    def keep(self, frame: "DataFrame") -> tuple["DataFrame", int]:
        """Computes a DataFrame once; gives it back as read from disk, with its number of rows."""
        self._count += 1
        path = self.folder / str(self._count)
        schema = frame.schema
        frame.write.mode("append").parquet(str(path))
        rows = sum(pq.read_metadata(file).num_rows for file in path.glob("*.parquet"))
        return self.spark.read.schema(schema).parquet(str(path)), rows


@contextmanager
def scratch(spark: "SparkSession", parent: Path) -> Iterator[Scratch]:
    """A :class:`Scratch` below ``parent``, removed afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        yield Scratch(spark, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Computed:
    """The rows of a row-wise stage, and how many of them had to be computed."""

    rows: "DataFrame"
    rows_in: int
    rows_computed: int

    @property
    def rows_reused(self) -> int:
        return self.rows_in - self.rows_computed


def compute_new(
    rows: "DataFrame",
    known: "DataFrame | None",
    key: str,
    compute: Compute,
    schema: str,
    temporary: Scratch,
    groups: int | None = None,
) -> tuple["DataFrame", int]:
    """Computes the rows whose ``key`` is not among the known ones; gives them and their number.

    Args:
        rows: distinct by ``key``, with the columns that ``compute`` reads.
        known: earlier results, ``key`` among their columns, or None.
        compute: run by the engine's ``mapInArrow``; gives rows with ``schema``, ``key`` among them.
        schema: the results' columns as Spark DDL.
        temporary: where the new results are kept, so that they are computed once.
        groups: for results that depend, be it in their last bits, on the rows beside them. Each engine parts and
            orders rows in its own way; with this, ``compute`` is given one batch a group, and the rows of a group and
            their order depend on their keys alone.
    """
    missing = rows if known is None else rows.join(known.select(key), key, "left_anti")
    if groups is None:
        return temporary.keep(missing.mapInArrow(compute, schema))
    return temporary.keep(_in_groups(missing, key, compute, schema, groups))


def _in_groups(rows: "DataFrame", key: str, compute: Compute, schema: str, groups: int) -> "DataFrame":
    from pyspark.sql import functions as F

    def compute_group(group: pa.Table) -> pa.Table:
        return pa.Table.from_batches(compute(group.sort_by(key).combine_chunks().to_batches()))

    group = F.conv(F.substring(F.sha2(key, 256), 1, 8), 16, 10).cast("bigint") % groups
    return rows.withColumn("group", group).groupBy("group").applyInArrow(compute_group, schema)


def compute_reusing(
    rows: "DataFrame", known: "DataFrame | None", key: str, compute: Compute, schema: str, temporary: Scratch
) -> Computed:
    """Like :func:`compute_new`, but gives the results of all rows, the known ones among them."""
    if known is None:
        new, rows_computed = compute_new(rows, known, key, compute, schema, temporary)
        return Computed(new, rows_computed, rows_computed)
    rows, rows_in = temporary.keep(rows)
    new, rows_computed = compute_new(rows, known, key, compute, schema, temporary)
    if rows_computed == rows_in:
        return Computed(new, rows_in, rows_computed)
    reused = known.join(rows.select(key), key, "left_semi").select(*new.columns).dropDuplicates([key])
    return Computed(reused.unionByName(new), rows_in, rows_computed)
