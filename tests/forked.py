"""Processes of their own at a fraction of what a new interpreter costs.

They are forked from a server that has imported everything and started nothing.
"""

import functools
import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

from resources.environment import PROJECT

SECONDS = 240
"""What a process may take on a machine that is shared."""
_starting = threading.Lock()


def context() -> ForkServerContext:
    """Where processes are made; the server starts with the first call."""
    with _starting:
        return _context()


@functools.cache
def _context() -> ForkServerContext:
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["warm"])
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # the server looks for modules nowhere else
    try:
        forkserver.ensure_running()
    finally:
        os.environ["PYTHONPATH"] = before
    return found


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    output: str
    errors: str


def command(*arguments: str, environment: Mapping[str, str]) -> Ended:
    """Runs a command of the platform with these arguments and environment, as ``./chatbot`` does."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        process = context().Process(target=_command, args=(arguments, dict(environment), output, errors))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{' '.join(arguments)} was not over after {SECONDS} s")
        return Ended(process.exitcode, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8"))


def _command(arguments: tuple[str, ...], environment: dict[str, str], output: Path, errors: Path) -> None:
    for path, stream in ((output, sys.stdout), (errors, sys.stderr)):
        with open(path, "wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.chdir(PROJECT)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.argv[1:] = arguments
    from chatbot_assets.cli import entry_point

    entry_point()
