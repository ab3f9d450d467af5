"""Labelled rows as a bot would see them: normalised, in tokens, encoded; and how well its classifier learns them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.baselines import Rows, read_rows
from bench.pipeline import language_of, thinned
from chatbot_assets.bot import Embed, Train
from chatbot_assets.languages import language_defaults
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.contracts import IntentLearner

TRAIN, DEV = "train.jsonl", "dev.jsonl"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Labelled:
    """Parallel columns of n rows; `vectors` is (n, d) and `intents` (n) holds names."""

    texts: Sequence[str]
    tokens: Sequence[Sequence[str]]
    vectors: Floats
    intents: npt.NDArray[np.str_]

    def take(self, places: npt.NDArray[np.int64]) -> "Labelled":
        """The rows at the given places."""
        return Labelled(
            [self.texts[place] for place in places],
            [self.tokens[place] for place in places],
            self.vectors[places],
            self.intents[places],
        )

    def __add__(self, other: "Labelled") -> "Labelled":
        return Labelled(
            [*self.texts, *other.texts],
            [*self.tokens, *other.tokens],
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.intents, other.intents]),
        )


class Language:
    """A language's own normaliser, segmenter and classifier, and the encoder, with their defaults.

    Vectors are kept in the folder ``cache``, if one is given, and read from there when the same texts come again.
    """

    def __init__(self, key: str, cache: Path | None = None) -> None:
        self.key, self._cache = key, cache
        defaults = language_defaults(key)
        process = defaults["process"]
        self._normalise = ModuleRef.model_validate(process["normaliser"]).load()
        self._segment = ModuleRef.model_validate(process["segmenter"]).load()
        encoder = Embed().encoder
        self._encoder, self._encoder_name = encoder.load(), encoder.model_dump_json()
        self.classifier: IntentLearner = Train.model_validate(defaults.get("train", {})).classifier.load()

    def rows(self, texts: Sequence[str], intents: Sequence[str]) -> Labelled:
        """The texts as a bot of this language sees them."""
        normal = [self._normalise(text) for text in texts]
        return Labelled(normal, self._segment(normal), self._encode(normal), np.array(intents, np.str_))

    def _encode(self, texts: Sequence[str]) -> Floats:
        if self._cache is None:
            return np.asarray(self._encoder.encode(texts), np.float32)
        named = json.dumps([self._encoder_name, *texts])
        file = self._cache / f"vectors-{hashlib.sha256(named.encode()).hexdigest()[:32]}.npy"
        if not file.is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            np.save(file, np.asarray(self._encoder.encode(texts), np.float32))
        return np.asarray(np.load(file))


@dataclass(frozen=True)
class Data:
    """One data folder: its name, its language, and the rows to learn from and to measure on."""

    name: str
    language: Language
    train: Labelled
    dev: Labelled

    @classmethod
    def read(cls, folder: Path, rows: int | None = None, cache: Path | None = None) -> "Data":
        """Reads `train.jsonl` (evenly thinned to `rows`, if given) and `dev.jsonl`, without the rows of no intent.

        Vectors are kept in the folder `cache`, if one is given.
        """
        language = Language(language_of(folder), cache)
        found = [
            language.rows([row["text"] for row in part], [row["intent"] for row in part])
            for part in (thinned(_labelled(folder / TRAIN), rows), _labelled(folder / DEV))
        ]
        return cls(folder.resolve().name, language, *found)

    def accuracy(self, train: Labelled, weights: Floats | None = None) -> float:
        """The share of the dev rows whose intent the language's classifier names after learning the training rows.

        `weights` (n) is what each training row counts, 1 by default.
        """
        model = self.language.classifier.fit(
            train.texts,
            train.tokens,
            train.vectors,
            [str(intent) for intent in train.intents],
            np.ones(len(train.texts), np.float32) if weights is None else weights,
        )
        top = model.margins(self.dev.texts, self.dev.tokens, self.dev.vectors).argmax(1)
        return float(np.mean(np.array(model.intents)[top] == self.dev.intents))


def _labelled(file: Path) -> Rows:
    return [row for row in read_rows(file) if row.get("intent") is not None]


def data_folders(given: Sequence[Path]) -> list[Path]:
    """The folders with `train.jsonl` and `dev.jsonl`: those that are given, or the ones directly in them, sorted.

    Raises ValueError, in one line, when a file is missing.
    """
    folders = []
    for folder in given:
        inner = [] if (folder / TRAIN).is_file() else sorted(file.parent for file in folder.glob(f"*/{TRAIN}"))
        folders += inner or [folder]
    for folder in folders:
        for file in (TRAIN, DEV):
            if not (folder / file).is_file():
                raise ValueError(f"{folder} has no {file}")
    return folders
