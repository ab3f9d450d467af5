"""One form for Korean as people type it."""

import re

from chatbot_assets.languages.script import plain, settled

_LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_TAILS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"

# A letter that stands twice is a feeling ("ㅋㅋ"), as is a laugh before tears ("ㅋㅠ"): neither makes a syllable.
_SYLLABLE = re.compile(rf"(?![ㅋㅎ][ㅠㅜ])([{_LEADS}])([{_VOWELS}])(?:([{_TAILS}])(?![{_VOWELS}]|\3))?")
_SPELT_OUT = re.compile(rf"(?<![ㄱ-ㅣ])(?:{_SYLLABLE.pattern})+(?![ㄱ-ㅣ])")


class KoreanNormaliser:
    """Whole syllables from decomposed, half-width and spelt-out letters; keeps ``Normaliser``.

    Letters that stand for a feeling or an abbreviation (``ㅋㅋ``, ``ㅠㅠ``, ``ㅇㅋ``) stay letters.
    """

    def __call__(self, text: str) -> str:
        return settled(_SPELT_OUT.sub(lambda run: _SYLLABLE.sub(_syllable, run[0]), plain(text)))


def _syllable(letters: re.Match[str]) -> str:
    lead, vowel = _LEADS.index(letters[1]), _VOWELS.index(letters[2])
    tail = _TAILS.index(letters[3]) + 1 if letters[3] else 0
    return chr(0xAC00 + (lead * 21 + vowel) * 28 + tail)
