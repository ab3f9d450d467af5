"""Runs the chat service on loopback: ``python -m serving --port PORT``."""

import argparse
import logging

import uvicorn

from resources.environment import Home
from serving.app import create_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.run(create_app(Home.from_environment()), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
