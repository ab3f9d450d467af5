"""Answers: the response templates of `home-assistant-intents`, or native ones in their place, told about the home."""

from collections.abc import Callable, Mapping
from typing import Any

from chatbot_assets.demo.home import DEVICES, NOW, Device, Home
from chatbot_assets.demo.sentences import Sentence


def answerer(content: Mapping[str, Any], home: Home) -> Callable[[Sentence], str]:
    """A function that gives each sentence its answer; templates are compiled once."""
    from jinja2 import Environment

    environment = Environment(autoescape=False)
    responses = content["responses"]["intents"]
    templates = {
        (intent, key): environment.from_string(source)
        for intent in {*responses, *home.answers}
        for key, source in {**responses.get(intent, {}), **home.answers.get(intent, {})}.items()
    }

    def answer(sentence: Sentence) -> str:
        template = templates.get((sentence.intent, sentence.response))
        return " ".join(template.render(_context(sentence, home)).split()) if template else ""

    return answer


def _context(sentence: Sentence, home: Home) -> dict[str, Any]:
    """What a response template may ask about: the slots, the state of the device, and what else matches."""
    device = sentence.device
    attributes = {"temperature": 24, "temperature_unit": "°C", "current_temperature": 22}
    matched: list[dict[str, str]] = []
    unmatched: list[dict[str, str]] = []
    for other in DEVICES:
        if _asked_about(other, sentence, home):
            (matched if other.state == sentence.asked_state else unmatched).append({"name": home.names[other.key]})
    reading = "22" if sentence.intent == "HassClimateGetTemperature" else home.states.get(device.state, device.state)
    return {
        "slots": {**sentence.slots, "time": NOW, "date": NOW, "canceled": 2},
        "state": {
            "name": home.names[device.key],
            "domain": device.domain,
            "entity_id": device.key,
            "state": device.state if device.domain == "weather" else reading,
            "state_with_unit": reading,
            "attributes": attributes,
        },
        "state_attr": lambda _entity, name: attributes.get(name),
        "query": {"matched": matched, "unmatched": unmatched},
    }


def _asked_about(other: Device, sentence: Sentence, home: Home) -> bool:
    """Whether a question about several devices is about this one too."""
    device, slots = sentence.device, sentence.slots
    if "name" in slots:
        return other == device
    return (
        other.domain == device.domain
        and ("device_class" not in slots or other.device_class == device.device_class)
        and ("{area}" not in sentence.template or other.area == device.area)
        and ("{floor}" not in sentence.template or other.floor == device.floor)
    )
