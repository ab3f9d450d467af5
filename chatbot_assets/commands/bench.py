"""``bench``: runs one of the benchmarks in ``bench/`` in a process of its own."""

import subprocess
import sys
from collections.abc import Sequence

from bench import BENCHMARKS
from chatbot_assets.commands import UserError


def run(name: str, arguments: Sequence[str]) -> int:
    """Runs a benchmark with its own arguments; gives its exit status.

    Raises:
        UserError: when there is none of that name.
    """
    if name not in BENCHMARKS:
        known = ", ".join(f"{known} ({what})" for known, what in BENCHMARKS.items())
        raise UserError(f"there is no benchmark {name!r}; there are: {known}")
    return subprocess.run([sys.executable, "-m", f"bench.{name}", *arguments], check=False).returncode
