"""The clock is set back an hour, or forward a day: what was decided last counts last, and nobody waits for long."""

import datetime as datetime_module
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fault_table import faults
from small_bot import KEY, SmallBot, row

from chatbot_assets.deploy.life import take_back
from chatbot_assets.deploy.record import history
from chatbot_assets.feedback.deciding import Decision, write_decision
from chatbot_assets.process.decisions import COLUMNS, in_force
from resources import attempts

PACKAGES = ("chatbot_assets", "resources", "serving")
JUMPS = {"an-hour-back": timedelta(hours=-1), "a-day-forward": timedelta(days=1)}


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[timedelta], None]]:
    """Lets the project's modules see another time from then on."""

    def jump(by: timedelta) -> None:
        class Kind(type):
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, datetime_module.datetime)

        class Shifted(datetime_module.datetime, metaclass=Kind):
            @classmethod
            def now(cls, tz: datetime_module.tzinfo | None = None) -> datetime_module.datetime:  # type: ignore[override]
                return datetime_module.datetime.now(tz) + by

        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + by.total_seconds())
        for name, module in list(sys.modules.items()):
            if name.startswith(PACKAGES) and getattr(module, "datetime", None) is datetime_module.datetime:
                monkeypatch.setattr(module, "datetime", Shifted)

    yield jump


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_what_happens_after_the_clock_has_jumped_counts_as_later(
    bot: SmallBot, set_clock: Callable[[timedelta], None], jump: timedelta
) -> None:
    first = bot.live
    bot.configure(messages={"failed": "Pardon?"})
    assert first and bot.refresh().success and bot.live
    (turn_id,) = (found["turn_id"] for found in bot.rows("dialogues")[:1])
    write_decision(bot.lake, KEY, Decision((turn_id,), "modify", "hours", None, "kim", None))
    set_clock(jump)
    assert take_back(bot.table("deployments"), bot.live.deployment_id, first.deployment_id, actor="kim", reason="rude")
    assert bot.live.deployment_id == first.deployment_id
    assert [event["event"] for event in history(bot.table("deployments")).events][-2:] == ["rolled_back", "live"]
    write_decision(bot.lake, KEY, Decision((turn_id,), "modify", "login", None, "lee", None), again=True)
    assert in_force(bot.table("review_decisions").arrow(COLUMNS))[turn_id].new_intent == "login"


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_after_the_clock_has_jumped_a_file_is_read_and_a_failed_refresh_is_tried_again(
    bot: SmallBot, set_clock: Callable[[timedelta], None], jump: timedelta
) -> None:
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    attempt = attempts.begin(bot.lake.bot_folder(KEY), bot.state.cause, "a-run")
    attempts.fail(bot.lake.bot_folder(KEY), attempt, bot.state.cause, "passing", "the disk is full", "dialogues")
    set_clock(jump)
    state = bot.state
    assert state.needs_refresh and state.waits_for(datetime.now(UTC) + jump) is None
    assert state.queue_is_due or jump < timedelta(0)
    assert bot.refresh().success and bot.state.stale == ()
    assert bot.live and bot.live.model_id == bot.record("models").data_version
    assert faults()["the clock is set back an hour, or forward a day"].seen == "nothing"
