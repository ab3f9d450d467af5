"""What an asset's page says of one materialisation: what changed and why, pictures, lineage of columns, links."""

import os
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from chatbot_assets.bot import bot_file
from chatbot_assets.showing import changes, charts
from chatbot_assets.showing.markdown import Markdown, escape
from chatbot_assets.showing.tables import DRAWN, SHOWN, Rows, numbers
from chatbot_assets.tables import Table
from resources.environment import SERVICE_URL
from resources.lakehouse import Change, Record

if TYPE_CHECKING:
    from chatbot_assets.delta_asset import Stage


def prepare_to_show(table: Table) -> None:
    """Loads beside a stage's work what its pictures will need."""
    if table.name in DRAWN:
        charts.load_ahead()


def shown(stage: "Stage", change: Change | None, record: Record | None) -> dict[str, Any]:
    """The metadata of a materialisation beyond what the IO manager knows.

    Rows are read, and pictures drawn, only when the change brings other rows. Whatever goes wrong there is a warning:
    a refresh never fails for want of a picture.
    """
    started = time.perf_counter()
    table, last = stage.table.table, stage.last
    before = last.record if last else None
    current = record or before
    metadata: dict[str, Any] = {}
    if change is None or record is None:
        made = f" of {last.committed_at:%Y-%m-%d %H:%M} UTC" if last else ""
        version = last.version if last else 0
        metadata["changes"] = Markdown(f"Nothing had changed: this is still version {version}{made}.")
    elif before is not None and before.row_hash == change.row_hash:
        metadata["changes"] = Markdown(f"The rows are as before ({change.rows:,}).\n\n{why(stage)}")
    else:
        try:
            metadata |= _changes(stage, change) | _pictures(stage, change)
        except Exception as error:
            stage.warn(f"{table.name}: its page shows less, since {type(error).__name__}: {error}")
    if current is not None:
        metadata |= numbers(table.name, current.notes)
        metadata["module_versions"] = dg.MetadataValue.json(dict(current.signature.code))
    metadata |= links(stage)
    if lineage := column_lineage(table):
        metadata["dagster/column_lineage"] = lineage
    metadata["seconds_to_show"] = round(time.perf_counter() - started, 3)
    return {
        name: dg.MetadataValue.md(value) if isinstance(value, Markdown) else value for name, value in metadata.items()
    }


def why(stage: "Stage") -> str:
    """Why the table was computed, and what asked for the refresh."""
    before = stage.last.record if stage.last else None
    reasons = stage.signature.differences(before.signature) if before else ["it is made for the first time"]
    because = f"Computed because {escape('; '.join(reasons) or 'new files arrived', 300)}."
    return f"{because} The refresh was asked for by: {escape(stage.reason, 300)}."


def column_lineage(table: Table) -> dg.TableColumnLineage | None:
    """Which columns of the inputs each column is made from."""
    deps = {
        column.name: [dg.TableColumnDep(dg.AssetKey(name), source) for name, source in column.sources]
        for column in table.columns
        if column.made_from
    }
    return dg.TableColumnLineage(deps) if deps else None


def links(stage: "Stage") -> dict[str, Any]:
    """Where the bot's YAML and the table are, and the page on which the bot can be asked."""
    found: dict[str, Any] = {
        "bot_file": dg.MetadataValue.path(bot_file(stage.home.bots, stage.bot.key)),
        "table_folder": dg.MetadataValue.path(stage.table.path),
    }
    if service := os.environ.get(SERVICE_URL):
        found["start_page"] = dg.MetadataValue.url(f"{service}/")
    return found


def _changes(stage: "Stage", change: Change) -> dict[str, Any]:
    table = stage.table.table
    before = stage.last.record.rows if stage.last and stage.last.record else 0
    schema = table.schema
    # Lists are made of texts that are compared, and cost far more.
    content = [
        name for name in table.content if name not in table.key and not pa.types.is_list(schema.field(name).type)
    ]
    columns = dict.fromkeys([*table.key, *content, *(["intent"] if "intent" in schema.names else [])])
    found = changes.compare(
        stage.table.arrow_of(change.removes, list(columns)),
        stage.table.arrow_of([file.path for file in change.adds], list(columns)),
        table.key,
        content,
    )
    return {
        "changes": changes.describe(found, change.rows, before, why(stage)),
        "rows_added": found.added.total(),
        "rows_removed": found.removed.total(),
        "rows_changed": found.changed.total(),
    }


def _pictures(stage: "Stage", change: Change) -> dict[str, Any]:
    show = SHOWN.get(stage.table.table.name)
    if show is None:
        return {}
    files = stage.table.files_after(change)
    return dict(
        show(
            Rows(
                after=lambda *columns: stage.table.arrow_of(files, columns),
                added=lambda *columns: stage.table.arrow_of([file.path for file in change.adds], columns),
                inputs={name: pinned.arrow for name, pinned in stage.inputs.items()},
                notes=change.notes,
            )
        )
    )
