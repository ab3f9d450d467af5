"""Thai paraphrases: words of asking, question and polite particles, pronouns and spellings, by PyThaiNLP's words.

Where one word of a rule ends inside a longer word (``ไหม`` in ``ผ้าไหม``, silk) the rule does not fire.
"""

import functools
import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import Marked, ParaphraseRule, marked, one_of, vocabulary

RESULT_LIBRARIES = ["pythainlp"]

_COMMANDS = vocabulary(
    "เปิด ปิด เล่น ตั้ง เพิ่ม ลด ลบ หา ค้นหา บอก แสดง เตือน แจ้งเตือน ปลุก ส่ง โทร โทรหา เปลี่ยน หรี่ หยุด "
    "เริ่ม สั่ง จอง เขียน ตรวจสอบ เช็ค อ่าน สร้าง ยกเลิก แนะนำ ข้าม บันทึก ทำ จด ย้าย เรียก ปรับ เร่ง ลิสต์ "
    "ตอบ ตอบกลับ นัด กำหนด เปิดไฟ ปิดไฟ ปิดเสียง เปิดเสียง เปิดเพลง เล่นเพลง ตั้งปลุก ตั้งเวลา ตั้งค่า "
    "สั่งอาหาร จองตั๋ว ส่งข้อความ ลดเสียง เพิ่มเสียง ดูดฝุ่น ล็อก ปลดล็อก พัก เล่นต่อ เรียกแท็กซี่ นำ เอา "
    "แจ้ง อธิบาย โพสต์ ทวีต"
)
_WANTED = _COMMANDS | vocabulary("ฟัง ดู กิน ไป รู้ ทราบ ซื้อ คุย ฟังเพลง ดูหนัง นอน ออก ให้ สอบถาม ร้องเรียน")
_ASKING = vocabulary("อะไร ไหน ไหม มั้ย มั๊ย หรือเปล่า รึเปล่า หรือไม่ เท่าไร เท่าไหร่ เมื่อไร เมื่อไหร่ อย่างไร ยังไง ทำไม ใคร กี่ หรือยัง ไง")
_INDEFINITE = vocabulary("อะไร ใคร ไหน ที่ไหน เมื่อไร เมื่อไหร่")
"""Question words that, behind a negation, mean nothing, nobody, nowhere and never."""
_YES_NO = ("หรือเปล่า", "รึเปล่า", "หรือไม่", "ไหม", "มั้ย", "มั๊ย")
_POLITE = vocabulary("ครับ ค่ะ คะ นะ จ้ะ จ๊ะ ครับผม ฮะ")
_LONGEST = 40
"""Characters of a request that still fit before a closing word: behind more it sounds lost."""


@dataclass(frozen=True)
class Sentence:
    """A text's words and the places where they begin and end, without the punctuation at its end."""

    text: Marked
    words: tuple[str, ...]
    starts: tuple[int, ...]

    @property
    def asks(self) -> bool:
        """Whether it asks, by its punctuation or a question word."""
        return self.text.asks or any(word in _ASKING for word in self.words)

    @property
    def is_polite(self) -> bool:
        """Whether it closes with a polite particle."""
        return bool(self.words) and self.words[-1] in _POLITE

    def has_boundary(self, place: int) -> bool:
        """Whether a word begins or the text ends at a place."""
        return place in self.starts or place == len(self.text.body)


@functools.lru_cache(maxsize=512)
def sentence(text: str) -> Sentence:
    """The analysis of a normalised text, kept for a while: each rule asks for it."""
    from pythainlp.tokenize import newmm

    parts = marked(text)
    words, starts, place = [], [], 0
    for word in newmm.segment(parts.body):
        words.append(word)
        starts.append(place)
        place += len(word)
    return Sentence(parts, tuple(words), tuple(starts))


class Request(ParaphraseRule):
    """Other ways to ask for the same: ``เปิดไฟ`` → ``ช่วยเปิดไฟ``, ``เปิดไฟหน่อย``, ``ช่วยเปิดไฟให้หน่อย``, ``กรุณาเปิดไฟ``."""

    name = "request"

    _FORMS: ClassVar = {
        "bare": "{}",
        "help": "ช่วย{}",
        "softly": "{}หน่อย",
        "help-softly": "ช่วย{}ให้หน่อย",
        "please": "กรุณา{}",
        "can-you": "ช่วย{}ได้ไหม",
    }
    _BEFORE = re.compile("(?:(?:คุณ|เธอ)?(?:ช่วย|สามารถ)|กรุณา|โปรด|รบกวน(?:ช่วย)?)")
    _BEHIND = re.compile(
        "(?:(?:ให้(?:ฉัน|ผม)?)?(?:หน่อย|ที)(?:ได้(?:ไหม|มั้ย))?|ได้(?:ไหม|มั้ย|หรือไม่|หรือเปล่า))(?:ครับ|ค่ะ|คะ|นะ)?\\Z"
    )

    def __init__(self, form: Literal["bare", "help", "softly", "help-softly", "please", "can-you"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        request = self._request(said)
        if request is None:
            return None
        closes = self._form in ("softly", "help-softly", "can-you")
        if closes and (len(request) > _LONGEST or "ว่า" in request or request.endswith(("ด้วย", "ต่อไป", "อยู่"))):
            return None
        form = self._FORMS[self._form]
        if "ให้" in request:
            form = form.replace("ให้หน่อย", "หน่อย")
        body = form.format(request)
        return said.text.as_question(body) if self._form == "can-you" else said.text.as_request(body)

    def _request(self, said: Sentence) -> str | None:
        body = said.text.body
        before, behind = self._BEFORE.match(body), self._BEHIND.search(body)
        start = before.end() if before and said.has_boundary(before.end()) else 0
        end = behind.start() if behind and said.has_boundary(behind.start()) else len(body)
        inside = [word for word, place in zip(said.words, said.starts, strict=True) if start <= place < end]
        if len(inside) < 2 or inside[0] not in _COMMANDS or inside[-1] in _POLITE or "และ" in inside:
            return None
        # Only behind "tell me that" may a request hold a question.
        asks = (said.text.asks and end == len(body)) or any(word in _ASKING for word in inside)
        return None if asks and not (inside[0] == "บอก" and "ว่า" in inside) else body[start:end].strip()


class YesNoParticle(ParaphraseRule):
    """The particle of a yes-or-no question by another: ``ฝนจะตกไหม`` → ``ฝนจะตกหรือเปล่า``, ``ฝนจะตกมั้ย``.

    ``หรือเปล่า`` only where something is the case or not: with a bare action ``ไหม`` is an invitation.
    """

    name = "yes-no-particle"

    _STATES = vocabulary("มี มีนัด จะ ต้อง เป็น ยัง อยู่ ฝนตก ฝน แดด หนาว ร้อน ได้รับ ควร กำลัง")

    def __init__(self, particle: Literal["ไหม", "มั้ย", "หรือเปล่า", "หรือไม่"]) -> None:
        super().__init__(one_of(particle, ("ไหม", "มั้ย", "หรือเปล่า", "หรือไม่"), "particle"))
        self._particle = particle

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        polite = said.words[-1] if said.is_polite else ""
        body = said.text.body.removesuffix(polite)
        particle = next((one for one in _YES_NO if body.endswith(one)), None)
        if particle is None or not said.has_boundary(len(body) - len(particle)):
            return None
        before = body.removesuffix(particle)
        is_choice = particle in ("ไหม", "มั้ย", "มั๊ย") and self._particle in ("ไหม", "มั้ย")
        states = self._STATES.intersection(said.words) and not before.endswith(("ได้", "บ้าง", "ใช่", "ดี"))
        if not before or not (is_choice or states):
            return None
        return said.text.unchanged(before + self._particle + polite)


class PoliteParticle(ParaphraseRule):
    """ครับ or ค่ะ (คะ in questions) at the end of a request or question; not the one that the pronoun excludes."""

    name = "polite-particle"

    def __init__(self, speaker: Literal["man", "woman"]) -> None:
        super().__init__(one_of(speaker, ("man", "woman"), "speaker"))
        self._speaker = speaker

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        excluded = ("ฉัน", "ดิฉัน", "หนู") if self._speaker == "man" else ("ผม",)
        if said.is_polite or len(said.words) < 2 or any(word in excluded for word in said.words):
            return None
        denies = said.words[-1] in _INDEFINITE and any(word.startswith("ไม่") for word in said.words)
        closes_as_question = not denies and (said.words[-1] in _ASKING or said.text.body.endswith((*_YES_NO, "บ้าง")))
        is_request = said.words[0] in _COMMANDS or said.words[0] in ("ช่วย", "ขอ", "อยาก", "ต้องการ", "กรุณา")
        if not (closes_as_question or is_request) or (is_request and said.asks and not closes_as_question):
            return None
        particle = "ครับ" if self._speaker == "man" else "คะ" if closes_as_question else "ค่ะ"
        return said.text.unchanged(said.text.body + particle)


class Colloquial(ParaphraseRule):
    """A word as it is written or as it is said: ``เท่าไร`` ↔ ``เท่าไหร่``, ``อย่างไร`` ↔ ``ยังไง``."""

    name = "colloquial"

    _PAIRS = (
        ("เท่าไร", "เท่าไหร่"),
        ("เมื่อไร", "เมื่อไหร่"),
        ("อย่างไร", "ยังไง"),
        ("ตรวจสอบ", "เช็ค"),
        ("ค้นหา", "หา"),
        ("ทราบ", "รู้"),
        ("รึเปล่า", "หรือเปล่า"),
        ("มั๊ย", "มั้ย"),
        ("ภาพยนตร์", "หนัง"),
        ("โทรศัพท์หา", "โทรหา"),
    )
    _BOTH_WAYS = vocabulary("เท่าไร เมื่อไร อย่างไร ตรวจสอบ ภาพยนตร์")

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        ways = dict(self._PAIRS)
        ways |= {other: one for one, other in self._PAIRS if one in self._BOTH_WAYS}
        for word, place in zip(said.words, said.starts, strict=True):
            if word in ways:
                return said.text.unchanged(said.text.body[:place] + ways[word] + said.text.body[place + len(word) :])
        return None


class Want(ParaphraseRule):
    """``ต้องการ`` and ``อยาก`` before a verb for one another: ``ฉันต้องการฟังเพลง`` → ``ฉันอยากฟังเพลง``."""

    name = "want"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        found = re.match("(ฉัน|ผม|ดิฉัน|เรา)?(ต้องการ|อยาก)(ที่จะ|จะ)?", said.text.body)
        if found is None or not said.has_boundary(found.end()) or found.end() == len(said.text.body):
            return None
        if said.words[said.starts.index(found.end())] not in _WANTED:
            return None
        other = "อยาก" if found[2] == "ต้องการ" else "ต้องการ"
        return said.text.unchanged(f"{found[1] or ''}{other}{said.text.body[found.end() :]}")


class SubjectDrop(ParaphraseRule):
    """Without the pronoun of the speaker, which Thai leaves out: ``ฉันมีประชุมไหม`` → ``มีประชุมไหม``."""

    name = "subject-drop"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        pronoun = said.words[0] if said.words else ""
        follows = ("ต้องการ", "อยาก", "มี", "มีนัด", "ต้อง", "ควร", "จะ", "ได้รับ")
        if pronoun not in ("ฉัน", "ผม", "ดิฉัน") or len(said.words) < 3 or said.words[1] not in follows:
            return None
        return said.text.unchanged(said.text.body[len(pronoun) :].lstrip())


class WhatIs(ParaphraseRule):
    """``อะไรคือ`` before a thing and ``คืออะไร`` behind it for one another."""

    name = "what-is"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if (
            said.words[:2] == ("อะไร", "คือ")
            and len(said.words) > 2
            and not any(word in _ASKING for word in said.words[1:])
        ):
            return said.text.unchanged(said.text.body.removeprefix("อะไรคือ").strip() + "คืออะไร")
        asked = said.text.body.removesuffix("คืออะไร")
        is_short = asked != said.text.body and 0 < len(asked) <= _LONGEST and said.words[-2:] == ("คือ", "อะไร")
        is_thing = is_short and "คือ" not in said.words[:-2] and not re.match("นี่|นั่น|มัน|olly|อัน", asked)
        return said.text.unchanged("อะไรคือ" + asked) if is_thing else None


class TellMe(ParaphraseRule):
    """A question after a fact as a request, and ``บอกฉันว่า`` as ``อยากรู้ว่า``: ``ตอนนี้กี่โมง`` → ``บอกหน่อยว่าตอนนี้กี่โมง``."""

    name = "tell-me"

    _FORMS: ClassVar = {"tell": "บอกหน่อยว่า", "want": "อยากรู้ว่า"}
    _TOLD = re.compile("(?:ช่วย|กรุณา)?บอก(?:ฉัน|ผม)?(?:ที|หน่อย|มา)?ว่า")
    _FACT = re.compile(
        "(?!.*(?:คุณ|เธอ|ทำไม|ฉัน|ผม)).*(?:เท่าไร|เท่าไหร่|กี่โมง|คืออะไร|เป็นอย่างไร|เป็นยังไง|ที่ไหน|เมื่อไร|เมื่อไหร่|วันอะไร)"
    )

    def __init__(self, form: Literal["tell", "want"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        told = self._TOLD.match(said.text.body)
        if told and said.has_boundary(told.end()) and told.end() < len(said.text.body):
            return said.text.as_request(self._FORMS[self._form] + said.text.body[told.end() :].strip())
        is_fact = self._FACT.fullmatch(said.text.body) and said.words[0] not in _COMMANDS and said.words[0] != "อะไร"
        is_plain = is_fact and not re.match("ช่วย|ขอ|อยาก|ต้องการ|กรุณา|[a-z]", said.text.body)
        return said.text.as_request(self._FORMS[self._form] + said.text.body) if is_plain else None
