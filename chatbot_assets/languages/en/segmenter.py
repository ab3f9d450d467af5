"""English words as light stems."""

import re
from collections.abc import Sequence

from chatbot_assets.languages.segmenters import WordSegmenter

_VOWEL = re.compile("[aeiouy]")


class EnglishSegmenter:
    """Words without possessives, plurals, ``-ing``, ``-ed`` and a last ``e``; keeps ``Segmenter``.

    The stems need not be words, only equal for the forms of one word (``charge``, ``charged``: ``charg``).
    """

    def __init__(self, stem: bool = True) -> None:
        self._words = WordSegmenter()
        self._stem = stem

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        words = ([word.removesuffix("'s") for word in tokens] for tokens in self._words(texts))
        return [[stemmed(word) for word in tokens] if self._stem else tokens for tokens in words]


def stemmed(word: str) -> str:
    """The light stem of a lower-case word; words of three letters or fewer, or with other signs, are their own."""
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    word = _without_participle(_without_plural(word))
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_participle(word: str) -> str:
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and _VOWEL.search(stem):
            return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem
    return word
