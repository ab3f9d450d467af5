"""The languages: one folder each, with its default parameters and, where it needs its own, its modules.

A folder is a language when it holds a ``defaults.yaml``; its name is the key of a bot's ``language:``.
"""

import copy
import functools
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent

LANGUAGES: tuple[str, ...] = tuple(sorted(path.parent.name for path in _FOLDER.glob("*/defaults.yaml")))


def language_defaults(key: str) -> dict[str, Any]:
    """A language's default parameters, as a copy that the caller may change.

    Raises:
        ValueError: when there is no such language; the one line names those that there are.
    """
    if key not in LANGUAGES:
        raise ValueError(f"language {key!r} is unknown; allowed: {', '.join(LANGUAGES)}")
    return copy.deepcopy(_read(key))


@functools.cache
def _read(key: str) -> dict[str, Any]:
    defaults: dict[str, Any] = yaml.safe_load((_FOLDER / key / "defaults.yaml").read_text(encoding="utf-8"))
    return defaults
