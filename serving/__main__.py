"""Runs the chat service on loopback: ``python -m serving --port PORT [--workers N]``."""

import argparse
import os
import signal
import sys
from tempfile import TemporaryDirectory

import uvicorn

from resources.environment import Home
from serving.address import announced
from serving.app import DAGSTER_URL
from serving.logs import log_as_json
from serving.memory import MEMORY_MB, budget
from serving.metrics import FOLDER
from serving.writer import writing_beside

STOP_SECONDS = 15
"""How long requests that were taken are waited for when the service is told to stop."""
BACKLOG = 2_048
"""Connections that wait to be taken at most; those beyond are refused by the system."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--workers", type=int, default=1, help="processes, which share the memory for bots evenly (default 1)"
    )
    parser.add_argument("--dagster", help="address of Dagster's UI, for links; none without it")
    arguments = parser.parse_args()
    if arguments.workers < 1:
        parser.error("--workers must be 1 or more")
    try:
        os.environ[MEMORY_MB] = str(budget() / 1e6 / arguments.workers)
    except ValueError as error:
        parser.error(str(error))
    if arguments.dagster:
        os.environ[DAGSTER_URL] = arguments.dagster
    log_as_json()
    # The server raises the signal that ended it once more when it is done: what is below has to be left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = Home.from_environment()
    address = f"http://127.0.0.1:{arguments.port}"
    with TemporaryDirectory(prefix="chatbot-metrics-") as shared, announced(home, address):
        os.environ[FOLDER] = shared
        with writing_beside(home):
            _serve(arguments.port, arguments.workers)


def _serve(port: int, workers: int) -> None:
    uvicorn.run(
        "serving.app:service",
        factory=True,
        host="127.0.0.1",
        port=port,
        workers=workers,
        backlog=BACKLOG,
        log_config=None,  # each process logs as JSON
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


if __name__ == "__main__":
    main()
