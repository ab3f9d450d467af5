"""Korean paraphrases: speech levels, ways to ask for a favour, particles and small words, by Kiwi's morphemes.

Only the place that a rule changes is written anew; the spaces of the rest stay as they were typed. Tense, negation
and honorific markers of the predicate are never touched.
"""

import re
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import ParaphraseRule, one_of, vocabulary
from chatbot_assets.languages.ko.sentence import QUESTION_WORDS, Sentence, sentence

_MEALS = vocabulary("점심 저녁 아침 밥 간식 야식")
_TIMES = re.compile(
    r"(오늘|내일|모레|어제|지금|아침|점심|저녁|오전|오후|밤|새벽|주말|.*요일|.*년|.*월|매일|매주|나중|다음|이번)\Z"
)
_CASE = {"을": "object", "를": "object", "이": "subject", "가": "subject", "은": "topic", "는": "topic"}


class SpeechLevel(ParaphraseRule):
    """The same sentence in 해체, 해요체 or 합쇼체: ``먹었니?`` → ``먹었어?``, ``먹었어요?``, ``먹었습니까?``."""

    name = "speech-level"

    def __init__(self, level: Literal["casual", "polite", "formal"]) -> None:
        super().__init__(one_of(level, ("casual", "polite", "formal"), "level"))
        self._level = level

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.mood not in ("question", "statement") or said.level is None:
            return None
        body = _particle_of_politeness(said, self._level) or self._other_ending(said)
        return None if body is None else said.text.unchanged(body)

    def _other_ending(self, said: Sentence) -> str | None:
        if said.ending in ("지", "죠", "지요", "네", "네요") or said.ending.startswith(("ᆯ", "을")):
            return None
        if self._level == "casual":
            return None if "시" in said.prefinal else said.ending_with("어")
        if said.is_familiar:
            return None
        if self._level == "polite":
            return said.ending_with("어요")
        if said.mood == "question":
            return said.ending_with("습니까")
        return None if said.may_ask else said.ending_with("습니다")


def _particle_of_politeness(said: Sentence, level: str) -> str | None:
    """For endings whose polite form is the casual one and 요: 좋네, 좋네요."""
    if not said.ending.startswith(("지", "죠", "네", "ᆯ까", "을까", "ᆯ래", "을래")):
        return None
    body = said.text.body
    if level == "polite" and said.level == "casual" and not said.is_familiar:
        return body[:-1] + "죠" if said.ending == "지" else body + "요"
    if level == "casual" and said.level == "polite":
        return body[:-1] + "지" if said.ending == "죠" else body.removesuffix("요")
    return None


class PoliteInquiry(ParaphraseRule):
    """A question with -나요 or -ㄴ가요, the forms of asking strangers: ``날씨 어때`` → ``날씨 어떤가요``."""

    name = "polite-inquiry"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        open_ended = said.ending.startswith(("ᆯ", "을")) or said.ending in ("지", "죠", "지요", "네", "네요")
        if said.mood != "question" or said.level is None or said.is_familiar or open_ended:
            return None
        body = said.ending_with("나요")
        return None if body is None else said.text.unchanged(body)


class Favour(ParaphraseRule):
    """Other ways to ask for the same favour: ``켜줘`` → ``켜주세요``, ``켜줄래``, ``켜줄 수 있어``.

    ``willing`` and ``able`` keep the politeness of the text.
    """

    name = "favour"

    _CASUAL: ClassVar = {
        "casual": "줘",
        "polite": "주세요",
        "willing": "줄래",
        "able": "줄 수 있어",
    }
    _POLITE: ClassVar = _CASUAL | {"willing": "주시겠어요", "able": "주실 수 있나요"}

    def __init__(self, form: Literal["casual", "polite", "willing", "able"]) -> None:
        super().__init__(one_of(form, tuple(self._CASUAL), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.giving is None or (said.is_familiar and self._form == "polite"):
            return None
        forms = self._POLITE if re.search("[요세시실십]|니까", said.since(said.giving)) else self._CASUAL
        body = said.before(said.giving) + forms[self._form]
        return said.text.as_question(body) if self._form in ("willing", "able") else said.text.as_request(body)


class Ask(ParaphraseRule):
    """A bare command as a request: ``알람 설정해`` → ``알람 설정해 줘``. Only verbs by which devices are operated."""

    name = "ask"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        return said.text.as_request(said.text.body + " 줘") if said.mood == "command" else None


class Command(ParaphraseRule):
    """A casual request as a bare command: ``불 켜줘`` → ``불 켜``. Only verbs by which devices are operated."""

    name = "command"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.giving is None or said.since(said.giving) != "줘" or not said.commands_device:
            return None
        return said.text.as_request(said.before(said.giving).rstrip())


class PleaseJust(ParaphraseRule):
    """좀, which softens a request, before its verb: ``불 켜줘`` → ``불 좀 켜줘``."""

    name = "please-just"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.mood != "request" or said.verb is None or any(one.form == "좀" for one in said.morphemes):
            return None
        if not _object_before(said, said.verb, with_particle=True):
            return None
        return f"{said.before(said.verb).rstrip()} 좀 {said.since(said.verb)}{said.text.marks}"


class WhatToEat(ParaphraseRule):
    """뭐 before the verb of a question about a meal: ``점심 먹었니?`` → ``점심 뭐 먹었니?``."""

    name = "what-to-eat"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        verb = said.verb
        if said.mood != "question" or not verb or said.morphemes[verb].form not in ("먹", "드시"):
            return None
        if said.morphemes[verb - 1].form not in _MEALS or any(one.form in QUESTION_WORDS for one in said.morphemes):
            return None
        return f"{said.before(verb).rstrip()} 뭐 {said.since(verb)}{said.text.marks}"


class TopicParticle(ParaphraseRule):
    """은/는 on the bare noun that a question is about: ``점심 먹었니?`` → ``점심은 먹었니?``."""

    name = "topic-particle"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        place = said.verb if said.verb is not None else said.stem
        if said.mood != "question" or not place or said.morphemes[place].tag.startswith(("VCP", "X")):
            return None
        noun = said.morphemes[place - 1]
        asked_for = place > 1 and said.morphemes[place - 2].tag == "MM"
        if not noun.is_noun or asked_for or noun.form in QUESTION_WORDS or not _ends_its_word(said, place - 1):
            return None
        return (
            said.text.body[: noun.end]
            + _allomorph(noun.form, "은", "는")
            + said.text.body[noun.end :]
            + said.text.marks
        )


class ObjectParticle(ParaphraseRule):
    """을/를 on the bare object of a request or command: ``불 켜줘`` → ``불을 켜줘``."""

    name = "object-particle"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.mood not in ("request", "command") or not said.commands_device or said.verb is None:
            return None
        if not _object_before(said, said.verb, with_particle=False):
            return None
        end = said.morphemes[said.verb - 1].end
        particle = _allomorph(said.morphemes[said.verb - 1].form, "을", "를")
        return said.text.body[:end] + particle + said.text.body[end:] + said.text.marks


class BareNoun(ParaphraseRule):
    """Without the particle that speech leaves out before the predicate: ``불을 켜줘`` → ``불 켜줘``.

    Leaves out 을/를 before a verb, and 이/가, 은/는 before 있다, 없다, 어떻다 or a question word.
    """

    name = "bare-noun"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        for place in range(1, len(said.morphemes) - 1):
            particle, noun, following = said.morphemes[place], said.morphemes[place - 1], said.morphemes[place + 1]
            case = _CASE.get(particle.form) if particle.tag in ("JKO", "JKS", "JX") and noun.is_noun else None
            if case == "object":
                may_go = said.mood in ("request", "command", "question") and said.verb == place + 1
            else:
                asked = following.form in QUESTION_WORDS and said.mood == "question"
                may_go = case is not None and (asked or (following.form in ("있", "없") and place + 1 == said.stem))
            if may_go and particle.start > noun.start:
                return said.text.body[: particle.start].rstrip() + said.text.body[particle.end :] + said.text.marks
        return None


class TopicOrSubject(ParaphraseRule):
    """은/는 and 이/가 before what is asked, one for the other: ``노래가 뭐야`` → ``노래는 뭐야``."""

    name = "topic-or-subject"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.mood != "question" or said.stem is None or said.morphemes[said.stem].tag != "VCP" or said.stem < 3:
            return None
        noun, particle, asked = said.morphemes[said.stem - 3 : said.stem]
        case = _CASE.get(particle.form) if particle.tag in ("JKS", "JX") and noun.is_noun else None
        if case is None or asked.form not in QUESTION_WORDS:
            return None
        other = _allomorph(noun.form, "은", "는") if case == "subject" else _allomorph(noun.form, "이", "가")
        return said.text.body[: particle.start] + other + said.text.body[particle.end :] + said.text.marks


class TellMe(ParaphraseRule):
    """A question after a fact as a request: ``지금 몇 시야`` → ``지금 몇 시인지 알려줘``.

    Only of 어떻다 and of a question word with the copula: other questions may be after the listener.
    """

    name = "tell-me"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.mood != "question" or said.stem is None or said.prefinal or said.is_familiar or said.level is None:
            return None
        stem = said.morphemes[said.stem]
        of_fact = stem.tag == "VCP" and any(one.form in QUESTION_WORDS for one in said.morphemes[: said.stem][-2:])
        if said.stem == 0 or not (of_fact or stem.form == "어떻") or said.ending.startswith(("ᆯ", "을")):
            return None
        body = said.ending_with("는지")
        return (
            None
            if body is None
            else said.text.as_request(f"{body} {'알려줘' if said.level == 'casual' else '알려주세요'}")
        )


class TellingVerb(ParaphraseRule):
    """알려주다, 말해주다 (or 가르쳐주다) for one another, where a fact is asked for: ``날씨 알려줘``."""

    name = "telling-verb"

    def __init__(self, verb: Literal["알려", "말해"]) -> None:
        super().__init__(one_of(verb, ("알려", "말해"), "verb"))
        self._verb = verb

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.giving is None or said.verb is None or not _object_before(said, said.verb, with_particle=True):
            return None
        told = said.text.body[said.morphemes[said.verb].start : said.morphemes[said.giving].start]
        if told.rstrip() not in ("알려", "말해", "가르쳐"):
            return None
        spaces = told[len(told.rstrip()) :]
        return said.before(said.verb) + self._verb + spaces + said.since(said.giving) + said.text.marks


class Degree(ParaphraseRule):
    """진짜 as 정말, and 정말 or 너무 as 진짜, before what they strengthen: ``너무 힘들어`` → ``진짜 힘들어``."""

    name = "degree"

    _OTHERS: ClassVar = {"진짜": "정말", "정말": "진짜", "너무": "진짜"}

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        for place, adverb in enumerate(said.morphemes[:-1]):
            other = self._OTHERS.get(adverb.form) if adverb.tag == "MAG" else None
            following = said.morphemes[place + 1]
            if other and following.tag.startswith("VA") and said.mood == "statement":
                return said.text.body[: adverb.start] + other + said.text.body[adverb.end :] + said.text.marks
        return None


def _object_before(said: Sentence, verb: int, *, with_particle: bool) -> bool:
    """Whether a bare noun that can be an object (or one with 을/를) stands right before the verb."""
    if verb < 1:
        return False
    before = said.morphemes[verb - 1]
    if before.tag == "JKO":
        return with_particle
    return before.is_noun and not _TIMES.match(before.form) and _ends_its_word(said, verb - 1)


def _ends_its_word(said: Sentence, place: int) -> bool:
    return said.text.body[said.morphemes[place].end :][:1] == " "


def _allomorph(noun: str, after_consonant: str, after_vowel: str) -> str:
    closed = "가" <= noun[-1] <= "힣" and (ord(noun[-1]) - ord("가")) % 28 > 0
    return after_consonant if closed else after_vowel
