"""What a model goes by when it reads a text: n-grams and meaning for an intent, and the nearest texts it was taught.

It looks at the model's files directly and reads no more of them than a single turn needs.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.embed.encoders import Encoder
from chatbot_assets.languages.contracts import Normaliser, Segmenter
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.arrays import mapped_arrays
from chatbot_assets.train.contracts import Classifier, Floats
from chatbot_assets.train.intent_model import IntentModel
from chatbot_assets.train.known_texts import ARRAYS, INTENTS, TEXTS
from chatbot_assets.train.manifest import read_manifest
from chatbot_assets.train.strings import load_strings
from serving.privacy import load_mask

NGRAMS = 8
"""N-grams that are named at most."""
WORTH_NAMING = 0.05
"""The least share of the heaviest n-gram's weight that another one must have to be named."""


@dataclass(frozen=True)
class Prepared:
    """A text as the model reads it: in its normal form, cut into words, and its vector (dimension)."""

    text: str
    tokens: Sequence[str]
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class Ngram:
    """An n-gram of the text, ``kind`` 'words' or 'letters', and what it adds to the intent's margin."""

    ngram: str
    kind: str
    weight: float


@dataclass(frozen=True)
class Weighed:
    """How a classifier weighed a text for an intent, against the next likely one.

    ``parts`` (of a linear model alone) sum to ``margin``: what words, letters, meaning and the intent's frequency add.
    """

    intent: str
    margin: float
    preferred: str
    next_intent: str | None
    next_margin: float | None
    parts: Mapping[str, float] | None
    ngrams: Sequence[Ngram]


@dataclass(frozen=True)
class Near:
    """A text that the model was taught, its utterance, and its likeness in meaning to the turn's text (cosine)."""

    utterance_id: str
    text: str
    similarity: float


class ModelEvidence:
    """An unpacked model with the modules that prepare texts for it."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Opens a model folder; ``config`` is the effective configuration that it was deployed with.

        Raises:
            ModelFormatError: when another release made the model and this one cannot read it.
            ValueError: when a module that the model or the configuration names cannot be loaded.
        """
        self.manifest = read_manifest(folder)
        self._folder = folder
        self._normalise: Normaliser = ModuleRef.model_validate(config["process"]["normaliser"]).load()
        self._segment: Segmenter = ModuleRef.model_validate(config["process"]["segmenter"]).load()
        self._encoder_module = ModuleRef.model_validate(config["embed"]["encoder"])
        self._mask = load_mask(dict(config))

    @functools.cached_property
    def _encoder(self) -> Encoder:
        """Loaded when a text has to be encoded: it takes longer than all the rest."""
        found: Encoder = self._encoder_module.load()
        return found

    def prepare(self, text: str) -> Prepared:
        """A text as it was prepared when the turn was served."""
        normal = self._mask(self._normalise(self._mask(text)))
        return Prepared(normal, self._segment([normal])[0], self._encoder.encode([normal])[0])

    def weigh(self, read: Prepared, intent: str) -> Weighed:
        """What speaks for an intent that the model knows."""
        classifier: Classifier = (
            ModuleRef.model_validate(self.manifest["classifier"]).load().load(self._folder / "intent")
        )
        margins = classifier.margins([read.text], [read.tokens], read.vector[None])[0]
        intents = list(classifier.intents)
        column = intents.index(intent)
        others = [place for place in np.argsort(-margins, kind="stable") if place != column]
        parts, ngrams = _linear_parts(classifier, read, column) if isinstance(classifier, IntentModel) else (None, [])
        return Weighed(
            intent=intent,
            margin=float(margins[column]),
            preferred=intents[int(margins.argmax())],
            next_intent=intents[others[0]] if others else None,
            next_margin=float(margins[others[0]]) if others else None,
            parts=parts,
            ngrams=ngrams,
        )

    def nearest(self, vector: Floats, intent: str, count: int, also: str | None = None) -> list[Near]:
        """The utterances of an intent that are nearest in meaning, and the one whose text is ``also``.

        Of the vectors of all utterances, those of the intent alone are read.
        """
        folder = self._folder / "known"
        intents = json.loads((folder / INTENTS).read_text(encoding="utf-8"))
        if intent not in intents:
            return []
        place, names = intents.index(intent), load_strings(folder / TEXTS)
        arrays = mapped_arrays(folder / ARRAYS)
        start, stop = (int(arrays[name][place]) for name in ("starts", "stops"))
        likeness = arrays["vectors"][start:stop].astype(np.float32) @ vector
        order = np.argsort(-likeness, kind="stable")
        chosen = [int(row) for row in order[:count]]
        if also is not None:
            said = [int(row) for row in order if names["texts"][start + row] == also]
            chosen += [row for row in said[:1] if row not in chosen]
        return [Near(names["ids"][start + row], names["texts"][start + row], float(likeness[row])) for row in chosen]

    def similarities(self, vector: Floats, texts: Sequence[str]) -> list[float]:
        """The likeness in meaning (cosine) of normalised texts to a vector (dimension)."""
        found: list[float] = (self._encoder.encode(list(texts)) @ vector).tolist()
        return found


def _linear_parts(model: IntentModel, read: Prepared, column: int) -> tuple[dict[str, float], list[Ngram]]:
    row = model.vectorizer.rows([read.text], [read.tokens])
    added = row.values * model.weights.ngrams[row.columns, column]
    words = len(model.vectorizer.hashes[0])
    is_word = row.columns < words
    parts = {
        "words": float(added[is_word].sum()),
        "letters": float(added[~is_word].sum()),
        "meaning": float(read.vector @ model.weights.vectors[:, column]),
        "frequency": float(model.weights.bias[column]),
    }
    weights = dict(zip(row.columns.tolist(), added.tolist(), strict=True))
    named: dict[int, str] = {}
    for ngram, place in model.vectorizer.describe(read.text, read.tokens):
        named.setdefault(place, ngram)
    found = [
        Ngram(ngram, "words" if place < words else "letters", weights[place])
        for place, ngram in named.items()
        if weights.get(place, 0.0) > 0
    ]
    return parts, _distinct(sorted(found, key=lambda one: (-one.weight, one.ngram)))


def _distinct(ngrams: Sequence[Ngram]) -> list[Ngram]:
    """The first few that weigh something beside the first and are no part of one before, as a word's letters are."""
    chosen: list[Ngram] = []
    for one in ngrams:
        weighs = not chosen or one.weight >= WORTH_NAMING * chosen[0].weight
        if len(chosen) < NGRAMS and weighs and not any(one.ngram.strip() in other.ngram for other in chosen):
            chosen.append(one)
    return chosen
