"""The refresh of each bot that is under way or did not end well, kept beside its tables.

It outlives Dagster's database, and tells what no database can: that a process was killed before it could say anything.
One small file a bot; a refresh that ends well removes it. A second one keeps the last failures, for
people who look back.
"""

import contextlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from resources import beside

FILE = ".attempt.json"
FAILURES = ".failures.json"
KEPT = 20
"""So many failures of a bot, the newest, are kept after a refresh made them good."""
Kind = Literal["lasting", "passing", "unknown"]
"""Whether a failure's cause can pass by itself: bad data cannot (lasting), a full disk can (passing)."""
KILLED = "the refresh was killed before it could end (out of memory, or the machine stopped)"


@dataclass(frozen=True)
class Attempt:
    """The last refresh that did not end well.

    Attributes:
        cause: identifies the state of the bot that the refresh left behind; another state is another cause.
        count: attempts at this cause so far.
        run_id: Dagster's.
        at: when it began or, once it has failed, when it did.
        kind: None while it is under way, and for ever when its process was killed.
        reason: what went wrong, in one line.
        table: where.
    """

    cause: str
    count: int
    run_id: str
    at: datetime
    kind: Kind | None = None
    reason: str = KILLED
    table: str | None = None


def last_attempt(folder: Path) -> Attempt | None:
    """The attempt on record in a bot's folder; None after a refresh that ended well, and before the first."""
    data = beside.read(folder / FILE)
    try:
        return _of(data) if data else None
    except (ValueError, TypeError, KeyError):
        return None  # written by another release: it is as if nothing had been tried


def begin(folder: Path, cause: str, run_id: str) -> Attempt:
    """Puts on record that a refresh begins; it stays there when the process is killed."""
    before = last_attempt(folder)
    if before and before.kind is None:
        _keep(folder, before)  # it was killed, and could not say so itself
    count = before.count + 1 if before and before.cause == cause else 1
    return _write(folder, Attempt(cause, count, run_id, datetime.now(UTC)))


def fail(folder: Path, attempt: Attempt, cause: str, kind: Kind, reason: str, table: str | None) -> Attempt:
    """Puts on record how an attempt failed; ``cause`` identifies the state in which it leaves the bot."""
    failed = replace(attempt, cause=cause, at=datetime.now(UTC), kind=kind, reason=reason, table=table)
    _keep(folder, failed)
    return _write(folder, failed)


def failures(folder: Path, *, is_refreshing: bool = False) -> list[Attempt]:
    """Refreshes that did not end well, the newest first, whether they were made good since or not.

    Attempts at one cause that followed each other are one, with their count. ``is_refreshing``: a refresh holds the
    bot's tables, so that the attempt on record that has said nothing yet goes on and was not killed.
    """
    kept = _kept(folder)
    last = last_attempt(folder)
    if last and last.kind is None and not is_refreshing:
        kept = _joined(kept, last)
    return kept[::-1]


def _keep(folder: Path, failed: Attempt) -> None:
    with contextlib.suppress(OSError):
        kept = _joined(_kept(folder), failed)[-KEPT:]
        beside.write(folder / FAILURES, {"failures": [_plain(one) for one in kept]})


def _joined(kept: list[Attempt], failed: Attempt) -> list[Attempt]:
    """The failures with another one, which takes the place of the last if that was about the same."""
    last = kept[-1] if kept else None
    is_same = last is not None and (last.run_id == failed.run_id or last.cause == failed.cause)
    return [*(kept[:-1] if is_same else kept), failed]


def _kept(folder: Path) -> list[Attempt]:
    data = beside.read(folder / FAILURES) or {}
    try:
        return [_of(one) for one in data.get("failures", ())]
    except (ValueError, TypeError, KeyError):
        return []  # written by another release


def restore(folder: Path, attempt: Attempt) -> None:
    """Puts an earlier attempt on record again: a refresh of other tables has not changed what it was about."""
    _write(folder, attempt)


def end(folder: Path) -> None:
    """Takes the attempt off the record: it ended well."""
    (folder / FILE).unlink(missing_ok=True)


def _write(folder: Path, attempt: Attempt) -> Attempt:
    # On a full disk what is on record already (that it began) has to do.
    with contextlib.suppress(OSError):
        beside.write(folder / FILE, _plain(attempt))
    return attempt


def _plain(attempt: Attempt) -> dict[str, Any]:
    return asdict(attempt) | {"at": attempt.at.isoformat()}


def _of(data: dict[str, Any]) -> Attempt:
    return Attempt(**data | {"at": datetime.fromisoformat(data["at"])})
