"""A Japanese sentence's words, and other forms of its verbs; by SudachiPy."""

import functools
from dataclasses import dataclass

from chatbot_assets.augment.rules import Marked, marked
from chatbot_assets.languages.ja.segmenter import _Tokenizers

QUESTION_WORDS = (
    "何",
    "なに",
    "なん",
    "いつ",
    "どこ",
    "誰",
    "だれ",
    "どう",
    "どの",
    "どれ",
    "どんな",
    "いくら",
    "いくつ",
    "なぜ",
    "どっち",
    "どちら",
)
_TE = {
    "く": "いて",
    "ぐ": "いで",
    "す": "して",
    "つ": "って",
    "ぬ": "んで",
    "ぶ": "んで",
    "む": "んで",
    "る": "って",
    "う": "って",
}
_STEM = {"く": "き", "ぐ": "ぎ", "す": "し", "つ": "ち", "ぬ": "に", "ぶ": "び", "む": "み", "る": "り", "う": "い"}


@dataclass(frozen=True)
class Word:
    """One word as Sudachi found it: where it begins and ends, its dictionary form, parts of speech and conjugation."""

    surface: str
    lemma: str
    kind: str
    conjugation: str
    form: str
    start: int
    end: int

    @property
    def is_verb(self) -> bool:
        return self.kind.startswith("動詞")

    @property
    def is_noun(self) -> bool:
        return self.kind.startswith(("名詞-普通名詞", "名詞-固有名詞"))


@dataclass(frozen=True)
class Sentence:
    """A text's words, without the punctuation at its end."""

    text: Marked
    words: tuple[Word, ...]

    @property
    def asks_for(self) -> bool:
        """Whether a question word stands in the sentence."""
        return any(word.lemma.startswith(QUESTION_WORDS) and not word.lemma.startswith("どうぞ") for word in self.words)

    def ends(self, *surfaces: str) -> bool:
        """Whether its last words are these."""
        return tuple(word.surface for word in self.words[-len(surfaces) :]) == surfaces

    def before(self, place: int) -> str:
        """The text before a word."""
        return self.text.body[: self.words[place].start]


def dictionary_form(verb: Word, said: Sentence) -> str:
    """The verb's dictionary form; 降り, which Sudachi may take for 降りる (get off), is 降る of rain and snow."""
    falls = any(word.lemma in ("雨", "雪", "大雨", "大雪") for word in said.words)
    return "降る" if verb.lemma == "降りる" and falls else verb.lemma


def te_form(word: Word) -> str | None:
    """The て-form of a verb (消す: 消して); None for conjugations that are not modern standard."""
    if word.conjugation.startswith("五段"):
        return "行って" if word.lemma == "行く" else word.lemma[:-1] + _TE[word.lemma[-1]]
    return _continued(word, "て")


def polite_stem(word: Word) -> str | None:
    """The form of a verb before ます (消す: 消し); None for conjugations that are not modern standard."""
    if word.conjugation.startswith("五段"):
        return word.lemma[:-1] + _STEM[word.lemma[-1]]
    return _continued(word, "")


def _continued(word: Word, suffix: str) -> str | None:
    if word.conjugation.startswith(("上一段", "下一段")):
        return word.lemma[:-1] + suffix
    if word.conjugation.startswith("サ行変格") and word.lemma.endswith("する"):
        return word.lemma[:-2] + "し" + suffix
    return None


@functools.lru_cache(maxsize=512)
def sentence(text: str) -> Sentence:
    """The analysis of a normalised text, kept for a while: each rule asks for it."""
    parts = marked(text)
    words = []
    for found in _tokenizers().tokenizer.tokenize(parts.body):
        speech = found.part_of_speech()
        kind = "-".join(part for part in speech[:4] if part != "*")
        words.append(
            Word(found.surface(), found.dictionary_form(), kind, speech[4], speech[5], found.begin(), found.end())
        )
    return Sentence(parts, tuple(words))


@functools.cache
def _tokenizers() -> _Tokenizers:
    return _Tokenizers("C")
