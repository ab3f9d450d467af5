"""Small JSON files, one for each matter, beside a bot's tables or in the home: they outlive Dagster's database."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any] | None:
    """What a file holds; None when there is none, or when it holds no object (nobody can say then what it meant)."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write(path: Path, data: Mapping[str, Any]) -> None:
    """Writes a file, whole or not at all; of several threads and processes that write it one is the last.

    Raises:
        OSError: when it cannot be written; what was there before stays.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
