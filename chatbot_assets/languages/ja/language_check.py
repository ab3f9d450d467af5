"""Telling Japanese from Chinese."""

import re
from collections.abc import Sequence

from chatbot_assets.languages.identification import LanguageIdentification
from chatbot_assets.languages.script import letters_of

_SCRIPTS = ("Han", "Hiragana", "Katakana")
_CHARACTER_SET = "cp932"
"""JIS X 0208 and the characters that Japanese vendors added to it for names."""


class JapaneseCheck:
    """Refuses other scripts, what is Chinese with confidence, and texts of characters that Japan does not write.

    Keeps ``LanguageCheck``. A text with kana is Japanese, and may quote any character.
    """

    def __init__(self, languages: Sequence[str] = ("ja",), confidence: float = 0.8) -> None:
        """Parameters and errors as for ``LanguageIdentification``."""
        kana = letters_of(["Hiragana", "Katakana"])
        self._identified = LanguageIdentification(languages, _SCRIPTS, confidence, own_letters=kana)
        self._kana = re.compile(f"[{kana}]")
        self._han = re.compile(f"[{letters_of(['Han'])}]")

    def __call__(self, text: str) -> bool:
        return self._identified(text) and (self._kana.search(text) is not None or self._is_writable(text))

    def _is_writable(self, text: str) -> bool:
        return all(character.encode(_CHARACTER_SET, "ignore") for character in self._han.findall(text))
