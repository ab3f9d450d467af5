"""What the tables and their logs say after a campaign: is anything stale, lost, different, or computed twice?"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from bench.platform import Platform
from chatbot_assets.automation import bot_state
from chatbot_assets.bot import load_bot
from chatbot_assets.tables import MATERIALISED, REVIEW_QUEUE
from resources.lakehouse import LakeTable, Record

ROW_KEYS = {"utterances": "text_keys", "embeddings": "text_id"}
"""Of the row-wise tables, the column that tells what was computed."""


def stale_tables(platform: Platform, keys: Iterable[str]) -> list[str]:
    """Each table that is behind, with the reason, and each bot that is blocked."""
    found = []
    for key in keys:
        state = bot_state(platform.home, platform.lake, load_bot(platform.home.bots, key), settle=0.0)
        found += [f"{key} {item.table}: {item.reasons}" for item in state.stale if item.table != REVIEW_QUEUE.name]
        found += [f"{key}: {state.blocked}"] if state.blocked else []
    return found


def data_versions(platform: Platform, key: str) -> dict[str, str]:
    """The DataVersion of each of a bot's tables."""
    commits = {table.name: platform.lake.table(key, table.name).last() for table in MATERIALISED}
    return {name: commit.data_version if commit else "" for name, commit in commits.items()}


def differences(platform: Platform, scratch: Platform, keys: Iterable[str]) -> list[str]:
    """The tables whose DataVersion is another one than after a refresh from scratch."""
    found = []
    for key in keys:
        ours, theirs = data_versions(platform, key), data_versions(scratch, key)
        found += [f"{key} {name}" for name in ours if ours[name] != theirs[name]]
    return found


def lost_rows(platform: Platform, landed: Mapping[str, int]) -> list[str]:
    """Bots whose dialogues are not as many as the rows that were landed."""
    found = []
    for key, rows in landed.items():
        last = platform.lake.table(key, "dialogues").last()
        kept = last.record.rows if last and last.record else 0
        if kept != rows:
            found.append(f"{key}: {rows} landed, {kept} kept")
    return found


def computed_twice(platform: Platform, keys: Iterable[str]) -> list[str]:
    """Commits made from what the commit before was made from, and rows computed that the version before had."""
    found = []
    for key in keys:
        for table in MATERIALISED:
            lake_table = platform.lake.table(key, table.name)
            records = sorted(lake_table.records())
            for (before, earlier), (version, record) in itertools.pairwise(records):
                if table.inputs and not record.signature.differences(earlier.signature):
                    found.append(f"{key} {table.name} version {version}: made from the same as version {before}")
                found += _rows_twice(lake_table, before, version, record)
    return found


def _rows_twice(lake_table: LakeTable, before: int, version: int, record: Record) -> list[str]:
    column = ROW_KEYS.get(lake_table.table.name)
    if column is None or not record.rows_computed:
        return []
    new = len(_values(lake_table, column, version) - _values(lake_table, column, before))
    if record.rows_computed <= new:
        return []
    return [f"{lake_table.path.name} version {version}: {record.rows_computed} computed, {new} new"]


def _values(lake_table: LakeTable, column: str, version: int) -> set[str]:
    values: list[Any] = lake_table.arrow([column], version).column(column).to_pylist()
    return {one for value in values for one in (value if isinstance(value, list) else [value])}


def runs_without_commits(platform: Platform, keys: Iterable[str], succeeded: Iterable[str]) -> int:
    """How many runs that ended well had found nothing to do."""
    made = {
        record.run_id
        for key in keys
        for table in MATERIALISED
        for _, record in platform.lake.table(key, table.name).records()
    }
    return sum(run_id not in made for run_id in succeeded)
