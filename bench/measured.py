"""Runs a command as a user would, and measures its seconds and the memory of its whole process tree."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resources.metering import TreeMemory


@dataclass(frozen=True)
class Measured:
    """What a finished command printed and took. ``peak_tree_bytes`` is None where there is no ``/proc``."""

    output: str
    seconds: float
    peak_tree_bytes: int | None


def run_measured(command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Measured:
    """Runs a command to its end; its standard error goes to ours.

    Raises:
        RuntimeError: when it fails.
    """
    started = time.monotonic()
    with subprocess.Popen(command, env=dict(env), cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        sampler = TreeMemory(process.pid)
        try:
            output, _ = process.communicate()
        finally:
            peak = sampler.stop()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode} from: {' '.join(command)}")
    return Measured(output, time.monotonic() - started, peak)
