"""Runs a command as a user would, and measures its seconds and the memory of its whole process tree."""

import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.metering import TreeMemory


@dataclass(frozen=True)
class Measured:
    """What a finished command printed and took.

    ``cpu_seconds`` is what it and the processes that it waited for computed: other work on the machine counts little
    there. ``peak_tree_bytes`` is None where there is no ``/proc``.
    """

    output: str
    seconds: float
    cpu_seconds: float
    peak_tree_bytes: int | None


def run_measured(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Measured:
    """Runs a command to its end; its standard error goes to ours.

    Raises:
        RuntimeError: when it fails.
    """
    started, before = time.monotonic(), _cpu_seconds_of_children()
    with subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        sampler = TreeMemory(process.pid)
        try:
            output, _ = process.communicate()
        finally:
            peak = sampler.stop()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode} from: {' '.join(command)}")
    return Measured(output, time.monotonic() - started, _cpu_seconds_of_children() - before, peak)


def _cpu_seconds_of_children() -> float:
    """Of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
