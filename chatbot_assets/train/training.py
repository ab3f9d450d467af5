"""Trains one model folder from a bot's training rows: classifier, known texts, thresholds and a manifest.

The folder's bytes depend on the rows, their vectors, the configuration and the code alone. Paraphrases teach the
classifier and nothing else: what a bot may answer, and how sure it must be, is decided on utterances.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.calibration import Confidence, Thresholds, calibrate_thresholds
from chatbot_assets.train.contracts import IntentLearner
from chatbot_assets.train.held_out import pseudo_out_of_scope
from chatbot_assets.train.known_texts import NO_PLACE, KnownTexts
from chatbot_assets.train.manifest import write_manifest
from chatbot_assets.train.rows import TrainingRows
from resources.metering import timed

RESULT_LIBRARIES = ["numpy", "safetensors"]
OUT_OF_SCOPE_SHARE = 0.1
"""Share of a bot's turns that are assumed to be out of its scope when the thresholds are calibrated."""
QUESTION_SAMPLE = 2_000
"""Questions whose nearest other question is looked at when the thresholds of questions are calibrated."""


def train_model(
    folder: Path,
    rows: TrainingRows,
    *,
    bot: str,
    language: str,
    classifier: ModuleRef,
    index: ModuleRef,
    answer_precision: float,
    suggest_precision: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Writes a model into an empty folder and gives its manifest.

    Raises:
        ValueError: when no utterance has an intent or an answer, or a module cannot be loaded.
    """
    with timed("train.index", len(rows.ids)):
        known = KnownTexts.of(rows, index.load())
    if not known.ids:
        raise ValueError("no row has an intent or an answer")
    known.save(folder / "known")
    precisions = {"answer_precision": answer_precision, "suggest_precision": suggest_precision}
    confidence, by_intent = None, None
    if known.intents:
        labelled = rows.take([place for place, intent in enumerate(rows.intents) if intent is not None])
        confidence, by_intent = _train_intents(folder / "intent", labelled, classifier.load(), precisions, progress)
    by_question = question_thresholds(known, rows, **precisions) if known.questions else None
    manifest = {
        "bot": bot,
        "language": language,
        "rows": sum(parent is None for parent in rows.parents),
        "paraphrases": sum(parent is not None for parent in rows.parents),
        "answers": int((known.answer_of >= 0).sum()),
        "intents": known.intents,
        "dimension": int(rows.vectors.shape[1]),
        "classifier": classifier.model_dump(mode="json", by_alias=True),
        "index": index.model_dump(mode="json", by_alias=True),
        "precisions": precisions,
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
    learner: IntentLearner,
    precisions: dict[str, float],
    progress: Callable[[str], None],
) -> tuple[Confidence, Thresholds]:
    """Trains on all rows and, beside that, finds out on held-out texts and intents how far scores can be trusted."""
    intents = [str(intent) for intent in rows.intents]
    progress(f"learning {len(set(intents))} intents from {len(intents)} rows")
    with ThreadPoolExecutor(2) as pool:
        with timed("train.classifier", len(intents)):
            training = pool.submit(learner.fit, rows.texts, rows.tokens, rows.vectors, intents, rows.weights)
            held = pool.submit(pseudo_out_of_scope, rows, learner, progress=progress).result()
            trained = training.result()
        trained.save(folder)
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
    known: KnownTexts, rows: TrainingRows, *, answer_precision: float, suggest_precision: float
) -> Thresholds:
    """Thresholds on the cosine for questions that have an answer but no intent: each, left out, asks its nearest other.

    The other question's answer is right when it equals the question's own. A question that is alone with its answer is
    a turn whose answer the bot does not know: it counts as one, so a bot of such questions alone answers what is
    nearer to a question than any two of its questions are to each other. The questions' vectors are in ``rows``.
    """
    assert known.index is not None
    first = len(known.vectors)
    sample = np.unique(np.linspace(0, known.questions - 1, min(QUESTION_SAMPLE, known.questions)).astype(np.int64))
    place_of = {name: place for place, name in enumerate(rows.ids)}
    vectors = rows.vectors[[place_of[known.ids[first + own]] for own in sample]]
    questions_of = np.bincount(known.answer_of[first:])
    scores, correct, alone = [], [], []
    for own, likeness, near in zip(sample, *known.index.search(vectors, 2), strict=True):
        others = [one for one in zip(likeness, near, strict=True) if one[1] not in (own, NO_PLACE)]
        if others:
            score, other = others[0]
            answer = known.answer_of[first + own]
            scores.append(min(float(score), 1.0))
            correct.append(known.answer_of[first + other] == answer)
            alone.append(questions_of[answer] == 1)
    return calibrate_thresholds(
        np.array(scores),
        np.array(correct, np.bool_),
        np.array(alone, np.bool_),
        answer_precision=answer_precision,
        suggest_precision=suggest_precision,
    )
