"""What of a bot is out of date, and why, in words: from the lake, the landing folder, the YAML and the code alone."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from chatbot_assets.automation import (
    BotState,
    _gather_until,
    bot_state,
    code_versions,
    current_signature,
    pinned_inputs,
)
from chatbot_assets.bot import Bot
from chatbot_assets.collect.landing import LandingFile, listing
from chatbot_assets.collect.reading import mapping_hash, read_ledger, unread_files
from chatbot_assets.process.utterances import MODULES, build_utterances
from chatbot_assets.tables import DIALOGUES, MATERIALISED, TABLES, UTTERANCES
from resources.environment import Home
from resources.lakehouse import Change, Commit, Lake, LakeTable, accept_code
from resources.reuse import Scratch
from resources.spark import SparkEngine

KEY = "acme.faq"
NORMALISER = "class Mine:\n    def __call__(self, text):\n        return text{}\n"


class World:
    """A bot whose tables can be brought up to date without running the stages: each commits what it is told to."""

    def __init__(
        self, home: Home, write_bot: Callable[..., Bot], write_module: Callable[[str, str], str], save: Any
    ) -> None:
        self.home = home
        self.lake = Lake(home.lake)
        self.write_bot = write_bot
        self.write_module = write_module
        self.save = save
        self.own: dict[str, Any] = {"process": {"normaliser": {"use": "own_normal:Mine"}}}
        self.write_module("own_normal", NORMALISER.format(""))
        self.bot = write_bot(KEY, **self.own)

    def configure(self, **own: Any) -> None:
        self.bot = self.write_bot(KEY, **(self.own | own))

    def table(self, name: str) -> LakeTable:
        return self.lake.table(KEY, name)

    def land(self, name: str, *lines: str, age: float = 60) -> Path:
        folder = self.home.landing(KEY)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.utime(path, (time.time() - age,) * 2)
        return path

    def read(self, rejected: int = 0) -> None:
        """Notes in the ledger that all landing files were read."""
        ledger = self.table("landing_files")
        unread = unread_files(listing(self.home.landing(KEY)), read_ledger(ledger), mapping_hash(self.bot.sources))
        rows = [
            {
                "source_file": file.file.name,
                "file_sha256": file.sha256,
                "size": file.file.size,
                "modified_ns": file.file.modified_ns,
                "mapping": mapping_hash(self.bot.sources),
                "status": "read",
                "rows": 1,
                "rejected": rejected,
            }
            for file in unread
        ]
        self.commit("landing_files", ledger.append(ledger.stage_arrow(pa.Table.from_pylist(rows, ledger.table.schema))))

    def commit(self, name: str, change: Change, **record: Any) -> None:
        table = TABLES[name]
        commits = {other: self.table(other).last() for other in TABLES}
        inputs = pinned_inputs(table, commits)
        assert inputs is not None
        self.save(self.table(name), change, current_signature(table, self.bot, inputs, commits[name]), **record)

    def say(self, *texts: str) -> None:
        """Adds turns to the dialogues."""
        dialogues = self.table("dialogues")
        rows = [{"turn_id": text, "text": text, "speaker": "user", "intent": "greet"} for text in texts]
        self.commit("dialogues", dialogues.append(dialogues.stage_arrow(pa.Table.from_pylist(rows, DIALOGUES.schema))))

    def refresh(self, names: Iterable[str] | None = None, notes: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Brings tables up to date in the order of the data's way, without a change of rows."""
        notes = {"utterances": {"train": 1}} | dict(notes or {})
        for table in MATERIALISED:
            if names is None or table.name in names:
                self.commit(table.name, self.table(table.name).unchanged(notes=notes.get(table.name, {})))

    def state(self) -> BotState:
        return bot_state(self.home, self.lake, self.bot)

    def stale(self) -> dict[str, list[str]]:
        return {item.table: list(item.reasons) for item in self.state().stale}


@pytest.fixture
def world(
    home: Home,
    write_bot: Callable[..., Bot],
    write_module: Callable[[str, str], str],
    save: Callable[..., Commit | None],
) -> World:
    return World(home, write_bot, write_module, save)


@pytest.fixture
def fresh(world: World) -> World:
    """A bot with data, all of whose tables are up to date."""
    world.say("hi")
    world.refresh()
    return world


def test_a_new_bot_waits_for_data(world: World) -> None:
    state = world.state()
    assert [item.table for item in state.stale] == [table.name for table in MATERIALISED]
    assert {reason for item in state.stale for reason in item.reasons} == {"never made"}
    assert state.blocked == "waiting for data: land a file" and not state.needs_refresh


def test_a_new_bot_with_a_landed_file_needs_a_refresh(world: World) -> None:
    world.land("a.jsonl", '{"text": "hi"}')
    state = world.state()
    assert state.blocked is None and state.needs_refresh
    assert [file.name for file in state.unread] == ["a.jsonl"]


def test_when_nothing_has_changed_nothing_is_stale(fresh: World) -> None:
    state = fresh.state()
    assert (state.stale, state.blocked, state.needs_refresh) == ((), None, False)
    assert all(state.commits[table.name] is not None for table in MATERIALISED)


def test_unread_files_are_named(fresh: World) -> None:
    for name in "abcd":
        fresh.land(f"{name}.jsonl", json.dumps({"text": name}))
    assert fresh.stale() == {"dialogues": ["4 unread landing files: a.jsonl, b.jsonl, c.jsonl …"]}
    fresh.read()
    assert fresh.stale() == {}
    fresh.land("e.jsonl", '{"text": "e"}')
    assert fresh.stale() == {"dialogues": ["1 unread landing file: e.jsonl"]}
    assert fresh.state().needs_refresh


def test_a_file_that_is_still_being_written_makes_nothing_stale(fresh: World) -> None:
    fresh.land("a.jsonl", '{"text": "hi"}', age=0)
    fresh.land("b.jsonl.tmp", '{"text": "hi"}', age=900)
    assert bot_state(fresh.home, fresh.lake, fresh.bot, settle=600).stale == ()


def test_new_rows_make_the_tables_that_read_them_stale_one_after_the_other(fresh: World) -> None:
    fresh.say("hello")
    assert fresh.stale() == {"utterances": ["dialogues changed"]}
    utterances = fresh.table("utterances")
    row = {"utterance_id": "u", "text": "hello", "split": "train"}
    staged = utterances.stage_arrow(pa.Table.from_pylist([row], UTTERANCES.schema))
    fresh.commit("utterances", utterances.overwrite(staged, notes={"train": 1}))
    changed = ["utterances changed"]
    readers = ("paraphrase_candidates", "embeddings", "labels", "paraphrases", "models", "evaluations")
    assert fresh.stale() == dict.fromkeys(readers, changed)


def test_new_rows_that_change_no_utterance_stop_there(fresh: World) -> None:
    fresh.say("hello")
    fresh.refresh(["utterances"])
    assert fresh.stale() == {}


@pytest.mark.parametrize(
    ("own", "tables"),
    [
        ({"process": {"normaliser": {"use": "own_normal:Mine"}, "test_share": 0.3}}, {"utterances", "deployments"}),
        ({"augment": {"up_to": 5}}, {"paraphrase_candidates", "paraphrases"}),
        ({"augment": {"weight": 0.9}}, {"models"}),
        ({"denoise": {"policy": "manual"}}, {"paraphrases", "models"}),
        ({"denoise": {"judge": {"use": "own_normal:Mine"}}}, {"labels"}),
        ({"review": {"triage": {"use": "own_normal:Mine"}}}, {"review_queue"}),
        ({"review": {"every_minutes": 3}}, set()),
        ({"train": {"answer_precision": 0.7}}, {"models"}),
        ({"validate": {"minimum_accuracy": 0.9}}, {"evaluations"}),
        ({"messages": {"failed": "Pardon?"}}, {"deployments"}),
        ({"deploy": {"policy": "manual"}}, {"deployments"}),
        ({"description": "another"}, set()),
        ({"resources": {"processes": 4}}, set()),
        ({"sources": {"intent": "label"}}, set()),
    ],
)
def test_a_changed_section_makes_only_the_tables_that_read_it_stale(
    fresh: World, own: dict[str, Any], tables: set[str]
) -> None:
    fresh.configure(**own)
    stale = fresh.stale()
    assert set(stale) == tables and all("configuration changed" in reasons for reasons in stale.values())
    fresh.configure()
    assert fresh.stale() == {}


def test_what_people_decide_makes_the_tables_stale_that_read_decisions(fresh: World) -> None:
    decisions = fresh.table("review_decisions")
    staged = decisions.stage_arrow(pa.Table.from_pylist([{"decision_id": "one"}], decisions.table.schema))
    fresh.save(decisions, decisions.append(staged))
    changed = ["review_decisions changed"]
    assert fresh.stale() == {"utterances": changed, "review_queue": changed}
    assert fresh.state().needs_refresh
    fresh.refresh()
    assert fresh.stale() == {}


def test_a_refresh_waits_until_people_stop_deciding_or_have_decided_much(fresh: World) -> None:
    def decide(*names: str) -> None:
        decisions = fresh.table("review_decisions")
        rows = [{"decision_id": name} for name in names]
        fresh.save(
            decisions, decisions.append(decisions.stage_arrow(pa.Table.from_pylist(rows, decisions.table.schema)))
        )

    def waits() -> str | None:
        return fresh.state().waits_for(datetime.now(UTC))

    fresh.configure(review={"refresh_after": {"minutes": 10, "decisions": 3}})
    decide("one", "two")
    assert "people are deciding" in str(waits())
    later = fresh.state().decide_until
    assert later and fresh.state().waits_for(later) is None, "ten quiet minutes are enough"
    decide("three")
    assert waits() is None, "three decisions do not wait"
    fresh.refresh()
    decide("four")
    assert "people are deciding" in str(waits()), "those that were learnt from do not count"
    fresh.land("more.jsonl", '{"text": "hi"}')
    assert fresh.state().decide_until is None, "what else is new takes the decisions along"


def test_served_turns_make_the_review_queue_stale_and_it_waits_for_its_interval(fresh: World) -> None:
    conversations = fresh.table("conversations")
    conversations.append_rows([{"turn_id": "one", "text": "hi"}])
    assert fresh.stale() == {"review_queue": ["conversations changed"]}
    assert not fresh.state().needs_refresh, "the queue was made a moment ago"
    fresh.configure(review={"every_minutes": 0})
    assert fresh.state().needs_refresh
    fresh.refresh(["review_queue"])
    assert fresh.stale() == {}
    conversations.append_rows([{"turn_id": "two", "text": "hi"}])
    assert fresh.stale() == {"review_queue": ["conversations changed"]}
    fresh.configure(messages={"failed": "Pardon?"})
    assert fresh.state().needs_refresh, "another table is behind, so the queue comes along"


def test_a_changed_column_mapping_makes_files_with_rejected_rows_unread(fresh: World) -> None:
    fresh.land("good.jsonl", '{"text": "hi"}')
    fresh.read()
    fresh.land("bad.jsonl", '{"utt": "hi"}')
    fresh.read(rejected=1)
    assert fresh.stale() == {}
    fresh.configure(sources={"text": "utt"})
    assert fresh.stale() == {"dialogues": ["1 unread landing file: bad.jsonl"]}


def test_a_changed_module_makes_the_tables_that_use_it_stale(fresh: World) -> None:
    fresh.write_module("own_normal", NORMALISER.format(".lower()"))
    reason = ["code of process.normaliser changed"]
    users = ("utterances", "paraphrase_candidates", "deployments", "review_queue")
    assert fresh.stale() == dict.fromkeys(users, reason)
    fresh.write_module("own_normal", "# the same again\n" + NORMALISER.format(""))
    assert fresh.stale() == {}


def test_the_code_of_a_table_is_its_own_and_that_of_the_modules_in_its_configuration(world: World) -> None:
    assert set(code_versions(UTTERANCES, world.bot)) == {
        "process",
        *(f"process.{name}" for name in MODULES),
    }


def test_accepted_code_is_not_stale_and_its_rows_are_not_computed_again(
    fresh: World, engine: SparkEngine, temporary: Scratch
) -> None:
    def build(*texts: str) -> tuple[list[str], int]:
        commits = {name: fresh.table(name).last() for name in TABLES}
        inputs = pinned_inputs(UTTERANCES, commits)
        assert inputs is not None
        code = current_signature(UTTERANCES, fresh.bot, inputs, commits["utterances"]).code
        frame, computed = build_utterances(
            fresh.table("dialogues").frame(engine.session),
            fresh.table("utterances").frame(engine.session),
            language="en",
            modules={name: getattr(fresh.bot.process, name) for name in MODULES},
            code={name: code[f"process.{name}"] for name in MODULES},
            test_share=0.1,
            temporary=temporary,
        )
        utterances = fresh.table("utterances")
        fresh.commit("utterances", utterances.overwrite(utterances.stage_frame(frame), notes={"train": 1}))
        return sorted(utterances.arrow(["text"]).column("text").to_pylist()), computed.rows_computed

    assert build() == (["hi"], 1)
    fresh.refresh([table.name for table in MATERIALISED if table.name != "utterances"])
    fresh.write_module("own_normal", NORMALISER.format(" + ''"))
    assert set(fresh.stale()) == {"utterances", "paraphrase_candidates", "deployments", "review_queue"}

    for name in ("utterances", "paraphrase_candidates", "deployments", "review_queue"):
        found = accept_code(fresh.table(name), code_versions(TABLES[name], fresh.bot), "kim", "the same result")
        assert found == ["process.normaliser"]
    assert fresh.stale() == {}
    fresh.say("hello")
    assert fresh.stale() == {"utterances": ["dialogues changed"]}
    assert build() == (["hello", "hi"], 1), "the accepted row was computed again"
    assert "deployments" not in fresh.stale(), "the acceptance was forgotten"

    fresh.write_module("own_normal", NORMALISER.format(".upper()"))
    assert fresh.stale()["utterances"] == ["code of process.normaliser changed"]


def test_rows_written_by_something_else_are_said_to_be(fresh: World) -> None:
    row = {"text_id": "t", "encoder": "e", "encoder_version": "v", "vector": b""}
    embeddings = fresh.table("embeddings")
    write_deltalake(str(embeddings.path), pa.Table.from_pylist([row], embeddings.table.schema), mode="append")
    assert fresh.stale()["embeddings"] == ["rows were written by something else"]


def test_a_bot_without_a_row_to_learn_from_is_blocked(world: World) -> None:
    world.say("hi")
    world.refresh(["dialogues", "rejected", "landing_files", "utterances"], {"utterances": {"train": 0, "test": 0}})
    state = world.state()
    assert state.blocked is not None and state.blocked.startswith("no row that can teach the bot: land rows with")
    assert not state.needs_refresh
    world.land("a.jsonl", '{"text": "hi", "intent": "x"}')
    assert world.state().needs_refresh, "a new file can help"


def test_a_refused_model_blocks_its_deployment_with_the_reason(fresh: World) -> None:
    evaluations = fresh.table("evaluations")
    row = {"model_id": "m", "metric": "accuracy", "slice_kind": "overall", "rows": 1}
    staged = evaluations.stage_arrow(pa.Table.from_pylist([row], evaluations.table.schema))
    gate = {"gate": {"passed": False, "reason": "accuracy 0.2 is below 0.4"}}
    fresh.commit("evaluations", evaluations.overwrite(staged, notes=gate))
    state = fresh.state()
    assert [item.table for item in state.stale] == ["deployments"]
    assert state.blocked == "the new model was refused: accuracy 0.2 is below 0.4"


def test_equal_causes_need_no_second_attempt_and_other_causes_do(fresh: World) -> None:
    fresh.land("a.jsonl", '{"text": "hi"}')
    first = fresh.state().cause
    assert fresh.state().cause == first
    path = fresh.land("a.jsonl", '{"text": "hi"}', '{"text": "more"}')
    second = fresh.state().cause
    os.utime(path, (time.time() - 90,) * 2)
    third = fresh.state().cause
    fresh.read()
    fresh.configure(train={"answer_precision": 0.7})
    fourth = fresh.state().cause
    fresh.configure(train={"answer_precision": 0.8})
    assert len({first, second, third, fourth, fresh.state().cause}) == 5


def test_one_bot_s_data_makes_no_other_bot_stale(fresh: World) -> None:
    other = fresh.write_bot("acme.other")
    fresh.land("a.jsonl", '{"text": "hi"}')
    assert bot_state(fresh.home, fresh.lake, other).blocked == "waiting for data: land a file"


def test_inputs_are_pinned_only_when_all_of_them_were_made(world: World) -> None:
    commits: dict[str, Commit | None] = {"utterances": None}
    assert pinned_inputs(TABLES["embeddings"], commits) is None
    assert pinned_inputs(DIALOGUES, commits) == {}


@pytest.mark.parametrize(
    ("arrived", "until"),
    [
        ([100.0], None),  # the first file after a pause
        ([10.0], 15.0),
        ([10.0, 12.0, 14.0], 19.0),
        ([10.0, *map(float, range(11, 69))], 70.0),  # they never stop, and are read all the same
        ([-500.0, 10.0], None),  # an old file that is read again under another mapping
    ],
)
def test_files_are_gathered_until_none_has_come_for_a_while_but_not_for_ever(
    arrived: list[float], until: float | None
) -> None:
    moment = 1_000_000.0
    ledger = Commit(3, None, datetime.fromtimestamp(moment, UTC))
    files = [LandingFile(str(at), str(at), 1, 1, moment + at) for at in arrived]
    found = _gather_until(ledger, files)
    if min(arrived) < 0:
        assert found is not None and found.timestamp() < moment, "it has waited long enough"
    else:
        assert (found and found.timestamp() - moment) == until
    assert _gather_until(None, files) is None and _gather_until(ledger, []) is None
