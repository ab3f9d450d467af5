"""One form for Thai as people type it."""

import re

from chatbot_assets.languages.script import plain, settled

_INNER_SPACE = re.compile("(?<=[\u0e01-\u0e3a\u0e40-\u0e4e]) (?=[\u0e01-\u0e3a\u0e40-\u0e4e])")
_DIGITS = {ord(thai): ascii_digit for thai, ascii_digit in zip("๐๑๒๓๔๕๖๗๘๙", "0123456789", strict=True)}

_AA, _AM, _NIKHAHIT = "\u0e32", "\u0e33", "\u0e4d"
# A single mark has no order and is not repeated.
_MARKS = re.compile("[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e](?:[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e]+\u0e32*|\u0e32+)")
_MARK_ORDER = "\u0e3a\u0e38\u0e39\u0e31\u0e34\u0e35\u0e36\u0e37\u0e47\u0e48\u0e49\u0e4a\u0e4b\u0e4c\u0e4d\u0e4e"
_DOUBLE_E = re.compile("[\u0e40\u0e41]{2,}")
_LONG_VOWEL = re.compile("([\u0e30\u0e32\u0e42-\u0e45])\\1+")


class ThaiNormaliser:
    """No spaces between Thai letters, each mark once and in one order, ASCII digits; keeps ``Normaliser``.

    Two ``เ`` are ``แ``, and a nikhahit with ``า`` is ``ำ``, as they look. Spaces next to other scripts stay.
    """

    def __call__(self, text: str) -> str:
        text = _INNER_SPACE.sub("", plain(text).translate(_DIGITS))
        text = _LONG_VOWEL.sub(r"\1", _MARKS.sub(_ordered, _DOUBLE_E.sub("\u0e41", text)))
        return settled(text)


def _ordered(marks: re.Match[str]) -> str:
    found = set(marks[0])
    if _AM in found or found >= {_NIKHAHIT, _AA}:
        found -= {_AA, _NIKHAHIT}
        found.add(_AM)
    ordered = "".join(mark for mark in _MARK_ORDER if mark in found)
    return ordered + (_AM if _AM in found else _AA if _AA in found else "")
