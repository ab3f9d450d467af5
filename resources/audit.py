"""The audit log of a tenant: who did what, when, and whether it was allowed. Lines are only ever added.

One file of JSON lines a tenant in ``$CHATBOT_HOME/audit/``, not a Delta table: an entry is on the disk before the
action is answered, failed sign-ins may come fast, and each entry holds the hash of the one before, so entries need one
order over all processes. Who changes or removes one breaks the chain after it; who rewrites the whole chain changes
its last hash, which ``./chatbot audit`` prints to be kept elsewhere. No entry holds a password, a token or a user's
text.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = "audit"
FIRST = "0" * 64
"""What the first entry names as the hash of the one before."""
TENANT = re.compile(r"[a-z0-9][a-z0-9-]*\Z")


@dataclass(frozen=True)
class Act:
    """What is to be noted: an event, who did it and how they showed who they are, and what it was about.

    ``row`` identifies a row of a table that tells the same; such an act is noted once, however often it is added.
    """

    event: str
    actor: str
    how: str
    bot: str | None = None
    about: str | None = None
    outcome: str = "done"
    details: Mapping[str, str | int | None] | None = None
    row: str | None = None


@dataclass(frozen=True)
class Checked:
    """What a look through the whole chain found; ``problem`` says, in words, the first thing that is wrong."""

    entries: int
    head: str
    problem: str | None


class AuditLog:
    """A tenant's log in a home's folder."""

    def __init__(self, root: Path, tenant: str) -> None:
        """``root`` is the home's folder.

        Raises:
            ValueError: when this cannot be a tenant's name.
        """
        if not TENANT.match(tenant):
            raise ValueError(f"{tenant!r} is no tenant")
        self.tenant = tenant
        self.path = root / FOLDER / f"{tenant}.jsonl"

    def add(self, act: Act) -> None:
        """Adds one entry; it is on the disk afterwards.

        Raises:
            OSError: when it cannot be written.
        """
        self.add_all([(datetime.now(UTC), act)])

    def add_all(self, acts: Sequence[tuple[datetime, Act]]) -> None:
        """Adds entries with the times at which they happened, as :meth:`add`."""
        if not acts:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number, previous, end = _last(file.fileno())
            lines = []
            noted = {entry["row"] for entry in self.entries()} if any(act.row for _, act in acts) else set()
            for at, act in acts:
                if act.row and act.row in noted:
                    continue
                number += 1
                entry = {"number": number, "at": at.isoformat(), "tenant": self.tenant} | _plain(act)
                entry |= {"previous": previous}
                previous = _hash(entry)
                lines.append(json.dumps(entry | {"hash": previous}, ensure_ascii=False))
            if lines:
                os.truncate(file.fileno(), end)
                os.pwrite(file.fileno(), "".join(f"{line}\n" for line in lines).encode(), end)
                os.fsync(file.fileno())

    def entries(self) -> Iterator[dict[str, Any]]:
        """All entries, the oldest first; lines that are none are left out (:meth:`check` tells of them)."""
        for line in self._lines():
            if (entry := _entry(line)) is not None:
                yield entry

    def check(self, expected: str | None = None) -> Checked:
        """Follows the chain from its beginning; ``expected`` is a hash that must be in it."""
        number, previous, problem, seen = 0, FIRST, None, expected is None
        for number, line in enumerate(self._lines(), 1):
            entry = _entry(line)
            good = entry is not None and entry.pop("hash", None) == (made := _hash(entry))
            if not good or entry is None or (entry["number"], entry["previous"]) != (number, previous):
                problem = f"entry {number} was changed, or one before it was removed"
                break
            previous = made
            seen = seen or made == expected
        if problem is None and not seen:
            problem = "the expected entry is not in it: entries were removed, or all were written anew"
        return Checked(number, previous, problem)

    def _lines(self) -> Iterator[bytes]:
        """The whole lines. One without an end was never acknowledged: its writer was killed, or is at it."""
        try:
            with self.path.open("rb") as file:
                yield from (line for line in file if line.endswith(b"\n"))
        except FileNotFoundError:
            return


def _plain(act: Act) -> dict[str, Any]:
    return {
        "event": act.event,
        "outcome": act.outcome,
        "actor": act.actor,
        "how": act.how,
        "bot": act.bot,
        "about": act.about,
        "row": act.row,
        "details": dict(act.details or {}),
    }


def _hash(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"number", "previous"} <= found.keys() else None


def _last(file: int) -> tuple[int, str, int]:
    """Number and hash of the last whole entry, and where it ends; what a killed writer left after it is no entry."""
    size = os.fstat(file).st_size
    block = 64 * 1024
    tail = b""
    start = size
    while start > 0 and tail.count(b"\n") < 2:
        begin = max(0, start - block)
        tail = os.pread(file, start - begin, begin) + tail
        start = begin
    end = start + tail.rfind(b"\n") + 1
    lines = tail[: end - start].splitlines()
    if not lines:
        return 0, FIRST, 0
    entry = _entry(lines[-1]) or {}
    return int(entry.get("number", 0)), str(entry.get("hash", FIRST)), end
