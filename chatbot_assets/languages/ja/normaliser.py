"""One form for Japanese as people type it."""

import re
import unicodedata

from chatbot_assets.languages.han import without_inner_spaces
from chatbot_assets.languages.script import plain, settled

_HIRAGANA, _KATAKANA = "\u3041-\u3096\u309f", "\u30a1-\u30fa\u30ff"
_WAVES, _DASHES = "~\u301c\u223c\u3030", "\\-\u2010-\u2015\u2212\u2500"
_LENGTHENED = f"(?=[{_HIRAGANA}{_KATAKANA}\u30fc!?。、]|$)"

_VOICING_SIGNS = re.compile(f"(?<=[{_HIRAGANA}{_KATAKANA}\u3099\u309a\u309d\u30fd])[\u309b\u309c]+")
_COMBINING = str.maketrans("\u309b\u309c", "\u3099\u309a")
_REPEATED_KANA = re.compile(f"([{_HIRAGANA}{_KATAKANA}])([\u309d\u309e\u30fd\u30fe]+)")
# A wave lengthens any kana ("すご〜い") but parts kanji and numbers ("3〜5"); a dash lengthens katakana alone.
_WAVE = re.compile(f"(?<=[{_HIRAGANA}{_KATAKANA}\u30fc])[{_WAVES}]+{_LENGTHENED}")
_DASH = re.compile(f"(?<=[{_KATAKANA}\u30fc])[{_WAVES}{_DASHES}\u30fc]+{_LENGTHENED}")
_LONG_VOWELS = re.compile("\u30fc{2,}")


class JapaneseNormaliser:
    """Full-width kana, one long-vowel mark, no iteration marks between kana, no inner spaces; keeps ``Normaliser``.

    Dashes and waves that stand for the long-vowel mark become one (コ-ヒ-, すご〜〜い) and a mark never stands twice.
    Voicing signs are joined to their kana (か゛); いすゞ and こゝろ are written out. 々 stays, as in 時々.
    """

    def __call__(self, text: str) -> str:
        text = without_inner_spaces(plain(text))
        text = _VOICING_SIGNS.sub(lambda signs: signs[0].translate(_COMBINING), text)
        text = _REPEATED_KANA.sub(_written_out, unicodedata.normalize("NFC", text))
        text = _DASH.sub("\u30fc", _WAVE.sub("\u30fc", text))
        return settled(_LONG_VOWELS.sub("\u30fc", text))


def _written_out(match: re.Match[str]) -> str:
    """A kana and its repetitions: ``ゝ`` repeats it without its voicing sign, ``ゞ`` with one."""
    unvoiced = unicodedata.normalize("NFD", match[1])[0]
    repeated = (unvoiced + ("\u3099" if mark in "\u309e\u30fe" else "") for mark in match[2])
    return match[1] + unicodedata.normalize("NFC", "".join(repeated))
