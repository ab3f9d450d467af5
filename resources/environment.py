"""Where things are: the home folder, the bot files, the landing folders, and which code is running."""

import functools
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SERVICE_URL = "CHATBOT_SERVICE_URL"
"""The environment variable that tells a refresh where the chat service answers, for a link to its start page."""


@dataclass(frozen=True)
class Home:
    """The platform's folders. State is below ``root``; ``bots`` holds the YAML files."""

    root: Path
    bots: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Reads ``CHATBOT_HOME`` (default ``.chatbot``) and ``CHATBOT_BOTS`` (default ``bots``), beside the code."""
        return cls(
            Path(os.environ.get("CHATBOT_HOME") or PROJECT / ".chatbot").absolute(),
            Path(os.environ.get("CHATBOT_BOTS") or PROJECT / "bots").absolute(),
        )

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def journal(self) -> Path:
        """The chat service's write-ahead log: turns on their way to the table ``conversations``."""
        return self.root / "journal"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def landing(self, key: str) -> Path:
        """The folder whose files become the bot's dialogues."""
        return self.root / "landing" / key


@functools.cache
def code_revision() -> str:
    """The git commit of the running code (``+changed`` with local edits), or a hash of its sources without git."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
        return commit + ("+changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        digest = hashlib.sha256()
        for package in ("chatbot_assets", "resources", "serving"):
            for path in sorted((PROJECT / package).rglob("*.py")):
                digest.update(path.relative_to(PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        return f"source-{digest.hexdigest()[:40]}"


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
