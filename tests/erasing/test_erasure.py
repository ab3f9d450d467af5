"""A person who is forgotten is nowhere in the home any more, and everything else still works."""

import importlib
import json
import os
import signal
import sqlite3
from pathlib import Path

import pytest
from deltalake import DeltaTable
from forked import SECONDS, context
from known_person import MARK, OTHER, SPELT_BY_ANOTHER, SUBJECT, Erased, Known, erase, places
from small_bot import SmallBot

from chatbot_assets.commands import UserError
from chatbot_assets.commands.rebuild import run as rebuild
from chatbot_assets.commands.rollback import run as rollback
from chatbot_assets.commands.versions import run as versions
from chatbot_assets.deploy.life import mark_erased
from chatbot_assets.deploy.record import history
from chatbot_assets.erasing import erasure, sources
from chatbot_assets.erasing import history as erased_history
from chatbot_assets.erasing.receipt import ReceiptError, check
from chatbot_assets.quality.audit import audit_table
from chatbot_assets.tables import TABLES
from resources.audit import AuditLog
from serving.people.directory import Directory


def test_a_byte_search_over_the_whole_home_finds_nothing_afterwards(knows: Known, erased: Erased) -> None:
    before = places(knows.bot.home.root)
    assert {place.split("/")[0] for place in before} == {"lake", "landing", "dagster", "logs", "cache", "journal"}
    parts = {part for place in before for part in place.split("/")}
    assert {"shadow_answers", "review_queue", "review_decisions", ".imported", ".verification.json"} <= parts
    known, receipt = erased.known, erased.receipt
    assert receipt["search"]["found_in"] == [] and receipt["complete"]
    assert places(known.bot.home.root) == []
    assert not list((known.bot.home.root / "erasing").iterdir())


def test_what_others_said_stays(knows: Known, erased: Erased) -> None:
    bot = erased.bot
    before = [found for found in knows.bot.rows("dialogues") if MARK not in found["text"]]
    assert bot.rows("dialogues") == [found for found in before if found["user_id"] != SUBJECT], "ids and all"
    said = {"what is a parcel", "any parcels", SPELT_BY_ANOTHER, "parcel please"}
    assert {found["text"] for found in bot.rows("conversations")} == said
    [decision] = bot.rows("review_decisions")
    assert decision["texts"] == ["what is a parcel"]
    [queued] = [found for found in bot.rows("review_queue") if found["text"] == "any parcels"]
    assert [one["text"] for one in json.loads(queued["candidates"])] == [None], "a known text of theirs is not quoted"
    [queued] = [found for found in bot.rows("review_queue") if found["text"] == SPELT_BY_ANOTHER]
    assert queued["group_text"] == SPELT_BY_ANOTHER, "another's turn was called by a text of theirs"
    kept = {found["turn_id"]: found["answer"] for found in bot.rows("shadow_answers")}
    texts = {found["turn_id"]: found["text"] for found in bot.rows("conversations")}
    assert {texts[turn_id]: answer for turn_id, answer in kept.items()} == {
        "what is a parcel": "I do not know.",
        "any parcels": "[erased]",
    }


def test_the_service_that_went_on_shows_nothing_of_the_person_any_more(erased: Erased) -> None:
    assert [address for address, page in erased.shown_before.items() if MARK not in page] == []
    assert [address for address, page in erased.shown_after.items() if MARK in page or "par cel" in page] == []
    assert erased.receipt["found"]["served_turns"] == 6, "that of a process that had ended too"


def test_a_trial_of_a_model_that_learnt_from_the_person_ends(knows: Known, tmp_path: Path) -> None:
    bot = knows.copy(tmp_path / "tried").bot
    table = bot.table("deployments")
    trial = history(table).trial
    assert trial
    mark_erased(table, [trial.deployment.model_id], actor="kim", reason="asked")
    past = history(table)
    assert past.trial is None and past.waiting is None and past.live == bot.live


def test_accounts_and_the_audit_log_stay_as_they_are(knows: Known, erased: Erased) -> None:
    before, after = (one.home.root / "audit/acme.jsonl" for one in (knows.bot, erased.bot))
    assert after.read_bytes().startswith(before.read_bytes())
    assert AuditLog(erased.bot.home.root, "acme").check().problem is None
    gone = {found["decision_id"] for found in knows.bot.rows("review_decisions")}
    gone -= {found["decision_id"] for found in erased.bot.rows("review_decisions")}
    assert gone and gone <= {entry["about"] for entry in AuditLog(erased.bot.home.root, "acme").entries()}
    assert Directory(erased.bot.home).tokens.listed("acme")


def test_landing_files_lose_the_persons_lines_and_are_not_read_again(erased: Erased) -> None:
    bot = erased.bot
    lines = (bot.home.landing(bot.key) / "mixed.jsonl").read_text().split("\n")
    assert [number for number, line in enumerate(lines, 1) if line] == [2], "and keep their numbers"
    statuses = {found["source_file"]: found["status"] for found in bot.rows("landing_files")}
    assert statuses == {
        "home.jsonl": "read",
        **dict.fromkeys(("mixed.jsonl", "table.csv.gz", "rows.parquet"), "erased"),
    }
    assert not bot.state.unread and {one.table for one in bot.state.stale} <= {"review_queue"}


def test_old_versions_can_be_read_and_hold_everybody_else(knows: Known, erased: Erased) -> None:
    for name in TABLES:
        before, table = knows.bot.table(name), erased.bot.table(name)
        newest = before.last()
        for version in range(newest.version + 1 if newest else 0):
            there, left = before.arrow(version=version), table.arrow(version=version)
            assert left.num_rows <= there.num_rows
            assert DeltaTable(str(table.path), version=version).to_pyarrow_table().num_rows == left.num_rows


def test_a_model_that_learnt_from_the_person_is_gone_and_says_so(
    erased: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, receipt, bot = erased.known, erased.receipt, erased.bot
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    assert bot.live and bot.live.model_id not in receipt["removed"]["models"]
    assert history(bot.table("deployments")).trial is None
    assert known.learnt in receipt["removed"]["models"] and known.before not in receipt["removed"]["models"]
    gone = next(event for event in history(bot.table("deployments")).events if event["model_id"] == known.learnt)
    with pytest.raises(UserError, match="its model was erased on"):
        rollback(bot.key, to=gone["deployment_id"], reason="", actor="kim")
    with pytest.raises(UserError, match="cannot be rebuilt: erased on"):
        rebuild(bot.key, model=known.learnt, warn=lambda line: None)
    assert any(event["event"] == "erased" for one in versions(bot.key)["deployments"] for event in one["events"])


def test_a_model_that_never_knew_the_person_is_still_rebuilt_bit_for_bit(
    erased: Erased, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = erased.known
    monkeypatch.setenv("CHATBOT_HOME", str(known.bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(known.bot.home.bots))
    assert rebuild(known.bot.key, model=known.before, warn=lambda line: None)["equal"]


def test_the_receipt_is_checked_and_tells_nothing_of_the_person(erased: Erased, tmp_path: Path) -> None:
    known, receipt = erased.known, erased.receipt
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


def test_files_beside_the_tables_keep_what_is_not_the_persons(erased: Erased) -> None:
    root = erased.bot.home.root
    with sqlite3.connect(root / "dagster/history/runs/one.db") as database:
        [(event,)] = database.execute("SELECT event FROM event_logs").fetchall()
    assert json.loads(event) == {"metadata": {"rows": [{"text": "stays"}], "count": 2}}
    log = (root / "logs/service.log").read_text().splitlines()
    assert [line.strip() for line in log] == ['{"m": "served"}', "", '{"m": "served"}']


def test_all_checks_of_all_tables_hold_afterwards(erased: Erased) -> None:
    bot = erased.bot
    for name in TABLES:
        failed = [one for one in audit_table(bot.lake, bot.key, name) if not one.passed and one.effect != "warns"]
        assert failed == [], name


def erase_up_to(root: Path, module: str, place: str) -> None:
    """Erases, and ends as a machine that stops does where it would call a function."""
    setattr(importlib.import_module(module), place, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    erase(SmallBot(root))


def test_an_erasure_that_was_killed_twice_is_finished_by_asking_again(knows: Known, tmp_path: Path) -> None:
    bot = knows.copy(tmp_path / "killed").bot
    for module, place in ((sources, "amend_decisions"), (erased_history, "trim_log")):  # before and after the refresh
        process = context().Process(target=erase_up_to, args=(bot.root, module.__name__, place))
        process.start()
        process.join(SECONDS)
        assert process.exitcode == -signal.SIGKILL
    assert places(bot.home.root)
    receipt = erase(bot)
    assert receipt["complete"] and places(bot.home.root) == []
    assert receipt["found"]["served_turns"] == 5, "what was found at first is told at last"
    assert all(one.passed or one.effect == "warns" for name in TABLES for one in audit_table(bot.lake, bot.key, name))


def test_a_dry_run_changes_nothing_and_says_what_would_go(knows: Known, erased: Erased) -> None:
    before = knows.bot.logs()
    found = erasure.preview(knows.bot.home, knows.bot.bot, SUBJECT)
    assert knows.bot.logs() == before
    assert found["live_model_learnt_from_them"] and found["served_turns"] == 4, "the journal is not looked into"
    at_last = erased.receipt["found"]
    assert {name: found[name] for name in at_last.keys() - {"served_turns", "tables"}} == {
        name: count for name, count in at_last.items() if name not in ("served_turns", "tables")
    }
    assert found["tables"].keys() == at_last["tables"].keys()


def test_somebody_whom_nobody_knows_is_erased_without_a_change(bot: SmallBot) -> None:
    before = bot.logs()
    receipt = erase(bot, "nobody-knows-me-1", refresh=lambda: None)
    assert receipt["complete"] and receipt["found"]["tables"] == {} and bot.logs() == before
