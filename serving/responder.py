"""Answers texts with one deployed model: the very code that validation measures and that the service runs."""

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.embed.encoders import Encoder
from chatbot_assets.languages.contracts import Normaliser, Segmenter
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.calibration import Confidence
from chatbot_assets.train.intent_model import IntentModel
from chatbot_assets.train.known_texts import KnownTexts

ANSWERED, SIMILAR, FAILED = "answered", "similar", "failed"
CANDIDATES = 5
"""Alternatives that a reply names."""
BLOCK = 256
"""Texts whose likeness to all known texts is held in memory at once."""


@dataclass(frozen=True)
class Candidate:
    """One possible answer: the known text closest in meaning, and its intent; ``id`` is an intent or utterance id."""

    id: str
    intent: str | None
    text: str | None
    answer: str | None
    score: float


@dataclass(frozen=True)
class Reply:
    """What the bot says to a text. ``intent`` is None when it has not understood."""

    answer: str | None
    intent: str | None
    score: float
    category: str
    candidates: tuple[Candidate, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Responder:
    """A loaded model with the modules that prepare texts for it."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        """Loads a model folder; ``config`` is the effective configuration it was deployed with."""
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self._normalise: Normaliser = ModuleRef.model_validate(config["process"]["normaliser"]).load()
        self._segment: Segmenter = ModuleRef.model_validate(config["process"]["segmenter"]).load()
        self._encoder: Encoder = ModuleRef.model_validate(config["embed"]["encoder"]).load()
        self._messages: dict[str, str] = config["messages"]
        self._known = KnownTexts.load(folder / "known")
        confidence = self.manifest["confidence"]
        self._intents = IntentModel.load(folder / "intent") if confidence else None
        self._confidence = Confidence(**confidence) if confidence else None
        self._answer_from: float = self.manifest["thresholds"]["answer"]
        self._suggest_from: float = self.manifest["thresholds"]["suggest"]

    def respond(self, texts: Sequence[str]) -> list[Reply]:
        """Replies to raw texts."""
        normal = [self._normalise(text) for text in texts]
        return self.respond_prepared(normal, self._segment(normal), self._encoder.encode(normal))

    def respond_prepared(
        self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: NDArray[np.float32]
    ) -> list[Reply]:
        """Replies to texts that are normalised, segmented and encoded already."""
        replies: list[Reply] = []
        for start in range(0, len(texts), BLOCK):
            part = slice(start, start + BLOCK)
            replies += self._respond_block(texts[part], tokens[part], vectors[part])
        return replies

    def _respond_block(
        self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: NDArray[np.float32]
    ) -> list[Reply]:
        likeness = self._known.likeness(vectors)
        if self._intents is None or self._confidence is None:
            candidates = [self._by_question(row) for row in likeness]
            scores = np.array([found[0].score for found in candidates])
        else:
            margins = self._intents.margins(texts, tokens, vectors)
            probabilities = self._intents.probabilities(margins)
            candidates = [self._by_intent(row, near) for row, near in zip(probabilities, likeness, strict=True)]
            scores = self._confidence(margins.max(axis=1), likeness.max(axis=1))
        return [
            self._reply(found, float(score)) if text else Reply(self._messages["failed"], None, 0.0, FAILED, ())
            for text, found, score in zip(texts, candidates, scores, strict=True)
        ]

    def _by_intent(self, probabilities: NDArray[np.float32], likeness: NDArray[np.float32]) -> list[Candidate]:
        """The likeliest intents, each with the answer of its known text that is closest in meaning."""
        assert self._intents is not None
        found = []
        for place in np.argsort(-probabilities, kind="stable")[:CANDIDATES]:
            intent = self._intents.intents[place]
            # The known texts' intents are those of the model: both were made from the same rows.
            own = self._texts_of_intent[place]
            best = int(own[np.argmax(likeness[own])])
            answer = self._known.answer(best)
            found.append(Candidate(intent, intent, self._known.texts[best], answer, float(probabilities[place])))
        return found

    @functools.cached_property
    def _texts_of_intent(self) -> list[NDArray[np.intp]]:
        """For each intent the places of its known texts: of those with an answer when there are such."""
        has_answer = self._known.answer_of >= 0
        found = []
        for place in range(len(self._known.intents)):
            own = self._known.intent_of == place
            found.append(np.flatnonzero(own & has_answer if (own & has_answer).any() else own))
        return found

    def _by_question(self, likeness: NDArray[np.float32]) -> list[Candidate]:
        """The known questions closest in meaning, one for each answer."""
        found: list[Candidate] = []
        for place in np.argsort(-likeness, kind="stable"):
            answer = self._known.answer(int(place))
            if all(candidate.answer != answer for candidate in found):
                score = float(np.clip(likeness[place], 0.0, 1.0))
                found.append(Candidate(self._known.ids[place], None, self._known.texts[place], answer, score))
            if len(found) == CANDIDATES:
                break
        return found

    def _reply(self, candidates: list[Candidate], score: float) -> Reply:
        category = ANSWERED if score >= self._answer_from else SIMILAR if score >= self._suggest_from else FAILED
        if category == FAILED:
            return Reply(self._messages["failed"], None, score, FAILED, tuple(candidates))
        answer = candidates[0].answer if category == ANSWERED else self._messages["similar"]
        return Reply(answer, candidates[0].intent, score, category, tuple(candidates))
