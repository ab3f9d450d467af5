"""The pages' words in the languages that they speak, chosen by what the browser asks for."""

import functools
from pathlib import Path
from typing import Any

import yaml

SPOKEN = ("en", "ko")
"""The first one is spoken to whoever asks for none of them."""
_FOLDER = Path(__file__).parent / "words"


def chosen_language(accept_language: str) -> str:
    """The spoken language that an ``Accept-Language`` header (RFC 9110, section 12.5.4) likes best."""
    best, weight = SPOKEN[0], 0.0
    for part in accept_language.split(","):
        tag, _, quality = part.partition(";q=")
        language = tag.strip().partition("-")[0].lower()
        try:
            liked = float(quality or 1)
        except ValueError:
            continue
        if language in SPOKEN and liked > weight:
            best, weight = language, liked
    return best


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
