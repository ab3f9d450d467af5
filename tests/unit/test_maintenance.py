"""Maintenance of a bot's files: what is joined, what is removed, and what can still be read afterwards."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from chatbot_assets.bot import Bot, BotError, Retention
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.search import search
from chatbot_assets.maintenance import maintain_bot
from chatbot_assets.maintenance.compaction import MANY_FILES, compact
from chatbot_assets.maintenance.expiry import expire
from chatbot_assets.maintenance.retention import kept_versions, pinned_versions
from chatbot_assets.maintenance.vacuum import vacuum
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home
from resources.lakehouse import Commit, Lake, LakeError, LakeTable
from serving.conversations import new_turn_id

KEY = "acme.faq"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = timedelta(days=365)
Save = Callable[..., Commit | None]


@pytest.fixture
def labels(lake: Lake) -> LakeTable:
    return lake.table(KEY, "labels")


def rows(table: LakeTable, *identities: str) -> pa.Table:
    found = [{"utterance_id": one, "intent": "greet", "quality": 0.5, "verdict": "keep"} for one in identities]
    return pa.Table.from_pylist(found, table.table.schema)


def identities(table: LakeTable, version: int | None = None) -> list[str]:
    return sorted(table.arrow(["utterance_id"], version).column("utterance_id").to_pylist())


def append_each(table: LakeTable, save: Save, *identities: str) -> None:
    for identity in identities:
        save(table, table.append(table.stage_arrow(rows(table, identity))))


def overwrite_each(table: LakeTable, save: Save, *identities: str) -> None:
    for identity in identities:
        save(table, table.overwrite(table.stage_arrow(rows(table, identity))))


def readable(table: LakeTable) -> list[int]:
    """The versions all of whose files are there."""
    last = table.last()
    assert last is not None
    found = []
    for version in range(last.version + 1):
        try:
            assert identities(table, version)
        except FileNotFoundError:
            continue
        found.append(version)
    return found


def set_age(path: Path, age: timedelta) -> None:
    os.utime(path, (time.time() - age.total_seconds(),) * 2)


def file(path: Path, age: timedelta) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left behind")
    set_age(path, age)
    return path


def deploy(lake: Lake, save: Save, *events: tuple[str, datetime, str, dict[str, int]]) -> None:
    """Writes events of deployments: kind, time, model, and the versions that the deployment was made from."""
    table = lake.table(KEY, "deployments")
    found = [
        {
            "event_id": f"{event} {model} {at}",
            "model_id": model,
            "event": event,
            "at": at,
            "data_versions": json.dumps(
                {name: {"version": number, "data_version": ""} for name, number in made.items()}
            ),
        }
        for event, at, model, made in events
    ]
    save(table, table.append(table.stage_arrow(pa.Table.from_pylist(found, table.table.schema))))


# -- compaction ---------------------------------------------------------------------------------------------------


def test_many_small_files_become_one_with_the_same_rows(labels: LakeTable, save: Save) -> None:
    names = [f"row {number}" for number in range(MANY_FILES)]
    append_each(labels, save, *names)
    before = labels.last()
    assert before and compact(labels) == (MANY_FILES, 1)
    after = labels.last()
    assert after and after.version == before.version + 1
    assert (after.record, after.data_version, after.changed_at) == (before.record, before.data_version, before.version)
    assert identities(labels) == names == identities(labels, before.version)
    assert labels.files_added(before.version, after.version) is None
    assert compact(labels) == (1, 1), "there is nothing left to join"
    assert labels.last() == after


def test_few_files_are_left_alone(labels: LakeTable, save: Save) -> None:
    append_each(labels, save, *"abc")
    before = labels.last()
    assert compact(labels) == (3, 3) and labels.last() == before


def test_a_joined_table_can_be_amended_and_its_hash_is_still_that_of_its_rows(labels: LakeTable, save: Save) -> None:
    append_each(labels, save, *"abcdefgh")
    compact(labels)
    gone = labels.amend((), lambda batch: pc.equal(batch.column("utterance_id"), "c"), ["utterance_id"])
    save(labels, gone)
    assert identities(labels) == list("abdefgh")
    fresh = labels.overwrite(labels.stage_arrow(rows(labels, *"abdefgh")))
    last = labels.last()
    assert last and last.record and last.record.content_hash == fresh.content_hash


def test_joined_conversations_keep_their_data_version(lake: Lake) -> None:
    conversations = lake.table(KEY, "conversations")
    for number in range(MANY_FILES):
        conversations.append_rows([{"turn_id": f"{number:032x}", "text": "hello"}])
    before = conversations.last()
    assert before and compact(conversations) == (MANY_FILES, 1)
    after = conversations.last()
    assert after and after.version > before.version and after.data_version == before.data_version
    conversations.append_rows([{"turn_id": f"{9:032x}", "text": "hello"}])
    assert conversations.arrow(["turn_id"]).num_rows == MANY_FILES + 1


# -- retention ----------------------------------------------------------------------------------------------------


def test_a_version_is_kept_until_the_retention_after_another_has_taken_its_place() -> None:
    days = [NOW - timedelta(days=age) for age in (100, 80, 20, 1)]
    assert kept_versions(days, NOW - timedelta(days=30), set()) == {1, 2, 3}, "version 1 was the newest 30 days ago"
    assert kept_versions(days, NOW, set()) == {3}
    assert kept_versions(days, NOW, {0, 99}) == {0, 3}


def test_versions_of_deployments_that_are_live_or_were_within_the_retention_are_kept(lake: Lake, save: Save) -> None:
    def days_ago(days: int) -> datetime:
        return NOW - timedelta(days=days)

    deploy(
        lake,
        save,
        ("live", days_ago(300), "first", {"labels": 1}),
        ("live", days_ago(200), "second", {"labels": 2}),
        ("rejected", days_ago(150), "never", {"labels": 3}),
        ("live", days_ago(50), "third", {"labels": 4, "models": 7}),
        ("candidate", days_ago(10), "fourth", {"labels": 5}),
    )
    assert pinned_versions(lake, KEY, days_ago(90)) == {"labels": {2, 4, 5}, "models": {7}}
    assert pinned_versions(lake, KEY, days_ago(1)) == {"labels": {4, 5}, "models": {7}}
    assert pinned_versions(lake, "acme.new", NOW) == {}


def test_an_expired_turn_is_gone_to_its_last_byte_two_nights_after_its_time(home: Home, lake: Lake, save: Save) -> None:
    night, secret = datetime.now(UTC), "where is the parcel of last year"
    retention = Retention(conversations_days=30)
    old, young = (
        {"turn_id": new_turn_id(), "text": text, "answer": text, "served_at": night - timedelta(days=age)}
        for text, age in ((secret, 30.1), ("where is the parcel of today", 29))
    )
    tables = [lake.table(KEY, name) for name in ("conversations", "shadow_answers", "review_queue")]
    conversations, shadows, queue = tables
    for turn in (old, young):
        conversations.append_rows([turn])
        shadows.append_rows([{name: turn[name] for name in ("turn_id", "answer", "served_at")}])
    DeltaTable(str(conversations.path)).create_checkpoint()
    for turns in ([old, young], [young]):
        waiting = [{name: turn[name] for name in ("turn_id", "text", "served_at")} for turn in turns]
        save(queue, queue.overwrite(queue.stage_arrow(pa.Table.from_pylist(waiting, queue.table.schema))))
    sorted_queue = home.cache / "review" / f"{KEY}@0-0-0.arrow"
    sorted_queue.parent.mkdir(parents=True)
    sorted_queue.write_text(secret)

    assert expire(lake, KEY, retention, night) == 1
    maintain_bot(home, lake, KEY, retention, night)
    assert not sorted_queue.exists() and conversations.arrow(["text"]).to_pylist() == [{"text": young["text"]}]
    assert conversations.arrow(["text"], 2).num_rows == 2, "who reads an old version now can end"
    maintain_bot(home, lake, KEY, retention, night + timedelta(days=1))
    assert search(home.root, Markers(frozenset({secret}))).places == []
    for table in tables:
        assert table.arrow(["turn_id"]).to_pylist() == [{"turn_id": young["turn_id"]}]


def test_where_turns_stay_old_versions_of_their_tables_can_be_read_as_long_as_others(home: Home, lake: Lake) -> None:
    conversations = lake.table(KEY, "conversations")
    for number in range(MANY_FILES):
        conversations.append_rows([{"turn_id": f"{number:032x}", "text": "hello"}])
    night = datetime.now(UTC)
    for age in (0, 1, 89):
        maintain_bot(home, lake, KEY, Retention(), night + timedelta(days=age))
    assert conversations.arrow(["turn_id"], 1).num_rows == 1


# -- vacuum -------------------------------------------------------------------------------------------------------


def test_files_go_that_no_kept_version_needs_and_each_kept_version_reads_every_row(
    labels: LakeTable, save: Save
) -> None:
    overwrite_each(labels, save, *"abcde")
    append_each(labels, save, "f")
    files, logs = set(labels.path.rglob("*.parquet")), sorted((labels.path / "_delta_log").iterdir())
    moment = datetime.now(UTC)
    assert vacuum(labels, moment - LATER, set(), moment).files == 0, "all are within the retention"
    done = vacuum(labels, moment + LATER, {1, 3}, moment)
    gone = files - set(labels.path.rglob("*.parquet"))
    assert (done.versions_kept, done.files) == (3, 2) and len(gone) == 2 and done.bytes > 0
    assert readable(labels) == [1, 3, 4, 5], "version 4 needs no file that the newest does not need too"
    assert [identities(labels, version) for version in (1, 3, 5)] == [["b"], ["d"], ["e", "f"]]
    assert not any(path.parent.exists() for path in gone), "the folders that held them are gone too"
    assert sorted((labels.path / "_delta_log").iterdir()) == logs, "the log stays as it is"


def test_old_files_that_no_log_entry_names_go_and_young_ones_stay(labels: LakeTable, save: Save) -> None:
    append_each(labels, save, "a")
    old, young = timedelta(days=2), timedelta(hours=2)
    left = [
        file(labels.path / name, old) for name in ("data/killed/part-0.parquet", "data/killed/_SUCCESS", "x.parquet")
    ]
    under_way = [file(labels.path / name, young) for name in ("data/now/part-0.parquet", "y.parquet")]
    empty = labels.path / "data" / "begun"
    empty.mkdir()
    moment = datetime.now(UTC)
    assert vacuum(labels, moment - LATER, set(), moment).files == len(left)
    assert not any(path.exists() for path in left) and not left[0].parent.exists()
    assert all(path.exists() for path in under_way) and empty.exists()
    assert identities(labels) == ["a"]


def test_joined_files_are_removed_once_no_kept_version_needs_them(labels: LakeTable, save: Save) -> None:
    append_each(labels, save, *"abcdefgh")
    compact(labels)
    moment = datetime.now(UTC)
    assert vacuum(labels, moment + LATER, {3}, moment).files == 4
    assert identities(labels) == list("abcdefgh") and identities(labels, 3) == list("abcd")


def test_a_table_whose_log_has_gaps_is_left_as_it_is(labels: LakeTable, save: Save) -> None:
    overwrite_each(labels, save, *"ab")
    (labels.path / "_delta_log" / f"{0:020d}.json").unlink()
    moment = datetime.now(UTC)
    with pytest.raises(LakeError, match="its log has gaps; restore the table"):
        vacuum(labels, moment + LATER, set(), moment)
    assert len(list(labels.path.rglob("*.parquet"))) == 2


# -- a whole bot --------------------------------------------------------------------------------------------------


def test_a_bot_is_maintained_table_by_table_and_a_damaged_one_stops_no_other(
    home: Home, lake: Lake, labels: LakeTable, save: Save
) -> None:
    overwrite_each(labels, save, *"abc")
    models = lake.table(KEY, "models")
    chunk = {"model_id": "m", "file": "f", "chunk": 0, "chunks": 1, "sha256": "", "data": b"x", "trained_at": NOW}
    for number in range(2):
        found = pa.Table.from_pylist([chunk | {"model_id": str(number)}], models.table.schema)
        save(models, models.append(models.stage_arrow(found), data_version=str(number)))
    (models.path / "_delta_log" / f"{0:020d}.json").unlink()
    report = maintain_bot(home, lake, KEY, Retention(), datetime.now(UTC) + LATER)
    assert {table.table: (table.files_removed, bool(table.problem)) for table in report.tables} == {
        "labels": (2, False),
        "models": (0, True),
    }
    assert report.files_removed == 2 and identities(labels) == ["c"]


def test_caches_lose_what_killed_runs_left_and_models_that_no_deployment_names(
    home: Home, lake: Lake, save: Save
) -> None:
    old = timedelta(days=2)
    now = datetime.now(UTC)
    deploy(
        lake,
        save,
        ("live", now - timedelta(days=400), "before", {}),
        ("live", now - timedelta(days=300), "live", {}),
    )
    folders = [home.cache / name for name in ("scratch/killed", "models/before", "models/live", "models/.unpacking-x")]
    for folder in folders:
        file(folder / "one", old)
        set_age(folder, old)
    file(home.cache / "scratch/now/one", timedelta(0))
    file(home.cache / "models/new/one", timedelta(0))
    assert maintain_bot(home, lake, KEY, Retention(), now).models_removed == 2
    assert sorted(path.name for path in (home.cache / "models").iterdir()) == ["live", "new"]
    assert [path.name for path in (home.cache / "scratch").iterdir()] == ["now"]


def test_the_retention_is_a_key_of_the_bot_file_that_makes_nothing_stale(write_bot: Callable[..., Bot]) -> None:
    plain: Any = write_bot()
    assert plain.retention.days == 90
    longer = write_bot(retention={"days": 365})
    assert [plain.config_hash(*table.config) for table in MATERIALISED if table.config] == [
        longer.config_hash(*table.config) for table in MATERIALISED if table.config
    ]
    with pytest.raises(BotError, match=r"retention.days: .* greater than or equal to 1"):
        write_bot(retention={"days": 0})
