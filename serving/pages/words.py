"""The pages' words in the languages that they speak."""

import functools
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent / "words"


@functools.cache
def words(language: str) -> dict[str, str]:
    """All words of one language by their name."""
    found: dict[str, str] = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return found
