"""Runs a command as a user would, and measures its seconds and its memory; tells a process's memory apart."""

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


def memory(pid: int) -> dict[str, float]:
    """Megabytes of a process: ``own`` belongs to it alone, ``mapped`` are files' pages that processes share."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kilobytes = {line[0].rstrip(":"): int(line[1]) for line in lines}
    own = kilobytes["Anonymous"]
    return {"own_mb": round(own / 1e3, 1), "mapped_mb": round((kilobytes["Rss"] - own) / 1e3, 1)}


def _cpu_seconds_of_children() -> float:
    """Of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
