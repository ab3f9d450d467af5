"""Sentences from the templates of `home-assistant-intents`: sampled, not exhausted, and the same in every process."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hassil.expression import Alternative, ListReference, Permutation, RuleReference, Sequence, TextChunk
from hassil.parse_expression import parse_sentence

from chatbot_assets.demo.home import DEVICES, NUMBERS, Device, Home

_DOMAINS = {
    "HassClimate": "climate",
    "HassFan": "fan",
    "HassLawnMower": "lawn_mower",
    "HassMedia": "media_player",
    "HassSetVolume": "media_player",
}
"""What an intent is about where its templates do not say it."""

_CJK = r"[\u3001-\u30ff\u3400-\u9fff\uff00-\uffef]"
_SPACE_IN_CJK = re.compile(rf"(?<={_CJK}) (?={_CJK})")
_SAMPLES_PER_INTENT = 300


@dataclass(frozen=True)
class Sentence:
    """One sampled sentence, what its slots were filled with, and the response that answers it."""

    intent: str
    template: str
    text: str
    response: str
    device: Device
    slots: Mapping[str, Any]
    asked_state: str


@dataclass
class _Walk:
    """One random walk through a template, which fills its slots on the way."""

    random: Random
    home: Home
    lists: Mapping[str, list[tuple[Any, Any]]]
    rules: Mapping[str, Any]
    device: Device
    slots: dict[str, Any] = field(default_factory=dict)
    state: str = ""

    def text(self, expression: Any) -> str:
        """The text that one walk through the expression makes."""
        match expression:
            case TextChunk():
                return str(expression.original_text)
            case Alternative():
                items = expression.items
                if expression.is_optional and self.random.random() < 0.5:
                    return ""
                return self.text(items[self.random.randrange(len(items))])
            case Permutation():
                items = list(expression.items)
                self.random.shuffle(items)
                return "".join(self.text(item) for item in items)
            case Sequence():
                return "".join(self.text(item) for item in expression.items)
            case RuleReference():
                return self.text(self.rules[expression.rule_name].expression)
            case ListReference():
                return self._fill(expression.list_name, expression.slot_name)
        raise TypeError(f"unknown part of a template: {expression!r}")

    def _fill(self, name: str, slot: str) -> str:
        places = {
            "name": (self.home.names, self.device.key),
            "area": (self.home.areas, self.device.area),
            "floor": (self.home.floors, self.device.floor),
        }
        if name in places:
            words, key = places[name]
            spoken = words[key]
        elif name in NUMBERS:
            number = self.random.choice(NUMBERS[name])
            self.slots[slot] = number
            return str(number)
        else:
            values = self.lists[name]
            if name == "cover_classes":
                values = [value for value in values if value[1] == self.device.device_class]
            template, out = self.random.choice(values)
            spoken = self.text(template)
            if slot == "state":
                self.state = str(out)
        self.slots[slot] = spoken
        return spoken


def sentences(content: Mapping[str, Any], home: Home, language: str) -> Iterator[Sentence]:
    """Sample the sentences of every intent in one language file of the package."""
    rules = {name: parse_sentence(body) for name, body in {**content["expansion_rules"], **home.rules}.items()}
    lists = _lists(content, home)
    known = {"name", "area", "floor", *NUMBERS, *(name for name, values in lists.items() if values)}
    skip = re.compile("|".join([r"[{}<>|\[\]()]", r"\b(\w+) \1\b", *home.skip]))

    for intent, block, template, count in _templates(content, home):
        parsed = parse_sentence(template)
        used = set(parsed.list_names(rules))
        devices = _devices(intent, block)
        if "cover_classes" in used:
            classes = {out for _, out in lists["cover_classes"]}
            devices = [device for device in devices if device.device_class in classes]
        if not devices or not used <= known:
            continue
        random = Random(f"{language} {intent} {template}")
        for _ in range(max(6, _SAMPLES_PER_INTENT // count)):
            walk = _Walk(random, home, lists, rules, random.choice(devices))
            text = _SPACE_IN_CJK.sub("", " ".join(walk.text(parsed.expression).split()))
            if text and not skip.search(text):
                slots = {"area": home.areas[walk.device.area], **walk.slots}
                response = block.get("response", "default")
                yield Sentence(intent, template, text, response, walk.device, slots, walk.state)


def _templates(content: Mapping[str, Any], home: Home) -> Iterator[tuple[str, Mapping[str, Any], str, int]]:
    """Each template with its intent, its block, and how many templates the intent has."""
    for intent, body in content["intents"].items():
        if intent in home.leave_out:
            continue
        count = sum(len(block["sentences"]) for block in body["data"])
        for block in body["data"]:
            for template in block["sentences"]:
                for old, new in home.rewrite:
                    template = template.replace(old, new)
                yield intent, block, template, count


def _lists(content: Mapping[str, Any], home: Home) -> dict[str, list[tuple[Any, Any]]]:
    """The words that each list may stand for, as parsed templates with what they mean; the home's own lists win."""
    values = {
        name: [(str(value["in"]), value["out"]) for value in body["values"]]
        for name, body in content["lists"].items()
        if "values" in body
    } | {name: [(word, word) for word in words] for name, words in home.values.items()}
    return {name: [(parse_sentence(word).expression, out) for word, out in words] for name, words in values.items()}


def _devices(intent: str, block: Mapping[str, Any]) -> list[Device]:
    """The devices that the sentences of one block fit."""
    named = block.get("requires_context", {}).get("domain") or block.get("slots", {}).get("domain")
    if not named:
        named = [domain for prefix, domain in _DOMAINS.items() if intent.startswith(prefix)]
    domains = {named} if isinstance(named, str) else set(named)
    return [device for device in DEVICES if not domains or device.domain in domains]
