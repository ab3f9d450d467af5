"""Segmenters that need no dictionary; each keeps the ``Segmenter`` contract."""

import itertools
import re
from collections.abc import Sequence

from chatbot_assets.languages.script import EMOJI, letters_of

_EMOJI_TOKEN = f"[{EMOJI}](?:[\U0001f3fb-\U0001f3ff]|\u200d[{EMOJI}])*"
_MARKS = "\u0300-\u036f\u3099\u309a\u0e31\u0e33-\u0e3a\u0e47-\u0e4e"


class WordSegmenter:
    """Words, numbers and emoji, for languages that put spaces between words or syllables."""

    def __init__(self) -> None:
        self._token = re.compile(rf"[^\W_]+(?:'[^\W_]+)*|{_EMOJI_TOKEN}")

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._token.findall(text) for text in texts]


class CharacterSegmenter:
    """Single characters and pairs of neighbours, for languages that put no spaces between words.

    A character keeps its vowel and tone marks. Words of other scripts, numbers and emoji stay whole.
    """

    def __init__(self, scripts: Sequence[str]) -> None:
        """Characters of ``scripts`` are cut, all others are not.

        Raises:
            ValueError: when a script is unknown.
        """
        own = letters_of(scripts)
        self._character = re.compile(f"[{own}][{_MARKS}]*")
        self._run = re.compile(rf"((?:[{own}][{_MARKS}]*)+)|(?:(?![{own}])[^\W_])+|{_EMOJI_TOKEN}")

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._tokens(text) for text in texts]

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = []
        for run in self._run.finditer(text):
            if run[1] is None:
                tokens.append(run[0])
                continue
            characters = self._character.findall(run[1])
            tokens += characters
            tokens += [first + second for first, second in itertools.pairwise(characters)]
        return tokens
