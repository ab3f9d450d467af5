"""A person who is forgotten is nowhere in the home any more, and everything else still works."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from known_person import MARK, OTHER, SUBJECT, Known, erase

from chatbot_assets.commands import UserError
from chatbot_assets.commands.rebuild import run as rebuild
from chatbot_assets.commands.rollback import run as rollback
from chatbot_assets.commands.versions import run as versions
from chatbot_assets.deploy.record import history
from chatbot_assets.erasing import erasure, sources
from chatbot_assets.erasing import history as past
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.receipt import ReceiptError, check
from chatbot_assets.erasing.search import search
from chatbot_assets.quality.audit import audit_table
from chatbot_assets.tables import TABLES


def places(root: Path) -> list[str]:
    """Where the person is, by a search for what only they have: their id, and the mark in their texts."""
    return search(root, Markers(frozenset({SUBJECT, MARK, "s-314-mine", "d-77-talk"}))).places


def test_a_byte_search_over_the_whole_home_finds_nothing_afterwards(
    knows: Known, erased: tuple[Known, dict[str, Any]]
) -> None:
    before = places(knows.bot.home.root)
    assert {place.split("/")[0] for place in before} == {"lake", "landing", "dagster", "logs", "cache"}
    known, receipt = erased
    assert receipt["search"]["found_in"] == [] and receipt["complete"]
    assert places(known.bot.home.root) == []
    assert not list((known.bot.home.root / "erasing").iterdir())


def test_what_others_said_stays(knows: Known, erased: tuple[Known, dict[str, Any]]) -> None:
    bot = erased[0].bot
    before = [found for found in knows.bot.rows("dialogues") if MARK not in found["text"]]
    assert bot.rows("dialogues") == [found for found in before if found["user_id"] != SUBJECT], "ids and all"
    assert {found["text"] for found in bot.rows("conversations")} == {"what is a parcel", "any parcels"}
    [decision] = bot.rows("review_decisions")
    assert decision["texts"] == ["what is a parcel"]
    [queued] = [found for found in bot.rows("review_queue") if found["text"] == "any parcels"]
    assert [one["text"] for one in json.loads(queued["candidates"])] == [None], "a known text of theirs is not quoted"


def test_landing_files_lose_the_persons_lines_and_are_not_read_again(erased: tuple[Known, dict[str, Any]]) -> None:
    bot = erased[0].bot
    lines = (bot.home.landing(bot.key) / "mixed.jsonl").read_text().split("\n")
    assert [number for number, line in enumerate(lines, 1) if line] == [2], "and keep their numbers"
    statuses = {found["source_file"]: found["status"] for found in bot.rows("landing_files")}
    assert statuses == {
        "home.jsonl": "read",
        **dict.fromkeys(("mixed.jsonl", "table.csv.gz", "rows.parquet"), "erased"),
    }
    assert not bot.state.unread and not bot.state.stale


def test_old_versions_can_be_read_and_hold_everybody_else(knows: Known, erased: tuple[Known, dict[str, Any]]) -> None:
    for name in TABLES:
        before, table = knows.bot.table(name), erased[0].bot.table(name)
        newest = before.last()
        for version in range(newest.version + 1 if newest else 0):
            there, left = before.arrow(version=version), table.arrow(version=version)
            assert left.num_rows <= there.num_rows
            assert DeltaTable(str(table.path), version=version).to_pyarrow_table().num_rows == left.num_rows


def test_a_model_that_learnt_from_the_person_is_gone_and_says_so(
    erased: tuple[Known, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, receipt = erased
    bot = known.bot
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    assert bot.live and bot.live.model_id not in receipt["removed"]["models"]
    assert known.learnt in receipt["removed"]["models"] and known.before not in receipt["removed"]["models"]
    gone = next(event for event in history(bot.table("deployments")).events if event["model_id"] == known.learnt)
    with pytest.raises(UserError, match="its model was erased on"):
        rollback(bot.key, to=gone["deployment_id"], reason="", actor="kim")
    with pytest.raises(UserError, match="cannot be rebuilt: erased on"):
        rebuild(bot.key, model=known.learnt, warn=lambda line: None)
    assert any(event["event"] == "erased" for one in versions(bot.key)["deployments"] for event in one["events"])


def test_a_model_that_never_knew_the_person_is_still_rebuilt_bit_for_bit(
    erased: tuple[Known, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = erased
    monkeypatch.setenv("CHATBOT_HOME", str(known.bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(known.bot.home.bots))
    assert rebuild(known.bot.key, model=known.before, warn=lambda line: None)["equal"]


def test_the_receipt_is_checked_and_tells_nothing_of_the_person(
    erased: tuple[Known, dict[str, Any]], tmp_path: Path
) -> None:
    known, receipt = erased
    root = known.bot.home.root
    path = Path(receipt["file"])
    assert check(root, path, SUBJECT)["bot"] == known.bot.key
    assert SUBJECT not in path.read_text() and MARK not in path.read_text()
    assert (root / "receipts.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ReceiptError, match="about somebody else"):
        check(root, path, OTHER)
    forged = tmp_path / "forged.json"
    forged.write_text(path.read_text().replace('"actor": "kim"', '"actor": "lee"'))
    with pytest.raises(ReceiptError, match="its signature is wrong"):
        check(root, forged)


def test_files_beside_the_tables_keep_what_is_not_the_persons(erased: tuple[Known, dict[str, Any]]) -> None:
    root = erased[0].bot.home.root
    with sqlite3.connect(root / "dagster/history/runs/one.db") as database:
        [(event,)] = database.execute("SELECT event FROM event_logs").fetchall()
    assert json.loads(event) == {"metadata": {"rows": [{"text": "stays"}], "count": 2}}
    log = (root / "logs/service.log").read_text().splitlines()
    assert [line.strip() for line in log] == ['{"m": "served"}', "", '{"m": "served"}']


def test_all_checks_of_all_tables_hold_afterwards(erased: tuple[Known, dict[str, Any]]) -> None:
    bot = erased[0].bot
    for name in TABLES:
        failed = [one for one in audit_table(bot.lake, bot.key, name) if not one.passed and one.effect != "warns"]
        assert failed == [], name


class Killed(BaseException):
    """Ends an erasure where a killed process would."""


def killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize("place", ["amend_decisions", "refresh", "trim_log", "sign"])
def test_an_erasure_that_was_killed_is_finished_by_asking_again(
    knows: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    bot = knows.copy(tmp_path / "killed").bot
    with monkeypatch.context() as patch, pytest.raises(Killed):
        module = {"amend_decisions": sources, "trim_log": past}.get(place, erasure)
        if place != "refresh":
            patch.setattr(module, place, killed)
        erase(bot, refresh=killed if place == "refresh" else None)
    assert places(bot.home.root)
    receipt = erase(bot)
    assert receipt["complete"] and places(bot.home.root) == []
    assert all(one.passed or one.effect == "warns" for name in TABLES for one in audit_table(bot.lake, bot.key, name))


def test_a_dry_run_changes_nothing_and_says_what_would_go(knows: Known, erased: tuple[Known, dict[str, Any]]) -> None:
    before = knows.bot.logs()
    found = erasure.preview(knows.bot.home, knows.bot.bot, SUBJECT)
    assert knows.bot.logs() == before
    assert found["live_model_learnt_from_them"]
    assert {name: found[name] for name in erased[1]["found"]} == erased[1]["found"]


def test_somebody_whom_nobody_knows_is_erased_without_a_change(knows: Known, tmp_path: Path) -> None:
    bot = knows.copy(tmp_path / "stranger").bot
    before = bot.logs()
    receipt = erase(bot, "nobody-knows-me-1")
    assert receipt["complete"] and receipt["found"]["tables"] == {} and bot.logs() == before
