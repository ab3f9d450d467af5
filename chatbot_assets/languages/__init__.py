"""The languages: one folder each, with its default parameters and, where it needs its own, its modules.

A folder is a language when it holds a ``defaults.yaml``; its name is the key of a bot's ``language:``.
"""

import copy
import functools
from pathlib import Path
from typing import Any

import yaml

from resources.remembered import Remembered, fingerprint

_FOLDER = Path(__file__).parent

LANGUAGES: tuple[str, ...] = tuple(sorted(path.parent.name for path in _FOLDER.glob("*/defaults.yaml")))


def language_defaults(key: str) -> dict[str, Any]:
    """A language's default parameters, as a copy that the caller may change.

    Raises:
        ValueError: when there is no such language; the one line names those that there are.
    """
    if key not in LANGUAGES:
        raise ValueError(f"language {key!r} is unknown; allowed: {', '.join(LANGUAGES)}")
    file = defaults_file(key)
    return copy.deepcopy(_defaults.get(key, fingerprint(file), lambda: _read(file)))


@functools.cache
def defaults_file(key: str) -> Path:
    """Where a language's default parameters stand."""
    return _FOLDER / key / "defaults.yaml"


_defaults: Remembered[dict[str, Any]] = Remembered()


def _read(file: Path) -> dict[str, Any]:
    defaults: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return defaults
