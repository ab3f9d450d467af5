"""Three small bots with modules of their own, and what can happen to them."""

import random
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.platform import Platform

BOTS = ("red.one", "red.two", "blue.three")
SUBJECTS = {
    "refund": ("money back", "a refund", "my payment returned"),
    "hours": ("opening hours", "the closing time", "weekend hours"),
    "login": ("a password reset", "my account", "the sign-in page"),
    "delivery": ("my parcel", "the shipment", "a delivery"),
    "invoice": ("the bill", "an invoice", "my receipt"),
}
FRAMES = (
    "How do I get {}", "Tell me about {}", "I need {} now", "Can you help with {}", "What is {}", "{} please",
    "Where can I find {}", "Question about {}", "Something is wrong with {}", "Explain {} to me", "Who handles {}",
)  # fmt: skip
NORMALISER = '''"""A normaliser of the campaign's own; edited by it."""

import unicodedata


class Normaliser:
    def __call__(self, text):
        return {expression}
'''
EXPRESSIONS = (
    'unicodedata.normalize("NFC", " ".join(text.lower().split()))',
    'unicodedata.normalize("NFC", " ".join(text.split()))',
    'unicodedata.normalize("NFC", " ".join(text.lower().split()).rstrip("?!."))',
)
ENCODER = '''"""Hashed character trigrams: a text has one vector, whatever it is encoded with, to the last bit."""

import zlib

import numpy as np


class Encoder:
    name = "hashed-trigrams"
    dimension = 64

    def encode(self, texts):
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for place, text in enumerate(texts):
            padded = f"  {text} "
            for start in range(len(padded) - 2):
                vectors[place, zlib.crc32(padded[start : start + 3].encode()) % self.dimension] += 1.0
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
'''


SETTINGS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "process": ("test_share", (0.1, 0.2)),
    "augment": ("up_to", (0, 3)),
    "train": ("answer_precision", (0.9, 0.8)),
    "messages": ("failed", ("Pardon?", "Sorry?")),
    "denoise": ("policy", ("automatic", "manual")),
}
"""Sections of a bot's YAML with a key of theirs and the values it may take."""


class World:
    """The bots' files, data and modules. All that is drawn at random comes from one generator."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.modules = folder / "modules"
        self.platform = Platform(folder, self.modules)
        self.settings: dict[str, dict[str, Any]] = {key: {} for key in BOTS}
        self.expressions = dict.fromkeys(("shared", "own"), EXPRESSIONS[0])
        self.landed: Counter[str] = Counter()
        self.files = 0
        self.modules.mkdir(parents=True)
        sys.path.insert(0, str(self.modules))  # the verdict asks for the modules' versions too
        (self.modules / "campaign_vectors.py").write_text(ENCODER, encoding="utf-8")
        for name in self.expressions:
            self._write_module(name)
        for key in BOTS:
            self._write_yaml(key)
            self.land(key, 60)

    def land(self, key: str, rows: int) -> str:
        """Lands a file of rows, some of them known already."""
        self.files += 1
        name = f"file-{self.files:04}.jsonl"
        self.platform.land(key, name, [self._row() for _ in range(rows)])
        self.landed[key] += rows
        return f"land {name} for {key} ({rows} rows)"

    def edit_yaml(self, key: str) -> str:
        """Changes one setting to one of a few values, often back to what it was."""
        section = self.draw.choice(sorted(SETTINGS))
        name, values = SETTINGS[section]
        self.settings[key][section] = {name: self.draw.choice(values)}
        self._write_yaml(key)
        return f"edit {key}: {section}: {self.settings[key][section]}"

    def edit_module(self) -> str:
        """Edits a normaliser: that of two bots, or that of one."""
        name = self.draw.choice(sorted(self.expressions))
        self.expressions[name] = self.draw.choice(EXPRESSIONS)
        self._write_module(name)
        return f"edit module campaign_{name}"

    def fail_check(self, key: str) -> str:
        """Asks for more accuracy than any model has, so that the check before deployment fails."""
        self.settings[key]["validate"] = {"minimum_accuracy": 1.0, "gate": {"use": "campaign_gate:Never"}}
        (self.modules / "campaign_gate.py").write_text(
            "from chatbot_assets.validate.gate import Gate\n\n\nclass Never:\n"
            "    def __call__(self, *args, **more):\n        return Gate(False, 'the campaign says so')\n",
            encoding="utf-8",
        )
        self._write_yaml(key)
        return f"fail the check of {key}"

    def mend_check(self, key: str) -> str:
        """Takes that back."""
        self.settings[key].pop("validate", None)
        self._write_yaml(key)
        return f"mend the check of {key}"

    def again_from_scratch(self, folder: Path) -> Platform:
        """A platform with the same files, and nothing computed yet."""
        platform = Platform(folder, self.modules)
        platform.home.bots.parent.mkdir(parents=True)
        for key in BOTS:
            platform.configure(key, self._yaml(key))
            source, target = self.platform.home.landing(key), platform.home.landing(key)
            target.mkdir(parents=True)
            for file in sorted(source.iterdir()):
                (target / file.name).write_bytes(file.read_bytes())
        return platform

    def _row(self) -> Mapping[str, str]:
        intent = self.draw.choice(sorted(SUBJECTS))
        text = self.draw.choice(FRAMES).format(self.draw.choice(SUBJECTS[intent]))
        number = self.draw.randrange(40)
        return {"text": f"{text} {number}" if number else text, "intent": intent, "answer": f"About {intent}."}

    def _yaml(self, key: str) -> dict[str, Any]:
        module = "campaign_shared" if key.startswith("red.") else "campaign_own"
        own = self.settings[key]
        return {
            "language": "en",
            "augment": {"up_to": 0},
            "embed": {"encoder": {"use": "campaign_vectors:Encoder"}},
            "validate": {"minimum_accuracy": 0.0, "maximum_drop": 1.0},
            **own,
            "process": {"normaliser": {"use": f"{module}:Normaliser"}, **own.get("process", {})},
        }

    def _write_yaml(self, key: str) -> None:
        self.platform.configure(key, self._yaml(key))

    def _write_module(self, name: str) -> None:
        path = self.modules / f"campaign_{name}.py"
        temporary = path.with_suffix(".tmp")
        temporary.write_text(NORMALISER.format(expression=self.expressions[name]), encoding="utf-8")
        temporary.replace(path)
