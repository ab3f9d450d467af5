"""What the service answers with when a deployment that went live does not agree with the record, and ``verify``."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from click.testing import CliRunner
from service import running
from small_bot import KEY, Refreshed, SmallBot, wait_for

from chatbot_assets.bot import config_hash
from chatbot_assets.cli import main
from chatbot_assets.commands.rollback import run as rollback
from chatbot_assets.commands.verify import describe, report_of
from chatbot_assets.deploy.life import deployment_id, events, roll_back
from chatbot_assets.deploy.live_check import end_trial_if_wrong, take_back_if_wrong, verify_live, verify_trial
from chatbot_assets.deploy.record import Deployment, history
from resources.lakehouse import Record
from serving.address import FILE, announced, announced_address
from serving.agreement import next_to_answer
from serving.bots import LiveBot, LiveBots, load_live
from serving.tokens import ensure_tokens

DEAF = "deaf_normaliser"
"""A normaliser that hears nothing, so a bot that uses it understands nothing."""


@pytest.fixture
def deaf(write_module: Callable[[str, str], str]) -> str:
    return write_module(DEAF, "def Deaf():\n    return lambda text: ''\n") + ":Deaf"


def put_live_with(bot: SmallBot, normaliser: str, event: str = "live") -> str:
    """Makes a deployment live (or a canary) that does not answer as evaluated, as if its verification had missed it."""
    table, live = bot.table("deployments"), bot.live
    last = table.last()
    assert live and last and last.record
    config = json.loads(json.dumps(live.config))
    config["process"]["normaliser"] = {"use": normaliser, "with": {}}
    rows = events(
        ["candidate", "verified", event],
        identity=deployment_id(live.model_id, config_hash(config)),
        model_id=live.model_id,
        at=datetime.now(UTC),
        position=last.version,
        actor="a test",
        reasons=["to be taken back"] * 3,
        config_hash=config_hash(config),
        config=config,
        code_revision=live.code_revision,
        data_versions=live.data_versions,
        metrics=live.metrics,
    )
    change = table.append(table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema)))
    table.commit(change, Record.of(change, last.record.signature), last.version)
    return str(rows[0]["deployment_id"])


@contextmanager
def service_process(bot: SmallBot) -> Iterator[LiveBots]:
    """The bots of a service process, once it has looked for the first time."""
    bots = LiveBots(bot.home)
    try:
        wait_for(lambda: bots.ready)
        yield bots
    finally:
        bots.close()


def answers_with(bots: LiveBots) -> str:
    live = bots.get(KEY)
    assert live
    return live.deployment.deployment_id


def rollbacks(bot: SmallBot) -> list[dict[str, Any]]:
    return [event for event in history(bot.table("deployments")).events if event["event"] == "rolled_back"]


# -- the service --------------------------------------------------------------------------------------------------


def test_a_deployment_that_disagrees_never_answers_and_is_taken_back_once_by_all_workers(
    bot: SmallBot, deaf: str
) -> None:
    good = bot.live
    assert good
    with service_process(bot) as one, service_process(bot) as other:
        bad = put_live_with(bot, deaf)
        wait_for(lambda: rollbacks(bot))
        wait_for(lambda: all((found := bots.get(KEY)) and found.deployment == bot.live for bots in (one, other)))
    (event,) = rollbacks(bot)
    assert event["deployment_id"] == bad
    assert event["actor"].startswith("chat service (process ")
    assert event["reason"].startswith("the service does not agree with the record: '")
    assert "was evaluated" in event["reason"]
    assert bot.live and bot.live.deployment_id == good.deployment_id


def test_a_deployment_that_cannot_be_loaded_is_taken_back(bot: SmallBot) -> None:
    good = bot.live
    assert good
    with service_process(bot) as bots:
        put_live_with(bot, "nowhere:Nothing")
        wait_for(lambda: rollbacks(bot))
        assert answers_with(bots) == good.deployment_id
    assert "it cannot be loaded: module nowhere:Nothing cannot be imported" in rollbacks(bot)[0]["reason"]


def test_a_service_that_starts_on_a_bad_deployment_answers_with_the_one_before(bot: SmallBot, deaf: str) -> None:
    good = bot.live
    assert good
    put_live_with(bot, deaf)
    with service_process(bot) as bots:
        assert answers_with(bots) == good.deployment_id
    assert len(rollbacks(bot)) == 1


def test_a_bot_of_which_no_deployment_agrees_any_more_goes_on_answering_with_what_is_live(
    bot: SmallBot, deaf: str
) -> None:
    put_live_with(bot, deaf)
    table, past = bot.table("deployments"), history(bot.table("deployments"))
    assert past.before and past.live
    roll_back(table, past, past.before.deployment_id, actor="kim", reason="nothing is left before it")
    roll_back(table, history(table), past.live.deployment_id, actor="kim", reason="on purpose")
    with service_process(bot) as bots:
        assert answers_with(bots) == past.live.deployment_id
    assert len(rollbacks(bot)) == 2


def test_what_may_pass_takes_nothing_back(bot: SmallBot, deaf: str) -> None:
    current = load_live(bot.home, KEY)
    put_live_with(bot, deaf)
    assert bot.live

    def full(_: Deployment) -> LiveBot:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        next_to_answer(bot.lake, KEY, bot.live, current, full)
    assert rollbacks(bot) == []


def test_a_deployment_that_goes_live_again_is_not_loaded_again(bot: SmallBot) -> None:
    current = load_live(bot.home, KEY)
    assert current and bot.live

    def never(_: Deployment) -> LiveBot:
        raise AssertionError("it is loaded already")

    again = dataclasses.replace(bot.live, at=datetime.now(UTC))
    found = next_to_answer(bot.lake, KEY, again, current, never)
    assert found.deployment == again and found.responder is current.responder


def test_a_rollback_by_command_reaches_users_of_a_service_that_runs(
    configured: Callable[..., SmallBot], monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = configured(messages={"failed": "Pardon?"})
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    with service_process(bot) as bots:
        second = answers_with(bots)
        report = rollback(KEY, to=None, reason="it is rude", actor="kim")
        wait_for(lambda: answers_with(bots) != second)
        assert answers_with(bots) == report["deployment_id"]


def test_a_canary_that_disagrees_never_answers_and_its_trial_is_over(bot: SmallBot, deaf: str) -> None:
    good = bot.live
    assert good
    with service_process(bot) as bots:
        bad = put_live_with(bot, deaf, "canary")
        wait_for(lambda: rollbacks(bot))
        (event,) = rollbacks(bot)
        assert event["deployment_id"] == bad and event["actor"].startswith("chat service (process ")
        assert event["reason"].startswith("the service does not agree with the record: '")
        loaded = bots.loaded(KEY)
        assert loaded and {loaded.for_session(f"s{n}").deployment.deployment_id for n in range(50)} == {
            good.deployment_id
        }
    assert bot.live == good


# -- verify -------------------------------------------------------------------------------------------------------


def test_without_a_service_verify_loads_what_is_live_and_compares_it(first: tuple[SmallBot, Refreshed]) -> None:
    bot = first[0]
    found = verify_live(bot.home, KEY)
    assert found.agrees and found.turns >= 5 and found.differences == ()
    assert bot.live and (found.deployment_id, found.config_hash) == (bot.live.deployment_id, bot.live.config_hash)
    assert f"agrees with the record: deployment {bot.live.deployment_id}" in describe(report_of(found, None))


def test_a_running_service_is_asked_and_its_turns_are_in_no_conversation(bot: SmallBot) -> None:
    ensure_tokens(bot.home.root / "tokens.json", {"acme"})
    with running(bot) as address, announced(bot.home, address):
        found = verify_live(bot.home, KEY)
        assert found.asked == f"the service at {address}"
        assert found.agrees and found.p50_ms and found.recorded_p50_ms
    assert bot.table("conversations").last() is None
    assert announced_address(bot.home) is None


def test_without_a_token_to_ask_the_service_with_the_line_says_what_to_add(
    bot: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs the service alone: nothing has made a token there."""
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    with running(bot) as address, announced(bot.home, address):
        result = CliRunner().invoke(main, ["verify", KEY])
    assert result.exit_code != 0
    assert f"{bot.home.root / 'tokens.json'} has no token of acme to ask the service with; add" in str(result.exception)


def test_a_service_with_another_deployment_is_told_and_the_command_fails(
    bot: SmallBot, deaf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service answers from an older copy of the home, so it knows nothing of what went live."""
    ensure_tokens(bot.home.root / "tokens.json", {"acme"})
    older = bot.copy(tmp_path / "older")
    assert older.live
    wanted = put_live_with(bot, deaf)
    monkeypatch.setattr("chatbot_assets.deploy.live_check.SWAP_SECONDS", 0.0)
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    with running(older) as address, announced(bot.home, address):
        result = CliRunner().invoke(main, ["verify", KEY, "--json"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["agrees"]
    assert report["differences"] == [
        f"deployment {older.live.deployment_id} answers, but {wanted} is live in the lake",
    ]


def test_answers_that_differ_are_named_with_what_was_evaluated(bot: SmallBot, deaf: str) -> None:
    put_live_with(bot, deaf)
    found = verify_live(bot.home, KEY)
    assert not found.agrees and len(found.differences) == found.turns
    assert "was evaluated" in found.differences[0]
    assert "does not agree with the record:\n  '" in describe(report_of(found, None))


def test_a_deployment_that_answers_wrongly_is_taken_back_when_the_one_before_agrees(bot: SmallBot, deaf: str) -> None:
    good = bot.live
    assert good
    assert take_back_if_wrong(bot.home, KEY, verify_live(bot.home, KEY), "watch") is None
    bad = put_live_with(bot, deaf)
    assert take_back_if_wrong(bot.home, KEY, verify_live(bot.home, KEY), "watch") == good.deployment_id
    (event,) = rollbacks(bot)
    assert (event["deployment_id"], event["actor"]) == (bad, "watch")
    assert event["reason"].startswith("verified again, it does not agree with the record: '")


def test_a_canary_is_verified_too_and_one_that_answers_wrongly_is_ended(bot: SmallBot, deaf: str) -> None:
    assert verify_trial(bot.home, KEY) is None
    bad = put_live_with(bot, deaf, "canary")
    found = verify_trial(bot.home, KEY)
    assert found and not found.agrees and found.deployment_id == bad
    said = describe(report_of(verify_live(bot.home, KEY), found))
    assert f"{KEY}: a model loaded by this command" in said and f"{KEY}: what is tried: a model loaded" in said
    assert "does not agree" in (end_trial_if_wrong(bot.home, KEY, "watch") or "")
    (event,) = rollbacks(bot)
    assert (event["deployment_id"], event["actor"]) == (bad, "watch")
    assert verify_trial(bot.home, KEY) is None and end_trial_if_wrong(bot.home, KEY, "watch") is None


def test_a_service_that_was_killed_is_not_waited_for(bot: SmallBot) -> None:
    (bot.home.root / FILE).write_text(json.dumps({"address": "http://127.0.0.1:9", "process": 1}), encoding="utf-8")
    found = verify_live(bot.home, KEY)
    assert found.agrees and "no service runs" in found.asked


def test_another_tenant_cannot_ask_what_a_bot_answers_with(bot: SmallBot) -> None:
    tokens = ensure_tokens(bot.home.root / "tokens.json", {"acme", "globex"})
    with running(bot) as address:
        sent = {"json": {"texts": ["hello"]}, "headers": {"Authorization": f"Bearer {tokens['globex']}"}}
        response = httpx.post(f"{address}/v1/bots/{KEY}/verification", timeout=60, **sent)  # type: ignore[arg-type]
        assert response.status_code == 404
