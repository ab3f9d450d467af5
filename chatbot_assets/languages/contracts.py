"""What a language's modules must do. A module is any callable that keeps its contract, also one of the user's own."""

from collections.abc import Sequence
from typing import Protocol


class Normaliser(Protocol):
    """Gives texts that mean the same the same form."""

    def __call__(self, text: str) -> str:
        """The text in NFC without control characters, ``""`` when nothing is left; idempotent."""


class Segmenter(Protocol):
    """Cuts normalised texts into the tokens that tell intents apart."""

    def __call__(self, texts: Sequence[str]) -> list[list[str]]:
        """One list of tokens a text, none of them empty; the same text always gives the same tokens."""


class LanguageCheck(Protocol):
    """Tells texts of a language from those that can only be of another."""

    def __call__(self, text: str) -> bool:
        """Whether the text can be of this language; a text without letters can be of any."""
