"""Chinese paraphrases for Mandarin in both scripts: requests, 把, questions, 一下 and particles, by jieba's words.

Each rule is given the script that it writes; lists and patterns are in simplified characters and meet the simplified
copy of a text. Written Cantonese is left to ``chatbot_assets.languages.chinese.cantonese``.
"""

import re
from typing import ClassVar, Literal

from chatbot_assets.augment.rules import ParaphraseRule, one_of, vocabulary
from chatbot_assets.languages.chinese.sentence import SCRIPTS, Script, Sentence, Word, sentence, written_in

_COMMANDS = vocabulary(
    "打开 开启 关闭 关掉 开 关 播放 放 设置 设定 设 提醒 告诉 显示 列出 删除 删掉 取消 添加 增加 新增 加 调低 "
    "调高 调暗 调亮 调大 调小 调 降低 提高 增大 减小 查找 搜索 搜寻 查看 查 查询 检查 找 找到 发送 发 写 创建 "
    "建立 安排 预订 预定 订 叫 给 把 回复 回覆 保存 储存 停止 暂停 继续 开始 打电话 推荐 念 读 朗读 移除 清空 "
    "转发 更改 改变 更换 换 跳过 重播 拨打 叫醒 描述 介绍 解释 为 启动 启用 调整 更新 发布 随机 朗诵 唸 查阅 "
    "撰写 传送 传 寄 拨 移动 转到 切换 倒带 快转 暂时"
)
_RESULTS = "打开|开启|关闭|关掉|删除|删掉|移除|取消|调高|调低|调亮|调暗|调大|调小|清空"
_INDEFINITE = re.compile(
    "[一二三四五六七八九十两几每]|某|任何|任意|新的|什么|并|然后|暂停|静音|播放|设|[,，、。.;；]|请|吗|了|到|给"
)
_LONGEST_QUESTION = 16
"""Characters of a request that still fit between 可以 and 吗."""

_LIGHT = "查|看|找|查询|查看|检查|介绍|解释|推荐|搜索|描述"


class MandarinRule(ParaphraseRule):
    """Base of the rules here: does not fire on written Cantonese."""

    def __init__(self, script: Script, variant: str | None = None) -> None:
        super().__init__(variant)
        one_of(script, SCRIPTS, "script")
        self._script: Script = script

    def rewrite(self, text: str) -> str | None:
        said = sentence(text)
        return None if said.is_cantonese or not said.words else self.rewritten(said)

    def rewritten(self, said: Sentence) -> str | None:
        """The text in other words, or None where the rule's condition does not hold."""
        raise NotImplementedError

    def _write(self, text: str) -> str:
        return written_in(self._script, text)


class Request(MandarinRule):
    """Other ways to ask for the same: ``打开灯`` → ``请打开灯``, ``帮我打开灯``, ``可以帮我打开灯吗``."""

    name = "request"

    _FORMS: ClassVar = {
        "bare": "{}",
        "please": "请{}",
        "trouble": "麻烦{}",
        "help": "帮我{}",
        "can-you": "可以帮我{}吗",
    }
    _POLITE = re.compile("(?:请问?)?(?:你|您)?(?:能不能|可不可以|可以|能够|能)?(?:请|麻烦)?(?:你|您)?(?:帮我|给我)?")

    def __init__(self, script: Script, form: Literal["bare", "please", "trouble", "help", "can-you"]) -> None:
        super().__init__(script, one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewritten(self, said: Sentence) -> str | None:
        start, end = self._request(said)
        simple, request = said.simple[start:end], said.text.body[start:end]
        first = next((word for word in said.words if word.start == start and word.end <= end), None)
        if first is None or first.simple not in _COMMANDS or len(request) - len(first.surface) < 1:
            return None
        if re.match(f"{first.simple}(?:[了的过着是]|不)", simple) or Sentence(said.text, simple, ()).is_question:
            return None
        form = self._FORMS[self._form]
        if re.match(f"给我|为我|{first.simple}(?:一下|给)?我(?!的)", simple):
            if self._form == "help":
                return None
            form = form.replace("帮我", "")
        if self._form == "can-you" and len(request) > _LONGEST_QUESTION:
            return None
        body = self._write(form).format(request)
        return said.text.as_question(body) if self._form == "can-you" else said.text.as_request(body)

    def _request(self, said: Sentence) -> tuple[int, int]:
        """Where the request itself begins and ends, behind and before the words of politeness."""
        start = self._POLITE.match(said.simple).end()  # type: ignore[union-attr]
        polite = said.simple[:start]
        if polite.endswith("给我") and not polite.startswith(("你", "您", "能", "可")):
            start -= len("给我")
        asks = re.search("(?:能|可以)", polite) is not None
        return start, len(said.simple) - 1 if asks and said.simple.endswith(("吗", "吧")) else len(said.simple)


class Disposal(MandarinRule):
    """The object before the verb with 把, and back: ``关掉客厅的灯`` ↔ ``把客厅的灯关掉``.

    Only of definite objects and verbs with a result, as the construction asks.
    """

    name = "disposal"

    _PLAIN = re.compile(f"((?:请|麻烦|帮我|请帮我)?)({_RESULTS})(.+)")
    _WITH_BA = re.compile(f"((?:请|麻烦|帮我|请帮我)?)把(.+?)({_RESULTS})")

    def rewritten(self, said: Sentence) -> str | None:
        if said.is_question:
            return None
        body = said.text.body
        if re.search("[a-z0-9 ]", body):
            return None
        ba = self._WITH_BA.fullmatch(said.simple)
        if ba:
            verb, noun = body[ba.start(3) : ba.end(3)], body[ba.start(2) : ba.end(2)]
            return said.text.unchanged(f"{body[: ba.end(1)]}{verb}{noun}") if len(noun) > 1 else None
        plain = self._PLAIN.fullmatch(said.simple)
        if plain is None or not said.ends_word(plain.end(2)) or not 2 <= len(plain[3]) <= 12:
            return None
        if _INDEFINITE.search(plain[3]) or plain[3][0] in "的在" or re.search(_RESULTS, plain[3]):
            return None
        verb, noun = body[plain.start(2) : plain.end(2)], body[plain.start(3) :]
        return said.text.unchanged(f"{body[: plain.end(1)]}把{noun}{verb}")


class YesNo(MandarinRule):
    """A question with 吗 as one with A-not-A, and back: ``会下雨吗`` ↔ ``会不会下雨``."""

    name = "yes-no"

    _DOUBLED: ClassVar = {
        "有": "有没有",
        "会": "会不会",
        "是": "是不是",
        "能": "能不能",
        "可以": "可不可以",
        "要": "要不要",
        "需要": "需不需要",
    }
    _DONE = re.compile("(?!.*(?:好了|行了|可以了|已|[是有会能])).{2,}了吗")
    _BOUND = tuple("都也还就才只不没再很")
    _PREDICATE = (*_BOUND, *"已正在有会能要该")
    # Behind these a question is part of a request, and there 吗 is not said: 看看门有没有锁.
    _ASKS_WITHIN = re.compile("告诉|检查|确认|[查看说]|知道|(?<!请)问")

    def rewritten(self, said: Sentence) -> str | None:
        body = said.text.body
        for single, doubled in self._DOUBLED.items():
            place = said.simple.find(doubled)
            if place >= 0:
                if self._ASKS_WITHIN.search(said.simple[:place]):
                    return None
                ended = re.search("[吗呢呀啊]\\Z", said.simple)
                rest = body[place + len(doubled) : ended.start() if ended else None]
                is_mere_doubt = single == "是" and said.simple[place + len(doubled) :].startswith(self._PREDICATE)
                kept = "" if is_mere_doubt else self._write(single)
                single_form = body[:place] + kept + rest + self._write("吗")
                return said.text.as_question(single_form) if rest else None
        if not said.simple.endswith("吗") or re.search("[不没]", said.simple):
            return None
        if self._DONE.fullmatch(said.simple):
            return said.text.as_question(body[:-1] + self._write("没有"))
        verb = next((word for word in said.words if self._is_doubled(said, word)), None)
        if verb is None or said.simple[: verb.start].endswith(self._BOUND):
            return None
        doubled = self._write(self._DOUBLED[verb.simple])
        return said.text.as_question(body[: verb.start] + doubled + body[verb.end : -1])

    def _is_doubled(self, said: Sentence, word: Word) -> bool:
        return word.simple in self._DOUBLED and said.simple[word.end] not in "吗了过着"


class Moment(MandarinRule):
    """一下, which softens a request, after its verb, or without it: ``查天气`` ↔ ``查一下天气``."""

    name = "moment"

    _PREFIX = "((?:请|麻烦|帮我|请帮我|麻烦帮我|可以帮我|你能|我想)?)"
    _VERB = re.compile(f"{_PREFIX}({_LIGHT}|提醒我)(?!一|下|到|了|过|的|起来|见|并|是否|如果)(.+)")
    _SOFT = re.compile(f"{_PREFIX}({_LIGHT}|提醒我|告诉我)一下(.+)")

    def rewritten(self, said: Sentence) -> str | None:
        soft, verb = self._SOFT.fullmatch(said.simple), self._VERB.fullmatch(said.simple)
        if soft:
            return said.text.unchanged(said.text.body[: soft.end(2)] + said.text.body[soft.start(3) :])
        if verb is None or not said.ends_word(verb.end(2)) or verb[3][0] in "一二三四五六七八九十两几0123456789":
            return None
        return said.text.unchanged(said.text.body[: verb.end(2)] + "一下" + said.text.body[verb.end(2) :])


class FinalParticle(MandarinRule):
    """The particle of tone at the end: 呢 on a question with a question word, 吧 on a command; or none."""

    name = "final-particle"

    _WITH_PARTICLE = re.compile("(?=.{5,}).*(?:怎么|什么|哪|谁|多少|几).*[呢啊呀]")
    _ASKED = re.compile(
        "(?=.{5,})(?!告诉|[请帮]|为什么|给我|查).*(?:怎么样|如何|哪里|哪儿|什么|谁|多少|几点|几号|几岁|多高)"
    )

    def rewritten(self, said: Sentence) -> str | None:
        simple, body = said.simple, said.text.body
        if self._WITH_PARTICLE.fullmatch(simple):
            return said.text.unchanged(body[:-1])
        if self._ASKED.fullmatch(simple):
            return said.text.unchanged(body + "呢")
        first = said.words[0].simple
        is_plain_command = first in _COMMANDS and first not in ("给", "为", "告诉", "提醒") and not said.is_question
        takes_it = 3 <= len(simple) <= 9 and len(said.words) > 1 and not simple.endswith(("的", "了", "吧"))
        return said.text.unchanged(body + "吧") if is_plain_command and takes_it else None


class MayIAsk(MandarinRule):
    """请问, which opens a polite question: ``现在几点`` → ``请问现在几点``, or without it."""

    name = "may-i-ask"

    def rewritten(self, said: Sentence) -> str | None:
        if said.simple.startswith("请问"):
            return said.text.unchanged(said.text.body[2:].lstrip(",，")) or None
        asks = re.search("怎么|什么|哪|谁|多少|几|多高|多大|多远|如何|吗\\Z|有没有|会不会|是不是", said.simple)
        if asks is None or re.match(
            "[请问帮告给让把能可你您]|麻烦|我[想要]|为我|查|显示|[a-z嗨喂嘿]|.+请", said.simple
        ):
            return None
        return None if said.words[0].simple in _COMMANDS else said.text.unchanged(self._write("请问") + said.text.body)


class TellMe(MandarinRule):
    """``告诉我…``, ``跟我说…`` and ``我想知道…`` for one another; a question after a fact gets one of them."""

    name = "tell-me"

    _FORMS: ClassVar = {"tell": "告诉我", "say": "跟我说", "want": "我想知道"}
    _OPENING = re.compile("(?:(?:请|麻烦|请你|麻烦你|可以|能)?(?:告诉我|跟我说)(?!一下|说)|我想知道)(?![吧吗,，])")
    _FACT = re.compile(
        "(?!.*[你您我吗呢啊呀嘿嗨喂a-z])(?!请|为什么|怎么)"
        ".*(?:怎么样|如何|在哪里|在哪|是什么|是谁|是多少|几点|几号|几岁|多高|多大|什么时候|星期几)"
    )

    def __init__(self, script: Script, form: Literal["tell", "say", "want"]) -> None:
        super().__init__(script, one_of(form, tuple(self._FORMS), "form"))
        self._form = form

    def rewritten(self, said: Sentence) -> str | None:
        opening = self._OPENING.match(said.simple)
        told = self._write(self._FORMS[self._form])
        asks = re.search("怎么|什么|哪|谁|多少|几|如何|多[高大长远]", said.simple)
        fits = self._form == "tell" or asks or (self._form == "want" and "的" in said.simple)
        if opening and fits and len(said.simple) > opening.end() + 1 and not said.simple.endswith("吗"):
            return said.text.as_request(told + said.text.body[opening.end() :])
        is_fact = self._form == "tell" and self._FACT.fullmatch(said.simple) and said.words[0].simple not in _COMMANDS
        return said.text.as_request(told + said.text.body) if is_fact else None


class Want(MandarinRule):
    """``我想``, ``我想要`` and ``我要`` before a verb for one another."""

    name = "want"

    _VERB = "(?=听|看|吃|订|买|点|知道|去|玩|换|设|查|找|学|预|打|关|开|取消|添加)"
    _OPENING = re.compile(f"我(想要|想|要){_VERB}")

    def rewritten(self, said: Sentence) -> str | None:
        opening = self._OPENING.match(said.simple)
        if opening is None or not said.starts_word(opening.end()) or said.is_question:
            return None
        other = {"想": "想要", "想要": "想", "要": "想"}[opening[1]]
        return said.text.unchanged(self._write(f"我{other}") + said.text.body[opening.end() :])


class QuestionWord(MandarinRule):
    """A question word by another of one meaning: ``怎么样`` ↔ ``如何``, ``怎么`` ↔ ``如何``, ``为什么`` → ``为何``."""

    name = "question-word"

    _CLOSING: ClassVar = {"怎么样": "如何", "怎样": "如何", "如何": "怎么样"}
    _OTHERS: ClassVar = {"怎么": "如何", "如何": "怎么", "为什么": "为何", "哪里": "哪儿"}
    _CLOSES = re.compile("(?<![个得的你])(怎么样|怎样|如何)\\Z")
    # 怎么 asks for more than the manner before these: 怎么了, 怎么还没来.
    _INSIDE = re.compile("(?:怎么|如何)(?![了还这那不没会能可啦样办回])(?=.)|为什么")
    _INSIDE_SIMPLIFIED = re.compile(f"{_INSIDE.pattern}|哪里")
    _NOUN_PHRASE = re.compile("指南|方法|步骤|说明|信息|文章")

    def rewritten(self, said: Sentence) -> str | None:
        if said.words[0].simple in _COMMANDS - {"告诉"} or self._NOUN_PHRASE.search(said.simple):
            return None
        inside = self._INSIDE_SIMPLIFIED if self._script == "simplified" else self._INSIDE
        closing, found = self._CLOSES.search(said.simple), inside.search(said.simple)
        asked, other = (closing, self._CLOSING) if closing else (found, self._OTHERS)
        if asked is None or not said.starts_word(asked.start()):
            return None
        body = said.text.body
        return said.text.unchanged(body[: asked.start()] + self._write(other[asked[0]]) + body[asked.end() :])
