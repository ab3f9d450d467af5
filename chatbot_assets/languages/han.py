"""The writing that Chinese and Japanese share."""

import re

from chatbot_assets.languages.script import letters_of

_SIGNS = "\u3001-\u3004\u3008-\u3020\u30fb" + letters_of(["Bopomofo", "Han", "Hiragana", "Katakana"])
_INNER_SPACE = re.compile(f"(?<=[{_SIGNS}]) (?=[{_SIGNS}])")


def without_inner_spaces(text: str) -> str:
    """The text without the spaces that stand between two Han characters, kana or their punctuation."""
    return _INNER_SPACE.sub("", text)
