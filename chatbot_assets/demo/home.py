"""The small home that every demo sentence and answer is about: the same in each language, under native names."""

from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

import yaml

PACKAGE_LANGUAGES = {
    "ko": "ko",
    "ja": "ja",
    "en": "en",
    "zh-Hant": "zh-HK",
    "zh-Hans": "zh-CN",
    "zh-TW": "zh-TW",
    "th": "th",
    "vi": "vi",
}
"""The platform's language keys, and the file of `home-assistant-intents` that each one reads."""

NOW = datetime(2026, 5, 20, 14, 5)
"""The moment at which every demo question is asked."""

FLOOR_OF = {
    "living_room": "ground",
    "kitchen": "ground",
    "hallway": "ground",
    "garage": "ground",
    "bedroom": "upper",
    "bathroom": "upper",
}
"""The rooms of the home and the floor that each one is on."""

NUMBERS = {
    "temperature": (20, 22, 24, 26),
    "brightness": (10, 30, 50, 80),
    "volume": (20, 35, 50),
    "volume_step_up": (5, 10, 20),
    "volume_step_down": (5, 10, 20),
    "position": (30, 50, 75),
    "fan_speed": (25, 50, 75),
    "color_temperature": (2700, 4000),
    "timer_hours": (2, 3),
    "timer_minutes": (5, 10, 15, 45),
    "timer_seconds": (20, 30, 45),
}
"""The numbers that stand in for the ranges of the sentence templates."""


@dataclass(frozen=True)
class Device:
    """One thing in the home, in one fixed state."""

    key: str
    domain: str
    area: str
    state: str
    device_class: str = ""

    @property
    def floor(self) -> str:
        """The floor that the device's room is on."""
        return FLOOR_OF[self.area]


DEVICES = (
    Device("ceiling_light", "light", "living_room", "on"),
    Device("counter_light", "light", "kitchen", "on"),
    Device("bedside_lamp", "light", "bedroom", "off"),
    Device("mirror_light", "light", "bathroom", "off"),
    Device("ceiling_fan", "fan", "bedroom", "on"),
    Device("exhaust_fan", "fan", "kitchen", "off"),
    Device("coffee_machine", "switch", "kitchen", "off"),
    Device("washing_machine", "switch", "bathroom", "on"),
    Device("tv", "media_player", "living_room", "playing"),
    Device("speaker", "media_player", "bedroom", "idle"),
    Device("thermostat", "climate", "living_room", "heat"),
    Device("air_conditioner", "climate", "bedroom", "cool"),
    Device("curtain", "cover", "living_room", "open", "curtain"),
    Device("blind", "cover", "bedroom", "closed", "blind"),
    Device("garage_door", "cover", "garage", "closed", "garage"),
    Device("front_door", "lock", "hallway", "locked"),
    Device("garage_side_door", "lock", "garage", "unlocked"),
    Device("vacuum", "vacuum", "living_room", "docked"),
    Device("lawn_mower", "lawn_mower", "garage", "docked"),
    Device("movie_night", "scene", "living_room", "on"),
    Device("bedtime", "scene", "bedroom", "on"),
    Device("morning_routine", "script", "bedroom", "off"),
    Device("leaving_home", "script", "hallway", "off"),
    Device("chores", "todo", "kitchen", "3"),
    Device("packing", "todo", "bedroom", "5"),
    Device("city", "weather", "living_room", "sunny"),
)


@dataclass(frozen=True)
class Home:
    """The home in one language: its names, its words, and what replaces the package's own templates there."""

    areas: dict[str, str]
    floors: dict[str, str]
    names: dict[str, str]
    states: dict[str, str]
    values: dict[str, list[str]]
    rules: dict[str, str] = field(default_factory=dict)
    leave_out: list[str] = field(default_factory=list)
    rewrite: list[tuple[str, str]] = field(default_factory=list)
    skip: list[str] = field(default_factory=list)
    answers: dict[str, dict[str, str]] = field(default_factory=dict)


def read_home(language: str) -> Home:
    """Read the home's words of one language from `homes/`."""
    path = files(__package__) / "homes" / f"{language}.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Home(**content)
