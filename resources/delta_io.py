"""The IO manager: assets are given pinned tables, and what they return becomes one commit."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from chatbot_assets.quality.findings import NOTES
from chatbot_assets.tables import SOURCES
from resources import costs
from resources.lakehouse import Change, Commit, ConflictError, Lake, LakeTable, Record
from resources.metering import Meter
from resources.spark import SparkEngine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class PinnedTable:
    """One version of an upstream table. Nothing is read, and no engine started, before it is asked for.

    ``commit`` is None for a source table that nobody has written yet.
    """

    table: LakeTable
    commit: Commit | None
    engine: SparkEngine

    @property
    def record(self) -> Record:
        """The record of a table that a refresh makes."""
        assert self.commit is not None and self.commit.record is not None
        return self.commit.record

    def frame(self) -> "DataFrame":
        """The rows as a lazy DataFrame of the engine; only of a table that exists."""
        assert self.commit is not None
        return self.table.frame(self.engine.session, self.commit.version)

    def arrow(self, *columns: str) -> pa.Table:
        """The rows, or some of their columns, as an Arrow table; without rows when there is no such table yet."""
        return self.table.arrow(columns or None, self.commit.version if self.commit else None)


@dataclass(frozen=True)
class Materialisation:
    """What an asset returns: a staged change, or None when its table is up to date, and what its page shows of it."""

    table: LakeTable
    last: Commit | None
    change: Change | None
    record: Record | None
    meter: Meter
    shown: Mapping[str, Any] = field(default_factory=dict)


class DeltaIOManager(dg.ConfigurableIOManager):
    """Loads inputs as :class:`PinnedTable` and commits :class:`Materialisation` outputs atomically."""

    lake: str
    engine: dg.ResourceDependency[SparkEngine]

    def load_input(self, context: dg.InputContext) -> PinnedTable:
        table = Lake(Path(self.lake)).table(context.partition_key, context.asset_key.path[-1])
        commit = table.last()
        if table.table not in SOURCES and (commit is None or commit.record is None):
            raise dg.Failure(f"{table.path.name} has not been made yet; refresh {context.partition_key}")
        return PinnedTable(table, commit, self.engine)

    def handle_output(self, context: dg.OutputContext, obj: Materialisation) -> None:
        committed = None
        if obj.change is not None and obj.record is not None:
            try:
                committed = obj.table.commit(obj.change, obj.record, obj.last.version if obj.last else None)
            except ConflictError as error:
                raise dg.Failure(str(error)) from error
        now = committed or obj.last
        record = now.record if now else None
        if now is None or record is None:
            raise dg.Failure(f"{obj.table.path.name}: nothing was committed")
        change = obj.change
        own = {
            "committed": dg.MetadataValue.bool(committed is not None),
            "rows_in": change.rows_in if change else record.rows_in,
            "rows_computed": change.rows_computed if change else 0,
            "rows_reused": change.rows_reused if change else record.rows_in,
            "seconds": round(obj.meter.seconds, 3),
            "peak_memory_mb": round((obj.meter.peak_bytes or 0) / 1e6, 1),
            "modules": dg.MetadataValue.json(
                {
                    name: {
                        "seconds": round(cost.seconds, 3),
                        "rows": cost.rows,
                        "rows_per_second": round(cost.rows / max(cost.seconds, 0.001)),
                    }
                    for name, cost in obj.meter.modules.items()
                }
            ),
        }
        costs.note(
            obj.table.path.parent,
            context.run_id,
            context.step_key,
            obj.meter,
            change.rows_computed if change else 0,
            change.rows_reused if change else record.rows_in,
        )
        context.add_output_metadata(dict(obj.shown) | recorded_metadata(obj.table, now, record) | own)


def recorded_metadata(table: LakeTable, commit: Commit, record: Record) -> dict[str, Any]:
    """What a commit and its record say about a table, as a materialisation's metadata."""
    return {
        "dagster/row_count": record.rows,
        "dagster/table_name": table.table.name,
        "dagster/uri": str(table.path),
        "delta_version": commit.version,
        "data_version": record.data_version,
        "rows_in": record.rows_in,
        "rows_computed": record.rows_computed,
        "rows_reused": record.rows_reused,
        "config_hash": record.config_hash,
        "code_version": record.code_version,
        "inputs": dg.MetadataValue.json({name: asdict(at) for name, at in record.signature.inputs.items()}),
        # The findings of checks are shown as the results of the checks.
        "notes": dg.MetadataValue.json({name: note for name, note in record.notes.items() if name != NOTES}),
    }
