"""Turns unread landing files into changes of ``dialogues``, ``rejected`` and ``landing_files``.

The three tables are committed one after the other, the ledger last. A refresh that dies in between reads the file again
and finds the rows that are already there, so none is lost and none is doubled.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.code_version import code_version
from chatbot_assets.collect.landing import PARSED_DDL, LandingFile, ParseFiles, file_sha256, format_of
from chatbot_assets.collect.sources import Sources
from resources.lakehouse import Change, LakeTable
from resources.remembered import Remembered
from resources.reuse import Scratch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


WITHDRAWN = "withdrawn"
"""The ledger's status of a file whose rows were taken out again; landed anew, it is read as if for the first time."""


ERASED = "erased"
"""The ledger's status of a file that a person's rows were taken out of after it was read; it is never read again.

Its other rows keep their identifiers, which are made of the bytes that the file had then.
"""


Source = tuple[str, str]
"""A landing file as rows name it: its name and the SHA-256 of its bytes."""
SOURCE = ["source_file", "file_sha256"]


@dataclass(frozen=True)
class Unread:
    """A landing file that the ledger does not know, and whether its bytes were read before."""

    file: LandingFile
    sha256: str
    duplicate: bool


def mapping_hash(sources: Sources) -> str:
    """Identifies how files are read: the column mapping and the reader's code."""
    code = [code_version(("chatbot_assets.collect.landing",)), sources.transform and sources.transform.version()]
    canonical = json.dumps([sources.model_dump(mode="json"), code])
    return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()


class Ledger:
    """What the table ``landing_files`` says of every file read so far."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self.rows = list(rows)
        self._settled: dict[str, set[tuple[str, int, int]]] = {}

    def settled(self, mapping: str) -> set[tuple[str, int, int]]:
        """Name, size and modification time of the files that need not be looked at again under a mapping."""
        if mapping not in self._settled:
            read = self.contents_read(mapping)
            self._settled = {
                mapping: {
                    (row["source_file"], row["size"], row["modified_ns"])
                    for row in self.rows
                    if (row["file_sha256"], file_kind(row["source_file"])) in read
                }
            }
        return self._settled[mapping]

    def contents_read(self, mapping: str) -> set[tuple[str, str]]:
        """What need not be read again: hash and kind of the files read as today, or without a rejected row.

        The kind belongs to it: a file that was refused for its name is read when it is landed again under a better one.
        """
        return {
            (row["file_sha256"], file_kind(row["source_file"]))
            for row in self.rows
            if row["status"] == ERASED
            or (row["status"] == "read" and (row["mapping"] == mapping or not row["rejected"]))
        }


def read_ledger(landing_files: LakeTable) -> Ledger:
    """The ledger as it is now."""
    last = landing_files.last()
    mark = last and (last.version, last.committed_at)
    return _ledgers.get(landing_files.path, mark, lambda: Ledger(_rows(landing_files)))


_ledgers: Remembered[Ledger] = Remembered()


def _rows(landing_files: LakeTable) -> list[dict[str, Any]]:
    columns = ["source_file", "file_sha256", "size", "modified_ns", "mapping", "status", "rejected"]
    rows: list[dict[str, Any]] = landing_files.arrow(columns).to_pylist()
    return rows


def not_in_ledger(files: Iterable[LandingFile], ledger: Ledger, mapping: str) -> list[LandingFile]:
    """The files that must be looked at, by name, size and modification time alone.

    A file is looked at again when it is read differently today and some of its rows were rejected then.
    """
    settled = ledger.settled(mapping)
    return [file for file in files if (file.name, file.size, file.modified_ns) not in settled]


def unread_files(files: Iterable[LandingFile], ledger: Ledger, mapping: str) -> list[Unread]:
    """The files to read, with their hashes; a byte-equal copy of a file already read is marked as a duplicate."""
    seen = ledger.contents_read(mapping)
    found: list[Unread] = []
    for file in not_in_ledger(files, ledger, mapping):
        try:
            sha256 = file_sha256(file.path)
            stat = file.path.stat()
        except FileNotFoundError:
            continue  # taken away since it was listed
        if (stat.st_size, stat.st_mtime_ns) != (file.size, file.modified_ns):
            continue  # still being written; the next refresh will find it complete
        content = (sha256, file_kind(file.name))
        if content not in seen and sha256 in {one.sha256 for one in found if not one.duplicate}:
            continue  # the same bytes as of another kind, so the same row ids: the next refresh reads it
        found.append(Unread(file, sha256, content in seen))
        seen.add(content)
    return found


def file_kind(name: str) -> str:
    """The format that a file's name says it has, ``.gz`` included."""
    return f"{format_of(name)}{'.gz' if name.lower().endswith('.gz') else ''}"


def of_sources(sources: Iterable[Source]) -> Callable[[pa.RecordBatch], pa.Array]:
    """Marks the rows that came from these files, for ``LakeTable.amend``; needs the columns ``SOURCE``."""
    marked = pa.array(sorted("/".join(source) for source in sources), pa.string())
    return lambda batch: pc.is_in(pc.binary_join_element_wise(*map(batch.column, SOURCE), "/"), value_set=marked)


def read_landing(
    spark: "SparkSession",
    unread: Sequence[Unread],
    sources: Sources,
    dialogues: LakeTable,
    rejected: LakeTable,
    landing_files: LakeTable,
    temporary: Scratch,
) -> Iterator[tuple[str, Change]]:
    """The changes of the three tables, by name, in the order in which they must be committed."""
    from pyspark.sql import functions as F

    fresh = [file for file in unread if not file.duplicate]
    arrived_at = datetime.now(UTC)
    parsed, rows = temporary.keep(_parse(spark, fresh, sources).withColumn("arrived_at", F.lit(arrived_at)))
    hashes = [file.sha256 for file in fresh]

    accepted = parsed.filter(F.col("reason").isNull()).withColumnRenamed("row_id", "turn_id")
    if dialogues.last() is not None:
        present = dialogues.frame(spark).filter(F.col("file_sha256").isin(hashes)).select("turn_id")
        accepted = accepted.join(present, "turn_id", "left_anti")
    staged = dialogues.stage_frame(accepted)
    new = sum(file.rows for file in staged)
    yield "dialogues", dialogues.append(staged, rows_in=rows, rows_computed=new, rows_reused=0)

    refused = parsed.filter(F.col("reason").isNotNull()).withColumnRenamed("row_id", "rejected_id")
    staged = rejected.stage_frame(refused)
    counts = _count_by_file(parsed)
    refused_rows = sum(counts.get((sha256, True), 0) for sha256 in hashes)
    value_set = pa.array(hashes, pa.string())
    yield (
        "rejected",
        rejected.amend(
            staged,
            lambda batch: pc.is_in(batch.column("file_sha256"), value_set=value_set),
            ["file_sha256"],
            rows_in=rows,
            rows_computed=refused_rows,
        ),
    )

    ledger = [_ledger_row(file, counts, mapping_hash(sources), arrived_at) for file in unread]
    staged = landing_files.stage_arrow(pa.Table.from_pylist(ledger, landing_files.table.schema))
    notes = {"duplicates": sorted(file.file.name for file in unread if file.duplicate)}
    landed_again = of_sources((file.file.name, file.sha256) for file in unread)
    yield (
        "landing_files",
        landing_files.amend(
            staged,
            lambda batch: pc.and_(pc.equal(batch.column("status"), WITHDRAWN), landed_again(batch)),
            ["status", *SOURCE],
            rows_in=len(unread),
            rows_computed=len(unread),
            notes=notes,
        ),
    )


def _parse(spark: "SparkSession", fresh: Sequence[Unread], sources: Sources) -> "DataFrame":
    files = pa.table(
        {
            "path": pa.array([os.fsencode(file.file.path) for file in fresh], pa.binary()),
            "source_file": pa.array([file.file.name for file in fresh], pa.string()),
            "file_sha256": pa.array([file.sha256 for file in fresh], pa.string()),
        }
    )
    frame = spark.createDataFrame(files, "path binary, source_file string, file_sha256 string")
    return frame.mapInArrow(ParseFiles(sources), PARSED_DDL)


def _count_by_file(parsed: "DataFrame") -> dict[tuple[str, bool], int]:
    from pyspark.sql import functions as F

    refused = F.col("reason").isNotNull().alias("refused")
    rows = parsed.groupBy("file_sha256", refused).agg(F.count("*").alias("rows")).collect()
    return {(row["file_sha256"], row["refused"]): row["rows"] for row in rows}


def _ledger_row(file: Unread, counts: dict[tuple[str, bool], int], mapping: str, read_at: datetime) -> dict[str, Any]:
    return {
        "source_file": file.file.name,
        "file_sha256": file.sha256,
        "size": file.file.size,
        "modified_ns": file.file.modified_ns,
        "mapping": mapping,
        "status": "duplicate" if file.duplicate else "read",
        "rows": 0 if file.duplicate else counts.get((file.sha256, False), 0),
        "rejected": 0 if file.duplicate else counts.get((file.sha256, True), 0),
        "read_at": read_at,
    }
