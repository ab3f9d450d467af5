"""The daemon and the chat service, as real processes that are killed."""

import dataclasses
import signal
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from fault_table import assert_seen
from small_bot import KEY, SmallBot, row, wait_for
from test_served_turns import Service, assert_all_are_kept

from bench.campaign.daemon import Daemon
from bench.platform import Platform
from chatbot_assets.commands.rollback import run as rollback
from resources import attempts


@pytest.fixture
def daemon(bot: SmallBot) -> Iterator[Daemon]:
    found = Daemon(Platform(bot.root))
    yield found
    found.stop()


def texts(bot: SmallBot) -> list[str]:
    return [found["text"] for found in bot.rows("dialogues", "text")]


@pytest.mark.timeout(1500)
def test_a_daemon_that_is_killed_between_ticks_and_during_a_refresh_misses_and_doubles_nothing(
    bot: SmallBot, daemon: Daemon
) -> None:
    fault = "the daemon is killed during a refresh, or between ticks"
    daemon.kill()
    bot.land("landed-meanwhile.jsonl", [row("Where is my umbrella", "weather")])
    before = len(texts(bot))
    daemon.start()
    wait_for(lambda: bot.lake.is_being_written(KEY) or len(texts(bot)) > before, seconds=600)
    daemon.kill()
    wait_for(lambda: not bot.lake.is_being_written(KEY))
    folder = bot.lake.bot_folder(KEY)
    attempt = attempts.last_attempt(folder)
    if attempt and bot.state.attempt:
        assert_seen(fault, dataclasses.replace(bot.state, gather_until=None).waits_for(attempt.at) or "")
        attempts.restore(folder, dataclasses.replace(attempt, at=attempt.at - timedelta(minutes=1)))  # a minute later
    daemon.start()
    wait_for(lambda: bot.state.stale == () and not bot.lake.is_being_written(KEY), seconds=600, every=0.2)
    assert len(texts(bot)) == before + 1
    assert bot.live and bot.live.model_id == bot.record("models").data_version


def test_a_service_that_is_killed_while_it_swaps_starts_with_what_is_live_and_has_lost_nothing(
    bot: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bot.live
    bot.configure(messages={"failed": "Pardon?"})
    assert first and bot.refresh().success and bot.live
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    service = Service(bot)
    process = service.start()
    with service.asked():
        wait_for(lambda: len(service.answered) > 20)
        wanted = rollback(bot.key, to=None, reason="a test", actor="kim")["deployment_id"]
        time.sleep(0.4)  # the service looks each half second
        service.stop(process, signal.SIGKILL)
    process = service.start()
    assert service.ask().json()["deployment_id"] == wanted == first.deployment_id
    wait_for(lambda: set(service.answered) <= kept_ids(bot), every=0.2)
    service.stop(process)
    assert_all_are_kept(service)
    assert service.refused == []
    log = (bot.root / "service.log").read_text(encoding="utf-8")
    assert_seen("the chat service is killed while it swaps deployments", log)
    assert_seen("a worker or the service is killed while it answers", log)


def kept_ids(bot: SmallBot) -> set[str]:
    return {found["turn_id"] for found in bot.rows("conversations", "turn_id")}
