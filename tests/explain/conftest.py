"""Gives the tests of this folder the small bot, and one with a past."""

import pytest
from explained_bot import History, history_of
from small_bot import Refreshed, SmallBot, bot, first

__all__ = ["bot", "first", "history"]


@pytest.fixture(scope="session")
def history(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> History:
    """Made once in a process, and not to be changed."""
    return history_of(first[0], tmp_path_factory.mktemp("history"))
