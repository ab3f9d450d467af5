"""Gives the tests of this folder a bot that knows a person, and what it is after they were forgotten."""

import pytest
from fastapi.testclient import TestClient
from known_person import MARK, SUBJECT, Erased, Known, chat, erase, made_known, shown
from small_bot import KEY, Refreshed, SmallBot, bot, first, wait_for

from serving.app import create_app
from serving.people.directory import Directory

__all__ = ["bot", "commanded", "erased", "first", "knows"]


@pytest.fixture(scope="session")
def knows(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Made once in a process, and not to be changed."""
    return made_known(first[0], tmp_path_factory.mktemp("knows"))


@pytest.fixture(scope="session")
def erased(knows: Known, tmp_path_factory: pytest.TempPathFactory) -> Erased:
    """Not to be changed."""
    known = knows.copy(tmp_path_factory.mktemp("erased"))
    bot = known.bot
    token = Directory(bot.home).tokens.make("acme", "reviewer", ["chat", "feedback", "read", "review"], by="the tests")
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_app(bot.home), "http://127.0.0.1", headers=headers) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        asked = chat(client, f"{MARK} wants parcel now", SUBJECT)
        verdict = {"satisfied": False}
        assert client.post(f"/v1/bots/{KEY}/turns/{asked['turn_id']}/feedback", json=verdict).status_code < 300
        wait_for(lambda: any(found["turn_id"] == asked["turn_id"] for found in bot.rows("conversations", "turn_id")))
        before = shown(client, asked["turn_id"])
        receipt = erase(bot)
        live = bot.live
        assert live
        wait_for(lambda: chat(client, "parcel please", "u-8")["deployment_id"] == live.deployment_id)
        return Erased(known, receipt, before, shown(client, asked["turn_id"]))


@pytest.fixture
def commanded(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A refreshed bot of the test's own that commands work on."""
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    return bot
