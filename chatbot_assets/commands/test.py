"""``test``: runs the test suite, on two processes unless told otherwise."""

import subprocess
import sys
from collections.abc import Sequence

from resources.environment import PROJECT

PARALLEL = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Two processes suit a small machine; the tests of a file share what is costly to start.

In the order of the folders the many short files come last, so that neither process waits for the other at the end.
"""


def run(arguments: Sequence[str]) -> int:
    """Runs pytest with arguments in the project's folder; gives its exit status."""
    chosen = any(argument.startswith(("-n", "--numprocesses")) for argument in arguments)
    command = [sys.executable, "-m", "pytest", *(() if chosen else PARALLEL), *arguments]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode
