"""What the last verification of a bot's tables found wrong, kept beside them until a later one finds it right.

It outlives Dagster's database, and can be asked for without it. One small file a bot; none when all is well.
"""

import json
import os
from pathlib import Path

FILE = ".verification.json"


def found_wrong(folder: Path) -> dict[str, str]:
    """What is wrong, in words, by table; empty when all is well or nothing has been verified yet."""
    try:
        data = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return {str(table): str(words) for table, words in sorted(data.items())}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError):
        return {}  # not written by this module: nobody can say what was found


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
    temporary = folder / f"{FILE}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(now, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, folder / FILE)
