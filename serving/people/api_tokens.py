"""API tokens: what machines show. Each belongs to one tenant, may do what its scopes say, ends, and can be revoked.

A tenant's token in the file ``tokens.json`` (:mod:`serving.tokens`) counts as well: commands on this machine use it.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.people.roles import Permission
from serving.people.store import PeopleError, Store, hash_of, new_secret
from serving.tokens import KnownTokens

PREFIX = "chatbot_"
"""Lets scanners for leaked secrets know one."""
DAYS = 365
LOCAL = "local"
"""The name of the token in ``tokens.json``."""
LOCAL_SCOPES = frozenset({Permission.CHAT, Permission.FEEDBACK, Permission.READ})
USED_SECONDS = 60.0
"""The time of the last use is kept to the minute: a turn must not wait for the disk to note it."""


@dataclass(frozen=True)
class ApiToken:
    """What is known of a token; times are seconds since 1970, ``ends_at`` is None for the one in the file."""

    tenant: str
    name: str
    scopes: frozenset[Permission]
    hash: str
    made_by: str = ""
    made_at: float | None = None
    ends_at: float | None = None
    used_at: float | None = None


class ApiTokens:
    """The tokens of a store and of a home's ``tokens.json``."""

    def __init__(self, store: Store, file: Path) -> None:
        self._store = store
        self._file = KnownTokens(file)

    def make(self, tenant: str, name: str, scopes: Sequence[str], *, by: str, days: int = DAYS) -> str:
        """A new token; nobody can see it again.

        Raises:
            PeopleError: when the tenant has one of that name, a scope is unknown or the days are not 1 to 3650.
        """
        unknown = sorted(set(scopes) - set(Permission))
        if unknown or not scopes:
            what = f"scope {unknown[0]!r} is unknown" if unknown else "a token needs a scope"
            raise PeopleError(f"{what}; scopes are {', '.join(Permission)}")
        if not 1 <= days <= 3650:
            raise PeopleError("a token lasts 1 to 3650 days")
        if not name or name == LOCAL or len(name) > 100 or not name.isprintable():
            raise PeopleError(f"{name!r} cannot be a token's name; choose another one")
        token, now = PREFIX + new_secret(), self._store.now()
        kept = (hash_of(token), tenant, name, " ".join(sorted(set(scopes))), by, now, now + days * 86400)
        if not self._store.change("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", *kept):
            raise PeopleError(f"{tenant} has a token {name} already; revoke it, or choose another name")
        return token

    def listed(self, tenant: str) -> list[ApiToken]:
        """A tenant's tokens by name, also those that have ended."""
        made = [_token(row) for row in self._store.rows("SELECT * FROM tokens WHERE tenant = ? ORDER BY name", tenant)]
        own = self._file.now().get(tenant)
        return ([_local(tenant, hash_of(own))] if own else []) + made

    def revoke(self, tenant: str, name: str) -> None:
        """Ends a token at once, and the sessions that were begun with it.

        Raises:
            PeopleError: when the tenant has none of that name.
        """
        if not self._store.change("DELETE FROM tokens WHERE tenant = ? AND name = ?", tenant, name):
            raise PeopleError(f"{tenant} has no token {name}; see: ./chatbot tokens list {tenant}")

    def find(self, token: str) -> ApiToken | None:
        """The token that somebody shows, unless it has ended."""
        return self.with_hash(hash_of(token)) if token else None

    def with_hash(self, kept: str) -> ApiToken | None:
        """As :meth:`find`, by what is kept of it. Looks into file and store each time: a revoked token is none."""
        for tenant, token in self._file.now().items():
            if token and hash_of(token) == kept:
                return _local(tenant, kept)
        now = self._store.now()
        row = self._store.row("SELECT * FROM tokens WHERE hash = ? AND ends_at > ?", kept, now)
        if row is None:
            return None
        if row["used_at"] is None or row["used_at"] < now - USED_SECONDS:
            self._store.change("UPDATE tokens SET used_at = ? WHERE hash = ?", now, kept)
        return _token(row)


def _local(tenant: str, kept: str) -> ApiToken:
    return ApiToken(tenant, LOCAL, LOCAL_SCOPES, kept)


def _token(row: sqlite3.Row) -> ApiToken:
    scopes = frozenset(Permission(scope) for scope in row["scopes"].split())
    times = (row["made_at"], row["ends_at"], row["used_at"])
    return ApiToken(row["tenant"], row["name"], scopes, row["hash"], row["made_by"], *times)
