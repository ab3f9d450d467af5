"""The lake: what a commit says about itself, when there is one, and what readers and other writers see of it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from resources import lakehouse
from resources.environment import PROJECT
from resources.lakehouse import (
    Change,
    Commit,
    ConflictError,
    InputVersion,
    Lake,
    LakeError,
    LakeTable,
    Record,
    RowHash,
    Signature,
    accept_code,
)
from resources.spark import SparkEngine

Save = Callable[..., Commit | None]
KEY = "acme.faq"
MORNING = datetime(2026, 1, 31, 9, tzinfo=UTC)


@pytest.fixture
def utterances(lake: Lake) -> LakeTable:
    return lake.table(KEY, "utterances")


def rows(*texts: str, intent: str = "greet", source: str = "turn-1") -> pa.Table:
    """Rows of ``utterances``."""
    return pa.Table.from_pylist(
        [
            {"utterance_id": f"id of {text}", "text": text, "intent": intent, "language": "en", "split": "train"}
            | {"tokens": text.split(), "sources": [source], "text_keys": [f"key of {text}"]}
            for text in texts
        ],
        Lake(Path()).table(KEY, "utterances").table.schema,
    )


def overwrite(table: LakeTable, data: pa.Table) -> Change:
    return table.overwrite(table.stage_arrow(data))


def append(table: LakeTable, data: pa.Table) -> Change:
    return table.append(table.stage_arrow(data))


def made_from(data_version: str = "first", version: int = 0, code: str = "code-1", config: str = "config") -> Signature:
    return Signature({"dialogues": InputVersion(version, data_version)}, {"process": code}, config)


def texts(table: LakeTable, version: int | None = None) -> list[str]:
    return sorted(table.arrow(["text"], version).column("text").to_pylist())


def last(table: LakeTable) -> tuple[int, Record]:
    commit = table.last()
    assert commit is not None and commit.record is not None
    return commit.version, commit.record


def log_actions(table: LakeTable, version: int) -> list[str]:
    lines = (table.path / "_delta_log" / f"{version:020d}.json").read_text(encoding="utf-8").splitlines()
    return [next(iter(json.loads(line))) for line in lines]


def data_files(table: LakeTable) -> set[str]:
    return {path.relative_to(table.path).as_posix() for path in table.path.rglob("*.parquet")}


# -- a look at a few rows ---------------------------------------------------------------------------------------------


def test_a_few_rows_are_found_in_the_version_that_is_asked_for(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi", "hey")))
    save(utterances, append(utterances, rows("bye", "ciao")))
    save(utterances, overwrite(utterances, rows("moin")))
    wanted = ["id of bye", "id of hi", "id of nothing"]
    found = utterances.rows_with("utterance_id", wanted, ["text", "sources"], 1)
    assert sorted(row["text"] for row in found) == ["bye", "hi"] and found[0]["sources"] == ["turn-1"]
    assert utterances.rows_with("utterance_id", wanted, ["text"]) == []
    assert utterances.rows_with("utterance_id", [], ["text"], 1) == []


def test_rows_that_delta_wrote_itself_are_found(lake: Lake) -> None:
    conversations = lake.table(KEY, "conversations")
    conversations.append_rows([{"turn_id": turn, "text": f"text of {turn}"} for turn in ("first", "second")])
    DeltaTable(conversations.path).update(new_values={"satisfied": False}, predicate="turn_id = 'first'")
    written = pq.read_schema(conversations.path / conversations.files()[0])
    assert pa.types.is_string_view(written.field("text").type), "Delta keeps texts as Arrow can neither filter nor take"
    found = conversations.rows_with("turn_id", ["first"], ["text", "satisfied"])
    assert found == [{"text": "text of first", "satisfied": False}]


def test_parts_of_files_that_cannot_hold_a_row_are_not_read(
    utterances: LakeTable, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = [rows(f"{letter} {number}").to_batches()[0] for letter in "abc" for number in range(3)]
    save(utterances, utterances.append(utterances.stage_arrow(batches)))
    read: list[int] = []
    read_row_group = pq.ParquetFile.read_row_group

    def counted(file: pq.ParquetFile, number: int, *arguments: Any) -> pa.Table:
        read.append(number)
        return read_row_group(file, number, *arguments)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    assert utterances.rows_with("text", ["b 1"], ["utterance_id"]) == [{"utterance_id": "id of b 1"}]
    assert set(read) == {4}


def test_a_file_older_than_a_column_holds_null_there(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi")))
    path = utterances.path / next(iter(data_files(utterances)))
    pq.write_table(pq.read_table(path).drop(["split"]), path)
    assert utterances.rows_with("text", ["hi"], ["text", "split"]) == [{"text": "hi", "split": None}]


# -- what a commit says about itself ----------------------------------------------------------------------------------


def test_a_commit_carries_its_record(utterances: LakeTable, save: Save) -> None:
    change = utterances.overwrite(utterances.stage_arrow(rows("hi", "hey")), rows_in=3, rows_computed=2, rows_reused=1)
    save(utterances, change, made_from("abc", 7), config_hash="cfg", engine="sail", run_id="run-1", code_revision="rev")

    version, record = last(utterances)
    assert version == 0
    assert record.signature == made_from("abc", 7)
    assert (record.rows, record.rows_in, record.rows_computed, record.rows_reused) == (2, 3, 2, 1)
    assert (record.config_hash, record.engine, record.run_id, record.code_revision) == ("cfg", "sail", "run-1", "rev")
    assert record.data_version == change.data_version
    commit = utterances.last()
    assert commit is not None and abs(datetime.now(UTC) - commit.committed_at) < timedelta(minutes=1)


def test_each_version_tells_what_was_said_of_the_table_then(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi")), made_from("abc", 7))
    first = utterances.last()
    save(utterances, append(utterances, rows("hey")), made_from("def", 8))
    assert utterances.at(0) == first and utterances.at(1) == utterances.last() == utterances.at(99)
    assert utterances.at(-1) is None


def test_the_record_is_delta_s_own_user_metadata(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi")), made_from("abc", 7), run_id="run-1")
    save(utterances, append(utterances, rows("hey")), made_from("def", 8), run_id="run-2")

    history = DeltaTable(str(utterances.path)).history()
    found = [json.loads(entry["userMetadata"]) for entry in history]
    assert [entry["run_id"] for entry in found] == ["run-2", "run-1"]
    assert found[0]["signature"]["inputs"] == {"dialogues": {"version": 8, "data_version": "def"}}
    assert found[0]["data_version"] == last(utterances)[1].data_version
    assert {"code_version", "config_hash", "rows", "engine"} <= found[0].keys()
    assert [(version, record.run_id) for version, record in utterances.records()] == [(1, "run-2"), (0, "run-1")]


@given(st.text() | st.dictionaries(st.text(), st.integers()).map(json.dumps))
def test_metadata_of_others_is_no_record(text: str) -> None:
    assert Record.from_json(text) is None


def test_a_record_survives_json(utterances: LakeTable) -> None:
    record = Record(made_from("한국어 ✓"), "d", "c", "r", 1, accepted={"v2": "v1"}, notes={"gate": {"passed": True}})
    assert Record.from_json(record.to_json()) == record


# -- when there is a commit -------------------------------------------------------------------------------------------


def test_nothing_changed_gives_no_commit(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi", "hey")), made_from("abc", 7), run_id="run-1")
    files = data_files(utterances)

    assert save(utterances, overwrite(utterances, rows("hey", "hi")), made_from("abc", 9), run_id="run-2") is None

    assert last(utterances)[0] == 0 and last(utterances)[1].run_id == "run-1"
    assert data_files(utterances) == files, "what was staged for nothing is left over"


def test_changed_inputs_without_a_changed_row_give_one_commit_without_files(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi")), made_from("old"))
    before = last(utterances)[1]
    assert made_from("new").differences(before.signature) == ["dialogues changed"]

    assert save(utterances, overwrite(utterances, rows("hi")), made_from("new")) is not None
    version, record = last(utterances)
    assert version == 1
    assert not {"add", "remove"} & set(log_actions(utterances, 1))
    assert record.data_version == before.data_version
    assert made_from("new").differences(record.signature) == []

    assert save(utterances, overwrite(utterances, rows("hi")), made_from("new")) is None
    assert last(utterances)[0] == 1


@pytest.mark.parametrize(
    ("now", "reasons"),
    [
        (made_from("first", version=99), []),
        (made_from("second"), ["dialogues changed"]),
        (made_from(code="code-2"), ["code of process changed"]),
        (made_from(config="other"), ["configuration changed"]),
        (
            made_from("second", 1, "code-2", "other"),
            ["dialogues changed", "code of process changed", "configuration changed"],
        ),
    ],
)
def test_stale_compares_data_code_and_configuration_but_no_delta_versions(now: Signature, reasons: list[str]) -> None:
    assert now.differences(made_from("first", version=3)) == reasons


def test_a_change_of_provenance_is_committed_but_changes_nothing_downstream(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi", source="turn-1")))
    before = last(utterances)[1]
    save(utterances, overwrite(utterances, rows("hi", source="turn-2")))

    version, after = last(utterances)
    assert version == 1 and {"add", "remove"} <= set(log_actions(utterances, 1))
    assert utterances.arrow(["sources"]).to_pylist() == [{"sources": ["turn-2"]}]
    assert after.data_version == before.data_version and after.row_hash != before.row_hash


def test_reverted_data_has_its_old_data_version(utterances: LakeTable, save: Save) -> None:
    versions = []
    for intent in ("greet", "part", "greet"):
        save(utterances, overwrite(utterances, rows("hi", "hey", intent=intent)))
        versions.append(last(utterances)[1].data_version)
    assert versions[0] == versions[2] != versions[1]


def test_appended_and_amended_rows_have_the_data_version_of_the_same_rows_written_at_once(
    lake: Lake, utterances: LakeTable, save: Save
) -> None:
    save(utterances, append(utterances, rows("a", "b")))
    save(utterances, append(utterances, rows("c", "d")))
    staged = utterances.stage_arrow(rows("e"))
    save(utterances, utterances.amend(staged, lambda batch: pc.equal(batch.column("text"), "b"), ["text"]))

    at_once = lake.table("acme.other", "utterances")
    save(at_once, overwrite(at_once, rows("e", "d", "c", "a")))
    assert last(utterances)[1].data_version == last(at_once)[1].data_version
    assert last(utterances)[1].rows == 4


def test_the_data_version_ignores_floats_times_and_run_ids(lake: Lake, save: Save) -> None:
    table = lake.table(KEY, "evaluations")
    row = {"model_id": "m", "data": "d", "slice_kind": "overall", "slice": "", "metric": "accuracy", "rows": 10}

    def evaluated(value: float, at: datetime, run_id: str, count: int = 10) -> str:
        more = {"value": value, "evaluated_at": at, "rows": count}
        change = overwrite(table, pa.Table.from_pylist([row | more], table.table.schema))
        save(table, change, Signature({"models": InputVersion(0, run_id)}), run_id=run_id)
        assert last(table)[1].run_id == run_id
        return last(table)[1].data_version

    first = evaluated(0.5, MORNING, "run-1")
    assert evaluated(0.5000001, MORNING + timedelta(days=1), "run-2") == first
    assert evaluated(0.5, MORNING, "run-3", count=11) != first


def test_the_data_version_of_embeddings_ignores_the_vectors_bits(lake: Lake) -> None:
    table = lake.table(KEY, "embeddings")

    def embedded(vector: bytes, version: str = "v1") -> str:
        row = {"text_id": "t", "encoder": "e", "encoder_version": version, "vector": vector}
        return overwrite(table, pa.Table.from_pylist([row], table.table.schema)).data_version

    assert embedded(b"\x00\x3c") == embedded(b"\x01\x3c") != embedded(b"\x00\x3c", "v2")


# -- what readers see -------------------------------------------------------------------------------------------------


def test_a_pinned_frame_reads_the_old_version_after_a_new_commit(
    utterances: LakeTable, save: Save, engine: SparkEngine
) -> None:
    save(utterances, overwrite(utterances, rows("old")))
    lazy = utterances.frame(engine.session)
    pinned = utterances.frame(engine.session, 0)
    save(utterances, overwrite(utterances, rows("new")))

    assert [row["text"] for row in lazy.select("text").collect()] == ["old"]
    assert [row["text"] for row in pinned.select("text").collect()] == ["old"]
    assert [row["text"] for row in utterances.frame(engine.session).select("text").collect()] == ["new"]
    assert (texts(utterances, 0), texts(utterances)) == (["old"], ["new"])


def test_our_commits_are_read_by_sail_sql_and_by_deltalake(
    utterances: LakeTable, save: Save, engine: SparkEngine
) -> None:
    save(utterances, overwrite(utterances, rows("hi", "it's")))
    staged = utterances.stage_frame(utterances.frame(engine.session).filter("text = 'hi'"))
    save(utterances, utterances.append(staged))

    found = engine.session.sql(f"SELECT text, tokens FROM delta.`{utterances.path}` ORDER BY text").collect()
    assert [(row["text"], row["tokens"]) for row in found] == [("hi", ["hi"]), ("hi", ["hi"]), ("it's", ["it's"])]
    data = DeltaTable(str(utterances.path)).to_pyarrow_table()
    assert sorted(data.column("text").to_pylist()) == ["hi", "hi", "it's"]
    assert data.column_names == utterances.table.schema.names


def test_an_empty_table_is_read_by_sail_and_by_deltalake(
    utterances: LakeTable, save: Save, engine: SparkEngine
) -> None:
    save(utterances, utterances.unchanged())

    assert last(utterances)[1].rows == 0
    assert engine.session.sql(f"SELECT * FROM delta.`{utterances.path}`").collect() == []
    assert utterances.frame(engine.session).columns == utterances.table.schema.names
    assert DeltaTable(str(utterances.path)).to_pyarrow_table().num_rows == 0
    assert utterances.arrow().schema == utterances.table.schema


def test_a_table_that_was_emptied_is_read_as_empty(utterances: LakeTable, save: Save, engine: SparkEngine) -> None:
    save(utterances, overwrite(utterances, rows("hi")))
    save(utterances, overwrite(utterances, rows()))
    assert texts(utterances) == [] and utterances.frame(engine.session).collect() == []
    assert last(utterances)[1].data_version != ""


def test_a_table_that_was_never_made_has_no_rows_and_no_frame(utterances: LakeTable, engine: SparkEngine) -> None:
    assert utterances.last() is None
    assert utterances.arrow().num_rows == 0
    with pytest.raises(LakeError, match="refresh the bot"):
        utterances.frame(engine.session)


def test_tables_keep_their_history_for_rebuilds(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi")))
    delta = DeltaTable(str(utterances.path))
    properties = delta.metadata().configuration
    assert properties["delta.enableExpiredLogCleanup"] == "false"
    for name in ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration"):
        word, days, unit = properties[name].split()
        assert (word, unit) == ("interval", "days") and int(days) > 3650
    save(utterances, overwrite(utterances, rows("hey")))
    assert DeltaTable(str(utterances.path)).vacuum(dry_run=True) == []
    assert texts(utterances, 0) == ["hi"]


# -- other writers ----------------------------------------------------------------------------------------------------


def record_for(change: Change, run_id: str = "") -> Record:
    return Record(made_from(), change.data_version, change.content_hash, change.row_hash, change.rows, run_id=run_id)


def test_of_two_writers_with_the_same_expected_version_one_wins(utterances: LakeTable, save: Save, lake: Lake) -> None:
    save(utterances, overwrite(utterances, rows("before")))
    other = lake.table(KEY, "utterances")
    mine, theirs = append(utterances, rows("mine")), append(other, rows("theirs"))

    assert utterances.commit(mine, record_for(mine, "mine"), expected=0) is not None
    with pytest.raises(ConflictError):
        other.commit(theirs, record_for(theirs, "theirs"), expected=0)

    assert texts(utterances) == ["before", "mine"]
    assert last(utterances)[0] == 1 and [record.run_id for _, record in utterances.records()] == ["mine", ""]


@pytest.mark.parametrize("exists", [True, False])
def test_of_many_writers_at_the_same_moment_one_wins(lake: Lake, save: Save, exists: bool) -> None:
    for attempt in range(5):
        key = f"acme.bot-{attempt}"
        if exists:
            save(lake.table(key, "utterances"), overwrite(lake.table(key, "utterances"), rows("before")))
        tables = [lake.table(key, "utterances") for _ in range(4)]
        changes = [append(table, rows(f"writer {number}")) for number, table in enumerate(tables)]
        start = threading.Barrier(len(tables))

        def write(table: LakeTable, change: Change, start: threading.Barrier = start) -> bool:
            start.wait()
            try:
                return table.commit(change, record_for(change), expected=0 if exists else None) is not None
            except ConflictError:
                return False

        with ThreadPoolExecutor(len(tables)) as pool:
            won = list(pool.map(write, tables, changes))

        assert won.count(True) == 1
        assert texts(tables[0]) == [*(["before"] if exists else []), f"writer {won.index(True)}"]
        assert last(tables[0])[1].rows == len(texts(tables[0]))


@pytest.mark.parametrize("exists", [True, False])
def test_of_many_recorded_appends_at_the_same_moment_one_wins(lake: Lake, exists: bool) -> None:
    for attempt in range(3):
        table = lake.table(f"acme.bot-{attempt}", "utterances")
        if exists:
            table.append_recorded(rows("before"), None)
        at, start = table.last(), threading.Barrier(3)

        def write(number: int, table: LakeTable = table, at: Commit | None = at, start: Any = start) -> bool:
            start.wait()
            try:
                return table.append_recorded(rows(f"writer {number}"), at) is not None
            except ConflictError:
                return False

        with ThreadPoolExecutor(3) as pool:
            won = list(pool.map(write, range(3)))

        assert won.count(True) == 1
        assert texts(table) == [*(["before"] if exists else []), f"writer {won.index(True)}"]
        assert last(table)[1].rows == len(texts(table))


def test_a_recorded_append_says_of_the_rows_what_staging_them_would_have_said(lake: Lake, save: Save) -> None:
    staged, direct = (lake.table(key, "utterances") for key in ("acme.staged", "acme.direct"))
    save(staged, append(staged, rows("one")))
    save(staged, append(staged, rows("two", "three")))
    opened = direct.append_recorded(rows("one"), None, code_revision="revision")
    direct.append_recorded(rows("two", "three"), direct.last(), opened, code_revision="revision")
    expected, found = last(staged), last(direct)
    assert found[1].code_revision == "revision" and found[1].rows_computed == 2
    assert found == (expected[0], replace(expected[1], code_revision="revision", rows_computed=2))
    assert direct.arrow().equals(staged.arrow())


def test_rows_without_a_record_are_not_appended_to(lake: Lake) -> None:
    conversations = lake.table(KEY, "conversations")
    conversations.append_rows([{"turn_id": "one"}])
    with pytest.raises(LakeError, match="written by something else"):
        conversations.append_recorded(conversations.arrow(), conversations.last())


def test_a_recorded_append_gives_a_table_of_an_earlier_release_its_new_columns(lake: Lake) -> None:
    table = lake.table(KEY, "utterances")
    fewer = tuple(column for column in table.table.columns if column.name != "language")
    older = LakeTable(table.path, replace(table.table, columns=fewer))
    older.append_recorded(rows("old").select(older.table.schema.names), None)
    table.append_recorded(rows("new"), table.last())
    found = {row["text"]: row["language"] for row in table.arrow().to_pylist()}
    assert found == {"old": None, "new": "en"}


def test_a_table_that_stays_open_is_opened_anew_after_a_checkpoint(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lakehouse, "CHECKPOINT_EVERY", 3)
    table = lake.table(KEY, "conversations")
    opened = table.append_rows([{"turn_id": "first"}])
    is_same = {}
    for name in ("second", "third", "fourth"):
        before, opened = opened, table.append_rows([{"turn_id": name}], opened=opened)
        is_same[opened.version()] = opened is before
    assert is_same == {2: True, 3: False, 4: True}


def test_appends_of_many_writers_at_once_never_conflict(lake: Lake) -> None:
    start = threading.Barrier(4)

    def write(writer: int) -> None:
        table = lake.table(KEY, "conversations")
        start.wait()
        for turn in range(5):
            table.append_rows([{"turn_id": f"{writer}-{turn}"}])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = lake.table(KEY, "conversations").arrow(["turn_id"]).column("turn_id").to_pylist()
    assert sorted(found) == [f"{writer}-{turn}" for writer in range(4) for turn in range(5)]


@pytest.mark.parametrize("exists", [True, False])
def test_a_crash_between_staging_and_commit_leaves_the_table_as_it_was(
    utterances: LakeTable, save: Save, engine: SparkEngine, exists: bool
) -> None:
    before = ["before"] if exists else []
    if exists:
        save(utterances, overwrite(utterances, rows("before")))
    lost = append(utterances, rows("lost"))  # and no commit follows
    assert data_files(utterances) >= {file.path for file in lost.adds}

    assert texts(utterances) == before
    assert (utterances.last() is not None) == exists
    save(utterances, append(utterances, rows("next")))
    assert texts(utterances) == sorted([*before, "next"])
    assert sorted(row["text"] for row in utterances.frame(engine.session).collect()) == sorted([*before, "next"])
    assert last(utterances)[1].rows == len(before) + 1


def test_rows_written_by_something_else_have_no_record(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("ours")))
    write_deltalake(str(utterances.path), rows("by hand"), mode="append")

    commit = utterances.last()
    assert commit is not None and (commit.version, commit.record) == (1, None)
    with pytest.raises(LakeError, match="written by something else") as refused:
        append(utterances, rows("more"))
    assert "\n" not in str(refused.value)

    save(utterances, overwrite(utterances, rows("ours")))
    assert texts(utterances) == ["ours"] and last(utterances)[0] == 2


def test_compaction_and_vacuum_change_no_rows_and_keep_the_record(utterances: LakeTable, save: Save) -> None:
    for text in ("a", "b", "c"):
        save(utterances, append(utterances, rows(text)), made_from(text))
    before = last(utterances)[1]
    lost = append(utterances, rows("lost")).adds[0]
    delta = DeltaTable(str(utterances.path))
    delta.optimize.compact()
    delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True)

    version, record = last(utterances)
    assert version > 2 and record == before
    assert not (utterances.path / lost.path).exists(), "vacuum does not find what a crash left over"
    staged = utterances.stage_arrow(rows("d"))
    save(utterances, utterances.amend(staged, lambda batch: pc.equal(batch.column("text"), "b"), ["text"]))
    assert texts(utterances) == ["a", "c", "d"] and last(utterances)[1].rows == 3


def test_many_commits_are_read_beyond_delta_s_checkpoints(
    utterances: LakeTable, save: Save, engine: SparkEngine
) -> None:
    for number in range(12):
        save(utterances, append(utterances, rows(f"{number:02d}")))
    DeltaTable(str(utterances.path)).create_checkpoint()
    save(utterances, append(utterances, rows("12")))
    assert texts(utterances) == [f"{number:02d}" for number in range(13)]
    assert utterances.frame(engine.session).count() == 13
    assert last(utterances)[0] == 12


def test_a_bot_s_tables_are_held_until_the_process_that_holds_them_ends(lake: Lake) -> None:
    program = (
        "from pathlib import Path; from resources.lakehouse import Lake\n"
        f"with Lake(Path({str(lake.root)!r})).writing({KEY!r}):\n"
        "    print('held', flush=True)\n    import time; time.sleep(600)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    holder = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    held = threading.Event()

    def take() -> None:
        with lake.writing(KEY):
            held.set()

    waiting = threading.Thread(target=take)
    waiting.start()
    with lake.writing("acme.other"):
        assert not held.wait(0.3)
    holder.kill()
    holder.wait()
    assert held.wait(60)
    waiting.join()
    holder.stdout.close()


def test_two_bots_of_one_tenant_and_equal_names_of_two_tenants_have_tables_of_their_own(lake: Lake) -> None:
    paths = {lake.table(key, "utterances").path for key in ("acme.faq", "acme.shop", "globex.faq")}
    assert len(paths) == 3
    assert lake.table("acme.faq", "models").path == lake.root / "acme" / "faq" / "models"


# -- rows that leave --------------------------------------------------------------------------------------------------


def test_amend_removes_the_marked_rows_and_rewrites_only_files_that_hold_one(utterances: LakeTable, save: Save) -> None:
    for group in (("a1", "a2", "a3"), ("b1", "b2"), ("c1",)):
        save(utterances, append(utterances, rows(*group)))
    before = {path for path, _ in utterances._active_files()}
    gone = pa.array(["a2", "c1"])
    staged = utterances.stage_arrow(rows("new"))
    change = utterances.amend(staged, lambda batch: pc.is_in(batch.column("text"), value_set=gone), ["text"])
    save(utterances, change)

    assert texts(utterances) == ["a1", "a3", "b1", "b2", "new"]
    after = {path for path, _ in utterances._active_files()}
    assert len(before & after) == 1, "the file without a marked row is kept"
    assert set(change.removes) == before - after
    assert last(utterances)[1].rows == 5
    assert texts(utterances, 2) == ["a1", "a2", "a3", "b1", "b2", "c1"]


def test_amend_that_marks_no_row_is_an_append(utterances: LakeTable, save: Save) -> None:
    save(utterances, append(utterances, rows("a")))
    change = utterances.amend((), lambda batch: pc.equal(batch.column("text"), "z"), ["text"])
    assert (change.adds, change.removes) == ((), ())
    assert save(utterances, change) is None


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 20), max_size=5), max_size=4),
    st.lists(st.integers(0, 20), max_size=3),
    st.sets(st.integers(0, 20)),
)
def test_an_amended_table_holds_what_was_there_without_the_marked_rows_and_with_the_new_ones(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[int]], new: list[int], marked: set[int]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    table = lake.table(KEY, "utterances")
    for group in groups:
        change = append(table, rows(*map(str, group)))
        commit = table.last()
        table.commit(change, record_for(change), commit.version if commit else None)
    value_set = pa.array([str(number) for number in marked], pa.string())
    change = table.amend(
        table.stage_arrow(rows(*map(str, new))),
        lambda batch: pc.is_in(batch.column("text"), value_set=value_set),
        ["text"],
    )
    commit = table.last()
    table.commit(change, record_for(change), commit.version if commit else None)

    expected = sorted(
        [str(number) for group in groups for number in group if number not in marked] + list(map(str, new))
    )
    assert texts(table) == expected
    assert last(table)[1].rows == len(expected)
    fresh = lake.table("acme.fresh", "utterances")
    assert last(table)[1].data_version == overwrite(fresh, rows(*expected)).data_version


# -- accepted code ----------------------------------------------------------------------------------------------------


def test_accepting_code_records_once_who_said_it_and_changes_no_row(utterances: LakeTable, save: Save) -> None:
    save(utterances, overwrite(utterances, rows("hi")), made_from(code="v1"))
    before = last(utterances)[1]

    assert accept_code(utterances, {"process": "v2"}, "kim", "only a log line") == ["process"]
    version, record = last(utterances)
    assert version == 1 and not {"add", "remove"} & set(log_actions(utterances, 1))
    assert record.accepted == {"v2": "v1"}
    assert (record.notes["accepted_by"], record.notes["accepted_because"]) == ("kim", "only a log line")
    assert replace(record, accepted={}, notes={}) == replace(before, accepted={}, notes={})

    assert accept_code(utterances, {"process": "v2"}, "kim", "again") == []
    assert last(utterances)[0] == 1
    assert accept_code(utterances, {"process": "v3"}, "lee", "a comment") == ["process"]
    assert last(utterances)[1].accepted == {"v2": "v1", "v3": "v1"}


def test_there_is_nothing_to_accept_before_the_first_rows(utterances: LakeTable) -> None:
    with pytest.raises(LakeError, match="nothing has been computed yet"):
        accept_code(utterances, {"process": "v2"}, "kim", "why not")


# -- hashes of rows ---------------------------------------------------------------------------------------------------

cells = st.tuples(
    st.none() | st.text(max_size=8),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
    st.none() | st.binary(max_size=6),
    st.none() | st.datetimes(timezones=st.just(UTC)),
)
COLUMNS = ("text", "number", "texts", "bytes", "time")
SCHEMA = pa.schema(
    zip(COLUMNS, (pa.string(), pa.int64(), pa.list_(pa.string()), pa.binary(), pa.timestamp("us", "UTC")), strict=True)
)


def batch_of(found: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in found], SCHEMA)


def hash_of(found: Sequence[tuple[Any, ...]]) -> str:
    digest = RowHash(COLUMNS)
    digest.add(batch_of(found))
    return digest.hexdigest()


@given(st.lists(cells, max_size=6), st.randoms(use_true_random=False), st.integers(0, 6))
def test_the_hash_of_rows_depends_on_neither_order_nor_batches(found: list[Any], random: Any, cut: int) -> None:
    shuffled = random.sample(found, len(found))
    digest = RowHash(COLUMNS)
    digest.add(batch_of(shuffled[:cut]))
    digest.add(pa.Table.from_batches([batch_of(shuffled[cut:])]))
    assert digest.hexdigest() == hash_of(found)


@given(st.lists(cells, max_size=5), st.lists(cells, max_size=5))
def test_rows_that_were_added_and_taken_away_leave_the_old_hash(stay: list[Any], go: list[Any]) -> None:
    digest = RowHash(COLUMNS, hash_of(stay))
    digest.add(batch_of(go))
    digest.add(batch_of(go), -1)
    assert digest.hexdigest() == hash_of(stay)


@given(st.lists(cells, min_size=1, max_size=5), st.data())
def test_a_changed_cell_changes_the_hash(found: list[Any], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(found) - 1))
    column = data.draw(st.integers(0, len(COLUMNS) - 1))
    value = data.draw(cells.map(lambda row: row[column]).filter(lambda value: value != found[number][column]))
    changed = list(found)
    changed[number] = (*found[number][:column], value, *found[number][column + 1 :])
    assert hash_of(changed) != hash_of(found)


@given(st.lists(cells, min_size=1, max_size=5))
def test_a_row_that_is_there_twice_counts_twice(found: list[Any]) -> None:
    assert hash_of([*found, found[0]]) != hash_of(found)
