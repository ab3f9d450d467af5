"""The lake: versioned Delta tables whose every commit says what it was made from.

A materialisation goes through three steps, so that it is one atomic commit or nothing:

1. *stage*: the engine (or Arrow) writes Parquet files below the table's folder; no reader sees them.
2. *hash*: the staged rows are hashed. The hash of a set of rows is the sum of its rows' hashes, so adding or removing
   a few rows costs a few rows, and order does not matter.
3. *commit*: one Delta log entry adds the staged files, removes what they replace and carries a :class:`Record` in
   ``userMetadata``. It succeeds only if the table is still at the version that was read (compare-and-set).

Rows that a person waits for are hashed and appended by one Delta write instead, under the same conditions
(:meth:`LakeTable.append_recorded`).

Equal rows give no files; equal rows from equal inputs give no commit at all. Lineage therefore lives here, in the Delta
logs, and needs no other database.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.parquet as pq

from chatbot_assets.tables import TABLES, Table
from resources.arrow_values import row_dicts, text_array
from resources.remembered import Remembered, fingerprint

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable, Schema
    from pyspark.sql import DataFrame, SparkSession

RECORD_FORMAT = 1
HASH_BITS = 128
REPLAYED_COMMITS = 32
"""A log of at most so many commits is read by itself; starting ``deltalake`` costs more than that."""
CHECKPOINT_EVERY = 100
"""Commits after which ``deltalake`` makes a checkpoint."""
LOCK = ".lock"
LOG_FILE = re.compile(r"^(\d{20})\.json$")
TABLE_PROPERTIES = {
    # Rebuilds read old versions, so neither Delta's writers nor a checkpoint may clean up on their own.
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
}


class ConflictError(RuntimeError):
    """Somebody else committed to the table since it was read; nothing was written."""


class LakeError(RuntimeError):
    """The lake holds something that cannot be used; its text says what to do."""


@dataclass(frozen=True)
class InputVersion:
    """Which state of an input table was read."""

    version: int
    data_version: str


@dataclass(frozen=True)
class Signature:
    """What a table's rows depend on: its inputs, the code versions of its modules, and its configuration."""

    inputs: Mapping[str, InputVersion] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    config: str = ""

    def differences(self, made: "Signature") -> list[str]:
        """In words, why rows made from ``made`` are out of date; empty when they are not."""
        reasons = [
            f"{name} changed"
            for name, now in sorted(self.inputs.items())
            if name not in made.inputs or made.inputs[name].data_version != now.data_version
        ]
        reasons += [
            f"code of {name} changed" for name, version in sorted(self.code.items()) if made.code.get(name) != version
        ]
        if made.config != self.config:
            reasons.append("configuration changed")
        return reasons


@dataclass(frozen=True)
class Record:
    """What a commit says about itself, kept as JSON in Delta's ``userMetadata``.

    ``accepted`` maps code versions that an operator declared to give the same results to the version they equal.
    """

    signature: Signature
    data_version: str
    content_hash: str
    row_hash: str
    rows: int
    rows_in: int = 0
    rows_computed: int = 0
    rows_reused: int = 0
    config_hash: str = ""
    code_revision: str = ""
    engine: str = ""
    run_id: str = ""
    accepted: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code_version(self) -> str:
        canonical = json.dumps(dict(self.signature.code), sort_keys=True)
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()

    @classmethod
    def of(cls, change: "Change", signature: Signature, **more: Any) -> "Record":
        """The record of a change that was made from ``signature``; ``more`` are the fields that the change lacks."""
        return cls(
            signature=signature,
            data_version=change.data_version,
            content_hash=change.content_hash,
            row_hash=change.row_hash,
            rows=change.rows,
            rows_in=change.rows_in,
            rows_computed=change.rows_computed,
            rows_reused=change.rows_reused,
            notes=change.notes,
            **more,
        )

    def after(self, change: "Change") -> "Record":
        """The same record, for a commit that changes the rows but not what they are made from."""
        return replace(self, content_hash=change.content_hash, row_hash=change.row_hash, rows=change.rows)

    def to_json(self) -> str:
        return json.dumps(
            {"format": RECORD_FORMAT, "code_version": self.code_version, **asdict(self)},
            ensure_ascii=False,
            sort_keys=True,
        )

    @classmethod
    def from_json(cls, text: str) -> "Record | None":
        """The record, or None when the text is something else's metadata."""
        try:
            data = json.loads(text)
            if data.pop("format", None) != RECORD_FORMAT:
                return None
            data.pop("code_version")
            signature = data.pop("signature")
            inputs = {name: InputVersion(**version) for name, version in signature.pop("inputs").items()}
            return cls(signature=Signature(inputs=inputs, **signature), **data)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True)
class Commit:
    """A table's newest state: its Delta version, and the record of the commit that made its rows.

    ``record`` is None when rows were written last without one; ``changed_at`` is the version that did.
    """

    version: int
    record: Record | None
    committed_at: datetime
    changed_at: int = 0

    @property
    def data_version(self) -> str:
        """What the rows are: the record's DataVersion, or the version that changed them last."""
        return self.record.data_version if self.record else f"version {self.changed_at}"


@dataclass(frozen=True)
class LogEntry:
    """What a version added to the table's data files, and what it took from them."""

    committed_at: datetime
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True)
class StagedFile:
    """A Parquet file below the table's folder that no commit names yet."""

    path: str
    size: int
    rows: int


@dataclass(frozen=True)
class Change:
    """What a stage wants to become visible: staged files, files they replace, and what the table then holds."""

    table: Table
    adds: tuple[StagedFile, ...]
    removes: tuple[str, ...]
    data_version: str
    content_hash: str
    row_hash: str
    rows: int
    rows_in: int = 0
    rows_computed: int = 0
    rows_reused: int = 0
    notes: Mapping[str, Any] = field(default_factory=dict)


class RowHash:
    """An order-independent hash of a multiset of rows: the sum of the rows' BLAKE2b hashes modulo 2**128.

    Sums of hashes are the additive construction of Bellare & Micciancio, "A New Paradigm for Collision-free Hashing"
    (1997); here it guards against accidents, not against an attacker who chooses rows.
    """

    def __init__(self, columns: Sequence[str], start: str | None = None) -> None:
        self.columns = list(columns)
        self.total = int(start, 16) if start else 0

    def add(self, batch: pa.RecordBatch | pa.Table, sign: int = 1) -> None:
        """Adds the rows of a batch, or takes them away with ``sign=-1``."""
        values = [batch.column(name).to_pylist() for name in self.columns]
        total = 0
        for row in zip(*values, strict=True):
            canonical = _encode(row).encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(canonical, digest_size=HASH_BITS // 8).digest()
            total += int.from_bytes(digest, "big")
        self.total = (self.total + sign * total) % (1 << HASH_BITS)

    def hexdigest(self) -> str:
        return f"{self.total:0{HASH_BITS // 4}x}"


def _canonical(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value)} cannot be part of a row's hash")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_canonical).encode


_last_commits: Remembered["Commit | None"] = Remembered()


class LakeTable:
    """One Delta table of one bot."""

    def __init__(self, path: Path, table: Table) -> None:
        self.path = path
        self.table = table

    # -- reading ------------------------------------------------------------------------------------------------

    def last(self) -> Commit | None:
        """The newest commit, from the newest log files alone; None when the table does not exist."""
        log = self.path / "_delta_log"
        return _last_commits.get(log, fingerprint(log), self._read_last)

    def at(self, version: int) -> Commit | None:
        """The table as it stood at a version: what :meth:`last` said then. None when it did not exist yet."""
        return self._read_commit([number for number in self._log_versions() if number <= version])

    def _read_last(self) -> Commit | None:
        return self._read_commit(self._log_versions())

    def _read_commit(self, versions: Sequence[int]) -> Commit | None:
        """The newest of these versions, with the record that was in force."""
        if not versions:
            return None
        newest = max(versions)
        committed_at: datetime | None = None
        for version in sorted(versions, reverse=True):
            info = self._commit_info(version)
            committed_at = committed_at or datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC)
            record = Record.from_json(info.get("userMetadata") or "")
            if record is not None or self._changes_rows(version):
                return Commit(newest, record, committed_at, version)
        return Commit(newest, None, committed_at or datetime.fromtimestamp(0, UTC))

    def records(self, until: int | None = None) -> Iterator[tuple[int, Record]]:
        """All records in the log (up to a version), newest first."""
        for version in sorted((n for n in self._log_versions() if until is None or n <= until), reverse=True):
            record = Record.from_json(self._commit_info(version).get("userMetadata") or "")
            if record is not None:
                yield version, record

    def arrow(self, columns: Sequence[str] | None = None, version: int | None = None) -> pa.Table:
        """All rows (of a version) as an Arrow table in the table's own types."""
        names = list(columns or self.table.schema.names)
        schema = pa.schema([self.table.schema.field(name) for name in names])
        return pa.Table.from_batches(self.batches(names, version), schema)

    def batches(self, columns: Sequence[str], version: int | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in batches, in the table's own types, for work that must not hold them all."""
        if self.last() is not None:
            yield from self.read_files([path for path, _ in self._active_files(version)], columns)

    def read_files(self, paths: Iterable[str], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of some data files, named as in :meth:`files`, in batches."""
        for path in paths:
            file = pq.ParquetFile(self.path / path)
            present = set(columns) & set(file.schema_arrow.names)
            for batch in file.iter_batches(columns=sorted(present)):
                yield self._in_own_types(batch, columns)

    def rows_with(
        self, column: str, values: Iterable[str], columns: Sequence[str], version: int | None = None
    ) -> list[dict[str, Any]]:
        """The rows (of a version) whose text in ``column`` is one of ``values``, for a look at a few rows of many.

        Parts of files that cannot hold any of them are passed over, and ``columns`` are read of the others alone.
        """
        sought = set(values)
        files = [path for path, _ in self._active_files(version)] if sought and self.last() else []
        return self.rows_of_files(files, column, sought, columns)

    def rows_of_files(
        self, paths: Iterable[str], column: str, values: Iterable[str], columns: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Of some data files, named as in :meth:`files`, the rows whose text in ``column`` is one of ``values``."""
        import pyarrow.compute as pc

        sought = sorted(set(values))
        wanted = text_array(sought)
        found: list[dict[str, Any]] = []
        for path in paths:
            file = pq.ParquetFile(self.path / path)
            present = sorted(set(columns) & set(file.schema_arrow.names))
            for number in range(file.num_row_groups):
                if not _may_hold(file.metadata.row_group(number), column, sought):
                    continue
                texts = file.read_row_group(number, [column]).column(0).cast(pa.string())
                places = pc.indices_nonzero(pc.is_in(texts, value_set=wanted))
                if len(places):
                    batches = file.read_row_group(number, present).to_batches()
                    rows = pa.Table.from_batches(self._in_own_types(batch, columns) for batch in batches)
                    found += row_dicts(rows.take(places))
        return found

    def _in_own_types(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """Some columns in the table's own types; a file older than a column of the table holds null there.

        Where Delta updates rows itself it writes texts as views, which Arrow can neither filter nor take.
        """
        schema = pa.schema([self.table.schema.field(name) for name in columns])
        arrays = [
            batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(arrays, names=schema.names).cast(schema)

    def files(self, change: "Change | None" = None) -> list[str]:
        """The data files, relative to the table, that hold its rows now, or will once a change is committed."""
        now = [path for path, _ in self._active_files()] if self.last() else []
        if change is None:
            return now
        removed = set(change.removes)
        return [*(path for path in now if path not in removed), *(file.path for file in change.adds)]

    def arrow_of(self, files: Iterable[str], columns: Sequence[str]) -> pa.Table:
        """The rows of some of the table's files, staged ones too, as an Arrow table in the table's own types."""
        schema = pa.schema([self.table.schema.field(name) for name in columns])
        return pa.Table.from_batches(self.read_files(files, columns), schema)

    def frame(self, spark: "SparkSession", version: int | None = None) -> "DataFrame":
        """A lazy DataFrame, pinned to a version so that it never reads whatever is newest when it is evaluated."""
        last = self.last()
        if last is None:
            raise LakeError(f"table {self.path.name} of {self.path.parent.name} does not exist; refresh the bot")
        pinned = last.version if version is None else version
        if quote(str(self.path)) != str(self.path):
            # Sail 0.7 finds no Delta table below a path with blanks or other letters, but Parquet files it does.
            return self._frame_of_files(spark, [path for path, _ in self._active_files(pinned)])
        return spark.read.format("delta").option("versionAsOf", pinned).load(str(self.path))

    def _frame_of_files(self, spark: "SparkSession", files: Sequence[str]) -> "DataFrame":
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = from_arrow_schema(self.table.schema)
        if not files:
            return spark.createDataFrame([], schema)
        return spark.read.schema(schema).parquet(*(str(self.path / file) for file in files))

    def files_added(self, since: int, until: int) -> list[Path] | None:
        """The data files that commits after ``since`` added; None when they also removed some, or cannot be read."""
        added: list[Path] = []
        for version in range(since + 1, until + 1):
            try:
                actions = self._log_actions(version)
            except FileNotFoundError:
                return None
            if any("remove" in action for action in actions):
                return None
            added += [self.path / unquote(action["add"]["path"]) for action in actions if "add" in action]
        return added

    def files_at(self, version: int) -> list[str]:
        """The data files, relative to the table, that hold the rows of a version."""
        return [path for path, _ in self._active_files(version)]

    def file_bounds(self, column: str) -> list[tuple[str, Any, Any]]:
        """Each data file of the newest version with a column's smallest and largest value in it.

        As Delta's log keeps them, with times cut to milliseconds; None where it does not tell.
        """
        if self.last() is None:
            return []
        actions = self._add_actions()
        unknown = [None] * actions.num_rows
        smallest, largest = (
            actions.column(name).to_pylist() if name in actions.column_names else unknown
            for name in (f"min.{column}", f"max.{column}")
        )
        return list(zip(_paths(actions), smallest, largest, strict=True))

    def file_sizes(self) -> dict[str, int]:
        """Size in bytes of each data file of the newest version, by its path below the table's folder."""
        return dict(self._active_files())

    def history(self) -> list[LogEntry]:
        """What each version did to the table's files, from version 0.

        Raises:
            LakeError: when the log does not hold every version.
        """
        versions = sorted(self._log_versions())
        if versions != list(range(len(versions))):
            raise LakeError(f"{self.path}: its log has gaps; restore the table")
        history = []
        for version in versions:
            actions = self._log_actions(version)
            info: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
            added, removed = (
                tuple(unquote(action[kind]["path"]) for action in actions if kind in action)
                for kind in ("add", "remove")
            )
            history.append(LogEntry(self._moment(version, info), added, removed))
        return history

    def _moment(self, version: int, info: Mapping[str, Any]) -> datetime:
        """When a version was committed: as its ``commitInfo`` says or, where that says nothing, its log file."""
        log_file = self.path / "_delta_log" / f"{version:020d}.json"
        return datetime.fromtimestamp(info.get("timestamp", 0) / 1000 or log_file.stat().st_mtime, UTC)

    def _delta(self, version: int | None = None) -> "DeltaTable":
        from deltalake import DeltaTable

        return DeltaTable(str(self.path), version=version)

    def _log_versions(self) -> list[int]:
        try:
            names = os.listdir(self.path / "_delta_log")
        except FileNotFoundError:
            return []
        return [int(match[1]) for match in map(LOG_FILE.match, names) if match]

    def _commit_info(self, version: int) -> dict[str, Any]:
        """What a log entry says of itself; nothing of its files, of which there may be many, is looked at."""
        with open(self._log_file(version), encoding="utf-8") as lines:
            for line in lines:
                if line.startswith('{"commitInfo"'):
                    info: dict[str, Any] = json.loads(line)["commitInfo"]
                    return info
        return {}

    def _changes_rows(self, version: int) -> bool:
        kinds = ("add", "remove")
        return any(action.get(kind, {}).get("dataChange") for action in self._log_actions(version) for kind in kinds)

    def _log_actions(self, version: int) -> list[dict[str, Any]]:
        with open(self._log_file(version), encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _log_file(self, version: int) -> str:
        return f"{self.path}/_delta_log/{version:020d}.json"

    # -- staging ------------------------------------------------------------------------------------------------

    def stage_arrow(self, rows: pa.Table | Iterable[pa.RecordBatch]) -> tuple[StagedFile, ...]:
        """Writes rows, in the table's columns, to one Parquet file that no reader sees yet."""
        folder = self._staging_folder()
        schema = self.table.schema
        batches = rows.cast(schema).to_batches() if isinstance(rows, pa.Table) else (b.cast(schema) for b in rows)
        with pq.ParquetWriter(folder / "part-0.parquet", schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
        return self._staged(folder)

    def stage_frame(self, frame: "DataFrame") -> tuple[StagedFile, ...]:
        """Lets the engine compute a DataFrame and write it, in the table's columns, to Parquet files."""
        folder = self._staging_folder()
        frame.select(*self.table.schema.names).write.mode("append").parquet(str(folder))
        return self._staged(folder)

    def _staging_folder(self) -> Path:
        # Not "_staging": vacuum passes over folders that begin with an underscore, and leftovers must be found.
        folder = self.path / "data" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def _staged(self, folder: Path) -> tuple[StagedFile, ...]:
        found = []
        for path in sorted(folder.glob("*.parquet")):
            rows = pq.read_metadata(path).num_rows
            if rows:
                found.append(StagedFile(path.relative_to(self.path).as_posix(), path.stat().st_size, rows))
            else:
                path.unlink()  # no commit will name it
        return tuple(found)

    def _staged_batches(self, files: Iterable[StagedFile], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for file in files:
            yield from pq.ParquetFile(self.path / file.path).iter_batches(columns=list(columns))

    def staged_rows(self, files: Iterable[StagedFile], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of staged files, for a stage that must look at what it has just computed."""
        for batch in self._staged_batches(files, columns):
            yield from batch.to_pylist()

    # -- changes ------------------------------------------------------------------------------------------------

    def overwrite(self, staged: tuple[StagedFile, ...], **counts: Any) -> Change:
        """The staged rows become the whole table."""
        removes = tuple(path for path, _ in self._active_files()) if self.last() else ()
        content, rows = self._hash(staged, None)
        return self._change(staged, removes, content, rows, sum(file.rows for file in staged), counts)

    def append(self, staged: tuple[StagedFile, ...], **counts: Any) -> Change:
        """The staged rows join the table."""
        return self.amend(staged, None, **counts)

    def amend(
        self,
        staged: tuple[StagedFile, ...],
        gone: Callable[[pa.RecordBatch], pa.Array] | None,
        columns: Sequence[str] = (),
        **counts: Any,
    ) -> Change:
        """The staged rows join the table, and the rows that ``gone`` marks leave it.

        ``gone`` is given batches with ``columns`` and answers a boolean array. Only files that hold a marked row are
        written again.
        """
        last = self.last()
        record = self._record_of(last)
        content, rows = self._hash(staged, record)
        adds, removes = list(staged), []
        total = (record.rows if record else 0) + sum(file.rows for file in staged)
        if gone is not None and last:
            import pyarrow.compute as pc

            for path, _ in self._active_files():
                marks = [gone(batch) for batch in self.read_files([path], columns)]
                marked = sum(pc.sum(mark).as_py() or 0 for mark in marks)
                if not marked:
                    continue
                removes.append(path)
                total -= marked
                kept = []
                for batch in self.read_files([path], self.table.schema.names):
                    mark = gone(batch.select(list(columns)))
                    leaving = batch.filter(mark)
                    content.add(leaving, -1)
                    rows.add(leaving, -1)
                    kept.append(batch.filter(pc.invert(mark)))
                adds.extend(self.stage_arrow(kept))
        return self._change(tuple(adds), tuple(removes), content, rows, total, counts)

    def _record_of(self, last: Commit | None) -> Record | None:
        if last and last.record is None:
            raise LakeError(f"{self.path}: rows were written by something else; restore or remove the table")
        return last.record if last else None

    def unchanged(self, **counts: Any) -> Change:
        """No row changes (but what the rows were made from may have)."""
        return self.append((), **counts)

    def _change(
        self,
        adds: tuple[StagedFile, ...],
        removes: tuple[str, ...],
        content: RowHash,
        rows: RowHash,
        total: int,
        counts: dict[str, Any],
    ) -> Change:
        data_version = counts.pop("data_version", None) or content.hexdigest()
        return Change(self.table, adds, removes, data_version, content.hexdigest(), rows.hexdigest(), total, **counts)

    def _hash(self, staged: Iterable[StagedFile], start: Record | None) -> tuple[RowHash, RowHash]:
        return self._hash_of(self._staged_batches(staged, self.table.content + self.table.provenance), start)

    def _hash_of(self, batches: Iterable[pa.RecordBatch], start: Record | None) -> tuple[RowHash, RowHash]:
        table = self.table
        content = RowHash(table.content, start.content_hash if start else None)
        rows = RowHash(table.content + table.provenance, start.row_hash if start else None)
        for batch in batches:
            content.add(batch)
            if table.provenance:
                rows.add(batch)
        if not table.provenance:
            rows.total = content.total
        return content, rows

    def _active_files(self, version: int | None = None) -> list[tuple[str, int]]:
        """Path and size of the data files of a version, by default the newest."""
        versions = sorted(number for number in self._log_versions() if version is None or number <= version)
        if len(versions) <= REPLAYED_COMMITS and versions == list(range(len(versions))):
            files: dict[str, int] = {}
            for number in versions:
                for action in self._log_actions(number):
                    if "remove" in action:
                        files.pop(unquote(action["remove"]["path"]), None)
                    elif "add" in action:
                        files[unquote(action["add"]["path"])] = action["add"]["size"]
            return list(files.items())
        actions = self._add_actions(version)
        return list(zip(_paths(actions), actions.column("size_bytes").to_pylist(), strict=True))

    def _add_actions(self, version: int | None = None) -> pa.Table:
        """A row for each data file of a version, with what the log tells of its rows."""
        return pa.RecordBatchReader.from_stream(self._delta(version).get_add_actions(flatten=True)).read_all()

    # -- committing ---------------------------------------------------------------------------------------------

    def commit(self, change: Change, record: Record, expected: int | None) -> Commit | None:
        """Makes a change visible if the table is still at version ``expected`` (None: does not exist yet).

        Gives None, and writes nothing, when neither rows nor what they were made from differ from the last commit. Rows
        that are equal to those in place are not written again: the commit then holds the new record alone.

        Raises:
            ConflictError: when somebody else committed first.
        """
        from deltalake import CommitProperties, Schema
        from deltalake.exceptions import CommitFailedError, DeltaError
        from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

        last = self.last()
        if (last.version if last else None) != expected:
            raise ConflictError(f"{self.path.name}: another writer committed since it was read; try again")
        adds, removes = change.adds, change.removes
        if last and last.record and last.record.row_hash == change.row_hash:
            self._discard(adds)
            if last.record.data_version == change.data_version and not record.signature.differences(
                last.record.signature
            ):
                return None
            adds, removes = (), ()
        now = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            AddAction(quote(file.path), file.size, {}, now, True, json.dumps({"numRecords": file.rows}))
            for file in adds
        ]
        properties = CommitProperties(custom_metadata={"userMetadata": record.to_json()}, max_commit_retries=0)
        schema = Schema.from_arrow(self.table.schema)
        try:
            if last is None:
                create_table_with_add_actions(
                    str(self.path),
                    schema,
                    actions,  # type: ignore[arg-type]
                    mode="error",
                    name=self.table.name,
                    description=self.table.description,
                    configuration=TABLE_PROPERTIES,
                    commit_properties=properties,
                )
            else:
                sizes = dict(self._active_files()) if removes else {}
                actions += [RemoveAction(quote(path), True, now, sizes[path], {}) for path in removes]
                delta = self._with_all_columns(self._delta(last.version), schema)
                delta.create_write_transaction(actions, "append", schema, commit_properties=properties)
        except (CommitFailedError, DeltaError) as error:
            self._raise_if_second(expected, error)
            raise
        return self.last()

    def _raise_if_second(self, expected: int | None, error: Exception) -> None:
        now_last = self.last()
        if (now_last.version if now_last else None) != expected:
            raise ConflictError(f"{self.path.name}: another writer committed first; try again") from error

    def _with_all_columns(self, delta: "DeltaTable", schema: "Schema") -> "DeltaTable":
        """Gives a table of an earlier release the columns that it lacks; its rows hold null there.

        Raises:
            ConflictError: when somebody else committed meanwhile.
        """
        present = {field.name for field in delta.schema().fields}
        if missing := [field for field in schema.fields if field.name not in present]:
            version = delta.version()
            delta.alter.add_columns(missing)
            if delta.version() != version + 1:
                raise ConflictError(f"{self.path.name}: another writer committed first; try again")
        return delta

    def append_recorded(
        self, rows: pa.Table, last: Commit | None, opened: "DeltaTable | None" = None, **more: Any
    ) -> "DeltaTable":
        """Appends rows made from no table, with their record, if the table still stands at ``last`` (None: none yet).

        For rows that somebody waits for: it takes half the time of stage, hash and commit. ``opened`` is the table as
        ``last`` says. Gives the table as it is then, for the next call; ``more`` are fields of the record.

        Raises:
            ConflictError: when somebody else committed first; ``opened`` stays as it was.
            LakeError: when rows are in the table that have no record.
        """
        from deltalake import CommitProperties, Schema, write_deltalake
        from deltalake.exceptions import CommitFailedError, DeltaError

        before = self._record_of(last)
        content, total = self._hash_of(rows.to_batches(), before)
        change = self._change((), (), content, total, (before.rows if before else 0) + len(rows), {})
        record = replace(Record.of(change, Signature(), **more), rows_computed=len(rows))
        properties = CommitProperties(custom_metadata={"userMetadata": record.to_json()}, max_commit_retries=0)
        try:
            if last is None:
                write_deltalake(
                    str(self.path),
                    rows,
                    mode="error",
                    name=self.table.name,
                    description=self.table.description,
                    configuration=TABLE_PROPERTIES,
                    commit_properties=properties,
                )
                return self._delta(0)
            delta = self._with_all_columns(opened or self._delta(last.version), Schema.from_arrow(self.table.schema))
            write_deltalake(delta, rows, mode="append", commit_properties=properties)
            return self._kept_open(delta, last.version)
        except (CommitFailedError, DeltaError) as error:
            self._raise_if_second(last.version if last else None, error)
            raise

    def append_rows(
        self,
        rows: Sequence[Mapping[str, Any]],
        progress: Mapping[str, int] | None = None,
        opened: "DeltaTable | None" = None,
    ) -> "DeltaTable":
        """Appends rows to a table that several processes write at once; such appends never conflict.

        For tables that are written outside of Dagster; their commits carry no record. ``progress`` is kept in the same
        commit, for :meth:`progress`: by the name of a source, how far what comes from it is in the table. Gives the
        table, as ``opened`` for the next call, which then takes half the time.
        """
        from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
        from deltalake.exceptions import CommitFailedError, DeltaError

        if self.last() is None:
            with suppress(CommitFailedError, DeltaError):  # of several first writers one creates the table
                DeltaTable.create(
                    str(self.path),
                    Schema.from_arrow(self.table.schema),
                    name=self.table.name,
                    description=self.table.description,
                    configuration=TABLE_PROPERTIES,
                    commit_properties=CommitProperties(max_commit_retries=0),
                )
        delta = opened or DeltaTable(str(self.path))
        before = delta.version()
        write_deltalake(
            delta,
            pa.Table.from_pylist(list(rows), self.table.schema),
            mode="append",
            commit_properties=with_progress(progress),
        )
        return self._kept_open(delta, before)

    def _kept_open(self, delta: "DeltaTable", before: int) -> "DeltaTable":
        """The table after a write, to be kept for the next one; ``before`` is the version at which it stood.

        One that stays open goes through all commits since it was opened at each write, whatever checkpoints there are
        by then. So it is opened anew after each checkpoint.
        """
        now = delta.version()
        return delta if now // CHECKPOINT_EVERY == before // CHECKPOINT_EVERY else self._delta(now)

    def progress(self, name: str) -> int:
        """How far what comes from a source is in the table, as the newest commit about it said; 0 before any."""
        return (self._delta().transaction_version(name) or 0) if self.last() else 0

    def discard(self, change: Change) -> None:
        """Removes what was staged for a change that is not to be committed."""
        self._discard(change.adds)

    def join_files(self, target_bytes: int) -> None:
        """Writes small files as one, in a commit that changes no row; nothing when somebody was first."""
        from deltalake.exceptions import CommitFailedError

        with suppress(CommitFailedError):
            self._delta().optimize.compact(target_size=target_bytes)

    def _discard(self, files: Iterable[StagedFile]) -> None:
        for folder in {(self.path / file.path).parent for file in files}:
            shutil.rmtree(folder, ignore_errors=True)


def _paths(actions: pa.Table) -> list[str]:
    """The data files' paths below the table's folder."""
    return [unquote(path) for path in actions.column("path").to_pylist()]


def _may_hold(group: Any, column: str, values: Sequence[str]) -> bool:
    """Whether a Parquet row group's smallest and largest text of a column leave room for one of the values."""
    chunks = (group.column(place) for place in range(group.num_columns))
    statistics = next((chunk.statistics for chunk in chunks if chunk.path_in_schema == column), None)
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= value <= statistics.max for value in values)


def with_progress(progress: Mapping[str, int] | None) -> "CommitProperties | None":
    """What makes a commit say how far each source has come (application transactions of Delta)."""
    from deltalake import CommitProperties, Transaction

    return CommitProperties(app_transactions=[Transaction(*one) for one in progress.items()]) if progress else None


def accept_code(lake_table: LakeTable, code: Mapping[str, str], actor: str, reason: str) -> list[str]:
    """Records once that the code versions now in force give the rows that the table already holds.

    Gives the names of the modules whose new version was accepted; nothing is recomputed for them afterwards, neither
    whole tables nor single rows.

    Raises:
        LakeError: when the table has no record to compare with.
    """
    last = lake_table.last()
    if last is None or last.record is None:
        raise LakeError(f"{lake_table.path.name}: nothing has been computed yet, so there is nothing to accept")
    record = last.record
    changed = {
        name: version
        for name, version in code.items()
        if record.signature.code.get(name, version) not in (version, record.accepted.get(version))
    }
    if not changed:
        return []
    accepted = dict(record.accepted) | {version: record.signature.code[name] for name, version in changed.items()}
    note = {"accepted_by": actor, "accepted_because": reason, "accepted_modules": sorted(changed)}
    declared = replace(record, accepted=accepted, notes={**record.notes, **note})
    _commit_record(lake_table, declared, last.version)
    return sorted(changed)


def _commit_record(lake_table: LakeTable, record: Record, expected: int) -> None:
    from deltalake import CommitProperties, Schema

    lake_table._delta(expected).create_write_transaction(
        [],
        "append",
        Schema.from_arrow(lake_table.table.schema),
        commit_properties=CommitProperties(custom_metadata={"userMetadata": record.to_json()}, max_commit_retries=0),
    )


class Lake:
    """All tables of all bots below one folder: ``<tenant>/<name>/<table>``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def bot_folder(self, key: str) -> Path:
        tenant, _, name = key.partition(".")
        return self.root / tenant / name

    def table(self, key: str, name: str) -> LakeTable:
        """A bot's table, whether it exists yet or not."""
        return LakeTable(self.bot_folder(key) / name, TABLES[name])

    @contextmanager
    def writing(self, key: str, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Holds the bot's tables against other refreshes on this machine; freed even when the process is killed.

        ``on_wait`` is called once when somebody else holds them.

        Raises:
            LakeError: when the bot's folder cannot be written.
        """
        folder = self.bot_folder(key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = open(folder / LOCK, "w", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise LakeError(f"{folder} cannot be written: {error.strerror}; mend that, then refresh again") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if on_wait is not None:
                    on_wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def is_being_written(self, key: str) -> bool:
        """Whether somebody holds the bot's tables (:meth:`writing`) at this moment."""
        try:
            with open(self.bot_folder(key) / LOCK, encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False
