"""One form for Vietnamese as people type it."""

import re

from chatbot_assets.languages.script import plain, settled

_OLD_STYLE = re.compile("[òóỏõọ][ae]|[ùúủũụ]y")
_NEW_STYLE = {
    old_first + plain_second: plain_first + new_second
    for plain_first, toned_firsts, plain_second, toned_seconds in (
        ("o", "òóỏõọ", "a", "àáảãạ"),
        ("o", "òóỏõọ", "e", "èéẻẽẹ"),
        ("u", "ùúủũụ", "y", "ỳýỷỹỵ"),
    )
    for old_first, new_second in zip(toned_firsts, toned_seconds, strict=True)
}

# Only what is no other word: "k" is also a thousand, "dc" a city.
_SHORT = {"ko": "không", "hok": "không", "đc": "được", "ntn": "như thế nào"}
_SHORTENED = re.compile(rf"(?<![\w.@/-])(?:{'|'.join(_SHORT)})(?![\w@/-]|\.\w)")


class VietnameseNormaliser:
    """Tone marks of ``oa``, ``oe``, ``uy`` where the new style puts them (``hoà``, not ``hòa``); keeps ``Normaliser``.

    The Icelandic ``ð`` that some keyboards give becomes ``đ``, and the commonest abbreviations of chats are written out
    (``ko``: ``không``).
    """

    def __call__(self, text: str) -> str:
        text = _OLD_STYLE.sub(lambda pair: _NEW_STYLE[pair[0]], plain(text).replace("ð", "đ"))
        return settled(_SHORTENED.sub(lambda word: _SHORT[word[0]], text))
