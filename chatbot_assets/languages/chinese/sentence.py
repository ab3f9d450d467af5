"""A Chinese text's words, by jieba, and what the paraphrase rules of both scripts ask of it."""

import functools
import re
from dataclasses import dataclass
from typing import Literal

from chatbot_assets.augment.rules import Marked, marked
from chatbot_assets.languages.chinese.segmenter import ChineseSegmenter, _simplifier

Script = Literal["simplified", "traditional"]
SCRIPTS: tuple[Script, ...] = ("simplified", "traditional")

_TRADITIONAL = str.maketrans("请烦帮吗么样诉给会问为没说现几点", "請煩幫嗎麼樣訴給會問為沒說現幾點")
_QUESTION = re.compile(
    "怎么|什么|啥|哪|谁|多少|几点|几号|几岁|星期几|周几|多高|多大|多远|多久|多长|如何|为何|何时|吗|呢|没有|是否|是不是|有没有|会不会|能不能|可不可以"
)
_CANTONESE = re.compile("[嘅係唔喺咗冇嗰啲乜咩喇畀俾嚟瞓佢哋啱攞搵睇閂熄咪嘢]|而家|依家|邊度")


def written_in(script: Script, text: str) -> str:
    """A rule's own words in the script; knows only the characters that the rules write."""
    return text if script == "simplified" else text.translate(_TRADITIONAL)


@dataclass(frozen=True)
class Word:
    """One word, the same in simplified characters, and where it begins and ends."""

    surface: str
    simple: str
    start: int
    end: int


@dataclass(frozen=True)
class Sentence:
    """A text's words and its simplified copy, without the punctuation at its end."""

    text: Marked
    simple: str
    words: tuple[Word, ...]

    @property
    def is_cantonese(self) -> bool:
        """Whether it has characters that only written Cantonese uses."""
        return _CANTONESE.search(self.text.body) is not None

    @property
    def is_question(self) -> bool:
        """Whether it asks, by its punctuation, a question word or a particle."""
        return self.text.asks or _QUESTION.search(self.simple) is not None

    def starts_word(self, place: int) -> bool:
        """Whether a word begins at a place of the text."""
        return any(word.start == place for word in self.words)

    def ends_word(self, place: int) -> bool:
        """Whether a word ends before a place of the text."""
        return any(word.end == place for word in self.words)


@functools.lru_cache(maxsize=512)
def sentence(text: str) -> Sentence:
    """The analysis of a normalised text, kept for a while: each rule asks for it."""
    parts = marked(text)
    simplified = _simplifier().convert(parts.body)
    simple = simplified if len(simplified) == len(parts.body) else parts.body
    words, start = [], 0
    for surface in _segmenter()([parts.body])[0]:
        start = parts.body.index(surface, start)
        end = start + len(surface)
        words.append(Word(surface, simple[start:end], start, end))
        start = end
    return Sentence(parts, simple, tuple(words))


@functools.cache
def _segmenter() -> ChineseSegmenter:
    return ChineseSegmenter(characters=False)
