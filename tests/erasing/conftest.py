"""Gives the tests of this folder a bot that knows a person, and what it is after they were forgotten."""

from pathlib import Path
from typing import Any

import pytest
from known_person import Known, erase, made_known
from small_bot import Refreshed, SmallBot, bot, configured, first

__all__ = ["bot", "configured", "erased", "first", "known", "knows"]


@pytest.fixture(scope="session")
def knows(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> Known:
    """Made once in a process, and not to be changed."""
    return made_known(first[0], tmp_path_factory.mktemp("knows"))


@pytest.fixture(scope="session")
def erased(knows: Known, tmp_path_factory: pytest.TempPathFactory) -> tuple[Known, dict[str, Any]]:
    """The bot after the person was forgotten, and the receipt; not to be changed."""
    known = knows.copy(tmp_path_factory.mktemp("erased"))
    return known, erase(known.bot)


@pytest.fixture
def known(knows: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Known:
    """A copy of the bot that knows the person, for commands too."""
    copy = knows.copy(tmp_path / "known")
    monkeypatch.setenv("CHATBOT_HOME", str(copy.bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(copy.bot.home.bots))
    return copy
