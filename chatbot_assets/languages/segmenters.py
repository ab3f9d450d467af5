"""Segmenters that need no dictionary, and what the others are made of; each keeps the ``Segmenter`` contract."""

import itertools
import re
from collections.abc import Callable, Sequence

from chatbot_assets.languages.script import EMOJI, letters_of

EMOJI_TOKEN = f"[{EMOJI}](?:[\U0001f3fb-\U0001f3ff]|\u200d[{EMOJI}])*"
"""A regular expression for one emoji with all that belongs to it."""

_MARKS = "\u0300-\u036f\u3099\u309a\u0e31\u0e33-\u0e3a\u0e47-\u0e4e"


class WordSegmenter:
    """Words, numbers and emoji, for languages that put spaces between words or syllables."""

    def __init__(self) -> None:
        self._token = re.compile(rf"[^\W_]+(?:'[^\W_]+)*|{EMOJI_TOKEN}")

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._token.findall(text) for text in texts]


class RunSegmenter:
    """Cuts each run of a language's own script by a function; words of other scripts, numbers and emoji stay whole."""

    def __init__(self, scripts: Sequence[str], cut: Callable[[str], Sequence[str]]) -> None:
        """``cut`` is given runs of letters of ``scripts``, with their vowel and tone marks, and gives their tokens.

        Raises:
            ValueError: when a script is unknown.
        """
        own = letters_of(scripts)
        self._run = re.compile(rf"((?:[{own}][{_MARKS}]*)+)|(?:(?![{own}])[^\W_])+|{EMOJI_TOKEN}")
        self._cut = cut

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._tokens(text) for text in texts]

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = []
        for run in self._run.finditer(text):
            tokens += [run[0]] if run[1] is None else self._cut(run[1])
        return tokens


class CharacterSegmenter:
    """Single characters and pairs of neighbours, for languages that put no spaces between words.

    A character keeps its vowel and tone marks. Words of other scripts, numbers and emoji stay whole.
    """

    def __init__(self, scripts: Sequence[str]) -> None:
        """Characters of ``scripts`` are cut, all others are not.

        Raises:
            ValueError: when a script is unknown.
        """
        self._character = re.compile(f"[{letters_of(scripts)}][{_MARKS}]*")
        self._segment = RunSegmenter(scripts, self.characters_and_pairs)

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return self._segment(texts)

    def characters_and_pairs(self, run: str) -> list[str]:
        """The tokens of one run of letters."""
        characters = self._character.findall(run)
        return characters + [first + second for first, second in itertools.pairwise(characters)]
