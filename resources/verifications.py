"""What the last verification of a bot's tables found wrong, kept beside them until a later one finds it right.

It outlives Dagster's database, and can be asked for without it. One small file a bot; none when all is well.
"""

from pathlib import Path

from resources import beside

FILE = ".verification.json"


def found_wrong(folder: Path) -> dict[str, str]:
    """What is wrong, in words, by table; empty when all is well or nothing has been verified yet."""
    found = beside.read(folder / FILE) or {}
    return {table: str(words) for table, words in sorted(found.items())}


def note(folder: Path, table: str, wrong: str | None) -> None:
    """Puts on record how a table was found: what is wrong with it, or None.

    Of one bot only one verification runs at a time.
    """
    before = found_wrong(folder)
    now = {name: words for name, words in before.items() if name != table} | ({table: wrong} if wrong else {})
    if now == before:
        return
    if not now:
        (folder / FILE).unlink(missing_ok=True)
        return
    beside.write(folder / FILE, now)
