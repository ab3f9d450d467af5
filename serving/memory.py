"""How much memory a process of the service may use for its bots, and what one bot takes."""

import math
import os
from pathlib import Path

MEMORY_MB = "CHATBOT_SERVING_MEMORY_MB"
"""The environment variable that says how many megabytes the bots of one process may take together."""

BASE_BYTES, BYTES_PER_FILE_BYTE = 1_000_000, 1.7
"""Vectors are stored in float16 and computed with in float32, and texts become Python's strings. Measured: 27 MB more
resident memory for each further bot whose files have 15.9 MB."""


def budget() -> int:
    """Bytes that the loaded bots may take together: what the environment says, or half of the machine's memory.

    Raises:
        ValueError: when the environment says no positive number.
    """
    said = os.environ.get(MEMORY_MB)
    if not said:
        return half_of_the_machine()
    try:
        megabytes = float(said)
    except ValueError:
        megabytes = 0.0
    if not 0 < megabytes < math.inf:
        raise ValueError(f"{MEMORY_MB} is {said!r}; give a number of megabytes above 0, for instance 2000")
    return int(megabytes * 1e6)


def half_of_the_machine() -> int:
    """Half of the machine's memory, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def weight(folder: Path) -> int:
    """Bytes of memory that a model takes once it is loaded, estimated from the size of its files."""
    return BASE_BYTES + int(
        BYTES_PER_FILE_BYTE * sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    )
