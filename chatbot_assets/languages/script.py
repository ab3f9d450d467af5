"""What languages share in their writing: the same character always written the same way, and which script it is of.

A normaliser is ``plain``, then what its language needs, then ``settled``.
"""

import re
import unicodedata
from collections.abc import Sequence

SCRIPTS: dict[str, str] = {
    "Bopomofo": "\u3105-\u312f\u31a0-\u31bf",
    "Han": "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Hangul": "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb\uffa1-\uffdc",
    "Hiragana": "\u3041-\u3096\u3099-\u309f",
    "Katakana": "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "Latin": "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
}
"""The letters and marks of each script, as the inside of a regular expression's character class."""

EMOJI = "\u2190-\u2bff\u3030\u303d\U0001f000-\U0001faff"
"""Emoji and the pictographs and symbols around them, as the inside of a character class."""

INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b\u200c\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""A character that is not seen: control characters, zero widths, directions, variation selectors, half characters."""
_STRAY_JOINER = re.compile(f"(?<![{EMOJI}])\u200d|\u200d(?![{EMOJI}])")
_SPACE = re.compile(r"\s+")
# A whole Latin word of three equal letters stands for something ("www"), and numerals must not lose digits.
_REPEATED = re.compile(r"\b([a-z])\1\1\b|([^\s\d〇一二三四五六七八九十])\2\2+")


def _one_width() -> dict[int, str]:
    quotes = dict.fromkeys("‘’‚‛′´`", "'") | dict.fromkeys("“”„‟″", '"')
    table = {ord(sign): plain for sign, plain in quotes.items()} | {0x2026: "...", 0xFFA0: ""}
    for code in range(0xFF01, 0xFFEF):
        kind, _, point = unicodedata.decomposition(chr(code)).partition(" ")
        if kind in ("<wide>", "<narrow>") and code != 0xFFA0:
            sign = chr(int(point, 16))
            table[code] = quotes.get(sign, sign)
    return table


_ONE_WIDTH = _one_width()


def plain(text: str) -> str:
    """Lower case, one width for each character, straight quotes, nothing invisible, single spaces; emoji stay.

    Unlike NFKC it touches no character that differs in more than its width, such as ``ㅋ``, ``①`` or ``㎡``.
    """
    text = unicodedata.normalize("NFC", text)
    if not text.isascii():
        text = text.translate(_ONE_WIDTH)
    text = INVISIBLE.sub("", text)
    if "\u200d" in text:
        text = _STRAY_JOINER.sub("", text)
    return unicodedata.normalize("NFC", _SPACE.sub(" ", text.lower()).strip())


def settled(text: str) -> str:
    """NFC, with each character (not digit) that stands three or more times in a row kept twice."""
    text = unicodedata.normalize("NFC", text)
    return unicodedata.normalize("NFC", _REPEATED.sub(lambda run: run[0] if run[1] else run[2] * 2, text))


def letters_of(scripts: Sequence[str]) -> str:
    """The letters of several scripts, as the inside of a character class.

    Raises:
        ValueError: when a script has no entry in ``SCRIPTS``.
    """
    unknown = [script for script in scripts if script not in SCRIPTS]
    if unknown or not scripts:
        raise ValueError(f"scripts {unknown} are unknown; name at least one of: {', '.join(SCRIPTS)}")
    return "".join(SCRIPTS[script] for script in scripts)


_LATIN = re.compile(f"[{SCRIPTS['Latin']}]")
_LATIN_WORD = re.compile(f"[{SCRIPTS['Latin']}](?=[{SCRIPTS['Latin']}])[^\\s]*")


class ScriptCheck:
    """Accepts a text when enough of its letters are of the language's scripts; keeps ``LanguageCheck``.

    A few Latin words are at home in every language (``ok``, ``iphone 15``, a name). It cannot tell languages of one
    script apart: see ``identification``.
    """

    def __init__(self, scripts: Sequence[str], minimum_share: float = 0.05, latin_words: int = 2) -> None:
        """At least one letter must be of ``scripts``, and at least ``minimum_share`` of them.

        A text with Latin letters alone passes with up to ``latin_words`` words of two letters and more.

        Raises:
            ValueError: when a script is unknown, the share is not between 0 and 1, or the number is negative.
        """
        if not 0 <= minimum_share <= 1:
            raise ValueError(f"minimum_share is {minimum_share}; it must be from 0 to 1")
        if latin_words < 0:
            raise ValueError(f"latin_words is {latin_words}; it must be 0 or more")
        self._expected = re.compile(f"[{letters_of(scripts)}]")
        self._minimum_share = minimum_share
        self._latin_words = latin_words

    def __call__(self, text: str) -> bool:
        letters = [letter for letter in text if letter.isalpha()]
        expected = sum(self._expected.match(letter) is not None for letter in letters)
        if expected:
            return expected >= self._minimum_share * len(letters)
        return all(map(_LATIN.match, letters)) and len(_LATIN_WORD.findall(text)) <= self._latin_words
