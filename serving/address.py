"""Where the chat service of a home answers: it says so in a small file there, for commands that want to ask it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.environment import Home

FILE = "service.json"


@contextmanager
def announced(home: Home, address: str) -> Iterator[None]:
    """Puts the address on record until the end of the block. A killed service leaves it: nobody answers there then."""
    path = home.root / FILE
    home.root.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"address": address, "process": os.getpid()}), encoding="utf-8")
    os.replace(temporary, path)
    try:
        yield
    finally:
        if announced_address(home) == address:
            path.unlink(missing_ok=True)


def announced_address(home: Home) -> str | None:
    """The address that a service of this home announced last; None when none did or it has ended in order."""
    return _address(home.root / FILE)


def _address(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
