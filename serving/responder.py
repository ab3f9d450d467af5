"""Answers texts with one deployed model: the very code that validation measures and that the service runs."""

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
from chatbot_assets.train.intent_model import IntentModel
from chatbot_assets.train.questions import KnownQuestions

ANSWERED, SIMILAR, FAILED = "answered", "similar", "failed"
CANDIDATES = 5
"""Alternatives that a reply names."""


@dataclass(frozen=True)
class Candidate:
    """One possible answer: the known question closest to the text, and its intent. ``id`` is an utterance's or intent's."""

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


@dataclass(frozen=True)
class Thresholds:
    """Scores from which a reply is ``answered`` and, below that, ``similar``."""

    answer: float
    suggest: float

    def category(self, score: float) -> str:
        return ANSWERED if score >= self.answer else SIMILAR if score >= self.suggest else FAILED


class Responder:
    """A loaded model with the modules that prepare texts for it."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        """Loads a model folder; ``config`` is the effective configuration it was deployed with."""
        self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self._normalise: Normaliser = ModuleRef.model_validate(config["process"]["normaliser"]).load()
        self._segment: Segmenter = ModuleRef.model_validate(config["process"]["segmenter"]).load()
        self._encoder: Encoder = ModuleRef.model_validate(config["embed"]["encoder"]).load()
        self._messages: dict[str, str] = config["messages"]
        self._intents = IntentModel.load(folder / "intent") if self.manifest["thresholds"]["intent"] else None
        self._questions = KnownQuestions.load(folder / "questions") if self.manifest["questions"] else None
        self._thresholds = {
            kind: Thresholds(values["answer"], values["suggest"])
            for kind, values in self.manifest["thresholds"].items()
            if values
        }

    def respond(self, texts: Sequence[str]) -> list[Reply]:
        """Replies to raw texts."""
        normal = [self._normalise(text) for text in texts]
        return self.respond_prepared(normal, self._segment(normal), self._encoder.encode(normal))

    def respond_prepared(
        self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: NDArray[np.float32]
    ) -> list[Reply]:
        """Replies to texts that are normalised, segmented and encoded already."""
        likeness = self._questions.likeness(vectors) if self._questions else None
        if self._intents is None:
            assert likeness is not None
            return [
                self._by_question(row) if text else self._not_understood() for text, row in zip(texts, likeness, strict=True)
            ]
        probabilities = self._intents.predict_proba(texts, tokens, vectors)
        scores = probabilities.max(axis=1)
        return [
            self._by_intent(probabilities[i], float(scores[i]), None if likeness is None else likeness[i])
            if texts[i]
            else self._not_understood()
            for i in range(len(texts))
        ]

    def _by_intent(self, probabilities: NDArray[Any], score: float, likeness: NDArray[Any] | None) -> Reply:
        assert self._intents is not None
        top = np.argsort(-probabilities, kind="stable")[:CANDIDATES]
        candidates = [self._of_intent(self._intents.intents[i], float(probabilities[i]), likeness) for i in top]
        return self._reply(candidates, score, self._thresholds["intent"].category(score))

    def _of_intent(self, intent: str, probability: float, likeness: NDArray[Any] | None) -> Candidate:
        """The intent with the answer of its known question that is closest to the text."""
        if self._questions is None or likeness is None or intent not in self._questions.intents:
            return Candidate(intent, intent, None, None, probability)
        own = np.flatnonzero(self._questions.intent_of == self._questions.intents.index(intent))
        best = int(own[np.argmax(likeness[own])])
        return Candidate(intent, intent, self._questions.texts[best], self._answer_of(best), probability)

    def _by_question(self, likeness: NDArray[Any]) -> Reply:
        assert self._questions is not None
        candidates: list[Candidate] = []
        for place in np.argsort(-likeness, kind="stable"):
            answer = self._answer_of(int(place))
            if all(candidate.answer != answer for candidate in candidates):
                text, score = self._questions.texts[place], float(np.clip(likeness[place], 0.0, 1.0))
                candidates.append(Candidate(self._questions.ids[place], None, text, answer, score))
            if len(candidates) == CANDIDATES:
                break
        score = candidates[0].score
        return self._reply(candidates, score, self._thresholds["question"].category(score))

    def _reply(self, candidates: list[Candidate], score: float, category: str) -> Reply:
        if category == FAILED:
            return Reply(self._messages["failed"], None, score, FAILED, tuple(candidates))
        answer = candidates[0].answer if category == ANSWERED else self._messages["similar"]
        return Reply(answer, candidates[0].intent, score, category, tuple(candidates))

    def _not_understood(self) -> Reply:
        return Reply(self._messages["failed"], None, 0.0, FAILED, ())

    def _answer_of(self, place: int) -> str:
        assert self._questions is not None
        return self._questions.answers[int(self._questions.answer_of[place])]
