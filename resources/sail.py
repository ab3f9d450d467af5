"""Starts the engine ``sail``: a Spark Connect server in this process, on a free loopback port, without a JVM."""

import atexit
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagster_pyspark import LazyPySparkResource


def start(profile: Mapping[str, str]) -> "LazyPySparkResource":
    """The resource with a session that has the profile's settings; stopped when the process ends."""
    # Read by Sail's logger when its library is loaded; its lines belong in no user's terminal.
    os.environ.setdefault("RUST_LOG", "error")
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
