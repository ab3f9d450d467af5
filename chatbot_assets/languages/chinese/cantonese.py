"""Paraphrases for written Cantonese: 唔該, 幫我, particles, and words that people write in two ways, by jieba's words.

Texts in standard written Chinese are left to ``chatbot_assets.languages.chinese.paraphrases``.
"""

import re
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import ParaphraseRule, one_of
from chatbot_assets.languages.chinese.sentence import sentence

_STANDARD = re.compile("[的嗎麼這她們給]|[是在把請](?!門)|沒有")
_COMMAND = re.compile(
    "(?:開始|開(?![緊咗着心]|始|關)|着|熄|閂|關(?!於|掉咗)|打開|播放?|放|設定|較|校|調[高低暗光大細]?|加|減|取消|停止?|暫停|繼續|叫|掃(?!地機)|"
    "提我|話我知|搵|睇下|查|鎖好?|跳過|轉|清潔|啟動|將|繼續|重新|增加|新增|剔|刪除)(?!咗未|緊|唔|埋)"
)
_ASKS = re.compile("[咩乜邊點幾未嗎]|係咪|係唔係|有冇|可唔可以|會唔會|唔好|\\?|冇")


class CantoneseRule(ParaphraseRule):
    """Base of the rules here: does not fire on standard written Chinese."""

    def rewrite(self, text: str) -> str | None:
        return None if _STANDARD.search(text) else self.rewritten(text)

    def rewritten(self, text: str) -> str | None:
        """The text in other words, or None where the rule's condition does not hold."""
        raise NotImplementedError


class Request(CantoneseRule):
    """Other ways to ask for the same: ``開燈`` → ``唔該開燈``, ``幫我開燈``, ``開燈啦``."""

    name = "cantonese-request"

    _FORMS: ClassVar = {
        "thanks": "唔該{}",
        "thanks-last": "{}唔該",
        "help": "幫我{}",
        "can-you": "可唔可以幫我{}",
        "particle": "{}啦",
        "bare": "{}",
    }
    _POLITE = re.compile("(?:唔該|可唔可以)?(?:幫我|同我|幫手)?")

    def __init__(self, form: Literal["thanks", "thanks-last", "help", "can-you", "particle", "bare"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewritten(self, text: str) -> str | None:
        said = sentence(text)
        start = self._POLITE.match(said.text.body).end()  # type: ignore[union-attr]
        request = re.sub("(?:啦|吖)?(?:唔該)?\\Z", "", said.text.body[start:])
        verb = _COMMAND.match(request)
        if verb is None or len(request) < 2 or re.search("[,，]|[喇未先]\\Z", request) or _ASKS.search(request):
            return None
        if request.startswith(("話我知", "提我")) and self._form in ("help", "can-you"):
            return None
        body = self._FORMS[self._form].format(request)
        return said.text.as_question(body) if self._form == "can-you" else said.text.as_request(body)


class Spelling(CantoneseRule):
    """Words that are said and written in two ways: ``而家`` ↔ ``依家``, ``係咪`` ↔ ``係唔係``, ``咩`` ↔ ``乜嘢``."""

    name = "cantonese-spelling"

    _PAIRS = (
        ("而家", "依家"),
        ("係唔係", "係咪"),
        ("係咪", "係唔係"),
        ("話俾我知", "話我知"),
        ("話我知", "話俾我知"),
        ("乜嘢", "咩"),
        ("咩", "乜嘢"),
        ("依家", "而家"),
        ("邊度", "邊到"),
        ("俾", "畀"),
    )

    def rewritten(self, text: str) -> str | None:
        for one, other in self._PAIRS:
            place = text.find(one)
            if place >= 0 and not (one == "咩" and place == len(text) - 1):
                return text[:place] + other + text[place + len(one) :]
        return None


class QuestionParticle(CantoneseRule):
    """呀 at the end of a question with a question word, or without it: ``而家幾點`` ↔ ``而家幾點呀``."""

    name = "cantonese-question-particle"

    def rewritten(self, text: str) -> str | None:
        said = sentence(text)
        body = said.text.body
        asks = re.search("[咩乜邊點幾]|係咪|係唔係|有冇|會唔會|([\u4e00-\u9fff])唔\\1\\Z", body)
        if asks is None or len(body) < 4 or body.endswith(("嗎", "該", "喇", "未", "啦", "㗎", "呢")):
            return None
        if re.match("話我知|話俾我知|幫我|唔該|報|睇|設|加|取消|將|開|熄|較|調", body):
            return None
        return said.text.unchanged(body[:-1] if body.endswith("呀") else body + "呀")


class MayIAsk(CantoneseRule):
    """請問 or 想問下, which open a question: ``而家幾點`` → ``想問下而家幾點``."""

    name = "cantonese-may-i-ask"

    def rewritten(self, text: str) -> str | None:
        if re.match("[請想幫話報睇唔設加將開熄較調取喂你]|可唔可以|[^,，]*[,，]|.*[喇嗎]\\Z", text) or len(text) < 4:
            return None
        asks = re.search("咩|乜嘢|邊|幾點|幾號|幾多|係咪|係唔係|有冇|會唔會|未\\Z", text)
        return f"想問下{text}" if asks else None
