"""A bot whose deployments wait for a person."""

from typing import Any

import pytest
from small_bot import SmallBot

from chatbot_assets.commands import UserError
from chatbot_assets.commands.promote import run as promote
from chatbot_assets.commands.status import run as status


@pytest.fixture
def waiting(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A bot with a live deployment and a newer one that was verified and waits."""
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    bot.configure(deploy={"policy": "manual"})
    assert bot.refresh().success
    return bot


def last_event(bot: SmallBot) -> dict[str, Any]:
    return max(bot.rows("deployments"), key=lambda row: (row["at"], row["event"] == "live"))


def test_a_promoted_deployment_is_live_with_who_and_why_and_the_bot_is_up_to_date(waiting: SmallBot) -> None:
    before = waiting.live
    assert before is not None
    report = promote(waiting.key, reason="looked at ten answers", actor="kim")
    live = waiting.live
    assert live is not None and live.deployment_id == report["deployment_id"] != before.deployment_id
    assert report["before"] == before.deployment_id
    assert (last_event(waiting)["actor"], last_event(waiting)["reason"]) == ("kim", "looked at ten answers")
    assert waiting.state.stale == ()


def test_status_names_the_deployment_that_waits_until_it_is_promoted(waiting: SmallBot) -> None:
    waits = status(waiting.key)["bots"][0]["waits_for_promote"]
    assert waits and waits == promote(waiting.key, reason="good", actor="kim")["deployment_id"]
    assert status(waiting.key)["bots"][0]["waits_for_promote"] is None


def test_a_refresh_of_nothing_does_not_offer_the_waiting_deployment_again(waiting: SmallBot) -> None:
    events = len(waiting.rows("deployments"))
    assert waiting.refresh().committed == set()
    assert len(waiting.rows("deployments")) == events


def test_there_is_nothing_to_promote_twice(waiting: SmallBot) -> None:
    promote(waiting.key, reason="good", actor="kim")
    with pytest.raises(UserError, match="nothing to promote"):
        promote(waiting.key, reason="again", actor="kim")
