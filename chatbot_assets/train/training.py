"""Trains one model folder from a bot's training rows: intent model, known texts, thresholds and a manifest.

The folder's bytes depend on the rows, their vectors, the configuration and the code alone.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.train.calibration import Confidence, Thresholds, calibrate_thresholds
from chatbot_assets.train.intent_model import IntentModelConfig, pseudo_out_of_scope, train_intent_model
from chatbot_assets.train.known_texts import KnownTexts
from chatbot_assets.train.manifest import write_manifest
from chatbot_assets.train.rows import TrainingRows

RESULT_LIBRARIES = ["torch", "numpy", "scipy", "safetensors"]
OUT_OF_SCOPE_SHARE = 0.1
"""Share of a bot's turns that are assumed to be out of its scope when the thresholds are calibrated."""
QUESTION_SAMPLE = 2_000
"""Questions whose nearest other question is looked at when the thresholds of a bot without intents are calibrated."""


def train_model(
    folder: Path,
    rows: TrainingRows,
    *,
    bot: str,
    language: str,
    config: IntentModelConfig,
    answer_precision: float,
    suggest_precision: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Writes a model into an empty folder and gives its manifest.

    Raises:
        ValueError: when no row has an intent or an answer.
    """
    labelled = rows.take([place for place, intent in enumerate(rows.intents) if intent is not None])
    answered = rows.take([place for place, answer in enumerate(rows.answers) if answer is not None])
    if not labelled.ids and not answered.ids:
        raise ValueError("no row has an intent or an answer")
    precisions = {"answer_precision": answer_precision, "suggest_precision": suggest_precision}
    known = KnownTexts.build(rows.ids, rows.texts, rows.answers, rows.intents, rows.vectors)
    known.save(folder / "known")
    confidence, by_intent, by_question = None, None, None
    if labelled.ids:
        confidence, by_intent = _train_intents(folder / "intent", labelled, config, precisions, progress)
    unlabelled = known.questions_without_intent()
    if len(unlabelled):
        by_question = question_thresholds(known, unlabelled, **precisions)
    manifest = {
        "bot": bot,
        "language": language,
        "rows": len(rows.ids),
        "answers": len(answered.ids),
        "intents": sorted(set(_present(labelled.intents))),
        "dimension": int(rows.vectors.shape[1]),
        "config": {"model": asdict(config), **precisions},
        "confidence": asdict(confidence) if confidence else None,
        "thresholds": {
            "intent": asdict(by_intent) if by_intent else None,
            "question": asdict(by_question) if by_question else None,
        },
    }
    return write_manifest(folder, manifest)


def _train_intents(
    folder: Path,
    rows: TrainingRows,
    config: IntentModelConfig,
    precisions: dict[str, float],
    progress: Callable[[str], None],
) -> tuple[Confidence, Thresholds]:
    """Trains on all rows and, beside that, finds out on held-out texts and intents how far scores can be trusted."""
    columns = (rows.texts, rows.tokens, rows.vectors, _present(rows.intents))
    with ThreadPoolExecutor(2) as pool:
        training = pool.submit(train_intent_model, *columns, config, progress=progress)
        held = pool.submit(pseudo_out_of_scope, *columns, config, progress=progress).result()
        training.result().save(folder)
    confidence = Confidence.fit(
        held.top_margins,
        held.similarities,
        held.correct,
        held.is_out_of_scope,
        out_of_scope_share=OUT_OF_SCOPE_SHARE,
    )
    scores = confidence(held.top_margins, held.similarities)
    thresholds = calibrate_thresholds(
        scores, held.correct, held.is_out_of_scope, out_of_scope_share=OUT_OF_SCOPE_SHARE, **precisions
    )
    return confidence, thresholds


def question_thresholds(
    known: KnownTexts, questions: NDArray[np.intp], *, answer_precision: float, suggest_precision: float
) -> Thresholds:
    """Thresholds on the cosine for questions that have an answer but no intent: each, left out, asks its nearest other.

    The other question's answer is right when it equals the question's own. ``questions`` are places among the texts.
    """
    sample = questions[np.unique(np.linspace(0, len(questions) - 1, QUESTION_SAMPLE).astype(int))]
    scores = np.zeros(len(sample), np.float32)
    correct = np.zeros(len(sample), bool)
    for start in range(0, len(sample), 256):
        part = sample[start : start + 256]
        likeness = known.vectors[part] @ known.vectors[questions].T
        likeness[part[:, None] == questions[None, :]] = -1.0
        nearest = questions[likeness.argmax(axis=1)]
        scores[start : start + len(part)] = likeness.max(axis=1)
        correct[start : start + len(part)] = known.answer_of[nearest] == known.answer_of[part]
    return calibrate_thresholds(scores, correct, answer_precision=answer_precision, suggest_precision=suggest_precision)


def _present(values: Sequence[str | None]) -> list[str]:
    return [value for value in values if value is not None]
