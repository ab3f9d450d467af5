"""Answers texts with one deployed model: the very code that validation measures and that the service runs."""

import functools
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
from chatbot_assets.train.manifest import read_manifest

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
        """Loads a model folder; ``config`` is the effective configuration it was deployed with.

        Raises:
            ModelFormatError: when another release made the model and this one cannot read it.
        """
        manifest = read_manifest(folder)
        self._normalise: Normaliser = ModuleRef.model_validate(config["process"]["normaliser"]).load()
        self._segment: Segmenter = ModuleRef.model_validate(config["process"]["segmenter"]).load()
        self._encoder: Encoder = ModuleRef.model_validate(config["embed"]["encoder"]).load()
        self._messages: dict[str, str] = config["messages"]
        self._known = KnownTexts.load(folder / "known")
        self._thresholds: dict[str, dict[str, float] | None] = manifest["thresholds"]
        confidence = manifest["confidence"]
        self._intents = IntentModel.load(folder / "intent") if confidence else None
        self._confidence = Confidence(**confidence) if confidence else None
        self._labelled = np.flatnonzero(self._known.intent_of >= 0)
        self._questions = self._known.questions_without_intent()

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
        replies = self._intent_replies(texts, tokens, vectors, likeness)
        if len(self._questions):
            replies = [
                self._better(reply, self._question_reply(row)) for reply, row in zip(replies, likeness, strict=True)
            ]
        nothing = Reply(self._messages["failed"], None, 0.0, FAILED, ())
        return [reply if text and reply else nothing for text, reply in zip(texts, replies, strict=True)]

    def _intent_replies(
        self,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: NDArray[np.float32],
        likeness: NDArray[np.float32],
    ) -> list[Reply] | list[None]:
        """Replies by intent; None for each text when the bot has no intents."""
        if self._intents is None or self._confidence is None:
            return [None] * len(texts)
        margins = self._intents.margins(texts, tokens, vectors)
        probabilities = self._intents.probabilities(margins)
        scores = self._confidence(margins.max(axis=1), likeness[:, self._labelled].max(axis=1))
        return [
            self._reply(self._by_intent(row, near), float(score), "intent")
            for row, near, score in zip(probabilities, likeness, scores, strict=True)
        ]

    def _question_reply(self, likeness: NDArray[np.float32]) -> Reply:
        candidates = self._by_question(likeness)
        return self._reply(candidates, candidates[0].score, "question")

    @staticmethod
    def _better(by_intent: Reply | None, by_question: Reply) -> Reply:
        """The reply that understood more; by intent when both did alike."""
        order = (ANSWERED, SIMILAR, FAILED)
        if by_intent and order.index(by_intent.category) <= order.index(by_question.category):
            return by_intent
        return by_question

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
        """The questions without an intent that are closest in meaning, one for each answer."""
        found: list[Candidate] = []
        for place in self._questions[np.argsort(-likeness[self._questions], kind="stable")]:
            answer = self._known.answer(int(place))
            if all(candidate.answer != answer for candidate in found):
                score = float(np.clip(likeness[place], 0.0, 1.0))
                found.append(Candidate(self._known.ids[place], None, self._known.texts[place], answer, score))
            if len(found) == CANDIDATES:
                break
        return found

    def _reply(self, candidates: list[Candidate], score: float, kind: str) -> Reply:
        thresholds = self._thresholds[kind]
        assert thresholds is not None
        understood = SIMILAR if score >= thresholds["suggest"] else FAILED
        category = ANSWERED if score >= thresholds["answer"] else understood
        if category == FAILED:
            return Reply(self._messages["failed"], None, score, FAILED, tuple(candidates))
        answer = candidates[0].answer if category == ANSWERED else self._messages["similar"]
        return Reply(answer, candidates[0].intent, score, category, tuple(candidates))
