"""Vacuum: removes a table's data files that no kept version needs, and what killed runs have left behind.

``deltalake``'s own vacuum reads the table anew for each version to keep, and puts two commits into the log each time.
This one reads the log once and adds nothing to it.
"""

from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from chatbot_assets.maintenance.retention import kept_versions
from resources.lakehouse import LakeTable

LEFT_BEHIND = timedelta(days=1)
"""A file that no log entry names belongs to a run under way, unless it is older than this."""


@dataclass(frozen=True)
class Vacuumed:
    """How many versions can still be read, and what was removed."""

    versions_kept: int
    files: int
    bytes: int


def vacuum(table: LakeTable, since: datetime, pinned: Set[int], now: datetime) -> Vacuumed:
    """Removes the files that only versions beyond the retention name, and files that no log entry names.

    Args:
        since: every version that was the newest at some moment since then stays readable.
        pinned: further versions that do.

    Raises:
        LakeError: when the table's log has gaps, so that nobody can tell which file belongs to what.
    """
    history = table.history()
    kept = kept_versions([entry.committed_at for entry in history], since, pinned)
    named: set[str] = set()
    active: set[str] = set()
    needed: set[str] = set()
    for version, entry in enumerate(history):
        active.difference_update(entry.removed)
        active.update(entry.added)
        named.update(entry.added, entry.removed)
        if version in kept:
            # What else it holds, the version before held too.
            needed.update(entry.added if version - 1 in kept else active)
    files, freed = 0, 0
    emptied: set[Path] = set()
    for path in _files(table.path):
        name = path.relative_to(table.path).as_posix()
        if name in needed or (name not in named and not _is_older(path, now - LEFT_BEHIND)):
            continue
        size = path.stat().st_size
        path.unlink()
        files, freed = files + 1, freed + size
        emptied.add(path.parent)
    for folder in sorted((path for path in (table.path / "data").rglob("*") if path.is_dir()), reverse=True):
        if folder in emptied or _is_older(folder, now - LEFT_BEHIND):
            with suppress(OSError):  # it still holds something
                folder.rmdir()
    return Vacuumed(len(kept), files, freed)


def _files(folder: Path) -> list[Path]:
    """The data files of a table, and whatever an engine has left beside them."""
    return [*folder.glob("*.parquet"), *(path for path in (folder / "data").rglob("*") if path.is_file())]


def _is_older(path: Path, moment: datetime) -> bool:
    return path.stat().st_mtime < moment.timestamp()
