"""Chinese words, by jieba."""

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatbot_assets.languages.segmenters import CharacterSegmenter, RunSegmenter

if TYPE_CHECKING:
    from jieba import Tokenizer
    from opencc import OpenCC

RESULT_LIBRARIES = ["jieba", "OpenCC"]

_SCRIPTS = ("Bopomofo", "Han")


class ChineseSegmenter:
    """The words of a text and, beside them, its characters and pairs of neighbours; keeps ``Segmenter``.

    Traditional texts are cut where their simplified copies are cut, since jieba's dictionary is mostly simplified.
    """

    def __init__(self, characters: bool = True) -> None:
        """Leaves characters and pairs out without ``characters``; jieba's dictionary is loaded once per process."""
        self._jieba, self._simplifier = _jieba(), _simplifier()
        self._pieces = CharacterSegmenter(_SCRIPTS).characters_and_pairs if characters else None
        self._segment = RunSegmenter(_SCRIPTS, self._cut)

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return self._segment(texts)

    def _cut(self, run: str) -> list[str]:
        simplified = self._simplifier.convert(run)
        source = simplified if len(simplified) == len(run) else run
        words, start = [], 0
        for word in self._jieba.cut(source):
            words.append(run[start : start + len(word)])
            start += len(word)
        return words + self._pieces(run) if self._pieces else words


@functools.cache
def _jieba() -> "Tokenizer":
    import jieba

    jieba.setLogLevel(logging.WARNING)
    words = jieba.Tokenizer()
    # Its own way to load would write a cache into the folder for temporary files, and read what another wrote there.
    words.FREQ, words.total = words.gen_pfdict(words.get_dict_file())
    words.initialized = True
    return words


@functools.cache
def _simplifier() -> "OpenCC":
    from opencc import OpenCC

    return OpenCC("t2s")
