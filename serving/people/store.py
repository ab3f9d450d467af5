"""The database of people, sessions and tokens: one SQLite file of the home, for its owner alone.

It is no table of the lake: an account must change at once and for good, while a lake keeps every version; and several
worker processes look into it at each request. A password, token, session, link or recovery code is never in it, only
its hash; the secrets of second factors are, for codes are computed from them.
"""

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE = "people.sqlite"
WAIT_SECONDS = 10.0
"""How long a change waits for another process's."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    tenant TEXT, name TEXT, roles TEXT NOT NULL, password TEXT, made_at REAL NOT NULL, PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS links (
    hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, ends_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, how TEXT NOT NULL, roles TEXT NOT NULL,
    token TEXT NOT NULL, made_at REAL NOT NULL, seen_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS second_factors (
    tenant TEXT, name TEXT, secret TEXT NOT NULL, step INTEGER, PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recovery_codes (
    hash TEXT PRIMARY KEY, salt TEXT NOT NULL, tenant TEXT NOT NULL, name TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS half_sign_ins (
    hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, ends_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, scopes TEXT NOT NULL, made_by TEXT NOT NULL,
    made_at REAL NOT NULL, ends_at REAL NOT NULL, used_at REAL, UNIQUE (tenant, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
    key TEXT PRIMARY KEY, failures INTEGER NOT NULL, last_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sign_ons (
    state TEXT PRIMARY KEY, browser TEXT NOT NULL, nonce TEXT NOT NULL, verifier TEXT NOT NULL, ends_at REAL NOT NULL
) WITHOUT ROWID;
"""


class PeopleError(ValueError):
    """Something about people or tokens that cannot be done; its text is one line that says what to do."""


def new_secret() -> str:
    """256 random bits, as text for addresses, cookies and headers."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """What is kept of a random secret. A slow hash is for passwords: nobody tries out 256 bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Store:
    """The open database; each thread has its own connection. ``now`` gives seconds since 1970."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._threads = threading.local()
        self.now = now

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        found: list[sqlite3.Row] = self._connection().execute(query, values).fetchall()
        return found

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection().execute(query, values).fetchone()
        return found

    def change(self, query: str, *values: Any) -> int:
        """Makes one change, durably; gives the number of rows that it changed."""
        return self._connection().execute(query, values).rowcount

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Makes what is read and changed within one step: alone, and wholly or not at all."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if found is None:
            found = self._threads.connection = self._open()
        return found

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its companion files the database's own mode.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
        return connection
