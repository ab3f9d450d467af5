"""Checks on real tables: each finds what it is for, names the rows, and what blocks is never committed."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dagster_memory import empty_instance
from small_bot import ENGINE, KEY, NAMES, Refreshed, SmallBot, row, small_rows

from chatbot_assets.checks import AS_RECORDED, MAY_BE_DEPLOYED, VERIFICATIONS
from chatbot_assets.collect.withdrawal import withdraw
from chatbot_assets.definitions import build_defs
from chatbot_assets.embed.vectors import pack_vectors, text_id
from chatbot_assets.jobs import BOT_TAG, VERIFY
from chatbot_assets.partitions import BOTS
from chatbot_assets.quality.audit import audit_table, check_change
from chatbot_assets.quality.common import Check
from chatbot_assets.quality.declarations import CHECKS
from chatbot_assets.quality.findings import NOTES, Finding, Found
from chatbot_assets.quality.freshness import data_read, deployment_current
from chatbot_assets.quality.view import View
from chatbot_assets.tables import MATERIALISED, SOURCES, TABLES
from resources.lakehouse import InputVersion, Signature
from resources.spark import SparkEngine
from resources.verifications import found_wrong

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def served(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """A copy of the refreshed bot with two served turns, of which one was decided on; nothing is committed to it."""
    bot = first[0].copy(tmp_path_factory.mktemp("served"))
    bot.table("conversations").append_rows([turn(bot, "turn-1"), turn(bot, "turn-2")])
    bot.table("shadow_answers").append_rows([shadowed(turn(bot, "turn-2"))])
    bot.table("review_decisions").append_rows([decision("decision-1", "turn-1")])
    return bot


def turn(bot: SmallBot, turn_id: str, **other: Any) -> dict[str, Any]:
    assert bot.live is not None
    kept = {"text": "what", "score": 0.1, "category": "failed", "served_at": datetime.now(UTC), "latency_ms": 1.0}
    live = {"model_id": bot.live.model_id, "deployment_id": bot.live.deployment_id}
    return {"turn_id": turn_id, "session_id": "s", **kept, **live, **other}


def shadowed(served: dict[str, Any]) -> dict[str, Any]:
    """What a shadow made of a served turn."""
    kept = {name: served[name] for name in served if name not in ("session_id", "text")}
    return kept | {"live_deployment_id": served["deployment_id"], "differs": False}


def decision(decision_id: str, turn_id: str, **other: Any) -> dict[str, Any]:
    said = {"source": "conversations", "action": "modify", "intent": "refund", "reviewer": "kim"}
    turns = {"turn_ids": [turn_id], "texts": ["what"], "decided_at": datetime.now(UTC)}
    return {"decision_id": decision_id, **turns, **said, **other}


def queued(turn_id: str, **other: Any) -> dict[str, Any]:
    kept = {"kind": "failed", "on_hold": False, "group_id": "g", "group_size": 1, "priority": 1.0, "text": "what"}
    made = {"group_text": "what", "vector": b""}
    return {"turn_id": turn_id, "served_at": datetime.now(UTC), **kept, **made, **other}


def findings(bot: SmallBot, name: str, rows: Rows, config: dict[str, Any] | None = None) -> dict[str, Finding]:
    """What a table's checks find in rows that would become the whole table."""
    table = bot.table(name)
    last = table.last()
    change = table.overwrite(table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema)))
    if last and last.record:
        change = dataclasses.replace(change, data_version=last.record.data_version)
    inputs = {
        source: InputVersion(commit.version, commit.data_version)
        for source in table.table.inputs
        if (commit := bot.table(source).last()) is not None
    }
    view = View(bot.lake, KEY, table, change, Signature(inputs), config or bot.bot.effective())
    try:
        return {finding.check: finding for finding in check_change(view)}
    finally:
        table.discard(change)


def paraphrases(bot: SmallBot, split: str = "train") -> Rows:
    """A kept paraphrase of each of the first utterances of a split."""
    parents = [found for found in bot.rows("utterances") if found["split"] == split][:5]
    common = {"rule": "politely", "similarity": 0.9, "kept": True, "reason": None}
    return [
        {"paraphrase_id": f"p{place}", "parent_id": parent["utterance_id"], "text": f"please {parent['text']}"}
        | {"tokens": parent["tokens"], "intent": parent["intent"], **common}
        for place, parent in enumerate(parents)
    ]


def candidates(bot: SmallBot) -> Rows:
    texts = sorted({found["text"] for found in bot.rows("utterances") if found["split"] == "train"})[:5]
    made = {"rules": ["politely"], "candidates": ["please"], "candidate_tokens": ['["please"]']}
    return [{"text_id": text_id(text), "text": text, "text_key": text, **made} for text in texts]


GIVEN: dict[str, Callable[[SmallBot], Rows]] = {
    "paraphrases": paraphrases,
    "paraphrase_candidates": candidates,
    "review_queue": lambda bot: [queued("turn-2")],
}
"""Good rows of tables that the plain small bot leaves empty."""


def good_rows(bot: SmallBot, name: str) -> Rows:
    return GIVEN[name](bot) if name in GIVEN else bot.rows(name)


@pytest.mark.parametrize("name", list(TABLES))
def test_good_rows_pass_every_check_of_their_table(served: SmallBot, name: str) -> None:
    found = findings(served, name, good_rows(served, name))
    assert list(found) == [check.name for check in CHECKS[name]]
    assert [finding for finding in found.values() if not finding.passed] == []


@pytest.mark.parametrize("name", list(TABLES))
def test_a_key_that_is_there_twice_is_named(served: SmallBot, name: str) -> None:
    rows = good_rows(served, name) or rejected_row()
    found = findings(served, name, [*rows, rows[-1]])["unique_key"]
    assert not found.passed
    assert found.rows == (" / ".join(str(rows[-1][column]) for column in TABLES[name].key),)
    assert found.blocks is (name not in ("rejected", *(table.name for table in SOURCES)))


def rejected_row() -> Rows:
    where = {"file_sha256": "0", "source_file": "a.jsonl", "source_line": 1, "arrived_at": datetime.now(UTC)}
    return [{"rejected_id": "r", "raw": "{", "reason": "no valid JSON", **where}]


def without(column: str) -> Callable[[Rows], list[str]]:
    return changed(column, None)


def changed(column: str, value: Any, place: int = 0) -> Callable[[Rows], list[str]]:
    """Gives one row another value; the row is the one to be named."""

    def change(rows: Rows) -> list[str]:
        rows[place][column] = value
        return []

    return change


def in_use(rows: Rows, split: str) -> dict[str, Any]:
    return next(found for found in rows if found["split"] == split and found["excluded"] is None)


def said_on_both_sides(rows: Rows) -> list[str]:
    learnt, held_out = in_use(rows, "train"), in_use(rows, "test")
    learnt["text"] = held_out["text"]
    return [learnt["utterance_id"]]


def left_out(rows: Rows) -> None:
    for found in rows[: len(rows) // 2]:
        found["excluded"] = "not in the bot's language"


def a_small_intent(rows: Rows) -> list[str]:
    for place, found in enumerate(rows):
        if found["intent"] == "weather" and found["split"] == "train" and place % 7:
            found["excluded"] = "a review excluded it"
    left = [found for found in rows if found["intent"] == "weather" and found["split"] == "train"]
    return [f"weather: {sum(found['excluded'] is None for found in left)}"]


def a_lost_row(rows: Rows) -> list[str]:
    return [rows.pop(3)[next(iter(rows[0]))]]


def no_chunk(rows: Rows) -> list[str]:
    gone = rows.pop(0)
    return [] if gone["chunks"] == 1 else [f"{gone['file']} has {gone['chunks'] - 1} of {gone['chunks']} chunks"]


def other_bytes(rows: Rows) -> list[str]:
    rows[0]["data"] = rows[0]["data"][:-1] + b"\0\1"
    return [f"{rows[0]['file']} has another SHA-256 than recorded"]


def an_unlearnt_intent(rows: Rows) -> list[str]:
    score = next(found for found in rows if found["slice_kind"] == "intent" and found["metric"] == "f1")
    score.update(value=0.25, rows=5)
    return [f"{score['slice']}: 0.25"]


def an_unverified_one(rows: Rows) -> list[str]:
    rows[:] = [found for found in rows if found["event"] != "verified"]
    return [rows[0]["deployment_id"]]


def suspected(rows: Rows) -> None:
    for found in rows[: len(rows) // 3]:
        found.update(verdict="review", suggested_intent="refund")


BROKEN: list[tuple[str, str, Callable[[Rows], list[str] | None]]] = [
    ("dialogues", "as_declared", without("text")),
    ("dialogues", "known_speaker", changed("speaker", "narrator")),
    ("dialogues", "row_count", lambda rows: rows.clear()),
    ("landing_files", "known_status", changed("status", "lost")),
    ("landing_files", "ledger_agrees", lambda rows: rows[0].update(rows=91)),
    ("landing_files", "mostly_accepted", lambda rows: rows[0].update(rejected=30)),
    ("utterances", "as_declared", without("tokens")),
    ("utterances", "known_split", changed("split", "dev")),
    ("utterances", "known_sources", changed("sources", ["a turn that nobody landed"])),
    ("utterances", "one_split", said_on_both_sides),
    ("utterances", "tokens_in_use", changed("tokens", [])),
    ("utterances", "mostly_used", left_out),
    ("utterances", "enough_texts", a_small_intent),
    ("paraphrase_candidates", "known_texts", changed("text", "a text that nobody said")),
    ("paraphrase_candidates", "parallel_lists", changed("rules", [])),
    ("embeddings", "every_text", lambda rows: rows.pop(0) and None),
    ("embeddings", "sound_vectors", changed("vector", pack_vectors(pa.array([0.0]).to_numpy()[None] + 3)[0].as_py())),
    ("labels", "known_verdict", changed("verdict", "perhaps")),
    ("labels", "one_verdict_each", a_lost_row),
    ("labels", "known_suggestions", lambda rows: rows[0].update(verdict="relabel", suggested_intent="astrology")),
    ("labels", "known_suggestions", lambda rows: rows[0].update(verdict="relabel", suggested_intent=None)),
    ("labels", "few_flagged", suspected),
    ("paraphrases", "known_parents", changed("parent_id", "nobody")),
    ("models", "newest_complete", no_chunk),
    ("models", "newest_complete", other_bytes),
    ("models", "newest_complete", lambda rows: rows.clear()),
    ("evaluations", "known_slice_kind", changed("slice_kind", "moon")),
    ("evaluations", "known_model", lambda rows: [row.update(model_id="lost") for row in rows] and ["lost"]),
    ("evaluations", "possible_values", changed("value", 1.5)),
    ("evaluations", "strong_intents", an_unlearnt_intent),
    ("deployments", "known_event", changed("event", "celebrated")),
    ("deployments", "verified_before_live", an_unverified_one),
    ("deployments", "known_model", lambda rows: [row.update(model_id="lost") for row in rows] and ["lost"]),
    ("review_queue", "known_kind", changed("kind", "odd")),
    ("review_queue", "served_turns", lambda rows: rows.append(queued("turn-3")) or ["turn-3"]),
    ("review_queue", "undecided_turns", lambda rows: rows.append(queued("turn-1")) or ["turn-1"]),
    ("conversations", "known_category", changed("category", "shrugged")),
    ("conversations", "known_deployments", changed("deployment_id", "somebody else's")),
    ("shadow_answers", "known_category", changed("category", "shrugged")),
    ("shadow_answers", "known_deployments", changed("deployment_id", "somebody else's")),
    ("review_decisions", "known_source", changed("source", "hearsay")),
    ("review_decisions", "known_action", changed("action", "ponder")),
    ("review_decisions", "complete_decisions", changed("texts", [])),
    ("review_decisions", "complete_decisions", without("intent")),
    ("review_decisions", "known_turns", changed("turn_ids", ["turn-9"])),
]


@pytest.mark.parametrize(("name", "check", "break_one"), BROKEN, ids=[f"{name}-{check}" for name, check, _ in BROKEN])
def test_a_check_fails_on_what_it_is_for(
    served: SmallBot, name: str, check: str, break_one: Callable[[Rows], list[str] | None]
) -> None:
    rows = good_rows(served, name)
    named = break_one(rows)
    key = " / ".join(str(rows[0][column]) for column in TABLES[name].key) if rows else ""
    found = findings(served, name, rows)[check]
    assert not found.passed
    assert "\n" not in found.description
    if named == []:
        assert found.rows in ((), (key,)) or check == "newest_complete"
    elif named is not None:
        assert list(found.rows) == named


def test_every_check_but_the_ones_of_columns_and_keys_has_a_broken_example() -> None:
    tried = {(name, check) for name, check, _ in BROKEN} | {("paraphrases", "no_held_out_text")}
    common = {"as_declared", "unique_key", "row_count"}
    declared = {(name, check.name) for name, checks in CHECKS.items() for check in checks if check.name not in common}
    assert declared <= tried


def test_a_paraphrase_must_not_say_what_is_held_out_unless_it_was_refused(served: SmallBot) -> None:
    rows = paraphrases(served)
    rows[0]["text"] = next(found["text"] for found in served.rows("utterances") if found["split"] == "test")
    assert findings(served, "paraphrases", rows)["no_held_out_text"].rows == ("p0",)
    rows[0]["kept"] = False
    assert findings(served, "paraphrases", rows)["no_held_out_text"].passed


def test_a_held_out_utterance_is_no_parent(served: SmallBot) -> None:
    assert findings(served, "paraphrases", paraphrases(served, "test"))["known_parents"].blocks


def test_a_dropped_utterance_is_no_parent_where_verdicts_are_followed(bot: SmallBot, save: Callable[..., Any]) -> None:
    rows = paraphrases(bot)
    labels = bot.table("labels")
    verdicts = bot.rows("labels")
    for found in verdicts:
        if found["utterance_id"] == rows[0]["parent_id"]:
            found["verdict"] = "drop"
    save(labels, labels.overwrite(labels.stage_arrow(pa.Table.from_pylist(verdicts, labels.table.schema))))
    assert findings(bot, "paraphrases", rows)["known_parents"].rows == ("p0",)
    manual = bot.bot.effective() | {"denoise": {"policy": "manual"}}
    assert findings(bot, "paraphrases", rows, manual)["known_parents"].passed


# -- write, audit, publish ----------------------------------------------------------------------------------------

LONG = '''
import numpy as np


class Long:
    """An encoder that does not normalise its vectors."""

    name = "long"
    dimension = 4

    def encode(self, texts):
        return np.full((len(texts), 4), 2.0, np.float32)
'''


def history(instance: dg.DagsterInstance, table: str, check: str) -> list[bool]:
    """Whether a check passed, the newest result first."""
    key = dg.AssetCheckKey(dg.AssetKey(table), check)
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    return [record.status.value == "SUCCEEDED" for record in records]


def test_a_failed_blocking_check_commits_nothing_is_recorded_with_its_rows_and_heals(
    bot: SmallBot, write_module: Callable[[str, str], str]
) -> None:
    write_module("long_vectors", LONG)
    logs, live = bot.logs(), bot.live
    files = sorted(bot.table("embeddings").path.rglob("*.parquet"))
    with empty_instance() as instance:
        bot.configure(embed={"encoder": {"use": "long_vectors:Long"}})
        refused = bot.refresh(instance)
        assert not refused.success
        assert refused.failure and "\n" not in refused.failure
        assert refused.failure.startswith(f"embeddings of {KEY} stays as it was: vectors of another dimension")
        # The review queue does not come from the embeddings; its own vectors come from the same encoder.
        logs["review_queue"] = bot.logs()["review_queue"]
        assert bot.logs() == logs and bot.live == live, "nothing was committed, there or downstream"
        assert sorted(bot.table("embeddings").path.rglob("*.parquet")) == files, "what was staged is gone"
        assert "labels" not in refused.assets
        found = {
            check.check_name: check
            for check in refused.result.get_asset_check_evaluations()
            if check.asset_key == dg.AssetKey("embeddings")
        }
        assert {name for name, check in found.items() if not check.passed} == {"sound_vectors"}
        assert found["sound_vectors"].partition == KEY
        rows = found["sound_vectors"].metadata["rows"].value
        assert isinstance(rows, list) and len(rows) == 20
        assert {name.split(" / ")[0] for name in rows} < {text_id(one["text"]) for one in bot.rows("utterances")}
        assert history(instance, "embeddings", "sound_vectors") == [False]

        bot.configure()
        assert bot.refresh(instance).success
        assert history(instance, "embeddings", "sound_vectors") == [True, False]
        assert bot.state.stale == ()


@pytest.mark.parametrize("name", ["dialogues", "rejected", "landing_files"])
def test_a_failed_blocking_check_of_landed_rows_commits_nothing_from_there_on_and_loses_nothing(
    bot: SmallBot, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = bot.logs()
    bot.land("more.jsonl", [row("Where is my umbrella", "weather"), {"intent": "weather"}])
    first, *others = CHECKS[name]
    broken = Check(first.name, first.protects, "blocks", lambda _: Found(False, "odd rows: 1 (a)", ("a",)))
    with monkeypatch.context() as patched:
        patched.setitem(CHECKS, name, (broken, *others))  # type: ignore[arg-type]
        refused = bot.refresh()
    assert not refused.success
    assert refused.failure == f"{name} of {KEY} stays as it was: odd rows: 1 (a) (check {first.name})"
    committed = ["dialogues", "rejected", "landing_files"]
    for table in NAMES:
        done = table in committed[: committed.index(name)]
        assert (bot.logs()[table] != logs[table]) is done
    (failed,) = [check for check in refused.result.get_asset_check_evaluations() if not check.passed]
    assert (failed.asset_key.path[-1], failed.check_name, failed.metadata["rows"].value) == (name, first.name, ["a"])
    assert bot.state.stale[0].table == "dialogues", "the file is still unread"

    assert bot.refresh().success
    assert len(bot.rows("dialogues", "turn_id")) == 91 and len(bot.rows("rejected", "rejected_id")) == 1


def test_every_check_of_a_refresh_has_its_result_by_bot(first: tuple[SmallBot, Refreshed]) -> None:
    found = first[1].result.get_asset_check_evaluations()
    names = {(check.asset_key.path[-1], check.check_name) for check in found}
    declared = {(table.name, check.name) for table in MATERIALISED for check in CHECKS[table.name]}
    assert names == declared | {("evaluations", MAY_BE_DEPLOYED.name)}
    assert len(found) == len(names)
    assert {check.partition for check in found} == {KEY}


def test_a_refresh_that_changes_nothing_gives_the_same_results_without_looking(
    bot: SmallBot, first: tuple[SmallBot, Refreshed], monkeypatch: pytest.MonkeyPatch
) -> None:
    def results(refreshed: Refreshed) -> set[tuple[Any, ...]]:
        return {
            (check.asset_key.path[-1], check.check_name, check.passed, check.severity, check.description)
            for check in refreshed.result.get_asset_check_evaluations()
        }

    monkeypatch.setattr(View, "_read", lambda *_: pytest.fail("a table was read"))
    monkeypatch.setattr(View, "written", lambda *_: pytest.fail("a table was read"))
    again = bot.refresh()
    assert again.success and results(again) == results(first[1])


def test_dagster_s_storage_is_asked_once_for_each_table_which_materialisation_its_checks_are_about(
    bot: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    fetch = dg.DagsterInstance.fetch_materializations

    def noted(self: dg.DagsterInstance, records_filter: Any, *more: Any, **named: Any) -> Any:
        asked.append(records_filter.asset_key.path[-1])
        return fetch(self, records_filter, *more, **named)

    monkeypatch.setattr(dg.DagsterInstance, "fetch_materializations", noted)
    refreshed = bot.refresh()
    assert sorted(asked) == sorted(NAMES)
    about = [check.target_materialization_data for check in refreshed.result.get_asset_check_evaluations()]
    assert {found and found.run_id for found in about} == {refreshed.result.run_id}


def test_the_lake_alone_tells_what_was_found(first: tuple[SmallBot, Refreshed]) -> None:
    for name in NAMES:
        noted = first[0].record(name).notes[NOTES]
        assert [note["check"] for note in noted] == [check.name for check in CHECKS[name]]
    assert NOTES not in first[1].assets["utterances"]["notes"], "the interface shows them as checks"
    assert first[0].record("utterances").notes["train"] == 82


def test_a_table_without_findings_in_its_last_commit_is_looked_at(bot: SmallBot) -> None:
    bot.land("more.jsonl", small_rows()[:1])
    assert bot.refresh().success
    tables = {name: bot.table(name) for name in ("dialogues", "rejected", "landing_files")}
    withdraw("more.jsonl", bot.home.landing(KEY), **tables, note={}, code_revision="")
    assert NOTES not in bot.record("dialogues").notes
    again = bot.refresh()
    found = [
        check.check_name for check in again.result.get_asset_check_evaluations() if "dialogues" in check.asset_key.path
    ]
    assert found == [check.name for check in CHECKS["dialogues"]]


def test_a_table_that_loses_most_of_its_rows_is_a_warning_with_the_numbers(bot: SmallBot) -> None:
    bot.home.landing(KEY).joinpath("home.jsonl").unlink()
    tables = {name: bot.table(name) for name in ("dialogues", "rejected", "landing_files")}
    bot.land("few.jsonl", [row(f"What about number {number}", "hours") for number in range(20)])
    bot.refresh(select=["dialogues", "rejected", "landing_files"])
    withdraw("home.jsonl", bot.home.landing(KEY), **tables, note={}, code_revision="")
    refreshed = bot.refresh(select=["dialogues", "rejected", "landing_files", "utterances"])
    assert refreshed.success
    found = {
        check.asset_key.path[-1]: check
        for check in refreshed.result.get_asset_check_evaluations()
        if check.check_name == "row_count" and not check.passed
    }
    assert set(found) == {"dialogues", "utterances"}
    assert found["utterances"].severity == dg.AssetCheckSeverity.WARN
    assert (found["utterances"].description or "").startswith("20 rows are left of 90")


# -- the nightly audit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(TABLES))
def test_an_untouched_table_is_as_recorded(served: SmallBot, name: str) -> None:
    found = audit_table(served.lake, KEY, name)
    if name in NAMES:
        assert found[0].check == AS_RECORDED and found[0].passed
    assert {finding.check for finding in found} >= {check.name for check in CHECKS[name]}
    assert [finding for finding in found if not finding.passed] == []


def test_a_table_that_does_not_exist_yet_has_no_findings(bot: SmallBot) -> None:
    assert audit_table(bot.lake, KEY, "conversations") == []


def data_file(bot: SmallBot, name: str) -> Path:
    """A table's first data file."""
    return bot.table(name).path / bot.table(name).files()[0]


def test_a_value_that_was_changed_behind_the_platform_s_back_is_found(bot: SmallBot) -> None:
    path = data_file(bot, "utterances")
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[0]["intent"] = "weather" if rows[0]["intent"] != "weather" else "refund"
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    found = {finding.check: finding for finding in audit_table(bot.lake, KEY, "utterances")}
    assert not found[AS_RECORDED].passed and "hash is another one" in found[AS_RECORDED].description


def test_lost_rows_are_found(bot: SmallBot) -> None:
    path = data_file(bot, "labels")
    pq.write_table(pq.read_table(path).slice(1), path)
    found = {finding.check: finding for finding in audit_table(bot.lake, KEY, "labels")}
    assert found[AS_RECORDED].description == "89 rows are there, but 90 were recorded"
    assert not found["one_verdict_each"].passed


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1 no more")])
def test_a_file_that_cannot_be_read_is_a_finding(bot: SmallBot, damage: Callable[[Path], Any]) -> None:
    damage(data_file(bot, "embeddings"))
    (found,) = audit_table(bot.lake, KEY, "embeddings")
    assert not found.passed and found.description.startswith("the rows cannot be read: ")
    assert "\n" not in found.description


def test_rows_that_something_else_wrote_are_a_finding(bot: SmallBot) -> None:
    bot.table("labels").append_rows([{"utterance_id": "nobody", "verdict": "keep"}])
    found = {finding.check: finding for finding in audit_table(bot.lake, KEY, "labels")}
    assert "written by something else" in found[AS_RECORDED].description
    assert found["one_verdict_each"].rows == ("nobody",)


def verify(bot: SmallBot, instance: dg.DagsterInstance) -> dict[tuple[str, str], Any]:
    """The results of the job ``verify``, by table and check."""
    instance.add_dynamic_partitions(BOTS.name or "", [KEY])
    defs = build_defs(resource_overrides={"home": bot.home, "engine": SparkEngine(engine=ENGINE)})
    result = defs.resolve_job_def(VERIFY).execute_in_process(
        instance=instance,
        partition_key=KEY,
        tags={BOT_TAG: KEY},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert result.success and not result.get_asset_materialization_events()
    return {(check.asset_key.path[-1], check.check_name): check for check in result.get_asset_check_evaluations()}


def test_the_verification_looks_at_every_table_and_says_what_is_wrong(bot: SmallBot) -> None:
    logs = bot.logs()
    path = data_file(bot, "labels")
    whole = pq.read_table(path)
    pq.write_table(whole.slice(1), path)
    with empty_instance() as instance:
        results = verify(bot, instance)
        assert set(results) == {(key.asset_key.path[-1], key.name) for each in VERIFICATIONS for key in each.check_keys}
        assert {table for table, check in results if check == AS_RECORDED} == set(TABLES)
        assert {place for place, check in results.items() if not check.passed} == {("labels", AS_RECORDED)}
        labels = results["labels", AS_RECORDED]
        assert labels.partition == KEY and labels.severity == dg.AssetCheckSeverity.ERROR
        assert "89 rows are there, but 90 were recorded" in labels.description
        assert len(labels.metadata["one_verdict_each"].value["rows"]) == 1
        assert history(instance, "labels", AS_RECORDED) == [False]
        assert found_wrong(bot.lake.bot_folder(KEY)) == {"labels": labels.description}
        pq.write_table(whole, path)
        verify(bot, instance)
        assert found_wrong(bot.lake.bot_folder(KEY)) == {}
    assert bot.logs() == logs


def test_the_verification_of_source_tables_gives_each_check_its_own_result(bot: SmallBot) -> None:
    bot.table("conversations").append_rows([turn(bot, "turn-1", category="shrugged"), turn(bot, "turn-1")])
    with empty_instance() as instance:
        results = verify(bot, instance)
    assert not results["conversations", AS_RECORDED].passed
    assert not results["conversations", "unique_key"].passed
    assert results["conversations", "known_category"].metadata["rows"].value == ["turn-1"]
    assert results["conversations", "known_deployments"].passed
    assert results["review_decisions", "known_turns"].passed, "nobody has decided anything"


def test_no_refresh_runs_an_audit(first: tuple[SmallBot, Refreshed]) -> None:
    made = {(check.asset_key.path[-1], check.check_name) for check in first[1].result.get_asset_check_evaluations()}
    assert made.isdisjoint({(key.asset_key.path[-1], key.name) for each in VERIFICATIONS for key in each.check_keys})


# -- freshness ----------------------------------------------------------------------------------------------------


@pytest.fixture
def later() -> Iterator[datetime]:
    yield datetime.now(UTC) + timedelta(hours=2)


def test_a_bot_without_anything_new_is_up_to_date_however_long_ago_it_was_refreshed(bot: SmallBot) -> None:
    next_year = datetime.now(UTC) + timedelta(days=365)
    assert data_read(bot.state, next_year).passed
    assert deployment_current(bot.home, bot.state, next_year).passed


def test_a_landing_file_that_nobody_reads_is_told_after_an_hour(bot: SmallBot, later: datetime) -> None:
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    assert data_read(bot.state, datetime.now(UTC)).passed
    found = data_read(bot.state, later)
    assert not found.passed and found.rows == ("more.jsonl",)
    assert not deployment_current(bot.home, bot.state, later).passed


def test_a_table_that_stays_out_of_date_is_told_after_an_hour_and_why(bot: SmallBot, later: datetime) -> None:
    bot.configure(process={"test_share": 0.2})
    assert deployment_current(bot.home, bot.state, datetime.now(UTC)).passed
    found = deployment_current(bot.home, bot.state, later)
    assert not found.passed and found.effect == "warns"
    assert "utterances (configuration changed)" in found.description


def test_a_bot_that_waits_for_its_first_file_is_not_behind(tmp_path: Path, later: datetime) -> None:
    bot = SmallBot(tmp_path)
    bot.configure()
    assert data_read(bot.state, later).passed and deployment_current(bot.home, bot.state, later).passed


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_has_a_freshness_policy(name: str) -> None:
    assert build_defs().resolve_asset_graph().get(dg.AssetKey(name)).freshness_policy is not None
