"""A Korean sentence's last predicate: its speech level, what it does, and other endings for it; by Kiwi."""

import functools
from dataclasses import dataclass, replace
from typing import Literal

from chatbot_assets.augment.rules import Marked, marked, vocabulary
from chatbot_assets.languages.ko.segmenter import _kiwi

Mood = Literal["question", "request", "command", "statement", "unclear"]
Level = Literal["casual", "polite", "formal"]

QUESTION_WORDS = vocabulary("뭐 무엇 뭣 무슨 몇 어디 언제 누구 누가 왜 어떤 어떻 어떠 어떡하 어떻게 얼마 얼마나 어느")

_LEVELS: dict[str, Level] = {
    **dict.fromkeys(vocabulary("어 야 다 니 냐 나 지 네 ᆯ까 을까 ᆯ래 을래"), "casual"),
    **dict.fromkeys(vocabulary("어요 에요 예요 나요 은가요 ᆫ가요 죠 지요 네요 ᆯ까요 을까요 ᆯ래요 을래요"), "polite"),
    **dict.fromkeys(vocabulary("습니다 ᆸ니다 습니까 ᆸ니까"), "formal"),
}
_ALWAYS_ASKS = vocabulary("니 냐 나 나요 은가요 ᆫ가요 ᆯ까 을까 ᆯ까요 을까요 ᆯ래 을래 ᆯ래요 을래요 습니까 ᆸ니까")

# Verbs and verbal nouns by which people operate a device or an application; a bare 해체 form of them is a command.
_COMMAND_VERBS = vocabulary("켜 끄 틀 올리 내리 낮추 높이 줄이 키우 바꾸 맞추 멈추 보내 지우 닫 찾 만들 깨우")
_COMMAND_NOUNS = vocabulary(
    "설정 추가 삭제 재생 취소 저장 예약 확인 검색 변경 추천 주문 작성 설명 제거 시작 정지 중지 등록 전송"
)
_PREDICATES = ("VV", "VA", "VX", "VCP", "VCN", "XSV", "XSA")
_COPULAS = vocabulary("이야 야 이다 다 이니 니 이냐 냐 인가 이에요 예요 이예요 에요 인가요 입니다 입니까")
"""The copula with its endings: Kiwi also finds it in misspelt words, which must not be rewritten."""

_ENDINGS_OF_ANI = {"어": "야", "어요": "에요", "나요": "ᆫ가요", "는지": "ᆫ지"}
"""What 아니다 has for an ending: 아니야 and 아니에요, for nobody says 아니어요."""

_FAMILIAR = vocabulary("나 너 니 네 난 넌 우리")
_BEHIND_GIVING = 6
"""The most morphemes after 주- that still ask for the favour: 주/시/ㄹ/수/있/나요."""

_GIVING = vocabulary(
    "어 어라 라 어요 세요 ᆯ래 ᆯ래요 ᆯ수있어 ᆯ수있니 ᆯ수있나 ᆯ수있어요 ᆯ수있나요 ᆯ수있을까 십시오 시겠어요 "
    "시겠습니까 실래요 실수있어요 실수있나요 실수있을까요"
)


@dataclass(frozen=True)
class Morpheme:
    """One morpheme as Kiwi found it, and where its text begins and ends."""

    form: str
    tag: str
    start: int
    end: int

    @property
    def is_noun(self) -> bool:
        return self.tag in ("NNG", "NNP")


@dataclass(frozen=True)
class Sentence:
    """A text's morphemes, without the punctuation at its end."""

    text: Marked
    morphemes: tuple[Morpheme, ...]

    @functools.cached_property
    def ending(self) -> str:
        """The form of the verb ending that closes the sentence; empty when it closes with something else."""
        last = self.morphemes[-1] if self.morphemes else None
        return last.form if last and last.tag in ("EF", "EC") and last.end == len(self.text.body) else ""

    @functools.cached_property
    def stem(self) -> int | None:
        """The place of the stem that the closing ending belongs to."""
        if not self.ending:
            return None
        place = len(self.morphemes) - 2
        while place >= 0 and self.morphemes[place].tag == "EP":
            place -= 1
        return place if place >= 0 and self.morphemes[place].tag.startswith(_PREDICATES) else None

    @functools.cached_property
    def prefinal(self) -> frozenset[str]:
        """The markers of tense and honour between the stem and the ending (었, 겠, 시)."""
        return frozenset(morpheme.form for morpheme in self.morphemes[-3:-1] if morpheme.tag == "EP")

    @functools.cached_property
    def giving(self) -> int | None:
        """The place of the auxiliary 주- that asks for a favour (켜 **주**세요)."""
        for place in range(len(self.morphemes) - 2, max(1, len(self.morphemes) - 2 - _BEHIND_GIVING), -1):
            morpheme, before = self.morphemes[place], self.morphemes[place - 1]
            if morpheme.form == "주" and morpheme.tag == "VX" and before.tag == "EC" and before.form in ("어", "아"):
                behind = "".join(later.form for later in self.morphemes[place + 1 :])
                return place if behind in _GIVING else None
        return None

    @functools.cached_property
    def verb(self) -> int | None:
        """The place where the main verb begins: of 설정하다 the noun 설정, of 켜 주다 the verb 켜다."""
        place = self.stem if self.giving is None else self.giving - 2
        if place is None or place < 0:
            return None
        if self.morphemes[place].tag == "XSV" and place and self.morphemes[place - 1].is_noun:
            return place - 1
        return place if self.morphemes[place].tag.startswith("VV") else None

    @functools.cached_property
    def level(self) -> Level | None:
        """The speech level; None for endings of written, quoted or unfinished sentences."""
        return _LEVELS.get(self.ending)

    @functools.cached_property
    def mood(self) -> Mood:
        """What the sentence does; ``unclear`` where several things share its form (``비 와``)."""
        if self.stem is None:
            return "unclear"
        if self.giving is not None:
            return "request"
        if self.text.asks or self.ending in _ALWAYS_ASKS or self._has_question_word:
            return "question"
        if self.ending == "어" and self._is_command:
            return "command"
        stem = self.morphemes[self.stem]
        if self.prefinal or stem.tag.startswith(("VA", "VCP", "VCN", "XSA")) or stem.form in ("싶", "있", "없"):
            return "statement"
        return "unclear"

    @property
    def may_ask(self) -> bool:
        """Whether a statement without punctuation would be a question in another tone (``회의 있어``)."""
        shared = self.ending in ("어", "야", "어요", "에요", "예요") and not self.text.marks
        return shared and self.stem is not None and self.morphemes[self.stem].form != "싶"

    @functools.cached_property
    def is_familiar(self) -> bool:
        """Whether it has pronouns of familiar speech (나, 너) or calls somebody by name."""
        return any(one.tag == "JKV" or (one.tag == "NP" and one.form in _FAMILIAR) for one in self.morphemes)

    @property
    def commands_device(self) -> bool:
        """Whether the main verb is one by which people operate a device or an application."""
        if self.verb is None:
            return False
        verb = self.morphemes[self.verb]
        return verb.form in (_COMMAND_NOUNS if verb.is_noun else _COMMAND_VERBS)

    @property
    def _has_question_word(self) -> bool:
        return any(morpheme.form in QUESTION_WORDS for morpheme in self.morphemes)

    @property
    def _is_command(self) -> bool:
        has_subject = any(morpheme.tag == "JKS" for morpheme in self.morphemes)
        return self.commands_device and not self.prefinal and not has_subject and not self.is_familiar

    def before(self, place: int) -> str:
        """The text before a morpheme."""
        return self.text.body[: self.morphemes[place].start]

    def since(self, place: int) -> str:
        """The text from a morpheme on, without the punctuation at its end."""
        return self.text.body[self.morphemes[place].start :]

    def ending_with(self, ending: str) -> str | None:
        """The text with another ending (``어``, ``어요``, ``습니다``, ``습니까``, ``나요``, ``는지``) on its last stem.

        None where the stem does not take it, or not in good style. The punctuation is left out.
        """
        if self.stem is None:
            return None
        stem = self.morphemes[self.stem]
        if stem.tag == "VCP":
            is_whole = not self.prefinal and self.since(self.stem) in _COPULAS
            return _with_copula(self.before(self.stem), ending) if is_whole else None
        if not self.prefinal and stem.tag.startswith(("VA", "XSA")) and stem.form not in ("있", "없"):
            ending = {"나요": "ᆫ가요", "는지": "ᆫ지"}.get(ending, ending)
        if not self.prefinal and stem.tag == "VCN":
            ending = _ENDINGS_OF_ANI.get(ending, ending)
        # What cannot be put together again was not understood (misspelt, or quoted: 가자네).
        *parts, last = [(morpheme.form, morpheme.tag) for morpheme in self.morphemes[self.stem :]]
        is_understood = _kiwi().join([*parts, last]) == self.since(self.stem)
        return self.before(self.stem) + str(_kiwi().join([*parts, (ending, "EF")])) if is_understood else None


def _with_copula(noun: str, ending: str) -> str | None:
    if not noun or not "가" <= noun[-1] <= "힣":
        return None
    if noun.endswith(("뭐", "거")) and ending not in ("어", "어요"):
        return {"나요": f"{noun[:-1]}뭔가요", "는지": f"{noun[:-1]}뭔지"}.get(ending) if noun[-1] == "뭐" else None
    closed = (ord(noun[-1]) - ord("가")) % 28 > 0
    forms = {"습니다": "입니다", "습니까": "입니까", "나요": "인가요", "는지": "인지"}
    forms |= {"어": "이야", "어요": "이에요"} if closed else {"어": "야", "어요": "예요"}
    return noun + forms[ending]


@functools.lru_cache(maxsize=512)
def sentence(text: str) -> Sentence:
    """The analysis of a normalised text, kept for a while: each rule asks for it."""
    text_parts = marked(text)
    morphemes: list[Morpheme] = []
    for found in _kiwi().tokenize(text):
        if found.start >= len(text_parts.body):
            break
        if (found.form, found.tag) == ("요", "JX") and morphemes and morphemes[-1].tag in ("EF", "EC"):
            morphemes[-1] = replace(morphemes[-1], form=morphemes[-1].form + "요", end=found.end)
        else:
            morphemes.append(Morpheme(found.form, found.tag, found.start, found.end))
    return Sentence(text_parts, tuple(morphemes))
