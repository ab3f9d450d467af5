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


PARTS = ("review",)
"""Pages with words of their own, which stand below the page's name."""


@functools.cache
def words(language: str) -> dict[str, Any]:
    """All words of one language by their name."""
    found: dict[str, Any] = _read(f"{language}.yaml")
    return found | {part: _read(f"{part}.{language}.yaml") for part in PARTS}


def _read(name: str) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))
    return found
