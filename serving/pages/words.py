"""The pages' words in the languages that they speak."""

import functools
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent / "words"


@functools.cache
def words(language: str) -> dict[str, str]:
    """All words of one language by their name."""
    found: dict[str, str] = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return found


@functools.cache
def words_of(page: str, language: str) -> dict[str, Any]:
    """The words that one page has of its own, in groups."""
    found: dict[str, Any] = yaml.safe_load((_FOLDER / page / f"{language}.yaml").read_text(encoding="utf-8"))
    return found
