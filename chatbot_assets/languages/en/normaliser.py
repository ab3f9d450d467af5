"""One form for English as people type it."""

import re

from chatbot_assets.languages.script import plain, settled

_URL = re.compile(r"(?<!\w)(?:https?://|www\.)\S+")

_IRREGULAR = {"ca": "can", "wo": "will", "sha": "shall", "ai": "is"}
_NEGATION = re.compile(
    r"(?<![\w'])(?:(do|does|did|is|are|was|were|have|has|had|could|should|would|must|need|might|ca|wo|sha|ai)n'?t"
    r"|cannot)(?!\w)"
)

_VERBS = {"'m": " am", "'s": " is", "'re": " are", "'ve": " have", "'ll": " will", "'d": " would"}
_VERB = re.compile(r"'(?:m|s|re|ve|ll|d)")
_SHORTENED = re.compile(
    r"(?<![\w'])((?:i|you|he|she|it|we|they|who|what|where|when|why|how|that|this|there|here|not"
    rf"|could|should|would|must|might)(?:{_VERB.pattern})+)(?!\w)|(?<![\w'])let's(?!\w)"
)
_WITHOUT_APOSTROPHE = {
    "im": "i am", "ive": "i have", "youre": "you are", "youve": "you have", "theyre": "they are",
    "theyve": "they have", "whats": "what is", "thats": "that is", "wheres": "where is", "theres": "there is",
}  # fmt: skip
_BARE = re.compile(rf"(?<![\w'])(?:{'|'.join(_WITHOUT_APOSTROPHE)})(?![\w'])")


class EnglishNormaliser:
    """Lower case, contractions in full, each web address as ``url``; keeps ``Normaliser``.

    ``'s`` becomes ``is`` only after pronouns, question words, ``there`` and ``here``: elsewhere it may be a possessive
    and stays. ``'d`` always becomes ``would``. Without an apostrophe, only what is no other word is expanded
    (``dont``, ``im``; not ``well``, ``were``, ``its``).
    """

    def __call__(self, text: str) -> str:
        text = _URL.sub("url", settled(plain(text)))
        return _BARE.sub(_bare, _SHORTENED.sub(_in_full, _NEGATION.sub(_negation, text)))


def _negation(match: re.Match[str]) -> str:
    verb = match[1] or "can"
    return f"{_IRREGULAR.get(verb, verb)} not"


def _in_full(match: re.Match[str]) -> str:
    return _VERB.sub(lambda verb: _VERBS[verb[0]], match[1]) if match[1] else "let us"


def _bare(match: re.Match[str]) -> str:
    return _WITHOUT_APOSTROPHE[match[0]]
