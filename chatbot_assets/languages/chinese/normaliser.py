"""One form for Chinese as people type it, in the script of the bot."""

import functools
import re
from typing import TYPE_CHECKING, Literal

from chatbot_assets.languages.han import without_inner_spaces
from chatbot_assets.languages.script import plain, settled

if TYPE_CHECKING:
    from opencc import OpenCC

RESULT_LIBRARIES = ["OpenCC"]

_FOREIGN_TO = {"t2s": "gb2312", "s2t": "big5", "s2tw": "big5", "s2hk": "big5"}
"""Each conversion's own script, by the standard that encodes it: what it cannot write is of the other script."""

_COMMON = str.maketrans("臺説衞聼麽爲衆裏啓", "台說衛聽麼為眾裡啟")
"""Traditional forms that mean the same, as fonts and keyboards write them, to the one that most people type."""

_ROUNDS = 8
"""A text settles in two: what a conversion gives may stand three times in a row or complete a longer word."""


class ChineseNormaliser:
    """Full-width forms as ASCII, no spaces between characters, one script and one variant; keeps ``Normaliser``.

    A text that holds a character of the other script alone is converted by OpenCC, word by word (头发 and 发财 become
    頭髮 and 發財). A text without one stays as it is: a conversion would take 了 and 周 for simplified characters.
    """

    def __init__(self, conversion: Literal["t2s", "s2t", "s2tw", "s2hk"]) -> None:
        """Brings texts of the other script into the bot's own by OpenCC's ``conversion``.

        Raises:
            ValueError: when the conversion is unknown.
        """
        if conversion not in _FOREIGN_TO:
            raise ValueError(f"conversion {conversion!r} is unknown; name one of: {', '.join(_FOREIGN_TO)}")
        self._converter = _converter(conversion)
        self._foreign = _foreign_characters(conversion)
        self._common = {} if conversion == "t2s" else _COMMON

    def __call__(self, text: str) -> str:
        text = without_inner_spaces(plain(text))
        for _ in range(_ROUNDS):
            before, text = text, settled(self._in_own_script(text))
            if text == before:
                break
        return text

    def _in_own_script(self, text: str) -> str:
        if self._foreign.search(text):
            text = self._converter.convert(text)
        return text.translate(self._common)


@functools.cache
def _converter(conversion: str) -> "OpenCC":
    from opencc import OpenCC

    return OpenCC(conversion)


@functools.cache
def _foreign_characters(conversion: str) -> re.Pattern[str]:
    """The characters that the conversion changes and that its own script's encoding cannot write."""
    encoding = _FOREIGN_TO[conversion]
    unwritable = [chr(code) for code in range(0x3400, 0xA000) if not chr(code).encode(encoding, "ignore")]
    converted = _converter(conversion).convert("\n".join(unwritable)).split("\n")
    return re.compile(f"[{''.join(sign for sign, own in zip(unwritable, converted, strict=True) if own != sign)}]")
