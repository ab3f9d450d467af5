"""What waits for a person, as the page looks at it: sorted once for each version of the tables, and mapped into memory.

A hundred thousand queued turns with what the bot suggested for each are a hundred megabytes. So the sorted rows are
kept in a file of the cache that all processes of the service map, and a page reads only the few that it shows.
"""

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chatbot_assets.feedback.suspects import LABEL_COLUMNS, UTTERANCE_COLUMNS, suspects
from chatbot_assets.tables import REVIEW_QUEUE
from resources.lakehouse import Lake
from serving.responder import Candidate
from serving.review.filters import GROUPS_ON_A_PAGE, KINDS, Filters

TABLES = ("review_queue", "utterances", "labels")
COLUMNS = tuple(name for name in REVIEW_QUEUE.schema.names if name not in ("vector", "group_text"))
KEPT = 8
"""Queues that a process keeps open: bots whose queue was looked at last."""
MICROSECONDS = 1_000_000
TIMELESS = 2**62
"""Stands for the time of what has none, and is in every period."""


@dataclass(frozen=True)
class Group:
    """Turns that say the same, or a landed row: the newest of them, and how many there are in all.

    Of a landed row ``intent`` is the label that is in doubt, and it has no time. ``preset_intent`` and
    ``preset_answer`` are what the user picked, or what the judge would call it.
    """

    group_id: str
    kind: str
    size: int
    turn_id: str
    deployment_id: str | None
    text: str
    answer: str | None
    intent: str | None
    score: float
    served_at: datetime | None
    suggestions: tuple[Candidate, ...]
    chosen: Candidate | None
    preset_intent: str | None
    preset_answer: str | None


@dataclass(frozen=True)
class QueuePage:
    """A page of a queue: its groups, and how many groups and turns there are on all pages; turns by kind."""

    groups: tuple[Group, ...]
    total: int
    turns: int
    counts: Mapping[str, int]

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // GROUPS_ON_A_PAGE))


class QueueView:
    """What waited at some versions: by kind, the most valuable groups first, in a group the newest turn first."""

    def __init__(self, rows: pa.Table, versions: tuple[int, ...], made_at: datetime) -> None:
        self.versions = versions
        self.made_at = made_at
        self._rows = rows
        self._kinds = _codes(rows.column("kind"), KINDS)
        # Rows of a group stand together, so a group begins where the identifier or the kind changes.
        groups = pc.dictionary_encode(rows.column("group_id").combine_chunks()).indices.to_numpy(zero_copy_only=False)
        starts = np.ones(len(rows), bool)
        starts[1:] = (groups[1:] != groups[:-1]) | (self._kinds[1:] != self._kinds[:-1])
        self._group = np.cumsum(starts) - 1
        self._served = pc.fill_null(rows.column("served_at").cast(pa.int64()), TIMELESS).to_numpy()
        self.on_hold = frozenset(rows.column("turn_id").filter(rows.column("on_hold")).to_pylist())
        """Turns that a person had put off when the queue was made."""

    def page(self, filters: Filters, now: datetime, settled: Collection[str]) -> QueuePage:
        """The page that the filters ask for, without turns that people have settled since the queue was made."""
        wanted = self._within(filters, now) & ~self._among(settled)
        counts = np.bincount(self._kinds[wanted], minlength=len(KINDS))
        places = np.flatnonzero(wanted & (self._kinds == KINDS.index(filters.kind)))
        _, first, sizes = np.unique(self._group[places], return_index=True, return_counts=True)
        start = (filters.page - 1) * GROUPS_ON_A_PAGE
        shown = slice(start, start + GROUPS_ON_A_PAGE)
        rows = self._rows.take(places[first[shown]]).to_pylist()
        groups = tuple(_group(row, int(size)) for row, size in zip(rows, sizes[shown], strict=True))
        return QueuePage(groups, len(first), len(places), dict(zip(KINDS, counts.tolist(), strict=True)))

    def group(self, group_id: str, kind: str) -> Group | None:
        """A group by its newest turn; None when there is none of that kind."""
        is_one = pc.equal(self._rows.column("group_id"), group_id).to_numpy(zero_copy_only=False)
        places = np.flatnonzero(is_one & (self._kinds == KINDS.index(kind)))
        return _group(self._rows.take(places[:1]).to_pylist()[0], len(places)) if len(places) else None

    def texts_of(self, turn_ids: Sequence[str]) -> dict[str, str]:
        """The texts of some of the turns."""
        found = self._rows.select(["turn_id", "text"]).filter(
            pc.is_in(self._rows.column("turn_id"), value_set=pa.array(turn_ids, pa.string()))
        )
        return dict(zip(found.column("turn_id").to_pylist(), found.column("text").to_pylist(), strict=True))

    def turns_of(self, group_ids: Sequence[str], kind: str) -> dict[str, list[str]]:
        """The turns of groups as the queue was made, by group; a group that there is not has none."""
        is_one = pc.is_in(self._rows.column("group_id"), value_set=pa.array(group_ids, pa.string()))
        is_one = is_one.to_numpy(zero_copy_only=False) & (self._kinds == KINDS.index(kind))
        found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
        for row in self._rows.select(["group_id", "turn_id"]).take(np.flatnonzero(is_one)).to_pylist():
            found[row["group_id"]].append(row["turn_id"])
        return found

    def _within(self, filters: Filters, now: datetime) -> NDArray[np.bool_]:
        wanted = np.ones(len(self._rows), bool)
        since, until = filters.span(now)
        if since:
            wanted &= self._served >= int(since.timestamp()) * MICROSECONDS
        if until:
            wanted &= (self._served < int(until.timestamp()) * MICROSECONDS) | (self._served == TIMELESS)
        if filters.search:
            found = pc.match_substring(self._rows.column("text"), filters.search, ignore_case=True)
            # A group is shown with all its turns when one of them says it: a decision is on all of them.
            holds = np.zeros(self._group.max(initial=-1) + 1, bool)
            holds[self._group[found.to_numpy(zero_copy_only=False)]] = True
            wanted &= holds[self._group]
        return wanted

    def _among(self, turn_ids: Collection[str]) -> NDArray[np.bool_]:
        if not turn_ids:
            return np.zeros(len(self._rows), bool)
        found = pc.is_in(self._rows.column("turn_id"), value_set=pa.array(sorted(turn_ids), pa.string()))
        return np.asarray(found.to_numpy(zero_copy_only=False), bool)


class Queues:
    """The newest queue of each bot; sorting it anew takes a second for a hundred thousand turns."""

    def __init__(self, lake: Lake, cache: Path) -> None:
        self._lake = lake
        self._folder = cache / "review"
        self._lock = threading.Lock()
        self._open: OrderedDict[str, QueueView] = OrderedDict()

    def of(self, key: str) -> QueueView | None:
        """A bot's queue as it was made last; None when it was never made."""
        commits = [self._lake.table(key, name).last() for name in TABLES]
        queue = commits[0]
        if queue is None:
            return None
        versions = tuple(commit.version if commit else -1 for commit in commits)
        with self._lock:
            view = self._open.pop(key, None)
            if view is None or view.versions != versions:
                view = QueueView(self._sorted(key, versions), versions, queue.committed_at)
            self._open[key] = view
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
            return view

    def _sorted(self, key: str, versions: tuple[int, ...]) -> pa.Table:
        path = self._folder / f"{key}@{'-'.join(map(str, versions))}.arrow"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}.tmp")
            rows = _sort(self._read(key, versions))
            with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
                writer.write_table(rows)
            temporary.rename(path)
            for older in self._folder.glob(f"{key}@*.arrow"):
                if older != path:
                    older.unlink(missing_ok=True)
        # A file that is mapped stays readable after it was removed.
        return pa.ipc.open_file(pa.memory_map(str(path))).read_all()

    def _read(self, key: str, versions: tuple[int, ...]) -> pa.Table:
        """The turns of the queue, and landed rows whose label is in doubt."""
        queue, utterances, labels = (self._lake.table(key, name) for name in TABLES)
        rows = queue.arrow(COLUMNS, versions[0])
        if min(versions) < 0:
            return rows
        doubtful = suspects(utterances.arrow(UTTERANCE_COLUMNS, versions[1]), labels.arrow(LABEL_COLUMNS, versions[2]))
        return pa.concat_tables([rows, pa.Table.from_pylist(doubtful, rows.schema)])


def _sort(rows: pa.Table) -> pa.Table:
    """By kind, the group's highest priority, group, time (newest first) and turn."""
    group = pc.dictionary_encode(pc.binary_join_element_wise(rows.column("kind"), rows.column("group_id"), " "))
    places = group.combine_chunks().indices.to_numpy(zero_copy_only=False)
    best = np.full(places.max(initial=-1) + 1, -np.inf)
    np.maximum.at(best, places, rows.column("priority").to_numpy())
    rows = rows.append_column("group_priority", pa.array(best[places]))
    order = [("kind", "ascending"), ("group_priority", "descending"), ("group_id", "ascending")]
    return rows.sort_by([*order, ("served_at", "descending"), ("turn_id", "ascending")]).combine_chunks()


def _codes(column: pa.ChunkedArray, names: Sequence[str]) -> NDArray[np.int64]:
    """The place of each value among the names; those that are none of them come last."""
    found = pc.fill_null(pc.index_in(column, value_set=pa.array(names)), len(names))
    return np.asarray(found.to_numpy(), np.int64)


def _group(row: Mapping[str, Any], size: int) -> Group:
    suggestions = tuple(Candidate(**found) for found in json.loads(row["candidates"] or "[]"))
    return Group(
        group_id=row["group_id"],
        kind=row["kind"],
        size=size,
        turn_id=row["turn_id"],
        deployment_id=row["deployment_id"],
        text=row["text"],
        answer=row["answer"],
        intent=row["intent"],
        score=row["score"] or 0.0,
        served_at=row["served_at"],
        suggestions=suggestions,
        chosen=next((found for found in suggestions if found.id == row["chosen_candidate"]), None),
        preset_intent=row["preset_intent"],
        preset_answer=row["preset_answer"],
    )
