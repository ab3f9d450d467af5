"""Which tests refresh a bot without ever asking for the engine: a second engine has nothing to show there.

A run on the first engine notes them in pytest's cache, and a run on another one leaves them out. Tests that only read
what the engine has written are none of them.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from resources.spark import ENGINES, SparkEngine

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROPERTY = "refreshed without the engine"
KEPT = "engine_use/without"


class WatchedEngine(SparkEngine):
    """The engine of tests; counts who asks for it."""

    @property
    def session(self) -> "SparkSession":
        counts["asked"] += 1
        return super().session


counts = {"refreshes": 0, "asked": 0}


class EngineUse:
    """The plugin; ``engine`` is the one under test."""

    def __init__(self, config: pytest.Config, engine: str) -> None:
        self.cache: Any = getattr(config, "cache", None)
        self.is_first = engine == ENGINES[0]
        self.is_worker = hasattr(config, "workerinput")
        self.without: dict[str, bool] = {}

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        known = set(self.cache.get(KEPT, ())) if self.cache and not self.is_first else set()
        if left_out := [item for item in items if item.nodeid in known]:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item.nodeid not in known]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        before = dict(counts)
        yield
        if counts["refreshes"] > before["refreshes"]:
            item.user_properties.append((PROPERTY, counts["asked"] == before["asked"]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.without[report.nodeid] = dict(report.user_properties).get(PROPERTY, False)

    def pytest_sessionfinish(self) -> None:
        if self.cache and self.is_first and not self.is_worker:
            known = set(self.cache.get(KEPT, ())) - self.without.keys()
            self.cache.set(KEPT, sorted(known | {nodeid for nodeid, without in self.without.items() if without}))
