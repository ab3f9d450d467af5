"""Vietnamese paraphrases: words of asking, question forms and closing particles, by pyvi's words."""

import functools
import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import Marked, ParaphraseRule, marked, one_of, vocabulary
from chatbot_assets.languages.vi.segmenter import VietnameseSegmenter

_COMMANDS = vocabulary(
    "bật, tắt, mở, phát, cài, cài đặt, đặt, thêm, xoá, xóa, huỷ, hủy, gửi, gọi, nhắc, nhắc nhở, tìm, tìm kiếm, "
    "nói, kể, đọc, kiểm tra, tăng, giảm, chơi, lên lịch, đánh thức, tạo, viết, soạn, dừng, tạm dừng, tiếp tục, "
    "chuyển, lưu, liệt kê, hiển thị, hiện, thay đổi, đổi, mua, báo, chỉ, giải thích, trả lời, phản hồi, đăng, "
    "ghi, dọn, hút, pha, đưa, xem, lấy, chạy, khởi động, bắt đầu, đóng, kéo, khoá, khóa, mở khoá, làm, "
    "loại bỏ, gỡ, thiết lập, điều chỉnh, chỉnh, vặn, chia sẻ, gợi ý, đề xuất, giới thiệu, bỏ qua, phát lại, "
    "lặp lại, tra cứu, tra, cập nhật, đặt mua, đặt lịch",
    separator=",",
)
_QUESTION_WORDS = vocabulary(
    "gì, nào, đâu, sao, ai, mấy, bao nhiêu, bao lâu, bao giờ, khi nào, thế nào, như thế nào, ra sao, tại sao, "
    "vì sao, ở đâu, không, chưa, bao xa, hả",
    separator=",",
)
_CLOSING = ("không", "chưa", "nhé", "nha", "ạ", "vậy", "thế", "đi", "với", "hả", "nhỉ", "chứ", "rồi")
_LONGEST = 11
"""Syllables of a request that still fit before a closing word: behind more it sounds lost."""


@dataclass(frozen=True)
class Sentence:
    """A text's words, without the punctuation at its end."""

    text: Marked
    words: tuple[str, ...]

    @property
    def asks(self) -> bool:
        """Whether it asks, by its punctuation or a question word."""
        return self.text.asks or any(word in _QUESTION_WORDS for word in self.words)

    @property
    def asks_for(self) -> bool:
        """Whether it closes with, or holds, a word that asks for something (not for yes or no)."""
        return any(word in _QUESTION_WORDS - {"không", "chưa", "hả"} for word in self.words)


@functools.lru_cache(maxsize=512)
def sentence(text: str) -> Sentence:
    """The analysis of a normalised text, kept for a while: each rule asks for it."""
    parts = marked(text)
    return Sentence(parts, tuple(_segmenter()([parts.body])[0]))


@functools.cache
def _segmenter() -> VietnameseSegmenter:
    return VietnameseSegmenter()


class Request(ParaphraseRule):
    """Other ways to ask for the same: ``bật đèn`` → ``hãy bật đèn``, ``bật đèn giúp tôi``, ``bật đèn nhé``."""

    name = "request"

    _FORMS: ClassVar = {
        "bare": "{}",
        "do": "hãy {}",
        "please": "làm ơn {}",
        "help": "{} giúp tôi",
        "can-you": "bạn có thể {} không",
        "particle": "{} nhé",
    }
    _ASKED = re.compile("(?:bạn )?có thể (.+?)(?: được)? không")
    _BEFORE = re.compile("(?:xin )?(?:hãy |làm ơn (?:hãy )?|vui lòng |xin )(?:(?:giúp|hộ) tôi )?|giúp tôi ")
    _BEHIND = re.compile(" (?:giúp tôi|hộ tôi|giùm tôi|giúp mình)?(?: ?(?:nhé|nha|đi|với|được không|được chứ))?\\Z")

    def __init__(self, form: Literal["bare", "do", "please", "help", "can-you", "particle"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        request = self._request(said)
        closes = self._form in ("help", "can-you", "particle")
        if request is None or (closes and len(request.split()) > _LONGEST):
            return None
        if self._form == "help" and re.search(r"\b(?:cho|nhắc|giúp|báo|đánh thức|gọi) (?:tôi|mình)\b", request):
            return None
        body = self._FORMS[self._form].format(request)
        return said.text.as_question(body) if self._form == "can-you" else said.text.as_request(body)

    def _request(self, said: Sentence) -> str | None:
        asked = self._ASKED.fullmatch(said.text.body)
        request = asked[1] if asked else self._BEHIND.sub("", said.text.body + " ").strip()
        before = self._BEFORE.match(request)
        request = request[before.end() :] if before else request
        words = sentence(request).words
        is_command = bool(words) and (words[0] in _COMMANDS or request.startswith("cho tôi "))
        if not is_command or len(words) < 2 or (not asked and said.text.asks) or re.search("[.,;]", request):
            return None
        holds_question = sentence(request).asks and "biết" not in words
        return None if holds_question or request.endswith(_CLOSING) else request


class OrNot(ParaphraseRule):
    """The close of a question by another: ``có mưa không`` ↔ ``có mưa hay không``, ``phải không`` ↔ ``đúng không``."""

    name = "or-not"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        body = said.text.body
        for one, other in ((" phải không", " đúng không"), (" đúng không", " phải không"), (" hay không", " không")):
            if body.endswith(one):
                return said.text.unchanged(body.removesuffix(one) + other)
        has_verb = re.search(r"\bcó (?!thể\b|phải\b)\S+ .*không\Z|\bcó (?!thể\b|phải\b)\S+ không\Z", body)
        if (
            has_verb is None
            or body.endswith(("được không", "hay không"))
            or re.search(r"\b(?:gì|nào|bạn có thể)\b", body)
        ):
            return None
        return said.text.unchanged(body.removesuffix("không") + "hay không")


class CanIt(ParaphraseRule):
    """``có thể … không`` and ``có thể … được không`` for one another, and ``có phải … không`` as ``… phải không``."""

    name = "can-it"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        body = said.text.body
        able = re.fullmatch("(.*có thể .+?)( được)? không", body)
        if able:
            return said.text.unchanged(f"{able[1]} không" if able[2] else f"{able[1]} được không")
        is_so = re.fullmatch("có phải (?:là )?(.+?) không", body)
        return said.text.unchanged(f"{is_so[1]} phải không") if is_so else None


class QuestionWord(ParaphraseRule):
    """A question word by another of one meaning: ``thế nào`` ↔ ``ra sao``, ``khi nào`` ↔ ``bao giờ``."""

    name = "question-word"

    _PAIRS = (
        ("như thế nào", "ra sao"),
        ("thế nào", "ra sao"),
        ("ra sao", "thế nào"),
        ("tại sao", "vì sao"),
        ("vì sao", "tại sao"),
        ("khi nào", "bao giờ"),
        ("bao giờ", "khi nào"),
        ("bây giờ là mấy giờ", "bây giờ mấy giờ rồi"),
        ("mấy giờ rồi", "bây giờ là mấy giờ"),
        ("là ngày mấy", "là ngày bao nhiêu"),
        ("là ngày bao nhiêu", "là ngày mấy"),
        ("như nào", "như thế nào"),
    )

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        for one, other in self._PAIRS:
            found = re.search(rf"(?<!\S){one}(?!\S)", said.text.body)
            if found is None:
                continue
            is_whole_manner = other != "ra sao" or found.end() == len(said.text.body)
            how_to = re.match("làm|cách", said.text.body) or "làm thế nào" in said.text.body
            if not is_whole_manner or (how_to and other == "ra sao") or (one == "mấy giờ rồi" and found.start()):
                return None
            return said.text.unchanged(said.text.body[: found.start()] + other + said.text.body[found.end() :])
        return None


class QuestionParticle(ParaphraseRule):
    """``vậy`` or ``ạ`` at the end of a question: ``bây giờ là mấy giờ`` → ``bây giờ là mấy giờ vậy``."""

    name = "question-particle"

    def __init__(self, particle: Literal["vậy", "ạ"]) -> None:
        super().__init__(one_of(particle, ("vậy", "ạ"), "particle"))
        self._particle = particle

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        body = said.text.body
        denies = re.search(r"\b(?:không|chẳng|chả|đừng|chưa)\b.* (?:đâu|gì|ai|bao giờ)\Z", body)
        if len(said.words) < 3 or denies or body.endswith(("vậy", "ạ", "thế", "hả", "nhỉ", "nhé", "chứ")):
            return None
        closes_for = said.words[-1] in _QUESTION_WORDS - {"không", "chưa"} or re.search(
            "(?:mấy giờ|bao nhiêu|mấy|gì)(?: \\S+)?\\Z", body
        )
        closes = closes_for if self._particle == "vậy" else closes_for or said.words[-1] in ("không", "chưa")
        is_command = said.words[0] in _COMMANDS or body.startswith(("cho tôi", "hãy", "làm ơn", "tôi muốn"))
        return said.text.unchanged(f"{body} {self._particle}") if closes and not is_command else None


class Pronoun(ParaphraseRule):
    """``tôi`` as the friendlier ``mình``: ``nhắc tôi`` → ``nhắc mình``.

    Not where ``mình`` could be the listener: beside ``bạn`` and, in a request, of what one owns (``mẹ tôi``).
    """

    name = "pronoun"

    _BESIDE_SPEAKER = re.compile(r"(?:nhắc|nhắc nhở|cho|gọi|giúp|hộ|báo|báo cho|thức|với) tôi\b")

    def rewrite(self, text: str) -> str | None:
        of_speaker = text.startswith("tôi ") or "tôi" not in self._BESIDE_SPEAKER.sub("", text).split()
        if not of_speaker or re.search(r"\b(?:mình|chúng tôi|bạn|tớ|em|anh|chị)\b", text):
            return None
        friendly = re.sub(r"\btôi\b", "mình", text)
        return friendly if friendly != text else None


class HelpWord(ParaphraseRule):
    """``giúp tôi`` as ``hộ tôi``, and the other way round, behind what is asked for."""

    name = "help-word"

    def rewrite(self, text: str) -> str | None:
        found = re.search(r"(?<=\S) (giúp|hộ|giùm) (?=(?:tôi|mình)\b)", text)
        if found is None or (re.match("bạn có thể|hãy|làm ơn|xin", text[: found.start() + 1]) and found.start() < 12):
            return None
        return f"{text[: found.start()]} {'hộ' if found[1] == 'giúp' else 'giúp'} {text[found.end() :]}"


class TellMe(ParaphraseRule):
    """``cho tôi biết`` in other words, and a question after a fact as a request for it."""

    name = "tell-me"

    _FORMS: ClassVar = {"tell": "cho tôi biết", "say": "nói cho tôi biết", "want": "tôi muốn biết"}
    _OPENING = re.compile("(?:hãy )?(?:nói )?cho tôi biết |tôi muốn biết ")
    _FACT = re.compile(
        r"(?!.*\b(?:bạn|tôi|có thể|tại sao|vì sao|làm sao|làm thế nào)\b).+ "
        "(?:thế nào|ra sao|là gì|ở đâu|bao nhiêu|mấy giờ|bao nhiêu tuổi|khi nào|bao giờ|là ai|bao xa|bao lâu)"
    )

    def __init__(self, form: Literal["tell", "say", "want"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        opening = self._OPENING.match(said.text.body)
        if opening:
            rest = said.text.body[opening.end() :]
            return None if rest.endswith("không") else said.text.as_request(f"{self._FORMS[self._form]} {rest}")
        is_fact = self._form == "tell" and self._FACT.fullmatch(said.text.body) and said.words[0] not in _COMMANDS
        return said.text.as_request(f"cho tôi biết {said.text.body}") if is_fact else None


class Synonym(ParaphraseRule):
    """A word by another of one meaning: ``bật đèn`` ↔ ``mở đèn``, ``email`` ↔ ``thư điện tử``."""

    name = "synonym"

    _PAIRS = (
        (r"bật(?= (?:đèn|nhạc|bài hát|quạt|máy lạnh|điều hoà|radio|ti ?vi|đài)\b)", "mở"),
        (r"mở(?= (?:đèn|nhạc|quạt|máy lạnh|điều hoà|radio|ti ?vi|đài)\b)", "bật"),
        (r"thư điện tử", "email"),
        (r"email", "thư điện tử"),
        (r"\Atìm kiếm(?= \S)", "tìm"),
        (r"\Atìm(?= (?!kiếm\b|cho\b)\S)", "tìm kiếm"),
        (r"bài nhạc", "bài hát"),
        (r"máy lạnh", "điều hoà"),
        (r"điều hoà(?! không)", "máy lạnh"),
    )

    def rewrite(self, text: str) -> str | None:
        for pattern, other in self._PAIRS:
            found = re.search(rf"(?<!\S){pattern}(?![\w@])", text) if pattern[0] != "\\" else re.search(pattern, text)
            if found and not re.match(r" ?(?:@|a còng|chấm)", text[found.end() :]):
                return text[: found.start()] + other + text[found.end() :]
        return None
