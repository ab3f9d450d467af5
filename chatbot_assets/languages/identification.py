"""Telling languages of one script apart."""

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatbot_assets.languages.script import ScriptCheck

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

RESULT_LIBRARIES = ["py3langid"]

_NO_LANGUAGE = "zxx"


class LanguageIdentification:
    """Refuses a text that is of other scripts or, with confidence, of another language; keeps ``LanguageCheck``.

    What is too short or too mixed to be sure of passes: the probabilities are scaled by the text's length.
    """

    def __init__(
        self,
        languages: Sequence[str],
        scripts: Sequence[str],
        confidence: float = 0.8,
        own_letters: str = "",
        minimum_share: float = 0.05,
        latin_words: int = 2,
    ) -> None:
        """Refuses what py3langid gives another language than ``languages`` (ISO 639 codes) with this probability.

        A text with one of ``own_letters``, the inside of a character class, is of the language whatever else it holds.
        The other parameters are those of ``ScriptCheck``.

        Raises:
            ValueError: when a language or a script is unknown, or a number makes no sense.
        """
        if not 0.5 <= confidence <= 1:
            raise ValueError(f"confidence is {confidence}; it must be from 0.5 to 1")
        self._identifier = _identifier()
        unknown = sorted(set(languages) - set(self._identifier.labels))
        if unknown or not languages:
            raise ValueError(f"languages {unknown} are unknown; name at least one by its ISO 639 code, as in: en, vi")
        self._languages = {*languages, _NO_LANGUAGE}
        self._confidence = confidence
        self._own_letter = re.compile(f"[{own_letters}]" if own_letters else r"(?!)")
        self._has_script = ScriptCheck(scripts, minimum_share, latin_words)

    def __call__(self, text: str) -> bool:
        if not self._has_script(text):
            return False
        if self._own_letter.search(text):
            return True
        language, probability = self._identifier.classify(text)
        return language in self._languages or probability < self._confidence


@functools.cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
