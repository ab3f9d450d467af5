"""Answers texts with one deployed model: the very code that validation measures and that the service runs."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.embed import REFERENCE
from chatbot_assets.embed.encoders import Encoder
from chatbot_assets.embed.variants import serving_encoder
from chatbot_assets.languages.contracts import Normaliser, Segmenter
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.calibration import Confidence
from chatbot_assets.train.contracts import Classifier
from chatbot_assets.train.known_texts import NO_PLACE, KnownTexts
from chatbot_assets.train.manifest import read_manifest
from serving.privacy import load_mask

ANSWERED, SIMILAR, FAILED = "answered", "similar", "failed"
CANDIDATES = 5
"""Alternatives that a reply names at most."""
TAUGHT = 1.0
"""The score of a text that the bot was taught word for word: its intent or answer is known, not guessed."""
BLOCK = 256
"""Texts whose margins, and likeness to an intent's texts, are held in memory at once."""


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
    """A loaded model with the modules that prepare texts for it. May be asked from several threads at once."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        """Loads a model folder; ``config`` is the effective configuration it was deployed with.

        The encoder is the variant that the configuration names, which a deployment's ``served_config`` does.

        Raises:
            ModelFormatError: when another release made the model and this one cannot read it.
            ValueError: when a module that the model or the configuration names cannot be loaded.
        """
        manifest = read_manifest(folder)
        self._normalise: Normaliser = ModuleRef.model_validate(config["process"]["normaliser"]).load()
        self._mask = load_mask(config)
        self._segment: Segmenter = ModuleRef.model_validate(config["process"]["segmenter"]).load()
        # Configurations that were recorded before there were variants name none.
        variant = config.get("serve", {}).get("variant", REFERENCE)
        self._encoder: Encoder = serving_encoder(ModuleRef.model_validate(config["embed"]["encoder"]), variant)
        self._messages: dict[str, str] = config["messages"]
        self._known = KnownTexts.load(folder / "known", ModuleRef.model_validate(manifest["index"]).load())
        self._thresholds: dict[str, dict[str, float] | None] = manifest["thresholds"]
        self._classifier: Classifier | None = None
        self._confidence: Confidence | None = None
        if manifest["confidence"]:
            self._classifier = ModuleRef.model_validate(manifest["classifier"]).load().load(folder / "intent")
            self._confidence = Confidence(**manifest["confidence"])
            self._column = {intent: column for column, intent in enumerate(self._classifier.intents)}

    @property
    def learnt(self) -> tuple[Sequence[str], NDArray[np.float32]]:
        """The texts with an intent that the model has learnt, normalised, and their sentence vectors."""
        return self._known.texts[: len(self._known.vectors)], self._known.vectors

    def encoded_by(self, encoder: Encoder) -> "Responder":
        """The same model, asked by way of another encoder."""
        other = copy.copy(self)
        other._encoder = encoder
        return other

    def respond(self, texts: Sequence[str]) -> list[Reply]:
        """Replies to raw texts."""
        # As the texts that it learnt from: personal data is masked before and after they get their normal form.
        normal = [self._mask(self._normalise(self._mask(text))) for text in texts]
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
        taught = [self._known.place_of(text) for text in texts]
        by_intent = self._by_intent(texts, tokens, vectors, taught)
        by_question = self._by_question(vectors, taught)
        nothing = Reply(self._messages["failed"], None, 0.0, FAILED, ())
        return [
            _better(first, second) or nothing if text else nothing
            for text, first, second in zip(texts, by_intent, by_question, strict=True)
        ]

    def _by_intent(
        self,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: NDArray[np.float32],
        taught: Sequence[int],
    ) -> Sequence[Reply | None]:
        """Replies by intent; None for each text when the bot has no intents."""
        if self._classifier is None or self._confidence is None:
            return [None] * len(texts)
        intents = self._classifier.intents
        margins = self._classifier.margins(texts, tokens, vectors)
        probabilities = self._classifier.probabilities(margins)
        certain = [(row, self._column[intent]) for row, intent in enumerate(map(self._known.intent, taught)) if intent]
        ranked = np.array(margins)
        for row, column in certain:
            ranked[row, column], probabilities[row, column] = np.inf, TAUGHT
        likeliest = np.argsort(-ranked, axis=1, kind="stable")[:, :CANDIDATES]
        count = likeliest.shape[1]
        similarities, places = self._known.nearest_of_intents(
            [intents[int(column)] for column in likeliest.ravel()], np.repeat(vectors, count, axis=0)
        )
        scores = self._confidence(margins.max(axis=1), similarities.reshape(-1, count)[:, 0])
        scores[[row for row, _ in certain]] = TAUGHT
        return [
            self._reply(
                [
                    self._candidate(int(place), intents[int(column)], float(chances[column]))
                    for column, place in zip(columns, near, strict=True)
                ],
                float(score),
                "intent",
            )
            for columns, near, chances, score in zip(
                likeliest, places.reshape(-1, count), probabilities, scores, strict=True
            )
        ]

    def _by_question(self, vectors: NDArray[np.float32], taught: Sequence[int]) -> Sequence[Reply | None]:
        """Replies by the nearest questions without an intent; None for each text when the bot has no such questions."""
        if not self._known.questions:
            return [None] * len(vectors)
        replies = []
        for place, found in zip(taught, self._known.nearest_questions(vectors, CANDIDATES), strict=True):
            candidates = [self._candidate(near, None, min(max(score, 0.0), TAUGHT)) for near, score in found]
            if self._known.is_question(place):
                candidates.insert(0, self._candidate(place, None, TAUGHT))
            replies.append(self._reply(candidates, candidates[0].score, "question"))
        return replies

    def _candidate(self, place: int, intent: str | None, score: float) -> Candidate:
        """The known text at a place, for an intent or for itself; an intent may have no known text."""
        if place == NO_PLACE:
            return Candidate(intent or "", intent, None, None, score)
        known = self._known
        return Candidate(intent or known.ids[place], intent, known.texts[place], known.answer(place), score)

    def _reply(self, candidates: Sequence[Candidate], score: float, kind: str) -> Reply:
        thresholds = self._thresholds[kind]
        assert thresholds is not None
        named = _distinct(candidates)
        if score < thresholds["suggest"]:
            return Reply(self._messages["failed"], None, score, FAILED, named)
        if score < thresholds["answer"]:
            return Reply(self._messages["similar"], named[0].intent, score, SIMILAR, named)
        return Reply(named[0].answer, named[0].intent, score, ANSWERED, named)


def _distinct(candidates: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """The first few that say something else than those before them; without answers, intents are told apart."""
    by_answer: dict[str, Candidate] = {}
    for candidate in candidates:
        by_answer.setdefault(candidate.answer or f"intent {candidate.id}", candidate)
    return tuple(by_answer.values())[:CANDIDATES]


def _better(by_intent: Reply | None, by_question: Reply | None) -> Reply | None:
    """The reply that understood more; when both did alike, that by intent, with the candidates of both by turns."""
    if by_intent is None or by_question is None:
        return by_intent or by_question
    order = (ANSWERED, SIMILAR, FAILED)
    difference = order.index(by_intent.category) - order.index(by_question.category)
    if difference:
        return by_intent if difference < 0 else by_question
    if by_intent.category == ANSWERED:
        return by_question if by_question.score == TAUGHT > by_intent.score else by_intent
    both = chain.from_iterable(zip_longest(by_intent.candidates, by_question.candidates))
    return replace(by_intent, candidates=_distinct(candidate for candidate in both if candidate))
