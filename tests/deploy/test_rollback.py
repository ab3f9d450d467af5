"""Deployments that are taken back, by a person or because two wanted something else at once."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from small_bot import SmallBot

from chatbot_assets.commands import UserError
from chatbot_assets.commands.promote import run as promote
from chatbot_assets.commands.rollback import run as rollback
from chatbot_assets.commands.status import describe as describe_status
from chatbot_assets.commands.status import run as status
from chatbot_assets.commands.versions import describe as describe_versions
from chatbot_assets.commands.versions import run as versions
from chatbot_assets.deploy import life
from chatbot_assets.deploy.life import put_live, roll_back
from chatbot_assets.deploy.record import history
from resources.lakehouse import ConflictError

PARDON = {"messages": {"failed": "Pardon?"}}


@pytest.fixture
def twice(configured: Callable[..., SmallBot], monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A bot whose second deployment is live: the model is the same, its configuration is another one."""
    bot = configured(**PARDON)
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    return bot


def live(bot: SmallBot) -> str:
    assert bot.live
    return bot.live.deployment_id


def back(bot: SmallBot, to: str | None = None, reason: str = "it is rude") -> dict[str, Any]:
    return rollback(bot.key, to=to, reason=reason, actor="kim")


def test_a_rollback_puts_the_deployment_before_live_as_it_was_recorded(twice: SmallBot) -> None:
    first = history(twice.table("deployments")).before
    second = live(twice)
    report = back(twice)
    now = twice.live
    assert (
        first
        and now
        and (now.deployment_id, now.config, now.model_id, now.data_versions, now.code_revision)
        == (*(first.deployment_id, first.config, first.model_id, first.data_versions, first.code_revision),)
    )
    assert (report["deployment_id"], report["rolled_back"]) == (first.deployment_id, second)
    taken, put = history(twice.table("deployments")).events[-2:]
    assert (taken["event"], taken["deployment_id"], taken["actor"], taken["reason"]) == (
        *("rolled_back", second, "kim", "it is rude"),
    )
    assert (put["event"], put["deployment_id"]) == ("live", first.deployment_id)
    assert put["reason"] == f"rolled back from {second[:12]}: it is rude"


def test_a_refresh_of_nothing_does_not_undo_a_rollback_and_a_change_makes_a_new_deployment(twice: SmallBot) -> None:
    back(twice)
    first, events = live(twice), len(twice.rows("deployments"))
    assert twice.state.stale == ()
    assert twice.refresh().committed == set()
    assert (live(twice), len(twice.rows("deployments"))) == (first, events)
    twice.configure(messages={"failed": "I beg your pardon?"})
    assert twice.refresh().success
    assert live(twice) not in (first, history(twice.table("deployments")).events[0]["deployment_id"])
    assert status(twice.key)["bots"][0]["rolled_back"] is None


def test_what_was_rolled_back_does_not_come_back_by_being_made_again(twice: SmallBot) -> None:
    """The model changes and changes back, so the very deployment that was taken back is made once more."""
    second = live(twice)
    back(twice)
    twice.configure(messages={"failed": "Sorry?"})
    assert twice.refresh().success
    third = live(twice)
    twice.configure(**PARDON)
    assert twice.refresh().success
    assert live(twice) == third != second
    assert twice.state.stale == ()


def test_status_says_that_the_bot_was_rolled_back_and_why(twice: SmallBot) -> None:
    second = live(twice)
    back(twice)
    report = status(twice.key)
    said = report["bots"][0]["rolled_back"]
    assert (said["deployment_id"], said["actor"], said["reason"]) == (second, "kim", "it is rude")
    assert f"rolled back from {second[:12]} by kim: it is rude" in describe_status(report)


def test_versions_tells_every_deployment_with_its_events_and_which_one_is_live(twice: SmallBot) -> None:
    second = live(twice)
    back(twice)
    report = versions(twice.key)
    newest, oldest = report["deployments"]
    assert (newest["deployment_id"], newest["live"], oldest["live"]) == (second, False, True)
    assert [event["event"] for event in newest["events"]] == ["candidate", "verified", "live", "rolled_back"]
    assert [event["event"] for event in oldest["events"]] == ["candidate", "verified", "live", "live"]
    assert report["live"] == oldest["deployment_id"] and oldest["metrics"]["accuracy"] > 0.5
    assert oldest["data_versions"]["models"]["data_version"] == oldest["model_id"]
    assert "rolled_back kim: it is rude" in describe_versions(report)
    assert json.loads(json.dumps(report)) == report


def test_a_person_can_name_the_deployment_also_one_that_was_rolled_back(twice: SmallBot) -> None:
    second = live(twice)
    back(twice)
    back(twice, to=second[:8], reason="it was not rude after all")
    assert live(twice) == second


def test_a_rollback_that_cannot_be_done_says_so_in_one_line_and_changes_nothing(twice: SmallBot) -> None:
    second = live(twice)
    back(twice)
    events = len(twice.rows("deployments"))
    wrong = {
        None: "no earlier deployment is left",
        "ffffffff": "no deployment of that id was ever live",
        second[:2]: "give 4 digits or more",
        live(twice): "is live already",
    }
    for to, words in wrong.items():
        with pytest.raises(UserError, match=words) as error:
            back(twice, to=to)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"acme\.other has no deployment yet"):
        rollback("acme.other", to=None, reason="none", actor="kim")
    assert len(twice.rows("deployments")) == events


def test_of_two_changes_at_once_one_wins_and_the_other_is_told(twice: SmallBot) -> None:
    table = twice.table("deployments")
    past = history(table)
    assert past.before and past.live
    first, second = past.before.deployment_id, past.live.deployment_id

    def change(actor: str) -> str:
        try:
            roll_back(twice.table("deployments"), past, first, actor=actor, reason="at once")
        except ConflictError:
            return "refused"
        return actor

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(change, ["a", "b", "c", "d"]))
    (winner,) = [outcome for outcome in outcomes if outcome != "refused"]
    now = history(table)
    assert [event["event"] for event in now.events[len(past.events) :]] == ["rolled_back", "live"]
    assert now.newest and now.newest["actor"] == winner and now.stands(second) == "rolled_back"
    with pytest.raises(ConflictError):
        put_live(table, past, past.events[-1], actor="late", reason="too late")
    staged = set((table.path / "data").rglob("*.parquet"))
    assert staged <= {table.path / name for name in table.files()}, "what was refused leaves no file"


def test_a_command_that_comes_second_names_who_was_first(twice: SmallBot, monkeypatch: pytest.MonkeyPatch) -> None:
    old = history(twice.table("deployments"))
    back(twice)
    monkeypatch.setattr("chatbot_assets.commands.rollback.history", lambda _: old)
    with pytest.raises(UserError, match=r"somebody else was first: \w+ is live, by kim \(rolled back from .*nothing"):
        rollback(twice.key, to=None, reason="slower", actor="lee")


def test_what_waits_for_a_person_still_waits_after_a_rollback(twice: SmallBot) -> None:
    twice.configure(**PARDON, deploy={"policy": "manual"})
    assert twice.refresh().success
    waits = status(twice.key)["bots"][0]["waits_for_promote"]
    back(twice)
    assert waits and status(twice.key)["bots"][0]["waits_for_promote"] == waits
    assert promote(twice.key, reason="looked at it", actor="kim")["deployment_id"] == waits == live(twice)


def test_events_keep_their_order_when_the_clock_is_set_back(twice: SmallBot, monkeypatch: pytest.MonkeyPatch) -> None:
    class Yesterday(life.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) - life.timedelta(days=1)

    second = live(twice)
    monkeypatch.setattr(life, "datetime", Yesterday)
    back(twice)
    assert live(twice) != second
