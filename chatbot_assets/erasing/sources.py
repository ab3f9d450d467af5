"""Takes a person's rows out of the tables that the others are made from, each in a recorded commit of its own."""

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.collect.landing import file_sha256
from chatbot_assets.collect.reading import ERASED as REWRITTEN
from chatbot_assets.collect.reading import SOURCE, of_sources
from chatbot_assets.collect.withdrawal import WITHDRAWN_FOLDER
from chatbot_assets.erasing.landing_rows import OwnRows, mentions, put, rewritten
from chatbot_assets.erasing.markers import ERASED, Markers
from chatbot_assets.erasing.subject import Found
from chatbot_assets.tables import CONVERSATIONS, SHADOW_ANSWERS
from resources.environment import code_revision
from resources.lakehouse import Lake, LakeTable, Record, StagedFile

Note = Mapping[str, Any]
JOURNAL_SECONDS = 30.0
"""How long the chat service's processes may take to bring their journal into the tables."""


class JournalError(RuntimeError):
    """Served turns are still on their way into the tables; its text says what to do."""


def empty_journal(lake: Lake, journal: Path, seconds: float = JOURNAL_SECONDS) -> None:
    """Waits until all that was served so far is in the tables and nowhere else, of ended processes as well.

    Raises:
        JournalError: when that takes too long.
    """
    from serving.journal import ask_to_retire, segments_before
    from serving.writer import Writer

    if not journal.exists():
        return
    asked, until = ask_to_retire(journal), time.monotonic() + seconds
    stop = threading.Event()
    # The chat service's writer does it, if there is one: this one waits until it is alone.
    writer = threading.Thread(target=Writer(lake, journal).run, args=(stop,), name="journal writer")
    writer.start()
    try:
        while segments_before(journal, asked):
            if time.monotonic() > until:
                raise JournalError(
                    "served turns are still in the journal: look into the chat service's log, or stop it, and try again"
                )
            time.sleep(0.1)
    finally:
        stop.set()
        writer.join()


def remove_rows(lake: Lake, key: str, found: Found, landing: Sequence[OwnRows], note: Note) -> None:
    """Removes what was found from landing files, ``dialogues``, ``rejected``, decisions and what was served.

    Each step finds by itself what is left to do. The caller holds the bot's tables.
    """
    _rewrite_landing(lake.table(key, "landing_files"), found.user_id, landing, note)
    for name, gone in (("dialogues", found.landed), ("rejected", found.rejected)):
        table = lake.table(key, name)
        amend(table, (), rows_with(table.table.key[0], gone), table.table.key, note)
    amend_decisions(lake.table(key, "review_decisions"), found.turns, note)
    remove_served(lake, key, found, note)
    _empty_queue(lake.table(key, "review_queue"), found, note)


def rows_with(column: str, values: set[str]) -> Callable[[pa.RecordBatch], pa.Array]:
    """Marks the rows with one of the values in a column, for :func:`amend`."""
    gone = pa.array(sorted(values), pa.string())
    return lambda batch: pc.is_in(batch.column(column), value_set=gone)


def amend(
    table: LakeTable,
    staged: tuple[StagedFile, ...],
    gone: Callable[[pa.RecordBatch], pa.Array],
    columns: Sequence[str],
    note: Note,
    data_version: str | None = None,
) -> int:
    """Commits staged rows in the place of those that ``gone`` marks; gives how many fewer there are.

    ``data_version`` stays what it is where it is given: nothing is computed again then.
    """
    last = table.last()
    if last is None or last.record is None:
        return 0
    more = {"data_version": data_version} if data_version else {}
    notes = {**(last.record.notes if data_version else {}), "erased": dict(note)}
    change = table.amend(staged, gone, list(columns), notes=notes, **more)
    if not change.adds and not change.removes:
        return 0
    record = Record.of(
        change,
        last.record.signature,
        config_hash=last.record.config_hash,
        code_revision=code_revision(),
        accepted=last.record.accepted,
    )
    table.commit(change, record, last.version)
    return last.record.rows - change.rows


def _rewrite_landing(ledger: LakeTable, user_id: str, landing: Sequence[OwnRows], note: Note) -> None:
    """Takes lines out of landing files; the ledger knows a file as it will be before the file is replaced."""
    for rows in landing:
        withdrawn = WITHDRAWN_FOLDER in rows.path.parts
        data, before = rewritten(rows), rows.path.stat()
        named = mentions(user_id).sub("erased", rows.path.name)
        old = (rows.path.name, file_sha256(rows.path))
        if data is None:
            if not withdrawn:
                amend(ledger, (), of_sources([old]), SOURCE, note)
            rows.path.unlink()
            continue
        temporary = put(rows.path, data, before)
        if not withdrawn:
            entries = [
                row
                | {
                    "source_file": named,
                    "file_sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "modified_ns": temporary.stat().st_mtime_ns,
                    "status": REWRITTEN,
                    "rows": max(0, row["rows"] - len(rows.lines)),
                }
                for row in ledger.arrow().to_pylist()
                if (row["source_file"], row["file_sha256"]) == old and row["status"] != "withdrawn"
            ]
            if entries:
                staged = ledger.stage_arrow(pa.Table.from_pylist(entries, ledger.table.schema))
                amend(ledger, staged, of_sources([old]), SOURCE, note)
        os.replace(temporary, rows.path.with_name(named))
        if named != rows.path.name:
            rows.path.unlink()


def amend_decisions(table: LakeTable, turns: set[str], note: Note) -> None:
    """Decisions go on to hold for the other turns that they are about; those about no other turn leave."""
    if table.last() is None:
        return
    touched = [row for row in table.arrow().to_pylist() if turns.intersection(row["turn_ids"])]
    kept = []
    for row in touched:
        others = [pair for pair in zip(row["turn_ids"], row["texts"], strict=True) if pair[0] not in turns]
        if others:
            kept.append(row | {"turn_ids": [turn for turn, _ in others], "texts": [text for _, text in others]})
    if touched:
        staged = table.stage_arrow(pa.Table.from_pylist(kept, table.table.schema)) if kept else ()
        gone = rows_with("decision_id", {row["decision_id"] for row in touched})
        amend(table, staged, gone, ["decision_id"], note)


def remove_served(lake: Lake, key: str, found: Found, note: Note) -> None:
    """The person's turns leave, and shadows' answers to them; what was suggested to others stays, but for the person's
    texts. The chat service may be adding to both tables meanwhile."""
    _amend_served(lake.table(key, CONVERSATIONS.name), found, note)
    _amend_served(lake.table(key, SHADOW_ANSWERS.name), found, note)


def _amend_served(table: LakeTable, found: Found, note: Note) -> None:
    from deltalake.exceptions import CommitFailedError

    from serving.conversations import ATTEMPTS, Conversations

    if table.last() is None:
        return
    quoting = [name for name in ("answer", "candidates", "chosen_candidate") if name in table.table.schema.names]
    present = table.arrow(["turn_id", *quoting])
    conversations = Conversations(table)
    conversations.remove(found.served.intersection(present.column("turn_id").to_pylist()), {"erased": dict(note)})
    markers = found.markers
    changes = {
        row["turn_id"]: change
        for row in present.to_pylist()
        if row["turn_id"] not in found.served and (change := without_suggestions(row, markers))
    }
    for attempt in range(ATTEMPTS):
        try:
            conversations.amend(changes)
            break
        except CommitFailedError:  # the service wrote first
            if attempt + 1 == ATTEMPTS:
                raise


def _empty_queue(table: LakeTable, found: Found, note: Note) -> None:
    """Rows in which the person occurs leave; the next refresh puts those of others back as they are now.

    It would leave them as they are otherwise: what was answered is no part of what tells the queue's rows apart.
    """
    markers = found.markers
    columns = ("text", "answer", "candidates", "chosen_candidate", "preset_answer", "group_id", "group_text")

    def theirs(batch: pa.RecordBatch) -> pa.Array:
        said = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
        quoted = pa.array([any(value and markers.marks(value) for value in values) for values in said], pa.bool_())
        return pc.or_(quoted, pc.is_in(batch.column("turn_id"), value_set=pa.array(sorted(found.served), pa.string())))

    amend(table, (), theirs, ["turn_id", *columns], note)


def without_suggestions(row: Mapping[str, Any], markers: Markers) -> dict[str, Any]:
    """New values of a turn that somebody else had, where a model quoted the person there; none where it did not."""
    change: dict[str, Any] = {}
    candidates = json.loads(row["candidates"] or "[]")
    kept = [
        one | {name: None for name in ("text", "answer") if one.get(name) and markers.marks(one[name])}
        for one in candidates
        if not markers.marks(str(one["id"]))
    ]
    if kept != candidates:
        change["candidates"] = json.dumps(kept, ensure_ascii=False)
    if row.get("chosen_candidate") is not None and markers.marks(row["chosen_candidate"]):
        change["chosen_candidate"] = None
    if row["answer"] and any(marker in row["answer"] for marker in markers.telling):
        change["answer"] = ERASED
    return change
