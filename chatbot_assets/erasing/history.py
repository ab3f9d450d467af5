"""Takes a person out of a table's past: old data files and the log lose their rows and texts, and stay readable.

A file of an old version is written again without the rows, under its name, and the log is given its new size. So every
version can still be read, as if the person had never been there. Files of the newest version of a bot's own table are
never touched.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chatbot_assets.erasing.markers import Markers, redacted
from chatbot_assets.erasing.search import column_bytes
from chatbot_assets.erasing.subject import Found, data_files, read_rows
from chatbot_assets.tables import EVALUATIONS, MODELS
from resources.lakehouse import LakeTable, Record

BEING_WRITTEN = 60.0
"""Seconds: a file that no log entry names, and is younger, may belong to a commit of the chat service's."""
SHARED = ("sources", "text_keys")
"""Lists of which others' rows lose the person's entries; any other row that holds a marker is the person's."""
PAIRED = ("turn_ids", "texts")
"""The same for decisions, where the two lists go together."""


@dataclass(frozen=True)
class Rewritten:
    """How many old data files and log entries of a table were written again."""

    files: int
    entries: int

    def __add__(self, other: "Rewritten") -> "Rewritten":
        return Rewritten(self.files + other.files, self.entries + other.entries)


def forget(table: LakeTable, found: Found, *, newest_too: bool = False) -> Rewritten:
    """Takes a person out of the old versions of a table. The caller holds the bot's tables.

    Args:
        table: the table.
        found: what is the person's.
        newest_too: whether files of the newest version are written again as well: of a replica, which nobody refreshes.

    Raises:
        LakeError: when the table's log has gaps.
    """
    if table.last() is None:
        return Rewritten(0, 0)
    named = {name for entry in table.history() for name in entry.added}
    active = set[str]() if newest_too else set(table.files())
    newest = time.time() - BEING_WRITTEN
    markers = found.markers
    models = frozenset(found.models) if table.table is MODELS else frozenset[str]()
    files = [
        path
        for path in data_files(table)
        if (name := path.relative_to(table.path).as_posix()) not in active
        and (name in named or path.stat().st_mtime < newest)
        and _rewrite(path, found, markers, models)
    ]
    entries = trim_log(table, active, markers)
    if table.table is EVALUATIONS:
        entries += _change_log(table, lambda line: _without_sample(line, found.models))
    if files or entries:
        renew_checkpoint(table)
    return Rewritten(len(files), entries)


def _rewrite(path: Path, found: Found, markers: Markers, models: frozenset[str]) -> bool:
    rows = read_rows(path)
    kept = _without(rows, found, markers, models)
    if kept is None:
        return False
    temporary = path.with_name(f".erasing-{path.name}")
    pq.write_table(kept, temporary, compression="zstd")
    os.replace(temporary, path)
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)  # Hadoop's checksum of the file that it was
    return True


def _without(rows: pa.Table, found: Found, markers: Markers, models: frozenset[str]) -> pa.Table | None:
    """The rows without the person's; None when none of them is."""
    gone = pa.array([False] * rows.num_rows, pa.bool_())
    own_ids = pa.array(sorted(found.turns | found.rejected | found.decisions | found.utterances | models), pa.string())
    for name in rows.column_names:
        column = rows.column(name).combine_chunks()
        if name in (*SHARED, *PAIRED):
            continue
        gone = pc.or_(gone, _marked(column, own_ids, markers, found.short(name, markers), is_id=name.endswith("_id")))
    shared = [name for name in (*SHARED, *PAIRED) if name in rows.column_names]
    lists, emptied = _shared(rows, shared, found, markers)
    gone = pc.or_(gone, emptied)
    if not pc.any(gone).as_py() and not lists:
        return None
    for name, column in lists.items():
        rows = rows.set_column(rows.column_names.index(name), rows.schema.field(name), column)
    return rows.filter(pc.invert(gone))


def _marked(
    column: pa.Array,
    own_ids: pa.Array,
    markers: Markers,
    short: frozenset[str] = frozenset(),
    *,
    is_id: bool = False,
) -> pa.Array:
    """Marks the cells that are the person's."""
    nothing = pa.array([False] * len(column), pa.bool_())
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        flat, parents = pc.list_flatten(column), pc.list_parent_indices(column)
        if not pa.types.is_string(flat.type) or not len(flat):
            return nothing
        places = set(parents.filter(_marked(flat, own_ids, markers)).to_pylist())
        return pa.array([place in places for place in range(len(column))], pa.bool_())
    if pa.types.is_string(column.type):
        found = pc.is_in(column, value_set=pa.array(sorted(markers.telling | short), pa.string()))
        if is_id:
            found = pc.or_(found, pc.is_in(column, value_set=own_ids))
        data = column_bytes(column)
        for marker in markers.telling if markers.is_in(data) else ():
            if marker.encode("utf-8", "surrogatepass") in data:
                found = pc.or_(found, pc.fill_null(pc.match_substring(column, marker), False))
        return found
    return nothing


def _shared(
    rows: pa.Table, names: list[str], found: Found, markers: Markers
) -> tuple[Mapping[str, pa.Array], pa.Array]:
    """The lists that lose entries, and marks for rows of which a list has lost all of them."""
    emptied = [False] * rows.num_rows
    changed: dict[str, pa.Array] = {}
    own = found.turns | markers.telling | markers.whole
    flat = set(pc.unique(pc.list_flatten(rows.column(names[0]))).to_pylist()) if names else set()
    keys = set(pc.unique(pc.list_flatten(rows.column("text_keys"))).to_pylist()) if "text_keys" in names else set()
    if not own & (flat | keys):
        return {}, pa.array(emptied, pa.bool_())
    columns = {name: rows.column(name).to_pylist() for name in names}
    for place in range(rows.num_rows):
        lists = {name: column[place] for name, column in columns.items() if column[place]}
        if "turn_ids" in lists:
            keep = [number for number, turn in enumerate(lists["turn_ids"]) if turn not in own]
            kept = {name: [values[number] for number in keep] for name, values in lists.items()}
        else:
            kept = {name: [one for one in values if one not in own] for name, values in lists.items()}
        emptied[place] = any(values and not kept[name] for name, values in lists.items())
        for name, values in kept.items():
            columns[name][place] = values
    for name in names:
        changed[name] = pa.array(columns[name], rows.schema.field(name).type)
    return changed, pa.array(emptied, pa.bool_())


def short_values_left(table: LakeTable, found: Found) -> list[Path]:
    """The data files, of whichever version, that hold values of the person's that are too short for a search."""
    left, markers = [], found.markers
    for path in data_files(table):
        wanted = {name: found.short(name, markers) for name in pq.read_schema(path).names}
        columns = [name for name, values in wanted.items() if values]
        if any(
            pc.any(pc.is_in(column, value_set=pa.array(sorted(wanted[name]), pa.string()))).as_py()
            for name, column in zip(columns, read_rows(path, columns).columns, strict=True)
        ):
            left.append(path)
    return left


def trim_log(table: LakeTable, active: set[str], markers: Markers) -> int:
    """Takes markers, and statistics of old files, out of the log's entries; gives how many were written again.

    Each old file is given the size that it has now; ``active`` are the files of the newest version.
    """
    changed = _change_log(table, lambda line: _entry(line, table.path, active, markers))
    for path in (table.path / "_delta_log").glob("*.crc"):
        if markers.is_in(path.read_bytes()):
            path.unlink()  # a checksum of a version that holds statistics, too; readers do without
            changed += 1
    return changed


def _change_log(table: LakeTable, change: Callable[[str], str]) -> int:
    """Writes the log's entries again that have lines to change; gives how many."""
    changed = 0
    for path in sorted((table.path / "_delta_log").glob("*.json")):
        if not path.stem.isdigit():
            continue
        before = path.read_text(encoding="utf-8").splitlines()
        after = [change(line) for line in before]
        if after != before:
            replace_text(path, "".join(line + "\n" for line in after))
            path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
            changed += 1
    return changed


def _without_sample(line: str, models: Collection[str]) -> str:
    """A record of an evaluation without the texts that one of the models was seen to answer: nobody asks it again."""
    entry: dict[str, Any] = json.loads(line)
    record = Record.from_json(entry.get("commitInfo", {}).get("userMetadata") or "")
    measured = record.signature.inputs.get(MODELS.name) if record else None
    if record is None or measured is None or measured.data_version not in models or not record.notes.get("sample"):
        return line
    entry["commitInfo"]["userMetadata"] = replace(record, notes={**record.notes, "sample": []}).to_json()
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def _entry(line: str, folder: Path, active: set[str], markers: Markers) -> str:
    entry: dict[str, Any] = json.loads(line)
    action = entry.get("add") or entry.get("remove")
    if action is not None:
        name = unquote(action["path"])
        path = folder / name
        if name not in active:
            size = path.stat().st_size if path.exists() else action.get("size")
            changed = dict(action)
            if size is not None and action.get("size") != size:
                changed["size"] = size
            if action.get("stats"):
                # The smallest and largest texts of the rows that were there, shortened perhaps.
                changed["stats"] = _count_only(action["stats"], path)
            if changed != action:
                return json.dumps({next(iter(entry)): changed}, ensure_ascii=False, separators=(",", ":"))
        return line
    data = line.encode("utf-8", "surrogatepass")
    if not markers.is_in(data) and not any(f'"{one}' in line for one in markers.whole):
        return line
    clean = redacted(entry, markers)
    return line if clean == entry else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))


def _count_only(stats: str, path: Path) -> str:
    rows = pq.read_metadata(path).num_rows if path.exists() else json.loads(stats).get("numRecords")
    return json.dumps({"numRecords": rows}, separators=(",", ":"))


def replace_text(path: Path, text: str) -> None:
    """Puts a text in the place of a file's, as one change."""
    temporary = path.with_name(f".erasing-{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def renew_checkpoint(table: LakeTable) -> None:
    """Checkpoints repeat the log's entries, so they are made anew; the log holds every version without them."""
    from deltalake import DeltaTable

    log = table.path / "_delta_log"
    old = [*log.glob("*.checkpoint*.parquet"), *log.glob("_sidecars/*")]
    if old:
        (log / "_last_checkpoint").unlink(missing_ok=True)
        for path in old:
            path.unlink()
        DeltaTable(str(table.path)).create_checkpoint()
