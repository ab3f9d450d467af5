"""The writing that Chinese and Japanese share."""

import re

from chatbot_assets.languages.script import letters_of, plain, settled

_SIGNS = "\u3001-\u3004\u3008-\u3020\u30fb" + letters_of(["Bopomofo", "Han", "Hiragana", "Katakana"])
_INNER_SPACE = re.compile(f"(?<=[{_SIGNS}]) (?=[{_SIGNS}])")


class HanNormaliser:
    """Takes out spaces between Han characters and kana; keeps ``Normaliser``.

    Full-width Latin letters, digits and punctuation become ASCII and half-width kana full. Traditional and simplified
    characters are left as they are.
    """

    def __call__(self, text: str) -> str:
        return settled(_INNER_SPACE.sub("", plain(text)))
