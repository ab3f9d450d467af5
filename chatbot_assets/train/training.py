"""Trains one model folder from a bot's training rows: intent model, known questions, thresholds and a manifest.

The folder's bytes depend on the rows, their vectors, the configuration and the code alone.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.train.calibration import Thresholds, calibrate_thresholds, fit_temperature
from chatbot_assets.train.intent_model import IntentModelConfig, out_of_fold_probabilities, train_intent_model
from chatbot_assets.train.questions import KnownQuestions

RESULT_LIBRARIES = ["torch", "numpy", "scipy", "safetensors"]
MANIFEST_FORMAT = 1
QUESTION_SAMPLE = 2_000
"""Questions whose nearest other question is looked at when the thresholds of a bot without intents are calibrated."""


@dataclass(frozen=True)
class TrainingRows:
    """Parallel columns of the utterances that may be learnt from; ``vectors`` is (rows, dimension)."""

    ids: Sequence[str]
    texts: Sequence[str]
    tokens: Sequence[Sequence[str]]
    intents: Sequence[str | None]
    answers: Sequence[str | None]
    vectors: NDArray[np.float32]

    def take(self, places: Sequence[int]) -> "TrainingRows":
        return TrainingRows(
            [self.ids[i] for i in places],
            [self.texts[i] for i in places],
            [self.tokens[i] for i in places],
            [self.intents[i] for i in places],
            [self.answers[i] for i in places],
            self.vectors[list(places)],
        )


def train_model(
    folder: Path,
    rows: TrainingRows,
    *,
    bot: str,
    language: str,
    config: IntentModelConfig,
    seed: int,
    answer_precision: float,
    suggest_precision: float,
    threads: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Writes a model into an empty folder and gives its manifest.

    Raises:
        ValueError: when no row has an intent or an answer.
    """
    labelled = rows.take([i for i, intent in enumerate(rows.intents) if intent is not None])
    answered = rows.take([i for i, answer in enumerate(rows.answers) if answer is not None])
    if not labelled.ids and not answered.ids:
        raise ValueError("no row has an intent or an answer")
    precisions = {"answer_precision": answer_precision, "suggest_precision": suggest_precision}
    thresholds: dict[str, Any] = {"intent": None, "question": None}
    if labelled.ids:
        found = _train_intents(folder / "intent", labelled, config, seed, threads, precisions, progress)
        thresholds["intent"] = asdict(found)
    if answered.ids:
        questions = KnownQuestions.build(
            answered.ids, answered.texts, _present(answered.answers), answered.intents, answered.vectors
        )
        (folder / "questions").mkdir(parents=True)
        questions.save(folder / "questions")
        if not labelled.ids:
            thresholds["question"] = asdict(question_thresholds(questions, **precisions))
    manifest = {
        "format": MANIFEST_FORMAT,
        "bot": bot,
        "language": language,
        "rows": len(rows.ids),
        "intents": sorted(set(_present(labelled.intents))),
        "questions": len(answered.ids),
        "dimension": int(rows.vectors.shape[1]),
        "config": {"model": asdict(config), "seed": seed, **precisions},
        "thresholds": thresholds,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")
    return manifest


def _train_intents(
    folder: Path,
    rows: TrainingRows,
    config: IntentModelConfig,
    seed: int,
    threads: int,
    precisions: dict[str, float],
    progress: Callable[[str], None],
) -> Thresholds:
    intents = _present(rows.intents)
    columns = (rows.texts, rows.tokens, rows.vectors, intents)
    held_out, names = out_of_fold_probabilities(*columns, config, seed=seed, threads=threads, progress=progress)
    temperature = fit_temperature(held_out, names, intents)
    model = train_intent_model(*columns, config, seed=seed, threads=threads, progress=progress)
    model = model.with_temperature(temperature)
    model.save(folder)
    from chatbot_assets.train.calibration import with_temperature

    scores = with_temperature(held_out, temperature).max(axis=1)
    correct = np.array([names[place] for place in held_out.argmax(axis=1)]) == np.array(intents)
    return calibrate_thresholds(scores, correct, **precisions)


def question_thresholds(
    questions: KnownQuestions, *, answer_precision: float, suggest_precision: float
) -> Thresholds:
    """Thresholds on the cosine for a bot that has answers only: each question, left out, asks its nearest other one.

    The other question's answer is right when it equals the question's own.
    """
    places = np.unique(np.linspace(0, len(questions.ids) - 1, QUESTION_SAMPLE).astype(int))
    scores = np.zeros(len(places), np.float32)
    correct = np.zeros(len(places), bool)
    for start in range(0, len(places), 256):
        part = places[start : start + 256]
        likeness = questions.likeness(questions.vectors[part])
        likeness[np.arange(len(part)), part] = -1.0
        nearest = likeness.argmax(axis=1)
        scores[start : start + len(part)] = likeness.max(axis=1)
        correct[start : start + len(part)] = questions.answer_of[nearest] == questions.answer_of[part]
    return calibrate_thresholds(
        scores, correct, answer_precision=answer_precision, suggest_precision=suggest_precision
    )


def _present(values: Sequence[str | None]) -> list[str]:
    return [value for value in values if value is not None]
