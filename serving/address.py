"""Where the chat service of a home answers: it says so in a small file there, for commands that want to ask it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from resources import beside
from resources.environment import Home

FILE = "service.json"


@contextmanager
def announced(home: Home, address: str) -> Iterator[None]:
    """Puts the address on record until the end of the block. A killed service leaves it: nobody answers there then."""
    path = home.root / FILE
    home.root.mkdir(parents=True, exist_ok=True)
    beside.write(path, {"address": address, "process": os.getpid()})
    try:
        yield
    finally:
        if announced_address(home) == address:
            path.unlink(missing_ok=True)


def announced_address(home: Home) -> str | None:
    """The address that a service of this home announced last; None when none did or it has ended in order."""
    found = beside.read(home.root / FILE) or {}
    return str(found["address"]) if "address" in found else None
