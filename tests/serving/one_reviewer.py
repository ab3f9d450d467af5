"""A tenant with one reviewer, who has a password, and a clock of the test's own."""

from dataclasses import dataclass

import pytest

from resources.environment import Home
from serving.people.directory import Directory

GOOD = "four quiet brown horses"


@dataclass
class Clock:
    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(home: Home, clock: Clock) -> Directory:
    """A tenant with one reviewer, who has a password."""
    found = Directory(home, clock)
    found.accounts.add("acme", "kim", ["reviewer"])
    assert found.accounts.accept(found.accounts.invite("acme", "kim"), GOOD)
    return found
