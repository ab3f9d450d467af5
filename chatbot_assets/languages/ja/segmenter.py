"""Japanese words, by SudachiPy."""

import functools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from chatbot_assets.languages.segmenters import RunSegmenter

if TYPE_CHECKING:
    from sudachipy import Dictionary

RESULT_LIBRARIES = ["SudachiPy", "SudachiDict-core"]


class JapaneseSegmenter:
    """The words of a text in Sudachi's normal form, by which 起す, 起こす and 起こし are one; keeps ``Segmenter``."""

    def __init__(self, mode: Literal["A", "B", "C"] = "B") -> None:
        """Cuts into short (A), middle (B) or long (C) units; the dictionary is loaded once per process.

        Raises:
            ValueError: when there is no such mode.
        """
        if mode not in ("A", "B", "C"):
            raise ValueError(f"mode {mode!r} is unknown; name one of: A, B, C")
        self._of_thread = _Tokenizers(mode)
        self._segment = RunSegmenter(["Han", "Hiragana", "Katakana"], self._cut)

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return self._segment(texts)

    def _cut(self, run: str) -> list[str]:
        return [morpheme.normalized_form() for morpheme in self._of_thread.tokenizer.tokenize(run)]


class _Tokenizers(threading.local):
    """A tokenizer for each thread: it may not be used by two at once."""

    def __init__(self, mode: str) -> None:
        from sudachipy import SplitMode

        self.tokenizer = _dictionary().tokenizer(mode=getattr(SplitMode, mode))


@functools.cache
def _dictionary() -> "Dictionary":
    from sudachipy import Dictionary

    return Dictionary(dict="core")
