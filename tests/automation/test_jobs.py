"""What can be started for one bot or many: by a schedule at night, and by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster_memory import empty_instance
from small_bot import KEY, OTHER, Refreshed, SmallBot

from chatbot_assets import schedules
from chatbot_assets.definitions import build_defs
from chatbot_assets.jobs import AFTER_REFRESHES, PRIORITY_TAG, maintain
from chatbot_assets.partitions import BOTS
from chatbot_assets.schedules import nightly_expiry, nightly_verification, weekly_maintenance
from resources.environment import PROJECT
from resources.requests import asked


def execute(bot: SmallBot, job: str, **more: Any) -> dg.ExecuteInProcessResult:
    with empty_instance() as instance:
        instance.add_dynamic_partitions(BOTS.name or "", [bot.key])
        found = build_defs(resource_overrides={"home": bot.home}).resolve_job_def(job)
        return found.execute_in_process(instance=instance, raise_on_error=False, **more)


def reported(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The metadata of the run's one output."""
    (output,) = [event for event in result.all_node_events if event.is_successful_output]
    return {name: value.value for name, value in output.step_output_data.metadata.items()}


def evaluate(schedule: dg.ScheduleDefinition, bot: SmallBot, due: datetime) -> ScheduleExecutionData:
    """What the schedule asks for when Dagster knows the bot, but not yet the others that have a file."""
    with (
        dg.instance_for_test(temp_dir=str(bot.root)) as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=due,
            resources={"home": bot.home},
            repository_def=build_defs(resource_overrides={"home": bot.home}).get_repository_def(),
        ) as context,
    ):
        instance.add_dynamic_partitions(BOTS.name or "", [bot.key])
        return schedule.evaluate_tick(context)


@pytest.fixture
def two(bot: SmallBot) -> SmallBot:
    """A bot beside that of another tenant."""
    SmallBot(bot.root, OTHER).configure()
    return bot


def test_all_bots_of_a_tenant_or_all_bots_are_asked_for(two: SmallBot) -> None:
    mine, other = two.lake.bot_folder(KEY), two.lake.bot_folder(OTHER)
    config = {"tenant": "globex", "reason": "a new release"}
    result = execute(two, "refresh_all", run_config={"ops": {"ask_for_refreshes": {"config": config}}})
    assert result.success and reported(result)["bots"] == 1
    wish = asked(other)
    assert wish and (wish.by, wish.reason) == ("refresh_all", "a new release") and asked(mine) is None
    assert execute(two, "refresh_all").success
    assert asked(mine) and two.state.asked and two.state.needs_refresh


def test_an_unknown_tenant_is_one_line(two: SmallBot) -> None:
    result = execute(two, "refresh_all", run_config={"ops": {"ask_for_refreshes": {"config": {"tenant": "acne"}}}})
    assert Refreshed(result).failure == "there is no bot of tenant 'acne'; tenants: acme, globex"


def test_maintenance_of_a_bot_says_what_it_did_and_leaves_nothing_to_refresh(bot: SmallBot) -> None:
    for number in range(9):
        turn = {"turn_id": str(number), "session_id": "s", "text": "hi", "category": "answered"}
        bot.table("conversations").append_rows([turn])
    assert bot.refresh().success
    versions = bot.data_versions()
    result = execute(bot, "maintain", partition_key=KEY)
    assert result.success
    said = reported(result)
    tables = {record.data["table"]: record.data for record in said["tables"].records}
    assert (tables["conversations"]["files_before"], tables["conversations"]["files_after"]) == (9, 1)
    assert said["files removed"] == 0, "everything is younger than the retention"
    assert bot.state.stale == () and bot.data_versions() == versions


def test_each_known_bot_gets_one_run_at_night_that_lets_refreshes_pass(two: SmallBot) -> None:
    due = datetime.now(UTC) - timedelta(minutes=1)
    (request,) = evaluate(weekly_maintenance(), two, due).run_requests or []
    assert (request.partition_key, request.run_key) == (KEY, f"{KEY}:{due:%Y-%m-%d}")
    assert request.tags[PRIORITY_TAG] == AFTER_REFRESHES
    assert request.tags["dagster/partition"] == KEY


def test_bots_whose_turns_expire_are_looked_after_every_night(two: SmallBot) -> None:
    due = datetime.now(UTC) - timedelta(minutes=1)
    assert evaluate(nightly_expiry(), two, due).skip_message == "no bot needs it"
    two.configure(retention={"conversations_days": 30})
    (request,) = evaluate(nightly_expiry(), two, due).run_requests or []
    assert request.partition_key == KEY
    two.configure(retention={"conversation_days": 30})
    assert evaluate(nightly_expiry(), two, due).run_requests, "the run says what is wrong with the file"
    crons = [schedule.cron_schedule for schedule in (nightly_expiry(), weekly_maintenance())]
    assert crons == ["0 4 * * 1-6", "0 4 * * 0"], "there is no night without one of them"


def test_an_evaluation_that_was_missed_for_more_than_a_period_starts_nothing(two: SmallBot) -> None:
    for schedule, age in ((weekly_maintenance(), 8), (nightly_verification(maintain), 2)):
        data = evaluate(schedule, two, datetime.now(UTC) - timedelta(days=age))
        assert not data.run_requests and data.skip_message and "is due again" in data.skip_message


def test_schedules_run_by_default_in_the_time_zone_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert schedules.weekly_maintenance().default_status == dg.DefaultScheduleStatus.RUNNING
    assert nightly_verification(maintain).execution_timezone == "UTC"
    monkeypatch.setenv("CHATBOT_TIMEZONE", "Asia/Seoul")
    assert weekly_maintenance().execution_timezone == "Asia/Seoul"


def test_one_run_of_a_bot_at_a_time_whoever_starts_it() -> None:
    """Every run of a partition carries this tag; that of the sensor is not on a run that is started in the UI."""
    runs = yaml.safe_load((PROJECT / "dagster.yaml").read_text(encoding="utf-8"))["concurrency"]["runs"]
    (limit,) = runs["tag_concurrency_limits"]
    assert limit == {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
