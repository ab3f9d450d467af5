"""Dagster's storage in memory, lent to one user after the other.

Making one takes as long as many a test: Dagster reads all migrations of its schema. Its own also connects anew for each
of the hundreds of events of a refresh, and for each question which tables it has; this stays connected. Where nobody
looks at it after a run, it keeps only what the run itself asks for.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import sqlalchemy as db
from dagster._core.storage.event_log.in_memory import InMemoryEventLogStorage
from sqlalchemy.pool import StaticPool

ASKED_FOR = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.STEP_FAILURE,
}
"""The events that a run asks for again."""
_idle: dict[bool, list[dg.DagsterInstance]] = {True: [], False: []}


class _Events(InMemoryEventLogStorage):
    """Its methods take turns at the one connection: whoever connects holds the storage's lock."""

    def __init__(self, keeps_all: bool) -> None:
        super().__init__()
        self._keeps_all = keeps_all
        self._tables = set(db.inspect(self._held_conn).get_table_names())
        url = self._engine.url
        self._engine = db.create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})

    @contextmanager
    def _connect(self) -> Iterator[db.Connection]:
        with self._db_lock, self._engine.begin() as connection:
            yield connection

    def store_event(self, event: dg.EventLogEntry) -> None:
        if self._keeps_all or event.dagster_event_type in ASKED_FOR:
            super().store_event(event)

    def has_table(self, table_name: str) -> bool:
        return table_name in self._tables


@contextmanager
def empty_instance(keeps_all: bool = True) -> Iterator[dg.DagsterInstance]:
    """An instance without any history, as ``DagsterInstance.ephemeral`` gives one."""
    idle = _idle[keeps_all]
    instance = idle.pop() if idle else _made(keeps_all)
    yield instance
    instance.wipe()
    idle.append(instance)


def _made(keeps_all: bool) -> dg.DagsterInstance:
    instance = dg.DagsterInstance.ephemeral()
    instance._event_storage = _Events(keeps_all)
    instance._event_storage.register_instance(instance)
    return instance
