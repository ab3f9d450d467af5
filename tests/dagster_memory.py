"""Dagster's storage in memory, lent to one user after the other.

Making one takes as long as many a test: Dagster reads all migrations of its schema. Its own also connects anew for each
of the hundreds of events of a refresh, and for each question which tables it has; this one stays connected.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import sqlalchemy as db
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage
from sqlalchemy.pool import StaticPool

_idle: list[dg.DagsterInstance] = []


class _Events(InMemoryEventLogStorage):
    """Its methods take turns at the one connection: whoever connects holds the storage's lock."""

    def __init__(self) -> None:
        super().__init__()
        self._tables = set(db.inspect(self._held_conn).get_table_names())
        url = self._engine.url
        self._engine = db.create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})

    @contextmanager
    def _connect(self) -> Iterator[db.Connection]:
        with self._db_lock, self._engine.begin() as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        return table_name in self._tables


@contextmanager
def empty_instance() -> Iterator[dg.DagsterInstance]:
    """An instance without any history, as ``DagsterInstance.ephemeral`` gives one."""
    instance = _idle.pop() if _idle else _made()
    yield instance
    instance.wipe()
    _idle.append(instance)


def _made() -> dg.DagsterInstance:
    instance = dg.DagsterInstance.ephemeral()
    instance._event_storage = _Events()
    instance._event_storage.register_instance(instance)
    return instance
