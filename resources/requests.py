"""A person's wish for a refresh of a bot that nothing else calls for, kept beside the bot's tables until it is met.

It is a state like the others that the sensor compares, so it survives restarts and the loss of Dagster's database.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from resources import beside

FILE = ".asked.json"


@dataclass(frozen=True)
class Asked:
    """Who asked for a refresh, why, and when."""

    by: str
    reason: str
    at: datetime


def ask(folder: Path, by: str, reason: str) -> Asked:
    """Asks for a refresh of the bot with this folder; takes the place of an earlier wish that was not met yet."""
    wish = Asked(by, reason, datetime.now(UTC))
    folder.mkdir(parents=True, exist_ok=True)
    beside.write(folder / FILE, asdict(wish) | {"at": wish.at.isoformat()})
    return wish


def asked(folder: Path) -> Asked | None:
    """The wish that is still to be met, if there is one."""
    data = beside.read(folder / FILE)
    try:
        return Asked(**data | {"at": datetime.fromisoformat(data["at"])}) if data else None
    except (ValueError, TypeError, KeyError):
        return None  # written by another release or by hand: nobody can say what was asked


def answered(folder: Path, wish: Asked) -> None:
    """Takes a wish back that was met; one that came after it stays."""
    if asked(folder) == wish:
        (folder / FILE).unlink(missing_ok=True)
