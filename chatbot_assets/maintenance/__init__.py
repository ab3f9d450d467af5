"""Maintenance: looks after a bot's files. It joins small ones and removes those that nobody can need any more.

No row changes by it, so nothing is computed again for it. The caller holds the bot's tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatbot_assets.bot import Retention
from chatbot_assets.maintenance.cache import remove_old_queues, remove_scratch, remove_unused_models
from chatbot_assets.maintenance.compaction import compact
from chatbot_assets.maintenance.expiry import readable_since
from chatbot_assets.maintenance.retention import pinned_versions
from chatbot_assets.maintenance.vacuum import Vacuumed, vacuum
from chatbot_assets.tables import TABLES
from resources.environment import Home
from resources.lakehouse import Lake, LakeError


@dataclass(frozen=True)
class TableReport:
    """What was done to one table: data files of its newest version before and after, and what was removed."""

    table: str
    files_before: int = 0
    files_after: int = 0
    versions_kept: int = 0
    files_removed: int = 0
    bytes_removed: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """What was done for one bot."""

    tables: Sequence[TableReport]
    models_removed: int

    @property
    def files_removed(self) -> int:
        return sum(table.files_removed for table in self.tables)

    @property
    def bytes_removed(self) -> int:
        return sum(table.bytes_removed for table in self.tables)


def maintain_bot(home: Home, lake: Lake, key: str, retention: Retention, now: datetime) -> Report:
    """Compacts and vacuums each table of a bot, and clears the caches of what no deployment names any more.

    A table that cannot be maintained (its log has gaps, say) is reported as such, and stops no other.

    Args:
        retention: for how long a version can be read after another one has taken its place.
        now: the present moment.
    """
    since = now - timedelta(days=retention.days)
    pinned = pinned_versions(lake, key, since)
    reports = []
    for name in TABLES:
        table = lake.table(key, name)
        if table.last() is None:
            continue
        try:
            done = vacuum(table, readable_since(table.table, retention, now), pinned.get(name, frozenset()), now)
            files = compact(table)
        except LakeError as error:
            reports.append(TableReport(name, problem=str(error)))
        else:
            reports.append(_report(name, files, done))
    remove_scratch(home.cache, now)
    remove_old_queues(home.cache, lake, key)
    return Report(reports, remove_unused_models(home.cache, lake, since, now))


def _report(name: str, files: tuple[int, int], done: Vacuumed) -> TableReport:
    return TableReport(name, *files, done.versions_kept, done.files, done.bytes)
