"""Japanese paraphrases: requests, plain and polite endings, particles and questions, by Sudachi's words."""

import re
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import ParaphraseRule, one_of, vocabulary
from chatbot_assets.languages.ja.sentence import (
    QUESTION_WORDS,
    Sentence,
    Word,
    dictionary_form,
    polite_stem,
    sentence,
    te_form,
)

_KUDASAI = re.compile(
    r"(?:ください(?:ませんか)?|下さい|くれ(?:る|ますか|ませんか|ない)|もらえ(?:る|ますか|ませんか|ない)"
    r"|いただけ(?:ますか|ませんか)|頂けますか|ちょうだい|欲しい(?:です)?|ほしい(?:です)?)\Z"
)
# Verbs by which people operate a device or an application; their plain form is said as a command.
_COMMAND_VERBS = vocabulary(
    "消す つける 付ける 点ける 流す 開く 開ける 閉める 閉じる 止める 下げる 上げる 送る 探す 調べる 見せる "
    "教える 起こす 変える かける"
)
_COMMAND_NOUNS = vocabulary(
    "セット 設定 再生 追加 削除 作成 検索 予約 停止 開始 変更 表示 送信 返信 キャンセル 確認 登録 保存 ミュート 起動"
)
# Honorific and humble verbs: nobody who chooses them says them plainly (ございます, but not ござる).
_COURTEOUS = vocabulary("ござる いたす いただく おる 参る 申す 存じる いらっしゃる なさる くださる")


class Request(ParaphraseRule):
    """Other ways to ask for the same: ``教えて`` → ``教えてください``, ``教えてくれる``, ``教えてもらえますか``.

    Fires on a verb's て-form that closes the sentence, alone or with a word of giving.
    """

    name = "request"

    _FORMS: ClassVar = {
        "plain": "",
        "kudasai": "ください",
        "kureru": "くれる",
        "moraemasuka": "もらえますか",
    }

    def __init__(self, form: Literal["plain", "kudasai", "kureru", "moraemasuka"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        base = _request(said)
        if base is None:
            return None
        body = base + self._FORMS[self._form]
        return said.text.as_request(body) if self._form in ("plain", "kudasai") else said.text.as_question(body)


def _request(said: Sentence) -> str | None:
    """The text up to the て of a request."""
    giving = _KUDASAI.search(said.text.body)
    end = giving.start() if giving else len(said.text.body)
    place = next((place for place, word in enumerate(said.words) if word.end == end), None)
    if not place or said.words[place].kind != "助詞-接続助詞" or said.words[place].surface not in ("て", "で"):
        return None
    if giving is None and said.text.asks:
        return None
    before = said.words[place - 1]
    return said.text.body[:end] if before.is_verb and before.form.startswith("連用形") else None


class CommandRequest(ParaphraseRule):
    """A plain-form command to a device as a request: ``アラームをセットする`` → ``アラームをセットして``."""

    name = "command-request"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.asks_for or said.text.asks or len(said.words) < 2 or any(word.surface == "が" for word in said.words):
            return None
        last, before = said.words[-1], said.words[-2]
        if before.surface in _COMMAND_NOUNS and last.lemma == "する" and last.form.startswith("終止形"):
            return said.text.as_request(said.before(-1) + "して")
        if last.surface in _COMMAND_NOUNS and before.surface == "を":
            return said.text.as_request(said.text.body + "して")
        is_plain_command = last.lemma in _COMMAND_VERBS and last.surface == last.lemma and before.surface == "を"
        te = te_form(last) if is_plain_command else None
        return None if te is None else said.text.as_request(said.before(-1) + te)


class Politeness(ParaphraseRule):
    """です and ます, or the plain form: ``雨は降りますか`` ↔ ``雨は降る?``, ``聞きたい`` ↔ ``聞きたいです``."""

    name = "politeness"

    def __init__(self, level: Literal["plain", "polite"]) -> None:
        super().__init__(one_of(level, ("plain", "polite"), "level"))
        self._level = level

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if len(said.words) < 2:
            return None
        return _plain(said) if self._level == "plain" else _polite(said)


def _plain(said: Sentence) -> str | None:
    asks = said.words[-1].surface == "か"
    words = said.words[:-1] if asks else said.words
    if len(words) < 2:
        return None
    last, before = words[-1], words[-2]
    if last.surface == "ます" and before.is_verb:
        humble = any(word.kind == "接頭辞" for word in words[-4:-2])
        if humble or before.lemma in _COURTEOUS or _KUDASAI.search(said.text.body):
            return None
        body = said.text.body[: before.start] + dictionary_form(before, said)
    elif last.surface == "です" and (_is_adjective(before) or (asks and _may_close_a_question(before))):
        body = said.text.body[: last.start]
    else:
        return None
    # Without か and a question word only the mark tells a question from a statement.
    return body + "?" if asks and not said.asks_for and not said.text.asks else said.text.unchanged(body)


def _is_adjective(word: Word) -> bool:
    return word.lemma == "たい" or word.kind.startswith("形容詞")


def _may_close_a_question(word: Word) -> bool:
    return word.is_noun or word.lemma.startswith(QUESTION_WORDS)


def _polite(said: Sentence) -> str | None:
    last, before = said.words[-1], said.words[-2]
    if last.lemma == "たい" and last.surface == "たい":
        return said.text.unchanged(said.text.body + "です")
    if last.surface in QUESTION_WORDS or (last.is_noun and last.surface.startswith("何")):
        follows = before.surface in ("は", "って", "が") or before.is_noun
        return said.text.unchanged(said.text.body + "ですか") if follows else None
    if last.lemma in ("ある", "いる") and last.surface == last.lemma and (said.text.asks or said.asks_for):
        stem = polite_stem(last)
        return None if stem is None else said.text.unchanged(said.before(-1) + stem + "ますか")
    return None


class BareNoun(ParaphraseRule):
    """Without the を that speech leaves out before the verb of a request: ``電気を消して`` → ``電気消して``."""

    name = "bare-noun"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if _request(said) is None:
            return None
        for noun, particle, verb in zip(said.words, said.words[1:], said.words[2:], strict=False):
            if particle.surface == "を" and noun.is_noun and verb.kind == "動詞-一般" and verb.lemma in _COMMAND_VERBS:
                return said.text.body[: particle.start] + said.text.body[particle.end :] + said.text.marks
        return None


class ObjectParticle(ParaphraseRule):
    """を on the bare object of a request: ``電気消して`` → ``電気を消して``."""

    name = "object-particle"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if _request(said) is None:
            return None
        for noun, verb in zip(said.words, said.words[1:], strict=False):
            is_object = noun.kind in ("名詞-普通名詞-一般", "名詞-固有名詞-一般") and verb.lemma in _COMMAND_VERBS
            if is_object and verb.kind == "動詞-一般" and verb.surface != noun.surface:
                return said.text.body[: noun.end] + "を" + said.text.body[noun.end :] + said.text.marks
        return None


class WantToKnow(ParaphraseRule):
    """``…を教えて`` and ``…が知りたい`` for one another."""

    name = "want-to-know"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        base = _request(said)
        if base is not None and base.endswith("を教えて"):
            polite = said.text.body != base
            return said.text.as_request(base.removesuffix("を教えて") + ("が知りたいです" if polite else "が知りたい"))
        asked = re.fullmatch(r"(.+)[をが]知りたい(です)?", said.text.body)
        return asked and said.text.unchanged(asked[1] + ("を教えてください" if asked[2] else "を教えて"))


class TellMe(ParaphraseRule):
    """A question after a fact as a request: ``廊下はどこですか`` → ``廊下がどこか教えてください``."""

    name = "tell-me"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        asked = re.fullmatch(r"(.+?)(ですか)?", said.text.body)
        if asked is None or len(said.words) < 3:
            return None
        rest = [word for word in said.words if word.end <= asked.end(1)]
        last, before = rest[-1], rest[-2] if len(rest) > 1 else rest[-1]
        embedded = re.sub(r"は(?=[^は]*\Z)", "が", asked[1]) if before.surface == "は" else asked[1]
        closes_with_question_word = last.surface.startswith(QUESTION_WORDS) and last.surface not in ("どう", "なぜ")
        if not closes_with_question_word or before.surface not in ("は", "が", "って", "今"):
            return None
        return said.text.as_request(embedded + ("か教えてください" if asked[2] else "か教えて"))


class HowIs(ParaphraseRule):
    """The ways to ask how something is: ``天気はどう`` → ``天気はどうですか``, ``天気はどんな感じ``."""

    name = "how-is"

    _FORMS: ClassVar = {
        "dou": "どう",
        "dou-desu-ka": "どうですか",
        "donna-kanji": "どんな感じ",
    }
    _ASKED = re.compile(
        r"(.+)はどう(?:ですか|でしょうか|なの|なってる|なっていますか|なっている|なってますか|なんだろう)?"
    )

    def __init__(self, form: Literal["dou", "dou-desu-ka", "donna-kanji"]) -> None:
        super().__init__(one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        asked = self._ASKED.fullmatch(said.text.body)
        if asked is None or not any(word.surface == "どう" and word.kind == "副詞" for word in said.words):
            return None
        return said.text.as_question(f"{asked[1]}は{self._FORMS[self._form]}")


class Wonder(ParaphraseRule):
    """A yes-or-no question as one wonders aloud: ``雨は降りますか`` → ``雨は降るかな``."""

    name = "wonder"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if said.asks_for or len(said.words) < 3 or not said.ends("ます", "か") or _KUDASAI.search(said.text.body):
            return None
        verb = said.words[-3]
        if not verb.is_verb or dictionary_form(verb, said) not in ("ある", "いる", "降る"):
            return None
        return said.text.body[: verb.start] + dictionary_form(verb, said) + "かな" + said.text.marks


class Topic(ParaphraseRule):
    """は before a question word, as って in speech or left out: ``天気はどう`` → ``天気どう``, ``天気って何``."""

    name = "topic"

    def __init__(self, form: Literal["bare", "tte"]) -> None:
        super().__init__(one_of(form, ("bare", "tte"), "form"))
        self._form = form

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        for place in range(len(said.words) - 2):
            noun, particle, asked = said.words[place : place + 3]
            is_topic = noun.is_noun and (particle.surface, particle.kind) == ("は", "助詞-係助詞")
            if is_topic and asked.surface.startswith(QUESTION_WORDS) and self._fits(said, place):
                other = "" if self._form == "bare" else "って"
                return said.text.body[: particle.start] + other + said.text.body[particle.end :] + said.text.marks
        return None

    def _fits(self, said: Sentence, place: int) -> bool:
        """Not before 何か (something), not って on a time, and not ``予定何ですか``, which mixes styles."""
        asked, following = said.words[place + 2], [word.surface for word in said.words[place + 3 :][:1]]
        if following == ["か"] or asked.surface.endswith("か"):
            return False
        if self._form == "tte":
            return not said.words[place].kind.endswith("副詞可能")
        return not (asked.surface.startswith(("何", "なん")) and following == ["です"])


class Ellipsis(ParaphraseRule):
    """A question of which only the topic is said, in full: ``株価は`` → ``株価を教えて``."""

    name = "ellipsis"

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        if len(said.words) < 2 or not said.ends("は") or said.words[-1].kind != "助詞-係助詞":
            return None
        noun = said.words[-2]
        is_thing = noun.is_noun and not noun.kind.endswith("副詞可能")
        return said.text.as_request(said.before(-1) + "を教えて") if is_thing else None
