"""Applies a bot's paraphrase rules to a text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chatbot_assets.modules import ModuleRef

RESULT_LIBRARIES = ["nlpaug"]

_DIGITS = re.compile(r"\d+")


class Rule(Protocol):
    """What a rule needs: ``chatbot_assets.augment.rules.ParaphraseRule`` has it, and so has each nlpaug augmenter."""

    name: str

    def augment(self, data: str) -> list[str] | str:
        """One or several variants of a text; the text itself where the rule does not fit."""
        ...


@dataclass(frozen=True)
class Paraphrase:
    """A text in other words, and the name of the rule (or ``a+b``, the flow of two) that made it."""

    rule: str
    text: str


class Paraphraser:
    """Gives a normalised text's paraphrases, the same ones in the same order each time; several threads may share it.

    What comes out is a proposal: whether it keeps the meaning is for the gate to say.
    """

    def __init__(self, rules: Sequence[ModuleRef | Rule], flows: Sequence[Sequence[str]] = (), limit: int = 8) -> None:
        """Loads the rules, which takes seconds: nlpaug and a language's analyser are imported here.

        Args:
            rules: the rules, the most natural first.
            flows: names of rules that are applied one after the other (nlpaug's ``Sequential``) to make one more
                paraphrase.
            limit: the most paraphrases for one text.

        Raises:
            ValueError: when a rule cannot be loaded, is no rule, or a flow names one that is not there.
        """
        loaded = [rule.load() if isinstance(rule, ModuleRef) else rule for rule in rules]
        for rule in loaded:
            if not isinstance(getattr(rule, "name", None), str) or not callable(getattr(rule, "augment", None)):
                raise ValueError(f"{rule!r} is no paraphrase rule: it needs a name and a method augment(text)")
        names = [rule.name for rule in loaded]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"augment.rules: {', '.join(twice)} stands there twice; leave one")
        by_name = dict(zip(names, loaded, strict=True))
        self._rules: list[Rule] = [*loaded, *(_flow(by_name, flow) for flow in flows)]
        self._limit = limit

    def __call__(self, text: str) -> list[Paraphrase]:
        """Distinct texts other than ``text``, in NFC and with its numbers, at most ``limit``, best first."""
        found: dict[str, Paraphrase] = {}
        numbers = _DIGITS.findall(text)
        for rule in self._rules:
            for variant in _variants(rule.augment(text)):
                variant = unicodedata.normalize("NFC", variant.strip())
                if variant and variant != text and variant not in found and _DIGITS.findall(variant) == numbers:
                    found[variant] = Paraphrase(rule.name, variant)
            if len(found) >= self._limit:
                break
        return list(found.values())[: self._limit]


def _variants(result: Any) -> Iterable[str]:
    return [result] if isinstance(result, str) else result


def _flow(by_name: dict[str, Any], names: Sequence[str]) -> Rule:
    from nlpaug.flow import Sequential

    unknown = [name for name in names if name not in by_name]
    if unknown or len(names) < 2:
        raise ValueError(
            f"augment.flows: {list(names)} must name two or more of the rules: {', '.join(by_name) or 'none yet'}"
        )
    try:
        flow: Rule = Sequential([by_name[name] for name in names], name="+".join(names))
    except ValueError as error:
        raise ValueError(f"augment.flows: {list(names)}: only nlpaug augmenters make a flow") from error
    return flow
