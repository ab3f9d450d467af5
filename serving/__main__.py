"""Runs the chat service on loopback: ``python -m serving --port PORT``."""

import argparse
import logging

import uvicorn

from resources.environment import Home
from serving.address import announced
from serving.app import create_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dagster", help="address of Dagster's UI, for links; none without it")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    home = Home.from_environment()
    app = create_app(home, arguments.dagster)
    with announced(home, f"http://127.0.0.1:{arguments.port}"):
        uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning", server_header=False)


if __name__ == "__main__":
    main()
