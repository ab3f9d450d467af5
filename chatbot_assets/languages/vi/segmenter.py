"""Vietnamese words, by pyvi."""

import functools
import re
import threading
from collections.abc import Callable, Sequence

from chatbot_assets.languages.segmenters import EMOJI_TOKEN

RESULT_LIBRARIES = ["pyvi", "python-crfsuite"]

_PIECE = re.compile(rf"[^\W_]+|{EMOJI_TOKEN}|[^\w\s]")
_TOKEN = re.compile(rf"[^\W_]|{EMOJI_TOKEN}")
_INSIDE = "I_W"
"""The label that pyvi's model gives to a syllable that continues a word."""


class VietnameseSegmenter:
    """Words of one or more syllables (``phòng ngủ``), numbers and emoji; keeps ``Segmenter``."""

    def __init__(self) -> None:
        """Loads pyvi's model, once per process."""
        self._of_thread = _Taggers()

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._words(text) for text in texts]

    def _words(self, text: str) -> list[str]:
        pieces = _PIECE.findall(text)
        if not pieces:
            return []
        words: list[str] = []
        may_continue = False
        for piece, label in zip(pieces, self._of_thread.labels(pieces), strict=True):
            if may_continue and label == _INSIDE and piece.isalpha():
                words[-1] += f" {piece}"
            elif _TOKEN.match(piece):
                words.append(piece)
            may_continue = piece.isalpha()
        return words


class _Taggers(threading.local):
    """A tagger for each thread: it holds the text that it is at."""

    def __init__(self) -> None:
        from pycrfsuite import Tagger

        model, self._features = _model()
        self._tagger = Tagger()
        self._tagger.open_inmemory(model)

    def labels(self, pieces: list[str]) -> list[str]:
        """The label of each piece of one text."""
        labels: list[str] = self._tagger.tag(self._features(pieces, False))
        return labels


@functools.cache
def _model() -> tuple[bytes, Callable[[list[str], bool], list[dict[str, object]]]]:
    """The bytes of pyvi's model, and the function that gives the features it was trained on."""
    from pathlib import Path

    from pyvi.ViTokenizer import ViTokenizer

    file = ViTokenizer.model.modelfile
    model = Path(file.name).read_bytes()
    file.cleanup()  # pyvi keeps a copy among the temporary files
    return model, ViTokenizer.sent2features
