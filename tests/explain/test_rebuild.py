"""Rebuilding recorded models: bit for bit after data and configuration have changed, and what is said when not."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from explained_bot import History, ask, vacuum_all_but_what_is_kept
from small_bot import KEY, Refreshed, SmallBot, row, small_rows

from chatbot_assets.cli import main
from chatbot_assets.commands import UserError
from chatbot_assets.explain.explanation import explain_turn, find_turn
from chatbot_assets.maintenance.retention import pinned_versions
from chatbot_assets.train.rebuilding import RebuildError, Rebuilt, find_recipe, rebuild
from resources.lakehouse import InputVersion


@pytest.fixture
def original(first: tuple[SmallBot, Refreshed]) -> SmallBot:
    """The refreshed bot that all tests share: for those that only read."""
    return first[0]


def command(bot: SmallBot, *arguments: str) -> Result:
    folders = {"CHATBOT_HOME": str(bot.home.root), "CHATBOT_BOTS": str(bot.home.bots)}
    return CliRunner(env=folders).invoke(main, ["rebuild", KEY, *arguments])


def rebuilt(bot: SmallBot, model_id: str | None = None) -> Rebuilt:
    return rebuild(bot.lake, find_recipe(bot.home, bot.lake, KEY, model_id), lambda _: None)


def test_the_live_model_is_rebuilt_bit_for_bit_and_nothing_is_written(original: SmallBot) -> None:
    before = original.logs()
    done = command(original, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert original.live and report["model_id"] == original.live.model_id
    assert report["equal"] and not report["differences"] and not report["code_changed"]
    assert {file["file"] for file in report["files"]} >= {"intent/intent_model.safetensors", "manifest.json"}
    assert all(file["recorded"] == file["rebuilt"] for file in report["files"])
    assert set(report["inputs"]) == {"utterances", "embeddings", "labels", "paraphrases"}
    assert original.logs() == before


def test_deployments_whose_data_and_configuration_changed_in_between_are_each_rebuilt(history: History) -> None:
    models = {event["model_id"] for event in history.bot.rows("deployments") if event["event"] == "live"}
    assert len(models) == len(history.deployments)
    for model_id in models:
        assert rebuilt(history.bot, model_id).differences == []


def test_what_a_kept_deployment_learnt_from_outlives_any_vacuum(bot: SmallBot) -> None:
    """The same rows, said once more in another file, change what `utterances` holds, but not what a model learns."""
    bot.land("again.jsonl", reversed(small_rows()))
    assert {"utterances"} <= bot.refresh().committed
    bot.configure(messages={"failed": "What was that?", "similar": "Do you mean"})
    refreshed = bot.refresh()
    assert "deployments" in refreshed.committed and "models" not in refreshed.committed
    made_from = bot.record("models").signature.inputs["utterances"].version
    newest = bot.table("utterances").last()
    assert newest and newest.version > made_from
    since = datetime.now(UTC) + timedelta(days=1)
    assert {made_from, newest.version} <= pinned_versions(bot.lake, KEY, since)["utterances"]
    vacuum_all_but_what_is_kept(bot)
    assert rebuilt(bot).differences == []


def test_the_deployment_that_is_live_can_be_rebuilt_and_explained_however_much_came_after_it(bot: SmallBot) -> None:
    live = bot.live
    turn = ask(bot, one="My parcel is wrong")["one"]
    bot.configure(deploy={"policy": "manual"})
    for number, text in enumerate(("Who handles parcel losses", "Tell me about my forecast")):
        bot.land(f"more-{number}.jsonl", [row(text, "delivery" if number else "weather")])
        assert bot.refresh().success
    assert live and bot.live == live, "the newer ones wait to be promoted"
    assert vacuum_all_but_what_is_kept(bot) > 0, "the deployment between the two is kept by nobody"
    assert rebuilt(bot).differences == []
    served = find_turn(bot.lake, KEY, turn)
    assert served is not None
    explained = explain_turn(bot.lake, bot.home.cache, KEY, served)
    assert explained["limits"] == [] and explained["evidence"]["rows"][0]["origins"][0]["file"] == "home.jsonl"
    kept = {live.model_id, bot.record("models").data_version}
    (between,) = {event["model_id"] for event in bot.rows("deployments")} - kept
    done = command(bot, "--model", between)
    assert isinstance(done.exception, UserError) and "have been removed" in str(done.exception)


def test_a_difference_is_told_from_data_to_hardware(bot: SmallBot) -> None:
    path = next(bot.table("embeddings").path.rglob("*.parquet"))
    table = pq.read_table(path)
    vectors = table.column("vector").to_pylist()
    place = table.schema.get_field_index("vector")
    pq.write_table(table.set_column(place, "vector", pa.array(vectors[1:] + vectors[:1], pa.binary())), path)
    done = command(bot)
    assert done.exit_code == 1
    assert "DIFFERENT" in done.stdout and "vectors or other values beside them are not" in done.stdout

    recipe = find_recipe(bot.home, bot.lake, KEY, None)
    record = recipe.record
    signature = dataclasses.replace(record.signature, code=dict(record.signature.code) | {"train": "0000"}, config="1")
    surroundings = json.loads(json.dumps(record.notes["surroundings"]))
    surroundings["libraries"]["torch"], surroundings["hardware"]["processor"] = "1.0", "Abacus"
    notes = dict(record.notes) | {"surroundings": surroundings}
    older = dataclasses.replace(recipe, record=dataclasses.replace(record, signature=signature, notes=notes))
    found = rebuild(bot.lake, older, lambda _: None).differences
    assert [difference.partition(":")[0] for difference in found] == [
        *("data", "configuration", "code of train", "library torch", "hardware processor"),
    ]
    assert any("1.0 then" in difference for difference in found)


@pytest.mark.parametrize(("model", "said"), [("0" * 32, "has no model 000"), ("'; DROP", "has no model")])
def test_an_unknown_model_is_one_line(original: SmallBot, model: str, said: str) -> None:
    done = command(original, "--model", model)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception) and "\n" not in str(done.exception)


def test_a_model_that_was_made_in_another_lake_is_to_be_rebuilt_there(original: SmallBot) -> None:
    recipe = find_recipe(original.home, original.lake, KEY, None)
    inputs = dict(recipe.record.signature.inputs) | {"labels": InputVersion(0, "of another lake")}
    signature = dataclasses.replace(recipe.record.signature, inputs=inputs)
    foreign = dataclasses.replace(recipe, record=dataclasses.replace(recipe.record, signature=signature))
    with pytest.raises(RebuildError, match="does not hold version 0 of labels"):
        rebuild(original.lake, foreign, lambda _: None)
