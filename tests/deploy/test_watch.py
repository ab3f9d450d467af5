"""A live deployment is watched against the one before it, and taken back when users fare worse with it."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster_memory import empty_instance
from small_bot import SmallBot

from chatbot_assets.bot import Watch
from chatbot_assets.definitions import build_defs
from chatbot_assets.deploy import live_check
from chatbot_assets.deploy.record import Deployment, history
from chatbot_assets.deploy.watch import Conduct, breach, turns_since, watch
from chatbot_assets.partitions import BOTS
from chatbot_assets.watching import ANSWERS_AS_RECORDED, NO_WORSE_THAN_BEFORE, WHAT_ANSWERS, hourly_watch
from resources.lakehouse import Lake
from resources.verifications import found_wrong
from serving.conversations import new_turn_id

LIMITS = Watch()


@pytest.fixture
def twice(configured: Callable[..., SmallBot]) -> SmallBot:
    """A bot whose second deployment is live."""
    return configured(messages={"failed": "Pardon?"})


def deployed(bot: SmallBot) -> tuple[Deployment, Deployment]:
    """The deployment before, and the live one."""
    past = history(bot.table("deployments"))
    assert past.before and past.live
    return past.before, past.live


def serve(bot: SmallBot, by: Deployment, categories: Sequence[str], at: datetime, latency_ms: float = 3.0) -> None:
    """Turns that a deployment served."""
    common = {"session_id": "s", "text": "hi", "model_id": by.model_id, "deployment_id": by.deployment_id}
    bot.table("conversations").append_rows(
        [
            common | {"turn_id": new_turn_id(), "category": category, "served_at": at, "latency_ms": latency_ms}
            for category in categories
        ]
    )


def fares(
    turns: int = 200, failed: int = 10, judged: int = 0, dissatisfied: int = 0, p95_ms: float = 5.0, errors: int = 0
) -> Conduct:
    return Conduct(turns, failed, judged, dissatisfied, p95_ms, errors)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (fares(failed=60), "30% of 200 turns failed, before it was 5% of 200"),
        (fares(judged=50, dissatisfied=40), "80% of 50 users were dissatisfied, before it was 10% of 50"),
        (fares(errors=20), "10% of 200 turns could not be answered, before it was 0% of 200"),
        (fares(p95_ms=90.0), "one turn in twenty takes 90 ms or more, before it was 5 ms"),
    ],
    ids=["failed", "dissatisfied", "errors", "slow"],
)
def test_what_is_worse_than_the_limits_allow_is_named(now: Conduct, words: str) -> None:
    assert breach(now, fares(judged=50, dissatisfied=5), LIMITS) == words


@pytest.mark.parametrize(
    "now",
    [
        fares(failed=26),
        fares(turns=99, failed=99, errors=99),
        fares(errors=3),
        fares(judged=19, dissatisfied=19),
        fares(p95_ms=24.0),
        fares(failed=0, judged=50, p95_ms=1.0),
    ],
    ids=["within-the-limit", "few-turns", "few-errors", "few-verdicts", "slower-by-little", "better"],
)
def test_what_is_no_worse_or_not_known_to_be_is_left_alone(now: Conduct) -> None:
    assert breach(now, fares(judged=50, dissatisfied=5), LIMITS) is None


def test_a_difference_that_chance_explains_is_no_breach() -> None:
    few = Watch(turns=10)
    assert breach(fares(turns=10, failed=3), fares(turns=10, failed=1), few) is None
    assert breach(fares(turns=1000, failed=300), fares(turns=1000, failed=100), few) is not None


def test_a_deployment_that_fails_more_often_is_taken_back_with_the_reason(twice: SmallBot) -> None:
    before, live = deployed(twice)
    serve(twice, before, ["answered"] * 190 + ["failed"] * 10, live.at - timedelta(hours=1))
    serve(twice, live, ["answered"] * 60 + ["failed"] * 60, live.at + timedelta(minutes=1))
    found = watch(twice.lake, twice.key, LIMITS, actor="watch")
    assert not found.well and found.back_to == before.deployment_id
    past = history(twice.table("deployments"))
    assert past.live and past.live.deployment_id == before.deployment_id
    assert past.rollback and (past.rollback["actor"], past.rollback["deployment_id"]) == ("watch", live.deployment_id)
    assert past.rollback["reason"] == "the watch found: 50% of 120 turns failed, before it was 5% of 200"
    assert watch(twice.lake, twice.key, LIMITS, actor="watch").well, "what was gone back to stays"


def test_a_deployment_is_watched_only_for_so_many_hours_and_when_there_is_one_before_it(
    twice: SmallBot, first: tuple[SmallBot, object]
) -> None:
    before, live = deployed(twice)
    serve(twice, before, ["answered"] * 200, live.at - timedelta(hours=1))
    serve(twice, live, ["failed"] * 200, live.at + timedelta(hours=25))
    later = watch(twice.lake, twice.key, LIMITS, actor="watch", at=live.at + timedelta(hours=25))
    assert later.well and "more than 24 hours" in later.said
    assert "no deployment before" in watch(first[0].lake, first[0].key, LIMITS, actor="watch").said


def test_files_from_before_are_not_read_however_long_the_past_is(first: tuple[SmallBot, object], lake: Lake) -> None:
    live = first[0].live
    assert live
    table, since = lake.table(first[0].key, "conversations"), datetime.now(UTC)
    bot = SmallBot(lake.root.parent.parent)
    serve(bot, live, ["answered"] * 2, since - timedelta(hours=1))
    (old,) = table.files()
    for late in (timedelta(microseconds=-1), timedelta(0), timedelta(microseconds=1), timedelta(hours=1)):
        serve(bot, live, ["answered"], since + late)
    (table.path / old).unlink()
    found = turns_since(table, since).column("served_at").to_pylist()
    assert sorted(found) == [since, since + timedelta(microseconds=1), since + timedelta(hours=1)]
    assert turns_since(lake.table("acme.nobody", "conversations"), since).num_rows == 0


def test_the_hourly_job_verifies_again_and_reports_a_breach_as_a_failed_check(twice: SmallBot) -> None:
    before, live = deployed(twice)
    serve(twice, before, ["answered"] * 200, live.at - timedelta(hours=1))
    serve(twice, live, ["failed"] * 200, live.at + timedelta(minutes=1))
    with empty_instance() as instance:
        instance.add_dynamic_partitions(BOTS.name or "", [twice.key])
        job = build_defs(resource_overrides={"home": twice.home}).resolve_job_def("watch")
        result = job.execute_in_process(instance=instance, partition_key=twice.key)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert checks[ANSWERS_AS_RECORDED].passed and not checks[NO_WORSE_THAN_BEFORE].passed
    assert checks[NO_WORSE_THAN_BEFORE].description == "100% of 200 turns failed, before it was 0% of 200"
    assert twice.live and twice.live.deployment_id == before.deployment_id
    assert twice.state.stale == () or {item.table for item in twice.state.stale} == {"review_queue"}


def test_a_wrong_answer_with_nothing_to_go_back_to_is_on_record_until_it_is_right_again(
    bot: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = live_check.verify_live(bot.home, bot.key)
    wrong = dataclasses.replace(right, agrees=False, differences=("'hi' gives tea",), answers_wrongly=True)
    for found, noted in ((wrong, {WHAT_ANSWERS: "'hi' gives tea"}), (right, {})):
        monkeypatch.setattr(live_check, "verify_live", lambda *_, found=found: found)
        with empty_instance() as instance:
            instance.add_dynamic_partitions(BOTS.name or "", [bot.key])
            job = build_defs(resource_overrides={"home": bot.home}).resolve_job_def("watch")
            job.execute_in_process(instance=instance, partition_key=bot.key)
        assert found_wrong(bot.lake.bot_folder(bot.key)) == noted


def test_each_hour_only_bots_that_had_users_or_a_deployment_are_watched(first: tuple[SmallBot, object]) -> None:
    bot = first[0]
    assert bot.live
    defs = build_defs(resource_overrides={"home": bot.home})

    def keys(due: datetime) -> list[str]:
        with (
            dg.instance_for_test() as instance,
            dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=due,
                resources={"home": bot.home},
                repository_def=defs.get_repository_def(),
            ) as context,
        ):
            instance.add_dynamic_partitions(BOTS.name or "", [bot.key])
            return [request.run_key or "" for request in hourly_watch().evaluate_tick(context).run_requests or []]

    deployed = bot.table("deployments").last()
    assert deployed
    soon = deployed.committed_at + timedelta(minutes=59)
    assert keys(soon) == [f"{bot.key}:{soon:%Y-%m-%dT%H}"]
    assert keys(deployed.committed_at + timedelta(hours=2)) == []
