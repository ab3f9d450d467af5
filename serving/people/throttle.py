"""Slows down whoever tries out passwords: each failure doubles the wait, by account and by address."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.people.store import Store, hash_of

LONGEST_SECONDS = 15 * 60
FORGOTTEN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Source:
    """What failures are counted for; the first ``free`` of them cost nothing. Its name is kept as a hash alone."""

    kind: str
    name: str
    free: int

    @property
    def key(self) -> str:
        return hash_of(f"{self.kind}:{self.name}")


def account_source(tenant: str, name: str) -> Source:
    """An account, also one that does not exist: the wait must not tell."""
    return Source("account", f"{tenant}/{name}", free=5)


def code_source(tenant: str, name: str) -> Source:
    """The second factor of an account: the right password forgets no wrong codes."""
    return Source("code", f"{tenant}/{name}", free=5)


def address_source(address: str) -> Source:
    """An address; many people may share it."""
    return Source("address", address, free=30)


class Throttle:
    """Failures in a store, so that all workers and the next start know them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def attempt(self, sources: Sequence[Source]) -> float:
        """The seconds to wait; 0 when the attempt may be made. It counts as failed until :meth:`succeeded` is called.

        Attempts that are made at the same time are all counted before any of them is looked at.
        """
        now = self._store.now()
        with self._store.changing():
            self._store.change("DELETE FROM attempts WHERE last_at < ?", now - FORGOTTEN_SECONDS)
            wait = max(self._wait(source, now) for source in sources)
            if wait <= 0:
                for source in sources:
                    self._store.change(
                        "INSERT INTO attempts VALUES (?, 1, ?) "
                        "ON CONFLICT (key) DO UPDATE SET failures = failures + 1, last_at = excluded.last_at",
                        source.key,
                        now,
                    )
        return max(0.0, wait)

    def succeeded(self, account: Source, address: Source) -> None:
        """The account's failures are forgotten; of the address's only this attempt, or one account would clear it."""
        with self._store.changing():
            self._store.change("DELETE FROM attempts WHERE key = ?", account.key)
            self._store.change("UPDATE attempts SET failures = failures - 1 WHERE key = ?", address.key)

    def _wait(self, source: Source, now: float) -> float:
        row = self._store.row("SELECT failures, last_at FROM attempts WHERE key = ?", source.key)
        if row is None or row["failures"] < source.free:
            return 0.0
        pause = min(LONGEST_SECONDS, 2.0 ** min(row["failures"] - source.free, 20))
        return float(row["last_at"] + pause - now)
