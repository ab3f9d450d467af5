"""A deployment that is tried beside the live one: by policy or by hand, and how its trial ends."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster_memory import empty_instance
from small_bot import SmallBot

from chatbot_assets.bot import Deploy
from chatbot_assets.commands import UserError
from chatbot_assets.commands.promote import describe as say_promoted
from chatbot_assets.commands.promote import run as promote
from chatbot_assets.commands.rollback import describe as say_rolled_back
from chatbot_assets.commands.rollback import run as rollback
from chatbot_assets.commands.status import describe as say_status
from chatbot_assets.commands.status import run as status
from chatbot_assets.commands.versions import describe as say_versions
from chatbot_assets.commands.versions import run as versions
from chatbot_assets.definitions import build_defs
from chatbot_assets.deploy.life import end_trial
from chatbot_assets.deploy.record import Deployment, Trial, history
from chatbot_assets.deploy.trial import judge
from chatbot_assets.partitions import BOTS
from chatbot_assets.trial_sensor import trials
from chatbot_assets.watching import TRIAL_NO_WORSE
from serving.conversations import new_turn_id

LIMITS = Deploy.model_validate({"canary": {"turns": 40, "hours": 0}, "shadow": {"turns": 40}})


def of_environment(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    return bot


@pytest.fixture
def canary(configured: Callable[..., SmallBot], monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A bot with a live deployment and a canary, by policy."""
    return of_environment(configured(deploy={"policy": "canary", "canary": {"turns": 40, "hours": 0}}), monkeypatch)


@pytest.fixture
def shadow(configured: Callable[..., SmallBot], monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A bot with a live deployment and a shadow, by policy."""
    return of_environment(configured(deploy={"policy": "shadow", "shadow": {"turns": 40}}), monkeypatch)


def tried(bot: SmallBot) -> tuple[Deployment, Trial]:
    """What is live, and what is tried."""
    past = history(bot.table("deployments"))
    assert past.live and past.trial
    return past.live, past.trial


def serve(bot: SmallBot, by: Deployment, categories: Sequence[str], at: datetime) -> list[str]:
    """Turns that a deployment served; their ids."""
    common = {"session_id": "s", "text": "hi", "model_id": by.model_id, "deployment_id": by.deployment_id}
    rows = [
        common | {"turn_id": new_turn_id(), "category": category, "served_at": at, "latency_ms": 3.0}
        for category in categories
    ]
    bot.table("conversations").append_rows(rows)
    return [row["turn_id"] for row in rows]


def last_event(bot: SmallBot) -> tuple[str, str, str]:
    event = history(bot.table("deployments")).newest
    assert event
    return event["deployment_id"], event["event"], event["reason"]


# -- canaries -----------------------------------------------------------------------------------------------------


def test_by_policy_a_verified_deployment_becomes_a_canary_and_the_live_one_stays(canary: SmallBot) -> None:
    live, trial = tried(canary)
    assert trial.kind == "canary" and trial.share == 0.1
    own = [row for row in history(canary.table("deployments")).events if row["deployment_id"] != live.deployment_id]
    assert [row["event"] for row in own] == ["candidate", "verified", "canary"]
    assert own[-1]["reason"].startswith("deploy.policy is canary; ")
    assert canary.state.stale == ()


def test_a_refresh_of_nothing_leaves_a_canary_alone(canary: SmallBot) -> None:
    assert canary.refresh().committed == set()
    assert tried(canary)[1].kind == "canary"


def test_a_canary_that_fares_no_worse_goes_live_by_itself_with_the_figures(canary: SmallBot) -> None:
    live, trial = tried(canary)
    at = trial.deployment.at + timedelta(minutes=1)
    serve(canary, live, ["answered"] * 90 + ["failed"] * 10, at)
    serve(canary, trial.deployment, ["answered"] * 39, at)
    found = judge(canary.lake, canary.key, LIMITS, "a test", at)
    assert found and found.event is None and "has served 39 turns" in found.said
    serve(canary, trial.deployment, ["failed"], at)
    assert judge(canary.lake, canary.key, LIMITS, "a test", at)
    said = "the canary fares no worse: 40 turns in 0.0 hours, beside 100 of the live one"
    assert last_event(canary) == (trial.deployment.deployment_id, "live", said)
    assert canary.live and canary.live.deployment_id == trial.deployment.deployment_id
    assert judge(canary.lake, canary.key, LIMITS, "a test") is None
    assert canary.state.stale == () or {item.table for item in canary.state.stale} == {"review_queue"}


def test_a_canary_that_fares_worse_is_taken_back_and_not_tried_again(canary: SmallBot) -> None:
    live, trial = tried(canary)
    before = trial.deployment.at - timedelta(minutes=1)
    serve(canary, live, ["failed"] * 200, before)  # another time does not count
    at = trial.deployment.at + timedelta(minutes=1)
    serve(canary, live, ["answered"] * 95 + ["failed"] * 5, at)
    serve(canary, trial.deployment, ["answered"] * 20 + ["failed"] * 20, at)
    assert judge(canary.lake, canary.key, LIMITS, "a test", at)
    identity, event, reason = last_event(canary)
    assert (identity, event) == (trial.deployment.deployment_id, "rolled_back")
    assert reason.startswith("the canary fares worse: 50% of 40 turns failed, for the live one it is 5% of 100")
    assert canary.live == live
    assert canary.refresh().success
    assert history(canary.table("deployments")).trial is None and canary.live == live


def test_the_hourly_job_judges_a_canary_and_reports_what_it_found(canary: SmallBot) -> None:
    live, trial = tried(canary)
    now = datetime.now(UTC)
    serve(canary, live, ["answered"] * 100, now)
    serve(canary, trial.deployment, ["failed"] * 40, now)
    with empty_instance() as instance:
        instance.add_dynamic_partitions(BOTS.name or "", [canary.key])
        job = build_defs(resource_overrides={"home": canary.home}).resolve_job_def("watch")
        result = job.execute_in_process(instance=instance, partition_key=canary.key)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert not checks[TRIAL_NO_WORSE].passed
    assert "100% of 40 turns failed" in (checks[TRIAL_NO_WORSE].description or "")
    assert all(check.passed for name, check in checks.items() if name != TRIAL_NO_WORSE)
    assert last_event(canary)[1] == "rolled_back" and canary.live == live


def test_the_sensor_puts_a_good_canary_live_without_a_run(canary: SmallBot) -> None:
    live, trial = tried(canary)

    def tick() -> str:
        with (
            dg.instance_for_test() as instance,
            dg.build_sensor_context(instance=instance, resources={"home": canary.home}) as context,
        ):
            return trials.evaluate_tick(context).skip_message or ""

    assert "the canary has served 0 turns" in tick()
    serve(canary, live, ["answered"] * 40, datetime.now(UTC))
    serve(canary, trial.deployment, ["answered"] * 40, datetime.now(UTC))
    assert tick().startswith(f"{canary.key}: the canary fares no worse: 40 turns")
    assert canary.live and canary.live.deployment_id == trial.deployment.deployment_id
    assert tick() == "no deployment is being tried"


def test_versions_and_status_tell_of_the_canary_and_how_far_it_has_come(canary: SmallBot) -> None:
    live, trial = tried(canary)
    serve(canary, live, ["answered"] * 3, datetime.now(UTC))
    report = versions(canary.key)
    assert report["live"] == live.deployment_id
    assert report["trial"]["deployment_id"] == trial.deployment.deployment_id
    assert (report["trial"]["turns"], report["trial"]["live_turns"]) == (0, 3)
    text = say_versions(report)
    assert f"{trial.deployment.deployment_id}  CANARY" in text and f"{live.deployment_id}  LIVE" in text
    assert "canary: 10 % of sessions since" in text
    assert "0 turns served, 3 by the live one, of 40 each" in text
    assert "canary: 10 % of sessions since" in say_status(status(canary.key))


def test_a_rollback_takes_back_the_canary_first_and_says_so(canary: SmallBot) -> None:
    live, trial = tried(canary)
    report = rollback(canary.key, to=None, reason="it is rude", actor="kim")
    assert (report["rolled_back"], report["deployment_id"]) == (trial.deployment.deployment_id, live.deployment_id)
    said = say_rolled_back(report)
    assert f"the canary {trial.deployment.deployment_id} was taken back (it is rude)" in said
    assert "give the command again" in said
    assert last_event(canary) == (trial.deployment.deployment_id, "rolled_back", "it is rude")
    assert canary.live == live
    with pytest.raises(UserError, match="no earlier deployment is left"):
        rollback(canary.key, to=None, reason="again", actor="kim")


def test_a_canary_can_be_promoted_by_hand_and_one_that_was_taken_back_too(canary: SmallBot) -> None:
    live, trial = tried(canary)
    rollback(canary.key, to=None, reason="a doubt", actor="kim")
    with pytest.raises(UserError, match="nothing to promote"):
        promote(canary.key, reason="good", actor="kim")
    identity = trial.deployment.deployment_id
    report = promote(canary.key, reason="the doubt is gone", actor="kim", canary=True, to=identity[:8])
    assert say_promoted(report) == (
        f"{canary.key}: {identity} answers 10 % of the sessions as a canary, {live.deployment_id} the others"
    )
    with pytest.raises(UserError, match="is a canary already"):
        promote(canary.key, reason="good", actor="kim", canary=True)
    assert promote(canary.key, reason="good", actor="kim")["deployment_id"] == identity
    assert canary.live and canary.live.deployment_id == identity
    with pytest.raises(UserError, match="is live already"):
        promote(canary.key, reason="good", actor="kim", to=identity)


def test_a_waiting_deployment_can_be_tried_by_hand(
    configured: Callable[..., SmallBot], monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = of_environment(configured(deploy={"policy": "manual"}), monkeypatch)
    waits = status(bot.key)["bots"][0]["waits_for_promote"]
    assert waits == promote(bot.key, reason="carefully", actor="kim", canary=True)["deployment_id"]
    assert tried(bot)[1].deployment.deployment_id == waits
    assert status(bot.key)["bots"][0]["waits_for_promote"] is None


def test_of_two_who_end_a_trial_at_once_one_wins(canary: SmallBot) -> None:
    old = history(canary.table("deployments"))
    end_trial(canary.table("deployments"), old, actor="first", reason="first")
    from resources.lakehouse import ConflictError

    with pytest.raises(ConflictError):
        end_trial(canary.table("deployments"), old, actor="second", reason="second")
    assert last_event(canary)[2] == "first"


# -- shadows ------------------------------------------------------------------------------------------------------


def shadowed(bot: SmallBot, categories: Sequence[str], differing: int = 0) -> None:
    """Turns that the live deployment answered, and what the shadow made of them."""
    live, trial = tried(bot)
    at = datetime.now(UTC)
    turn_ids = serve(bot, live, ["answered"] * len(categories), at)
    own = {"deployment_id": trial.deployment.deployment_id, "live_deployment_id": live.deployment_id}
    bot.table("shadow_answers").append_rows(
        [
            own
            | {"turn_id": turn_id, "category": category, "served_at": at, "latency_ms": 3.0}
            | {"differs": number < differing}
            for number, (turn_id, category) in enumerate(zip(turn_ids, categories, strict=True))
        ]
    )


def test_a_shadow_that_fares_no_worse_waits_for_a_person_with_the_comparison(shadow: SmallBot) -> None:
    live, trial = tried(shadow)
    assert trial.kind == "shadow"
    shadowed(shadow, ["answered"] * 40, differing=3)
    assert "40 of 40 turns, 3 answered otherwise" in say_versions(versions(shadow.key))
    found = judge(shadow.lake, shadow.key, LIMITS, "a test")
    assert found and found.event == "verified"
    assert "40 turns, 3 of them answered otherwise than by the live one" in last_event(shadow)[2]
    assert shadow.live == live
    report = status(shadow.key)["bots"][0]
    assert report["trial"] is None and report["waits_for_promote"] == trial.deployment.deployment_id
    assert promote(shadow.key, reason="looked at three", actor="kim")["deployment_id"] == report["waits_for_promote"]


def test_a_shadow_that_fares_worse_is_rejected_and_not_tried_again(shadow: SmallBot) -> None:
    live, trial = tried(shadow)
    shadowed(shadow, ["answered"] * 20 + ["failed"] * 20, differing=20)
    assert judge(shadow.lake, shadow.key, LIMITS, "a test")
    identity, event, reason = last_event(shadow)
    assert (identity, event) == (trial.deployment.deployment_id, "rejected")
    assert reason.startswith("the shadow fares worse: 50% of 40 turns failed, for the live one it is 0% of 40")
    assert shadow.refresh().success
    assert shadow.live == live and history(shadow.table("deployments")).trial is None


def test_going_back_to_a_chosen_deployment_ends_a_canary_too(shadow: SmallBot) -> None:
    _, trial = tried(shadow)
    promote(shadow.key, reason="good", actor="kim")
    first = history(shadow.table("deployments")).before
    assert first
    promote(shadow.key, reason="once more", actor="kim", canary=True, to=first.deployment_id)
    report = rollback(shadow.key, to=first.deployment_id, reason="enough", actor="kim")
    assert (report["deployment_id"], report["rolled_back"]) == (first.deployment_id, trial.deployment.deployment_id)
