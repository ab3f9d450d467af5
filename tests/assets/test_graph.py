"""The whole graph on real tables: what a refresh makes, what it makes again, and what stops it."""

import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from small_bot import ENGINE, KEY, MISLABELLED, NAMES, Refreshed, SmallBot, row, small_rows

from chatbot_assets.bot import bot_file
from chatbot_assets.commands import status
from chatbot_assets.definitions import build_defs
from chatbot_assets.tables import SOURCES, TABLES
from resources.environment import code_revision

IMPOSSIBLE = {"validate": {"minimum_accuracy": 0.999}}
NORMALISER = "class Mine:\n    def __call__(self, text):\n        return text.lower(){}\n"


@pytest.fixture
def report(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """What ``status`` says about the bot."""
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))

    def run() -> dict[str, Any]:
        found: dict[str, Any] = status.run(KEY)["bots"][0]
        return found

    return run


# -- the first refresh --------------------------------------------------------------------------------------------


def test_a_refresh_makes_every_table_and_a_deployment_goes_live(first: tuple[SmallBot, Refreshed]) -> None:
    bot, refreshed = first
    assert set(refreshed.assets) == refreshed.committed == set(NAMES)
    assert [event["event"] for event in bot.rows("deployments", "event")] == ["candidate", "verified", "live"]
    assert bot.live is not None
    assert bot.live.model_id == bot.record("models").data_version
    assert bot.state.stale == () and bot.state.blocked is None


def test_a_deployment_event_says_what_it_was_made_from(first: tuple[SmallBot, Refreshed]) -> None:
    bot, refreshed = first
    for event in bot.rows("deployments"):
        assert event["config_hash"] == bot.bot.config_hash()
        assert json.loads(event["config"]) == bot.bot.effective()
        assert event["code_revision"] == code_revision()
        assert event["actor"] == f"run {refreshed.result.run_id}"
        assert event["reason"]
        data_versions = json.loads(event["data_versions"])
        assert data_versions == {
            name: {"version": 0, "data_version": bot.record(name).data_version}
            for name in NAMES
            if name not in ("deployments", "rejected", "landing_files", "review_queue")
        }
    reasons = [event["reason"] for event in bot.rows("deployments", "reason")]
    assert reasons[0] == "a test asked", "the candidate's reason is the run's"


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_carries_its_inputs_code_and_configuration(first: tuple[SmallBot, Refreshed], name: str) -> None:
    bot, refreshed = first
    metadata = json.loads(DeltaTable(str(bot.table(name).path)).history(1)[0]["userMetadata"])
    assert metadata["signature"]["inputs"] == {
        source: {"version": 0, "data_version": bot.record(source).data_version}
        if source in NAMES
        else {"version": -1, "data_version": ""}
        for source in TABLES[name].inputs
    }
    assert set(metadata["signature"]["code"]) >= {TABLES[name].stage}
    assert all(metadata["signature"]["code"].values())
    assert metadata["signature"]["config"] == bot.bot.config_hash(*TABLES[name].config)
    assert metadata["config_hash"] == bot.bot.config_hash()
    assert metadata["code_revision"] == code_revision()
    assert metadata["engine"] == ENGINE
    assert metadata["run_id"] == refreshed.result.run_id
    assert metadata["rows"] == len(bot.rows(name, TABLES[name].key[0]))


def test_modules_of_the_configuration_are_recorded_one_by_one(first: tuple[SmallBot, Refreshed]) -> None:
    assert set(first[0].record("utterances").signature.code) == {
        "process",
        "process.normaliser",
        "process.segmenter",
        "process.language_check",
        "process.privacy",
        "process.answer_privacy",
    }


def test_no_text_stands_in_both_splits(bot: SmallBot) -> None:
    other_labels = [row(found["text"], "another intent") for found in small_rows()]
    bot.land("other-labels.jsonl", other_labels)
    bot.refresh(select=["dialogues", "rejected", "landing_files", "utterances"])
    splits = defaultdict(set)
    labels = defaultdict(set)
    for found in bot.rows("utterances", "text", "split", "intent"):
        splits[found["text"]].add(found["split"])
        labels[found["text"]].add(found["intent"])
    assert {len(intents) for intents in labels.values()} == {2}, "every text has two labels now"
    assert {len(sides) for sides in splits.values()} == {1}
    assert set.union(*splits.values()) == {"train", "test"}


def test_what_the_interface_shows_of_each_materialisation(first: tuple[SmallBot, Refreshed]) -> None:
    bot, refreshed = first
    for name, found in refreshed.assets.items():
        assert found["dagster/row_count"] == len(bot.rows(name, TABLES[name].key[0]))
        assert found["dagster/table_name"] == name
        assert found["dagster/uri"] == str(bot.table(name).path)
        assert found["data_version"] == bot.record(name).data_version
        assert found["delta_version"] == 0
        assert found["seconds"] > 0


def test_dagster_knows_each_table_by_its_own_data_version(first: tuple[SmallBot, Refreshed]) -> None:
    bot, refreshed = first
    for event in refreshed.result.get_asset_materialization_events():
        name = event.asset_key.path[-1]
        assert event.materialization.partition == KEY
        assert (event.materialization.tags or {})["dagster/data_version"] == bot.record(name).data_version


@pytest.mark.parametrize("name", list(TABLES))
def test_what_the_interface_shows_of_each_asset(name: str) -> None:
    table = TABLES[name]
    spec = build_defs().resolve_asset_graph().get(dg.AssetKey(name))
    assert spec.group_name == table.stage
    assert table.description in (spec.description or "")
    columns = spec.metadata["dagster/column_schema"].columns
    assert [(c.name, c.description) for c in columns] == [(c.name, c.description) for c in table.columns]
    assert all(source in (spec.description or "") for column in table.columns for source in column.made_from)
    assert "deltalake" in spec.kinds
    if table not in SOURCES:
        assert spec.owners and all(owner.startswith("team:") for owner in spec.owners)


# -- what a second refresh does -----------------------------------------------------------------------------------


def test_a_second_refresh_commits_nothing(bot: SmallBot) -> None:
    before, versions = bot.logs(), bot.data_versions()
    again = bot.refresh()
    assert again.success and again.committed == set()
    assert set(again.assets) == set(NAMES), "every asset says that it is up to date"
    assert bot.logs() == before
    assert {name: found["data_version"] for name, found in again.assets.items()} == versions
    assert {found["rows_computed"] for found in again.assets.values()} == {0}


def test_appended_rows_cost_their_own_new_texts_only(bot: SmallBot) -> None:
    before = bot.live
    old_vectors = {found["text_id"]: found["vector"] for found in bot.rows("embeddings", "text_id", "vector")}
    new = [row("Where is my umbrella", "weather"), row("Do you take cards", "invoice"), small_rows()[3]]
    bot.land("more.jsonl", new)
    assets = bot.refresh().assets
    assert (assets["dialogues"]["rows_in"], assets["dialogues"]["dagster/row_count"]) == (3, 93)
    assert (assets["utterances"]["rows_computed"], assets["utterances"]["rows_reused"]) == (2, 1), "of the new rows"
    assert (assets["embeddings"]["rows_computed"], assets["embeddings"]["rows_reused"]) == (2, 90)
    vectors = {found["text_id"]: found["vector"] for found in bot.rows("embeddings", "text_id", "vector")}
    assert len(vectors) == 92 and old_vectors.items() < vectors.items()
    assert bot.files_of_last_commit("embeddings") == ["add"], "the vectors that were there are not written again"
    assert before and bot.live and bot.live.deployment_id != before.deployment_id


def test_an_edited_answer_encodes_no_text_again(bot: SmallBot) -> None:
    edited = [row(found["text"], found["intent"], "The corrected answer.") for found in small_rows()]
    bot.land("edited.jsonl", edited)
    refreshed = bot.refresh()
    assert refreshed.success
    assets = refreshed.assets
    assert assets["utterances"]["dagster/row_count"] == 180, "text, intent and answer make an utterance"
    assert (assets["utterances"]["rows_computed"], assets["utterances"]["rows_reused"]) == (0, 90)
    assert (assets["embeddings"]["rows_computed"], assets["embeddings"]["rows_reused"]) == (0, 90)
    assert bot.files_of_last_commit("embeddings") == []
    assert "The corrected answer." in {found["answer"] for found in bot.rows("utterances", "answer")}


def test_a_row_that_is_landed_twice_changes_where_it_came_from_and_nothing_else(bot: SmallBot) -> None:
    before, logs = bot.data_versions(), bot.logs()
    twice = small_rows()[0]
    bot.land("again.jsonl", [twice])
    refreshed = bot.refresh()
    after = bot.data_versions()
    assert {name for name in NAMES if after[name] != before[name]} == {"dialogues", "landing_files"}
    sources = {found["text"]: found["sources"] for found in bot.rows("utterances", "text", "sources")}
    assert len(sources[twice["text"].lower()]) == 2
    assert len(bot.rows("utterances", "text")) == 90
    downstream = ["embeddings", "models", "evaluations", "deployments"]
    assert refreshed.committed.isdisjoint(downstream)
    assert {name: bot.logs()[name] for name in downstream} == {name: logs[name] for name in downstream}


def test_a_copy_of_a_landed_file_is_noted_and_not_read(bot: SmallBot) -> None:
    before = bot.data_versions()
    bot.land("copy.jsonl", small_rows())
    refreshed = bot.refresh()
    assert len(bot.rows("dialogues", "turn_id")) == 90
    assert refreshed.assets["landing_files"]["notes"] == {"duplicates": ["copy.jsonl"]}
    assert {name for name in NAMES if bot.data_versions()[name] != before[name]} == {"landing_files"}


def test_an_unusable_row_is_rejected_with_its_line_and_reason_beside_the_good_ones(bot: SmallBot) -> None:
    bot.land("mixed.jsonl", [row("Is the shop open", "hours"), {"intent": "hours"}, row("Are you open", "hours")])
    assert bot.refresh().success
    rejected = bot.rows("rejected", "source_file", "source_line", "reason", "raw")
    assert [(found["source_file"], found["source_line"], json.loads(found["raw"])) for found in rejected] == [
        ("mixed.jsonl", 2, {"intent": "hours"})
    ]
    assert "text" in rejected[0]["reason"]
    assert {"is the shop open", "are you open"} <= {found["text"] for found in bot.rows("utterances", "text")}


FROM_MODELS = {"models", "evaluations", "deployments"}
FROM_EMBEDDINGS = {"embeddings", "labels", "paraphrases", *FROM_MODELS}
FROM_UTTERANCES = {"utterances", "paraphrase_candidates", *FROM_EMBEDDINGS}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"process": {"test_share": 0.2}}, FROM_UTTERANCES),
        ({"embed": {"encoder": {"use": "chatbot_assets.embed.encoders:MultilingualEncoder", "with": {"threads": 2}}}},
         {*FROM_EMBEDDINGS, "review_queue"}),
        ({"train": {"answer_precision": 0.8}}, FROM_MODELS),
        ({"validate": {"minimum_accuracy": 0.1}}, {"evaluations", "deployments"}),
        ({"messages": {"failed": "Pardon?"}}, {"deployments"}),
        ({"resources": {"processes": 1}}, set()),
    ],
    ids=["process", "embed", "train", "validate", "messages", "resources"],
)  # fmt: skip
def test_a_changed_section_makes_only_the_tables_from_its_stage_on_again_and_changing_it_back_restores_them(
    bot: SmallBot, own: dict[str, Any], expected: set[str]
) -> None:
    before = bot.data_versions()
    bot.configure(**own)
    changed = bot.refresh()
    assert changed.success and changed.committed == expected
    assert bot.state.stale == ()
    assert bot.refresh().committed == set()

    bot.configure()
    back = bot.refresh()
    assert back.success and back.committed == expected
    assert bot.data_versions() == before, "equal data, code and configuration have equal DataVersions"
    assert bot.live and json.loads(json.dumps(bot.live.config)) == bot.bot.effective()


def test_a_changed_share_of_held_out_rows_normalises_and_encodes_nothing_again(bot: SmallBot) -> None:
    bot.configure(process={"test_share": 0.3})
    assets = bot.refresh().assets
    assert (assets["utterances"]["rows_computed"], assets["embeddings"]["rows_computed"]) == (0, 0)
    assert assets["models"]["rows_computed"] < 84


def test_changed_code_of_one_module_makes_the_tables_that_depend_on_it_again(
    bot: SmallBot, write_module: Callable[[str, str], str], new_process: Callable[[], None]
) -> None:
    write_module("own_normal", NORMALISER.format(""))
    bot.configure(process={"normaliser": {"use": "own_normal:Mine"}})
    assert bot.refresh().assets["utterances"]["rows_computed"] == 90
    write_module("own_normal", "# a comment\n" + NORMALISER.format(""))
    assert bot.refresh().committed == set()
    write_module("own_normal", NORMALISER.format(".strip()"))
    new_process()
    again = bot.refresh()
    assert again.assets["utterances"]["rows_computed"] == 90
    assert again.assets["embeddings"]["rows_computed"] == 0, "the texts that came out are the same"


def test_code_that_is_edited_while_a_process_runs_it_is_never_recorded_as_what_made_the_rows(
    bot: SmallBot, write_module: Callable[[str, str], str], new_process: Callable[[], None]
) -> None:
    write_module("own_normal", NORMALISER.format(""))
    bot.configure(process={"normaliser": {"use": "own_normal:Mine"}})
    assert bot.refresh().success
    before = bot.record("utterances")
    write_module("own_normal", NORMALISER.format(".upper()"))
    overtaken = bot.refresh()
    assert overtaken.failure == "own_normal changed while the refresh ran; another one follows with the new code"
    assert bot.record("utterances") == before
    assert (bot.state.blocked, bot.state.attempt) == (None, None) and bot.state.needs_refresh, "at once"
    if ENGINE == "local":
        return  # the JVM keeps Python processes that have imported the old module until it ends
    new_process()
    assert bot.refresh().success
    assert "HOW DO I GET MY BILL" in [found["text"] for found in bot.rows("utterances", "text")]


def test_a_yaml_that_is_edited_while_a_refresh_runs_counts_from_the_next_one_on(
    bot: SmallBot, write_module: Callable[[str, str], str]
) -> None:
    path = bot_file(bot.home.bots, KEY)
    write_module(
        "own_editor",
        "from pathlib import Path\nclass Mine:\n    def __call__(self, text):\n"
        f"        path = Path({str(path)!r})\n"
        "        path.write_text(path.read_text().replace('before', 'after'))\n        return text\n",
    )
    bot.configure(process={"normaliser": {"use": "own_editor:Mine"}}, messages={"failed": "before"})
    assert bot.refresh().success and bot.live
    assert bot.live.config["messages"]["failed"] == "before", "one deployment has one configuration"
    assert [item.table for item in bot.state.stale] == ["deployments"]
    assert bot.refresh().success
    assert bot.live.config["messages"]["failed"] == "after" and bot.state.stale == ()


def test_equal_files_in_another_home_give_equal_data_versions_and_an_equal_model(
    first: tuple[SmallBot, Refreshed], tmp_path: Path
) -> None:
    other = SmallBot(tmp_path)
    other.configure()
    other.land("home.jsonl", small_rows())
    assert other.refresh().success
    assert other.data_versions() == first[0].data_versions()
    assert other.live and first[0].live and other.live.deployment_id == first[0].live.deployment_id


# -- what stops a refresh -----------------------------------------------------------------------------------------


def test_a_model_that_is_not_good_enough_is_not_deployed_and_lowering_the_minimum_heals(
    bot: SmallBot, report: Callable[[], dict[str, Any]]
) -> None:
    live, events = bot.live, bot.rows("deployments", "event_id")
    bot.configure(**IMPOSSIBLE)
    refused = bot.refresh()
    assert not refused.success
    checks = [check for check in refused.result.get_asset_check_evaluations() if not check.passed]
    assert [(check.check_name, check.severity) for check in checks] == [
        ("may_be_deployed", dg.AssetCheckSeverity.ERROR)
    ]
    reason = checks[0].description or ""
    assert "below validate.minimum_accuracy 0.999" in reason and MISLABELLED.lower() in reason
    assert "deployments" not in refused.assets
    assert bot.live == live and bot.rows("deployments", "event_id") == events
    assert report()["blocked"] == f"the new model was refused: {reason}"
    assert live and report()["deployment_id"] == live.deployment_id

    assert not bot.refresh().success, "it stays refused"
    assert bot.live == live

    bot.configure(validate={"minimum_accuracy": 0.5})
    assert bot.refresh().success
    assert report()["blocked"] is None and report()["stale"] == []
    assert bot.live and bot.live.config["validate"]["minimum_accuracy"] == 0.5


def test_with_a_manual_policy_a_verified_model_waits(bot: SmallBot) -> None:
    live = bot.live
    bot.configure(deploy={"policy": "manual"})
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    assert bot.refresh().success
    events = bot.rows("deployments", "event", "at", "deployment_id")
    newest = max(found["at"] for found in events)
    assert {found["event"] for found in events if found["at"] == newest} == {"candidate", "verified"}
    assert bot.live == live


def test_a_bot_without_a_row_to_learn_from_ends_with_one_clear_line(tmp_path: Path) -> None:
    bot = SmallBot(tmp_path)
    bot.configure()
    bot.land("unlabelled.jsonl", [{"text": "Hello there"}, {"text": "How are you"}])
    refreshed = bot.refresh()
    assert not refreshed.success
    assert refreshed.failure == (
        f"{KEY} has no row to learn from: land rows with an intent or an answer in the bot's language"
    )
    assert len(bot.rows("dialogues", "turn_id")) == 2, "nothing is lost"
    assert bot.state.blocked and "land rows with an intent or an answer" in bot.state.blocked
    bot.land("labelled.jsonl", small_rows())
    assert bot.refresh().success and bot.live, "labelled rows heal it"


def test_a_mistake_in_the_yaml_ends_the_run_with_its_line(bot: SmallBot) -> None:
    before = bot.logs()
    bot.configure(trian={"answer_precision": 0.8})
    refreshed = bot.refresh()
    assert not refreshed.success
    assert refreshed.failure and "trian: unknown key; allowed:" in refreshed.failure
    assert "\n" not in refreshed.failure
    assert bot.logs() == before


def _damage_a_cell(path: Path) -> None:
    """Another byte in the largest chunk, in a file that is otherwise whole."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    largest = max(rows, key=lambda found: len(found["data"]))
    middle = len(largest["data"]) // 2
    largest["data"] = largest["data"][:middle] + b"\xa5\x5a" + largest["data"][middle + 2 :]
    before = path.stat().st_size
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path, compression="zstd")
    log = path.parents[2] / "_delta_log" / f"{0:020d}.json"
    log.write_text(log.read_text("utf-8").replace(f'"size":{before}', f'"size":{path.stat().st_size}'), "utf-8")


def _damage_the_file(path: Path) -> None:
    """Bytes in the middle of the file, as a failing disk would."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = b"\xff" * 4_000
    path.write_bytes(content)


def _cut_the_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1_000])


def _lose_the_file(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_damage_a_cell, _damage_the_file, _cut_the_file, _lose_the_file])
def test_a_model_whose_bytes_are_damaged_in_the_lake_is_refused_with_one_line(
    bot: SmallBot, damage: Callable[[Path], None], tmp_path: Path
) -> None:
    live = bot.live
    assert live is not None
    (file,) = bot.table("models").path.glob("data/*/*.parquet")
    damage(file)
    bot.home.cache.rename(tmp_path / "the cache of another machine")
    bot.configure(messages={"failed": "Pardon?"})
    refreshed = bot.refresh()
    assert not refreshed.success
    assert refreshed.failure and "\n" not in refreshed.failure, refreshed.error
    assert live.model_id in refreshed.failure and "damaged" in refreshed.failure
    assert bot.live == live
    assert not list((bot.home.cache / "models").iterdir()), "nothing damaged is left in the cache"

    assert refreshed.failure.endswith(f"remove {bot.table('models').path} and refresh the bot")
    shutil.rmtree(bot.table("models").path)
    assert bot.refresh().success, "what the line says helps"
    assert bot.live and bot.live.model_id == live.model_id


# -- two refreshes at once ----------------------------------------------------------------------------------------


def test_a_refresh_waits_while_another_one_writes_the_bot_s_tables(bot: SmallBot) -> None:
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    before = bot.logs()
    finished: list[tuple[datetime, Refreshed]] = []
    with bot.lake.writing(KEY):
        waiting = threading.Thread(target=lambda: finished.append((datetime.now(UTC), bot.refresh())))
        waiting.start()
        waiting.join(2.0)
        assert waiting.is_alive() and bot.logs() == before
    waiting.join(240)
    assert finished and finished[0][1].success
    assert bot.state.stale == ()


def test_two_refreshes_at_once_read_a_landed_file_once_and_both_succeed(bot: SmallBot) -> None:
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    results: list[Refreshed] = []
    threads = [threading.Thread(target=lambda: results.append(bot.refresh())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert [refreshed.error for refreshed in results] == ["", ""]
    assert len(bot.rows("dialogues", "turn_id")) == 91
    for name in NAMES:
        commits = sum(name in refreshed.committed for refreshed in results)
        assert commits == (0 if name in ("rejected", "review_queue") else 1), f"{name} was computed {commits} times"
    assert bot.state.stale == ()


def test_an_asset_that_waited_reads_what_its_inputs_are_then(bot: SmallBot, tmp_path: Path) -> None:
    other = bot.copy(tmp_path / "other")
    other.land("more.jsonl", [row("Where is my umbrella", "weather")])
    other.refresh(select=["dialogues", "rejected", "landing_files", "utterances"])
    results: list[Refreshed] = []
    with bot.lake.writing(KEY):
        waiting = threading.Thread(target=lambda: results.append(bot.refresh(select=["embeddings"])))
        waiting.start()
        waiting.join(2.0)
        assert waiting.is_alive()
        shutil.copytree(other.table("utterances").path, bot.table("utterances").path, dirs_exist_ok=True)
    waiting.join(240)
    assert results and results[0].assets["embeddings"]["rows_computed"] == 1
    assert bot.record("embeddings").signature.inputs["utterances"].version == 1
