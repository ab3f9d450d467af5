"""Declares ``dialogues``, ``rejected`` and ``landing_files``: one step that reads what is new in the landing folder."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import dagster as dg

from chatbot_assets.asset_pages import shown
from chatbot_assets.checks import check_specs
from chatbot_assets.collect.landing import listing
from chatbot_assets.collect.reading import mapping_hash, read_landing, read_ledger, unread_files
from chatbot_assets.delta_asset import IO_MANAGER, Stage, asset_properties, audited, running
from chatbot_assets.modules import load_ahead
from chatbot_assets.refreshing import Refresh
from chatbot_assets.tables import DIALOGUES, LANDING_FILES, REJECTED
from resources.delta_io import Materialisation
from resources.lakehouse import Change, LakeError
from resources.spark import SparkEngine

TABLES = (DIALOGUES, REJECTED, LANDING_FILES)


def _changes(stage: Stage) -> Iterator[tuple[str, Change | None]]:
    """The change of each table in the order of committing; None for a table that is up to date."""
    tables = {table.name: stage.lake.table(stage.bot.key, table.name) for table in TABLES}
    sources = stage.bot.sources
    files = listing(stage.home.landing(stage.bot.key))
    unread = unread_files(files, read_ledger(tables["landing_files"]), mapping_hash(sources)) if files else []
    if not unread:
        for name, table in tables.items():
            yield name, None if table.last() else table.unchanged()
        return
    # New texts will need them, and loading takes a second or two.
    load_ahead(*stage.bot.process.modules)
    stage.log(f"reading {len(unread)} landing files: {', '.join(file.file.name for file in unread[:10])}")
    with stage.temporary() as temporary:
        yield from read_landing(stage.engine.session, unread, sources, **tables, temporary=temporary)


@dg.multi_asset(
    name="landing",
    outs={
        table.name: dg.AssetOut(
            io_manager_key=IO_MANAGER,
            **{
                name: value
                for name, value in asset_properties(table, {"python"}).items()
                if name not in ("partitions_def", "group_name")
            },
        )
        for table in TABLES
    },
    partitions_def=asset_properties(DIALOGUES, set())["partitions_def"],
    group_name=DIALOGUES.stage,
    check_specs=[spec for table in TABLES for spec in check_specs(table)],
)
def landing(
    context: dg.AssetExecutionContext, refreshing: dg.ResourceParam[Refresh], engine: SparkEngine
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Reads landing files into dialogues and rejected rows, and notes each file in the ledger."""
    with running(context, DIALOGUES, refreshing, engine, {}) as (stage, meter):
        for name, change in _changes(stage):
            table = stage.lake.table(stage.bot.key, name)
            last = table.last()
            own = dataclasses.replace(stage, table=table, last=last)
            change, results = yield from audited(own, change)
            record = own.record(change) if change else None
            current = record or (last.record if last else None)
            if current is None:
                raise LakeError(f"{name}: rows were written by something else; restore the table")
            yield dg.MaterializeResult(
                asset_key=name,
                value=Materialisation(table, last, change, record, meter, shown(own, change, record)),
                data_version=dg.DataVersion(current.data_version),
                check_results=results,
            )
