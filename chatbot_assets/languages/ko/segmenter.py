"""Korean morphemes, by Kiwi."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kiwipiepy import Kiwi

RESULT_LIBRARIES = ["kiwipiepy", "kiwipiepy_model"]


class KoreanSegmenter:
    """The forms of a text's morphemes, verbs as their stems; keeps ``Segmenter``.

    Verb endings and punctuation are left out by default: they tell how something is said rather than what is wanted.
    Particles stay: leaving them out gained nothing.
    """

    def __init__(self, ignore: Sequence[str] = ("E", "SF", "SP", "SS", "SE", "SO")) -> None:
        """Leaves out the morphemes whose Kiwi tag starts with one of ``ignore``; Kiwi is loaded once per process."""
        self._ignore = tuple(ignore)
        self._kiwi = _kiwi()

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        return [self._forms(text) for text in texts]

    def _forms(self, text: str) -> list[str]:
        # One text a call is as fast as many; given many, Kiwi uses a thread of its own and hangs in a forked process.
        morphemes = self._kiwi.tokenize(text, compatible_jamo=True)
        return [morpheme.form for morpheme in morphemes if not morpheme.tag.startswith(self._ignore)]


@functools.cache
def _kiwi() -> "Kiwi":
    from kiwipiepy import Kiwi  # takes seconds and 300 MB

    # Without the dictionaries of typing errors and of several-word names it loads in half the time, equally accurate.
    kiwi = Kiwi(num_workers=1, load_typo_dict=False, load_multi_dict=False)
    kiwi.tokenize("가")  # the half of its loading that it leaves for the first text
    return kiwi
