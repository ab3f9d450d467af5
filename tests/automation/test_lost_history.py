"""Dagster's storage is deleted: the lake still tells how each bot stands, and gives the history back."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from small_bot import KEY, NAMES, OTHER, Refreshed, SmallBot, row

from chatbot_assets.checks import check_specs
from chatbot_assets.cli import main
from chatbot_assets.commands import reconcile, status, up
from chatbot_assets.definitions import build_defs
from chatbot_assets.partitions import BOTS
from chatbot_assets.sensors import reconcile as sensor
from chatbot_assets.tables import MATERIALISED, REVIEW_QUEUE

NOTHING = {"partitions_added": 0, "materialisations": 0, "observations": 0, "checks": 0}


def forget(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """Adds a second bot without data, in a home that Dagster knows nothing of."""
    SmallBot(bot.root, OTHER).configure()
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    monkeypatch.setenv("DAGSTER_HOME", str(bot.home.dagster))
    assert not bot.home.dagster.exists()
    return bot


@pytest.fixture
def lost(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A refreshed bot, and a second one without data, before ``reconcile``."""
    return forget(bot, monkeypatch)


class Reconciled(NamedTuple):
    bot: SmallBot
    report: dict[str, Any]
    instance: dg.DagsterInstance


@pytest.fixture(scope="module")
def reconciled(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reconciled]:
    """Both bots after ``reconcile``; shared, and not to be changed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        bot = forget(first[0].copy(tmp_path_factory.mktemp("lost") / "small"), monkeypatch)
        logs = bot.logs()
        report = reconcile.run()
        assert bot.logs() == logs, "nothing is computed"
        with dg.DagsterInstance.get() as instance:
            yield Reconciled(bot, report, instance)


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name] for name in NOTHING}


def latest(instance: dg.DagsterInstance, name: str) -> dg.EventLogRecord:
    found = instance.get_latest_data_version_record(dg.AssetKey(name), partition_key=KEY)
    assert found
    return found


def data_versions(instance: dg.DagsterInstance) -> dict[str, str]:
    tags = {name: latest(instance, name).event_log_entry.tags or {} for name in NAMES}
    return {name: found["dagster/data_version"] for name, found in tags.items()}


def staleness(bot: SmallBot, instance: dg.DagsterInstance, key: str = KEY) -> dict[str, StaleStatus]:
    """What Dagster itself says of each asset."""
    graph = build_defs({"home": bot.home}).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {name: resolver.get_status(dg.AssetKey(name), key) for name in NAMES}


def test_status_is_right_without_dagster_storage_and_makes_none(lost: SmallBot) -> None:
    other, found = sorted(status.run()["bots"], key=lambda report: report["bot"] == KEY)
    assert lost.live and found["deployment_id"] == lost.live.deployment_id
    assert (found["stale"], found["blocked"]) == ([], None)
    assert other["blocked"] == "waiting for data: land a file"
    lost.land("more.jsonl", [row("Where is my umbrella", "weather")])
    assert status.run(KEY)["bots"][0]["reasons"] == {"dialogues": ["1 unread landing file: more.jsonl"]}
    assert not lost.home.dagster.exists()


def test_reconcile_gives_partitions_and_last_materialisations_back(reconciled: Reconciled) -> None:
    bot, report, instance = reconciled
    checks = sum(len(check_specs(table)) for table in MATERIALISED) + 1  # and whether the model may be deployed
    assert counts(report) == {
        "partitions_added": 2,
        "materialisations": len(NAMES),
        "observations": 0,
        "checks": checks,
    }
    assert [(of["bot"], of["materialisations"]) for of in report["bots"]] == [(KEY, len(NAMES)), (OTHER, 0)]
    assert set(instance.get_dynamic_partitions(BOTS.name or "")) == {KEY, OTHER}
    assert data_versions(instance) == bot.data_versions()
    assert set(staleness(bot, instance).values()) == {StaleStatus.FRESH}
    assert instance.get_runs() == []
    assert not bot.lake.bot_folder(OTHER).exists()


def test_afterwards_the_sensor_requests_no_run(reconciled: Reconciled) -> None:
    bot, _, instance = reconciled
    context = dg.build_sensor_context(
        instance, definitions=build_defs({"home": bot.home}), resources={"home": bot.home}
    )
    data = sensor.evaluate_tick(context)
    assert not data.run_requests and not data.dynamic_partitions_requests


def test_a_materialisation_says_that_it_was_reconciled_and_what_the_record_says(reconciled: Reconciled) -> None:
    bot, _, instance = reconciled
    for name in NAMES:
        materialisation = latest(instance, name).asset_materialization
        commit = bot.table(name).last()
        assert materialisation and commit
        found = {key: value.value for key, value in materialisation.metadata.items()}
        assert found["reconciled"] is True
        assert found["committed_at"] == commit.committed_at.timestamp()
        assert (found["delta_version"], found["dagster/row_count"]) == (commit.version, bot.record(name).rows)


def test_the_check_of_the_last_evaluation_is_there_again(reconciled: Reconciled) -> None:
    bot, _, instance = reconciled
    key = dg.AssetCheckKey(dg.AssetKey("evaluations"), "may_be_deployed")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
    evaluation = record.event and record.event.dagster_event and record.event.dagster_event.event_specific_data
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed and evaluation.description == bot.record("evaluations").notes["gate"]["reason"]
    target = evaluation.target_materialization_data
    assert target and target.storage_id == latest(instance, "evaluations").storage_id


def test_a_second_time_there_is_nothing_to_report_nor_is_there_after_a_refresh(lost: SmallBot) -> None:
    assert counts(reconcile.run()) != NOTHING
    assert counts(reconcile.run()) == NOTHING
    lost.land("more.jsonl", [row("Where is my umbrella", "weather")])
    with dg.DagsterInstance.get() as instance:
        assert lost.refresh(instance).success
    assert counts(reconcile.run()) == NOTHING


def test_bots_with_equal_tables_are_not_taken_for_each_other(lost: SmallBot) -> None:
    shutil.copytree(lost.lake.bot_folder(KEY), lost.lake.bot_folder(OTHER))
    report = reconcile.run()
    assert [bot["materialisations"] for bot in report["bots"]] == [len(NAMES)] * 2
    with dg.DagsterInstance.get() as instance:
        for key in (KEY, OTHER):
            assert set(staleness(lost, instance, key).values()) == {StaleStatus.FRESH}
    assert counts(reconcile.run()) == NOTHING


def test_what_was_made_from_an_older_input_stays_stale(lost: SmallBot) -> None:
    lost.land("more.jsonl", [row("Where is my umbrella", "weather")])
    assert lost.refresh(select=["dialogues", "rejected", "landing_files", "utterances"]).success
    reconcile.run()
    with dg.DagsterInstance.get() as instance:
        found = staleness(lost, instance)
    behind = {item.table for item in lost.state.stale}
    assert behind and {name for name, how in found.items() if how is StaleStatus.STALE} == behind


def test_served_turns_are_observed_and_a_storage_that_is_behind_gets_only_what_it_lacks(lost: SmallBot) -> None:
    reconcile.run()
    turn = {"turn_id": "t", "text": "hello", "category": "failed", "served_at": datetime.now(UTC)}
    lost.table("conversations").append_rows([turn])
    assert lost.refresh(select=["review_queue"]).success
    checks = len(check_specs(REVIEW_QUEUE))
    assert counts(reconcile.run()) == NOTHING | {"materialisations": 1, "observations": 1, "checks": checks}
    commit = lost.table("conversations").last()
    with dg.DagsterInstance.get() as instance:
        tags = latest(instance, "conversations").event_log_entry.tags
        assert commit and tags and tags["dagster/data_version"] == commit.data_version
        assert set(staleness(lost, instance).values()) == {StaleStatus.FRESH}
    assert counts(reconcile.run()) == NOTHING


def test_a_bot_whose_tables_are_damaged_is_named_and_the_others_are_reported(lost: SmallBot) -> None:
    log = lost.lake.table("acme.a", "dialogues").path / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_text("{", encoding="utf-8")
    SmallBot(lost.root, "acme.a").configure()
    result = CliRunner().invoke(main, ["reconcile", "--json"])
    report = json.loads(result.stdout)
    assert report["bots"][0]["problem"].startswith("its tables cannot be read: JSONDecodeError")
    assert report["materialisations"] == len(NAMES)


def test_up_gives_a_home_without_dagster_storage_its_history_back(
    lost: SmallBot, capsys: pytest.CaptureFixture[str]
) -> None:
    up._restore_history(lost.home)
    said = capsys.readouterr().out
    assert f"2 partitions, {len(NAMES)} materialisations" in said
    up._restore_history(lost.home)
    assert capsys.readouterr().out == "", "it has one"
    shutil.rmtree(lost.home.dagster)
    shutil.rmtree(lost.home.lake)
    up._restore_history(lost.home)
    assert capsys.readouterr().out == "" and not Path(lost.home.dagster).exists(), "a new home"
