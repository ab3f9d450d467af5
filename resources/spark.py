"""The Spark engines behind one DataFrame API: ``sail`` (no JVM, the default) and ``local`` (Spark on the JVM)."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import PROJECT
from resources.java import EngineError

if TYPE_CHECKING:
    from dagster_pyspark import LazyPySparkResource
    from pyspark.sql import SparkSession

ENGINES = ("sail", "local")
PROFILES = PROJECT / "spark_conf"

_lock = threading.Lock()
_running: dict[str, "LazyPySparkResource"] = {}


class SparkEngine(dg.ConfigurableResource[None]):
    """Gives the Spark session of an engine, started when first asked for and kept for the life of the process.

    Without a name it is the engine that the bot's YAML names: see :meth:`or_else`.
    """

    engine: str | None = None

    def or_else(self, engine: str) -> "SparkEngine":
        """This engine, or the named one when this has no name."""
        return self if self.engine else SparkEngine(engine=engine)

    @property
    def session(self) -> "SparkSession":
        """The session.

        Raises:
            EngineError: when the engine is unknown, lacks something on this machine, or another one has been started
                in this process (PySpark talks either to a Connect server or to a JVM of its own, never to both).
        """
        name = self.engine or ENGINES[0]
        with _lock:
            if name not in _running:
                _running[name] = _start(name)
            session: SparkSession = _running[name].spark_session
        if name == "local":
            from resources.jvm import share_import_path

            share_import_path(session)
        return session


def read_profile(name: str) -> dict[str, str]:
    """The settings of ``spark_conf/<name>.conf``: a key, blanks and a value on each line, ``#`` for comments.

    Raises:
        EngineError: when a line has no value.
    """
    path = PROFILES / f"{name}.conf"
    settings = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            key, _, value = text.partition(" ")
            if not value.strip():
                raise EngineError(f"{path}:{number}: {key} has no value")
            settings[key] = value.strip()
    return settings


def _start(name: str) -> "LazyPySparkResource":
    if name not in ENGINES:
        raise EngineError(f"engine {name!r} is unknown; allowed: {', '.join(ENGINES)}")
    for other in _running:
        raise EngineError(f"this process runs engine {other!r}, so {name!r} cannot start in it; use another process")
    os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    start: Callable[[Mapping[str, str]], LazyPySparkResource]
    if name == "sail":
        from resources.sail import start
    else:
        from resources.jvm import start
    return start(read_profile(name))
