"""The Spark engines behind one DataFrame API. Today: ``sail``, a Spark Connect server in this process, no JVM."""

import atexit
import logging
import os
from typing import TYPE_CHECKING

import dagster as dg

from resources.environment import PROJECT

if TYPE_CHECKING:
    from dagster_pyspark import LazyPySparkResource
    from pyspark.sql import SparkSession

PROFILES = PROJECT / "spark_conf"

_sessions: dict[str, "LazyPySparkResource"] = {}


class SparkEngine(dg.ConfigurableResource[None]):
    """Gives the Spark session of an engine, started when first asked for and kept for the life of the process."""

    engine: str = "sail"

    @property
    def session(self) -> "SparkSession":
        """The session.

        Raises:
            ValueError: when the engine is unknown.
        """
        if self.engine not in _sessions:
            _sessions[self.engine] = _start(self.engine)
        session: SparkSession = _sessions[self.engine].spark_session
        return session


def read_profile(name: str) -> dict[str, str]:
    """The settings of ``spark_conf/<name>.conf``: a key, blanks and a value on each line, ``#`` for comments.

    Raises:
        ValueError: when there is no such profile or a line has no value.
    """
    path = PROFILES / f"{name}.conf"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in PROFILES.glob("*.conf")))
        raise ValueError(f"engine {name!r} is unknown; allowed: {known}")
    settings = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if text:
            key, _, value = text.partition(" ")
            if not value.strip():
                raise ValueError(f"{path}:{number}: {key} has no value")
            settings[key] = value.strip()
    return settings


def _start(engine: str) -> "LazyPySparkResource":
    profile = read_profile(engine)
    # Read by Sail's logger when its library is loaded; its lines belong in no user's terminal.
    os.environ.setdefault("RUST_LOG", "error")
    os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    logging.getLogger("pyspark").setLevel(logging.ERROR)
    from dagster_pyspark import LazyPySparkResource
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    resource = LazyPySparkResource(spark_config={"spark.remote": f"sc://127.0.0.1:{port}"})
    for key, value in profile.items():
        resource.spark_session.conf.set(key, value)
    atexit.register(_stop, resource, server)
    return resource


def _stop(resource: "LazyPySparkResource", server: object) -> None:
    resource.spark_session.stop()
    server.stop()  # type: ignore[attr-defined]
