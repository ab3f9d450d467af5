"""How much memory a process of the service may use for its bots, and what one bot takes."""

import math
import os
from pathlib import Path

from chatbot_assets.train.known_texts import ARRAYS

MEMORY_MB = "CHATBOT_SERVING_MEMORY_MB"
"""The environment variable that says how many megabytes the bots of one process may take together."""

BASE_BYTES = 300_000
"""What a bot takes beside its model: its deployment's record and its modules' state.

Measured with 30 further bots whose models have 1.9 MB: each made 3.3 MB more resident, and without this
:func:`weight` says 3.0 MB.
"""
HALVES = Path("known") / ARRAYS
"""The file of a model whose numbers are stored in two bytes and computed with in four: the vectors of its texts."""


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
    """Bytes of memory that a model takes once it is loaded, those included that are mapped from its files.

    Texts, answers and the index of questions are mapped, the intents' weights are read as they are, and ``HALVES``
    takes twice its size. Measured, as what a further model makes resident, with 6 to 60 of them in one process: 27.1 MB
    for 10,000 labelled texts (all but 0.5 MB the process's own), 2.4 MB for 300 of them, and 0.4 MB, all of it mapped,
    for 300 questions. Estimated without ``BASE_BYTES`` are 27.7, 2.5 and 0.4 MB.
    """
    sizes = {path.relative_to(folder): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return BASE_BYTES + sum(sizes.values()) + sizes.get(HALVES, 0)
