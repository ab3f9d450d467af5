"""Faults of a refresh: afterwards the tables are those of a refresh that nothing disturbed, and nothing is doubled."""

import dataclasses
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fault_table import assert_seen
from killing import (
    BOUNDARIES,
    Place,
    after_the_commit,
    at_the_start,
    before_the_commit,
    before_the_data_files,
    die,
    fill_the_disk,
    obey_permissions,
    refresh_with,
)
from small_bot import NAMES, SmallBot, row

from chatbot_assets.maintenance.vacuum import vacuum
from chatbot_assets.quality.audit import audit_table
from resources import attempts

NEW = [row(f"Will it {weather} tomorrow", "weather") for weather in ("rain", "snow", "hail", "storm", "thaw")]


@pytest.fixture(scope="session")
def stages(first: tuple[SmallBot, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, SmallBot]:
    """The bot with a landing file that nothing has read, up to what ``models`` is made from, and wholly refreshed."""
    found = {}
    bot = first[0].copy(tmp_path_factory.mktemp("stages"))
    bot.land("more.jsonl", [*NEW, {"intent": "weather"}])
    for name, select in (("landed", ()), ("labelled", NAMES[: NAMES.index("models")]), ("refreshed", NAMES)):
        assert not select or bot.refresh(select=select).success
        found[name] = bot.copy(tmp_path_factory.mktemp(name))
    return found


@pytest.fixture
def undisturbed(stages: dict[str, SmallBot]) -> SmallBot:
    """The bot after a refresh that nothing has disturbed; not to be changed."""
    return stages["refreshed"]


@pytest.fixture
def behind(stages: dict[str, SmallBot], request: pytest.FixtureRequest, tmp_path: Path) -> SmallBot:
    """A bot with a landing file whose refresh has come up to before the test's ``table``."""
    table = request.node.callspec.params.get("table", "models") if hasattr(request.node, "callspec") else "models"
    return stages["labelled" if table in ("models", "deployments") else "landed"].copy(tmp_path / "behind")


def told(bot: SmallBot) -> str:
    """What ``status`` and the sensor's page say about the last attempt while it is new."""
    state = dataclasses.replace(bot.state, gather_until=None)
    return (state.attempt and state.waits_for(state.attempt.at)) or ""


def assert_undisturbed(bot: SmallBot, undisturbed: SmallBot, table: str) -> None:
    """Fails when a table differs from that of the refresh that nothing disturbed, or one's rows from its record."""
    for name in NAMES:
        found, wanted = bot.record(name), undisturbed.record(name)
        assert (found.rows, found.content_hash) == (wanted.rows, wanted.content_hash), name
    audits = [
        {found.check: found.passed for found in audit_table(one.lake, one.key, table)} for one in (bot, undisturbed)
    ]
    assert audits[0] == audits[1] and audits[0]["as_recorded"]
    events = [[(e["event"], e["deployment_id"]) for e in one.rows("deployments")] for one in (bot, undisturbed)]
    assert sorted(events[0]) == sorted(events[1])
    assert bot.state.stale == () and attempts.last_attempt(bot.lake.bot_folder(bot.key)) is None


def versions(bot: SmallBot) -> dict[str, int]:
    return {name: last.version for name in NAMES if (last := bot.table(name).last())}


def unnamed_files(bot: SmallBot) -> set[Path]:
    """Data files that no version of their table names."""
    found = set()
    for name in NAMES:
        table = bot.table(name)
        named = {table.path / path for entry in table.history() for path in entry.added}
        found |= {path for path in table.path.rglob("*.parquet") if "_delta_log" not in path.parts} - named
    return found


@pytest.mark.parametrize("table", ["dialogues", "landing_files", "labels", "models", "deployments"])
def test_a_refresh_that_is_killed_at_each_boundary_of_a_table_is_made_good_by_the_next_one(
    behind: SmallBot, undisturbed: SmallBot, table: str
) -> None:
    """One after the other, so each refresh goes on from what a killed one has left."""
    before = behind.live
    for place in BOUNDARIES:
        attempts.end(behind.lake.bot_folder(behind.key))  # each counts as the first
        last, made_from = versions(behind), behind.record(table)
        assert refresh_with(behind, place, table, die).code == -signal.SIGKILL, place.__name__
        now = versions(behind)
        assert now[table] - last[table] == (place is after_the_commit), place.__name__
        assert behind.record(table) == made_from or now[table] > last[table]
        if (table, place) != ("deployments", after_the_commit):
            assert behind.live == before, "what answers has not changed"
        if now == last:
            assert_seen("a refresh is killed", told(behind))
    assert behind.refresh().success
    assert_undisturbed(behind, undisturbed, table)


@pytest.mark.parametrize(
    ("table", "place"),
    [("models", before_the_data_files), ("deployments", before_the_commit)],
    ids=["models", "deployments"],
)
def test_a_refresh_on_a_full_disk_commits_nothing_more_and_is_made_good(
    behind: SmallBot, undisturbed: SmallBot, table: str, place: Place
) -> None:
    before, last = behind.live, behind.table(table).last()
    ended = refresh_with(behind, place, table, fill_the_disk)
    assert (ended.code, behind.live, behind.table(table).last()) == (1, before, last)
    assert_seen("the disk is full during a refresh", ended.said)
    assert behind.refresh().success
    assert_undisturbed(behind, undisturbed, table)


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """Takes the right to write from a folder and all below it."""
    paths = [root, *root.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@pytest.mark.parametrize("folder", ["", "deployments"], ids=["all-of-it", "deployments"])
def test_a_refresh_of_a_lake_that_cannot_be_written_changes_nothing_and_says_so(
    behind: SmallBot, undisturbed: SmallBot, folder: str
) -> None:
    before = behind.live
    with read_only(behind.lake.bot_folder(behind.key) / folder):
        ended = refresh_with(behind, at_the_start, "", obey_permissions)
    assert (ended.code, behind.live) == (1, before)
    assert_seen("a table cannot be written" if folder else "the lake cannot be written", ended.said)
    assert behind.refresh().success
    assert_undisturbed(behind, undisturbed, "deployments")


def test_what_killed_refreshes_leave_on_the_disk_is_removed_by_maintenance(behind: SmallBot) -> None:
    for place in BOUNDARIES[1:3]:
        assert refresh_with(behind, place, "models", die).code == -signal.SIGKILL
    left = unnamed_files(behind)
    assert left
    assert behind.refresh().success
    now = datetime.now(UTC)
    for path in left:
        os.utime(path, (0, 0))
    pinned = set(range(100))
    for name in NAMES:
        vacuum(behind.table(name), now, pinned, now)
    assert unnamed_files(behind) == set()
    assert behind.refresh().success
