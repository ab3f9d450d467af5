"""The fault table of ``docs/faults.md``: what it says that an operator sees is compared with what is said."""

import re
from dataclasses import dataclass

from resources.environment import PROJECT

DOCUMENT = PROJECT / "docs" / "faults.md"
COLUMNS = 5


@dataclass(frozen=True)
class Fault:
    """A row of the table; ``seen`` is what the operator sees, ``…`` standing for what differs from case to case."""

    state: str
    lost: str
    doubled: str
    seen: str


def faults() -> dict[str, Fault]:
    """The table's rows by what goes wrong."""
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: Fault(*row[1:]) for row in cells if len(row) == COLUMNS and row[0] != "fault"}


def assert_seen(fault: str, said: str) -> None:
    """Fails when the document promises other words (the longest ones in its cell) for a fault than these."""
    promised = max(re.findall(r"`([^`]+)`", faults()[fault].seen), key=len)
    pattern = ".*".join(re.escape(part) for part in promised.split("…"))
    assert re.search(pattern, said, re.DOTALL), f"{DOCUMENT.name} promises {promised!r}, said was {said!r}"
