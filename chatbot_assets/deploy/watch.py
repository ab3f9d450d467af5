"""Watches a live deployment: how it fares with users, against the one before it; what does worse is taken back."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.deploy.life import roll_back
from chatbot_assets.deploy.record import Deployment, history
from resources.lakehouse import ConflictError, Lake, LakeTable

SIGNIFICANCE = 2.33
"""A share counts as greater when it is so by this many standard errors: by chance once in a hundred times."""
JUDGED = 20
"""Users' verdicts of each deployment from which on they say anything."""
SLOWER_MS = 20.0
"""A 95th percentile that is later by less than this troubles nobody, however many times the old one it is."""
LOG_PRECISION = timedelta(milliseconds=1)
"""Delta's log cuts the times that it keeps of a file's rows to milliseconds."""
COLUMNS = ("turn_id", "deployment_id", "category", "satisfied", "latency_ms", "served_at")


class Limits(Protocol):
    """How much worse than the one before a deployment may fare; the section ``deploy.watch`` of a bot's YAML."""

    @property
    def hours(self) -> float:
        """For how long after it went live it is watched."""

    @property
    def turns(self) -> int:
        """Turns that each of the two must have served."""

    @property
    def failed(self) -> float:
        """How much greater the share of turns that were not understood may be."""

    @property
    def errors(self) -> float:
        """How much greater the share of turns that could not be answered may be."""

    @property
    def dissatisfied(self) -> float:
        """How much greater the share of dissatisfied verdicts may be."""

    @property
    def slower(self) -> float:
        """How many times as late the 95th percentile of the latency may be."""


@dataclass(frozen=True)
class Conduct:
    """How a deployment fared: turns, of them failed; users' verdicts, of them dissatisfied; p95 of the latency.

    ``errors`` are the turns, of all, that it could not answer.
    """

    turns: int
    failed: int
    judged: int
    dissatisfied: int
    p95_ms: float | None
    errors: int = 0


@dataclass(frozen=True)
class Watched:
    """What the watch found: whether all is well, in words; and the deployment that it put live instead, if any."""

    well: bool
    said: str
    back_to: str | None = None


def conduct(turns: pa.Table) -> Conduct:
    """How a deployment fared in these rows of ``conversations``."""
    latencies = turns.filter(pc.not_equal(turns.column("category"), "error")).column("latency_ms").drop_null()
    return Conduct(
        turns=turns.num_rows,
        failed=pc.sum(pc.equal(turns.column("category"), "failed")).as_py() or 0,
        judged=turns.num_rows - turns.column("satisfied").null_count,
        dissatisfied=pc.sum(pc.invert(turns.column("satisfied"))).as_py() or 0,
        p95_ms=float(np.percentile(latencies.to_numpy(), 95)) if len(latencies) else None,
        errors=pc.sum(pc.equal(turns.column("category"), "error")).as_py() or 0,
    )


def breach(
    now: Conduct,
    then: Conduct,
    limits: Limits,
    turns: int | None = None,
    significance: float = SIGNIFICANCE,
    other: str = "before it was",
) -> str | None:
    """In words, in what a deployment does worse than another, beyond its limits and chance; else None.

    Args:
        turns: as long as one of them has served fewer, nothing is known; ``limits.turns`` by default.
        significance: by how many standard errors a share must be greater.
        other: how the words go on about the one that it is compared with.
    """
    if min(now.turns, then.turns) < (limits.turns if turns is None else turns):
        return None
    if _is_more(now.errors, now.turns, then.errors, then.turns, limits.errors, significance):
        return _shares("turns could not be answered", now.errors, now.turns, other, then.errors, then.turns)
    if _is_more(now.failed, now.turns, then.failed, then.turns, limits.failed, significance):
        return _shares("turns failed", now.failed, now.turns, other, then.failed, then.turns)
    is_known = min(now.judged, then.judged) >= JUDGED
    if is_known and _is_more(
        now.dissatisfied, now.judged, then.dissatisfied, then.judged, limits.dissatisfied, significance
    ):
        return _shares("users were dissatisfied", now.dissatisfied, now.judged, other, then.dissatisfied, then.judged)
    if now.p95_ms and then.p95_ms and now.p95_ms > max(limits.slower * then.p95_ms, then.p95_ms + SLOWER_MS):
        return f"one turn in twenty takes {now.p95_ms:.0f} ms or more, {other} {then.p95_ms:.0f} ms"
    return None


def turns_since(served: LakeTable, since: datetime, columns: Sequence[str] = COLUMNS) -> pa.Table:
    """Some columns of what was served from a moment on, ``served_at`` among them; files from before are not read."""
    schema = pa.schema([served.table.schema.field(name) for name in columns])
    start = pa.scalar(since, schema.field("served_at").type)
    batches = served.read_files(_files_since(served, since), columns)
    return pa.Table.from_batches(
        [batch.filter(pc.greater_equal(batch.column("served_at"), start)) for batch in batches], schema
    )


def _files_since(served: LakeTable, since: datetime) -> Iterator[str]:
    """The files that may hold rows from a moment on, by the last ``served_at`` of each."""
    for path, _, last in served.file_bounds("served_at"):
        if last is None or last >= since - LOG_PRECISION:
            yield path


def watch(lake: Lake, key: str, limits: Limits, actor: str, at: datetime | None = None) -> Watched:
    """Compares the live deployment's turns with those of the one before, and takes it back on a breach.

    Args:
        at: the moment to judge at; now by default.
    """
    table = lake.table(key, "deployments")
    past = history(table)
    live, before = past.live, past.before
    if live is None or before is None:
        return Watched(True, "there is no deployment before it to compare with")
    if (at or datetime.now(UTC)) > live.at + timedelta(hours=limits.hours):
        return Watched(True, f"it has been live for more than {limits.hours:g} hours, so it is no longer watched")
    if past.rollback:
        return Watched(True, "it was gone back to, so it is not compared with what was before it")
    now, then = (conduct(turns) for turns in _turns(lake.table(key, "conversations"), live, before))
    found = breach(now, then, limits)
    if found is None:
        compared = f"{now.turns:,} turns against {then.turns:,} of the deployment before"
        needed = f"; {limits.turns:,} of each are needed" if min(now.turns, then.turns) < limits.turns else ""
        return Watched(True, compared + needed)
    try:
        roll_back(table, past, before.deployment_id, actor=actor, reason=f"the watch found: {found}")
    except ConflictError:
        return Watched(False, f"{found}; somebody else changed the deployments first")
    return Watched(False, found, before.deployment_id)


def _turns(conversations: LakeTable, live: Deployment, before: Deployment) -> Sequence[pa.Table]:
    """The turns of the live deployment since it went live, and those of the one before until then."""
    schema = pa.schema([conversations.table.schema.field(name) for name in COLUMNS])
    found: tuple[list[pa.RecordBatch], list[pa.RecordBatch]] = ([], [])
    for batch in conversations.batches(COLUMNS):
        is_new = pc.greater_equal(batch.column("served_at"), pa.scalar(live.at, schema.field("served_at").type))
        for rows, identity, when in ((found[0], live, is_new), (found[1], before, pc.invert(is_new))):
            own = pc.and_(pc.equal(batch.column("deployment_id"), identity.deployment_id), when)
            rows.append(batch.filter(own))
    return [pa.Table.from_batches(rows, schema) for rows in found]


def _is_more(count: int, of: int, count_before: int, of_before: int, margin: float, significance: float) -> bool:
    """Whether a share is greater than another by more than a margin, and than chance explains (two-proportion z)."""
    more = count / of - count_before / of_before
    pooled = (count + count_before) / (of + of_before)
    error = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / of_before))
    return more > margin and more > significance * error


def _shares(what: str, count: int, of: int, other: str, count_then: int, of_then: int) -> str:
    return f"{count / of:.0%} of {of:,} {what}, {other} {count_then / of_then:.0%} of {of_then:,}"
