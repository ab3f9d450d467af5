"""Starts the engine ``local``: Apache Spark on a JVM of this process's own, with Delta, reached over loopback."""

import atexit
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from resources.environment import PROJECT, Home
from resources.jars import require_jars
from resources.java import EngineError, require_java

if TYPE_CHECKING:
    from dagster_pyspark import LazyPySparkResource
    from pyspark.sql import SparkSession


def start(profile: Mapping[str, str]) -> "LazyPySparkResource":
    """The resource with a session that has the profile's settings; stopped, and its files removed, at the end.

    What the JVM prints goes to ``logs/spark.log`` of the home.

    Raises:
        EngineError: when Java or a jar is missing, or the JVM does not start.
    """
    require_java()
    jars = require_jars()
    logging.getLogger("pyspark").setLevel(logging.ERROR)
    logging.getLogger("py4j").setLevel(logging.ERROR)
    import pyspark
    from dagster_pyspark import LazyPySparkResource
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway

    log = Home.from_environment().logs / "spark.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="chatbot-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # PySpark's own jars and our settings, whatever other Spark the user's shell or a parent process is set up for.
    for name in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED", "SPARK_API_MODE"):
        os.environ.pop(name, None)
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    os.environ["SPARK_CONF_DIR"] = str(PROJECT / "spark_conf")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        **profile,
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    with open(log, "ab") as output:
        try:
            gateway = launch_gateway(conf, {"stdout": output, "stderr": output})  # type: ignore[no-untyped-call]
            SparkContext(conf=conf, gateway=gateway)
        except (PySparkException, Py4JError, OSError) as error:
            raise EngineError(f"Spark's JVM did not start; {log} says why") from error
    resource = LazyPySparkResource(spark_config=settings)
    atexit.register(resource.spark_session.stop)
    return resource


def share_import_path(session: "SparkSession") -> None:
    """Lets the Python processes of the JVM import what this one can; also folders added since they were started."""
    session.sparkContext.environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
