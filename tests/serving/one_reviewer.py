"""A tenant with one reviewer, who has a password, and a clock of the test's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from resources.environment import Home
from serving import app
from serving.people.directory import Directory

GOOD = "four quiet brown horses"


@dataclass
class Clock:
    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@contextmanager
def services_by(clock: Clock) -> Iterator[None]:
    """Services that are made meanwhile go by this clock: nobody's wait ends, and no code grows old, by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "Directory", partial(Directory, now=clock))
        yield


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
