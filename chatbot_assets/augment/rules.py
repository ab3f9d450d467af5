"""What a paraphrase rule is: an nlpaug augmenter that says one text in one other way, always the same.

A rule of one's own takes a few lines in any importable package; a bot names it in ``augment.rules``::

    class PleaseFirst(ParaphraseRule):
        name = "please-first"

        def rewrite(self, text: str) -> str | None:
            return f"please {text}" if text.startswith("show ") else None

Any other object with a ``name`` and an ``augment(text)`` works as well, nlpaug's own augmenters included; but those
draw at random, so that a refresh with them cannot be repeated.
"""

import re
from typing import Any, ClassVar, NamedTuple

from nlpaug.augmenter.word.word_augmenter import WordAugmenter
from nlpaug.util import Action

RESULT_LIBRARIES = ["nlpaug"]

_MARKS = re.compile(r"[\s.!?~…。！？～]*\Z")


class ParaphraseRule(WordAugmenter):  # type: ignore[misc]
    """Base of the rules. A rule keeps no state between texts: several threads share one.

    One rule gives one variant. A rule with several takes a parameter and stands in the bot's YAML once for each: an
    nlpaug augmenter that is asked for ``n`` results repeats a deterministic one ``n`` times.
    """

    name: ClassVar[str]

    def __init__(self, variant: str | None = None) -> None:
        """A rule that has variants adds ``variant`` to its name."""
        name = self.name if variant is None else f"{self.name}-{variant}"
        super().__init__(action=Action.SUBSTITUTE, name=name)

    def rewrite(self, text: str) -> str | None:
        """The text in other words, or None where the rule's condition does not hold.

        Args:
            text: a normalised text without spaces at its ends.
        """
        raise NotImplementedError

    def substitute(self, data: str) -> str:
        """What nlpaug calls; a text that the rule does not fit stays as it is."""
        rewritten = self.rewrite(data)
        return data if rewritten is None else rewritten

    def augment(self, data: Any, n: int = 1, num_thread: int = 1) -> Any:
        """As nlpaug's, always for one result in the caller's thread."""
        return super().augment(data, n=1, num_thread=1)


class Marked(NamedTuple):
    """A text and the punctuation that ends it."""

    body: str
    marks: str

    @property
    def asks(self) -> bool:
        """Whether the punctuation says that it is a question."""
        return "?" in self.marks

    def as_question(self, body: str) -> str:
        """A question: a full stop becomes a question mark; a text without punctuation gets none."""
        return body + (self.marks if self.asks or not self.marks.strip() else "?")

    def as_request(self, body: str) -> str:
        """A request: without the question mark."""
        return body + self.marks.replace("?", "")

    def unchanged(self, body: str) -> str:
        """The same kind of sentence."""
        return body + self.marks


def marked(text: str) -> Marked:
    """Parts a text from the punctuation at its end."""
    start = _MARKS.search(text).start()  # type: ignore[union-attr]
    return Marked(text[:start], text[start:])


def vocabulary(words: str, separator: str | None = None) -> frozenset[str]:
    """The words of a list that is written as one text: shorter to read and to change than one literal each."""
    return frozenset(word.strip() for word in words.split(separator))


def one_of(value: str, allowed: tuple[str, ...], parameter: str) -> str:
    """Gives a rule's parameter back.

    Raises:
        ValueError: when it is none of the allowed values.
    """
    if value not in allowed:
        raise ValueError(f"{parameter}: {value!r} is unknown; allowed: {', '.join(allowed)}")
    return value
