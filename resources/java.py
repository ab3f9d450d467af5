"""The Java that JVM engines run on: where it is, and whether it is new enough."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass

JAVA_MAJOR = 17
"""The oldest Java that Spark 4 runs on."""


class EngineError(RuntimeError):
    """An engine that cannot be used here; its text is one line that says what to do."""


@dataclass(frozen=True)
class Java:
    """A Java runtime: its program, and its version as it tells it."""

    program: str
    version: str

    @property
    def major(self) -> int:
        """17 for ``17.0.15``, and 8 for the ``1.8.0_392`` of old; 0 when it says nothing like a version."""
        found = re.match(r"(?:1\.)?(\d+)", self.version)
        return int(found[1]) if found else 0


def find_java() -> Java | None:
    """The Java that Spark would start: the one in ``JAVA_HOME``, else the one on the ``PATH``; None without any."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which(os.path.join(home, "bin", "java") if home else "java")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    quoted = re.search(r'version "([^"]+)"', said.stderr + said.stdout)
    return Java(program, quoted[1] if quoted else "")


def require_java() -> Java:
    """The Java to use.

    Raises:
        EngineError: when there is none, or none that is new enough.
    """
    java = find_java()
    home = os.environ.get("JAVA_HOME")
    if java is None:
        where = f"JAVA_HOME ({home}) holds none that runs" if home else "there is none on the PATH"
        raise EngineError(
            f"engine 'local' needs Java {JAVA_MAJOR} or newer, and {where}; install one "
            f"(Debian: apt-get install openjdk-{JAVA_MAJOR}-jre-headless), or use --engine sail"
        )
    if java.major < JAVA_MAJOR:
        found = f"{java.program} is {java.version or 'of no version'}"
        raise EngineError(
            f"engine 'local' needs Java {JAVA_MAJOR} or newer, and {found}; "
            "install a newer one or let JAVA_HOME name it, or use --engine sail"
        )
    return java
