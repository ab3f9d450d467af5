"""What a set of answered, labelled rows says about a model: the figures of `chatbot eval`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.int64]

CALIBRATION_BINS = 10
_OUT_OF_SCOPE = -1


@dataclass(frozen=True)
class EvaluatedRow:
    """One labelled row and what the model made of it.

    `expected_intent` None means out of scope, unless `has_intent` is False: then the row says nothing about intents.
    `top_intent` is the model's best guess and `served_intent` what was left of it after rejection (None: rejected).
    `expected_answer` None means that the row names no answer; `ranked_answers` are the model's, best first.
    """

    expected_intent: str | None = None
    top_intent: str | None = None
    served_intent: str | None = None
    expected_answer: str | None = None
    ranked_answers: Sequence[str] = ()
    latency_ms: float | None = None
    has_intent: bool = True


def evaluate(rows: Sequence[EvaluatedRow]) -> dict[str, Any]:
    """Returns the figures of `chatbot eval`; shares are 0–1, and a figure that has no rows to stand on is None.

    Over rows with an intent, before rejection: `accuracy`, `macro_f1` (over all intents that are expected or guessed,
    as scikit-learn's f1_score) and `per_intent` {intent: {precision, recall, f1, support}}. After rejection:
    `in_scope_accuracy` over rows with an intent, `served_accuracy` and `mcc` over these and the out-of-scope rows,
    out of scope being a class that a rejection answers; `out_of_scope_recall` (the share of out-of-scope rows that
    was rejected) and `out_of_scope_precision` (the share of rejected rows that was out of scope). Over rows with an
    answer: `answer_recall_at_1`, `answer_recall_at_5`. Over rows with a latency: `p50_ms`, `p99_ms`.
    """
    judged = [row for row in rows if row.has_intent]
    names = sorted(
        {
            name
            for row in judged
            for name in (row.expected_intent, row.top_intent, row.served_intent)
            if name is not None
        }
    )
    expected = _codes([row.expected_intent for row in judged], names)
    top = _codes([row.top_intent for row in judged], names)
    served = _codes([row.served_intent for row in judged], names)
    in_scope, rejected = expected != _OUT_OF_SCOPE, served == _OUT_OF_SCOPE
    per_intent = _per_intent(expected[in_scope], top[in_scope], names)
    f1s = np.array([scores["f1"] for scores in per_intent.values()])
    answered = [row for row in rows if row.expected_answer is not None]
    latencies = np.array([row.latency_ms for row in rows if row.latency_ms is not None])
    return {
        "rows": len(rows),
        "accuracy": _share((expected == top)[in_scope]),
        "macro_f1": _share(f1s),
        "served_accuracy": _share(expected == served),
        "mcc": matthews_correlation(expected, served),
        "out_of_scope_recall": _share(rejected[~in_scope]),
        "out_of_scope_precision": _share(~in_scope[rejected]),
        "in_scope_accuracy": _share((expected == served)[in_scope]),
        "answer_recall_at_1": _answer_recall(answered, 1),
        "answer_recall_at_5": _answer_recall(answered, 5),
        "per_intent": per_intent,
        "p50_ms": float(np.percentile(latencies, 50)) if len(latencies) else None,
        "p99_ms": float(np.percentile(latencies, 99)) if len(latencies) else None,
    }


def matthews_correlation(expected: npt.NDArray[Any], given: npt.NDArray[Any]) -> float | None:
    """The multi-class Matthews correlation of two label arrays (n,): −1 to 1, and 0 for a guess that ignores the text.

    None where it is not defined: without rows, or when either array has one label only. Gorodkin 2004, "Comparing two
    K-category assignments by a K-category correlation coefficient".
    """
    labels = np.unique(np.concatenate([expected, given]))
    of_expected = np.searchsorted(labels, expected)
    of_given = np.searchsorted(labels, given)
    n = len(expected)
    expected_counts = np.bincount(of_expected, minlength=len(labels)).astype(np.float64)
    given_counts = np.bincount(of_given, minlength=len(labels)).astype(np.float64)
    spread = (n * n - expected_counts @ expected_counts) * (n * n - given_counts @ given_counts)
    if not spread:
        return None
    return float((n * np.sum(of_expected == of_given) - expected_counts @ given_counts) / np.sqrt(spread))


def calibration_error(scores: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> float | None:
    """The expected calibration error of scores (n,), 0–1: by how much the share of right rows differs from what their
    scores say, on average over the rows; None without rows.

    Guo et al. 2017, "On calibration of modern neural networks", with bins of equal width.
    """
    return float(np.abs(calibration_gaps(scores, correct).sum(0)).sum() / len(scores)) if len(scores) else None


def calibration_gaps(scores: npt.NDArray[np.floating], correct: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n, bins): for each row, in the bin of its score, how far 1 (right) or 0 lies above that score."""
    gaps = np.zeros((len(scores), CALIBRATION_BINS))
    bins = np.clip((scores * CALIBRATION_BINS).astype(np.int64), 0, CALIBRATION_BINS - 1)
    gaps[np.arange(len(scores)), bins] = correct - np.asarray(scores, np.float64)
    return gaps


def _codes(labels: Sequence[str | None], names: Sequence[str]) -> Codes:
    place = {name: code for code, name in enumerate(names)}
    return np.array([_OUT_OF_SCOPE if label is None else place[label] for label in labels], np.int64)


def _per_intent(expected: Codes, top: Codes, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision and recall are None without guesses or without support; f1 is then 0, for the intent was missed."""
    scores: dict[str, dict[str, Any]] = {}
    for code, name in enumerate(names):
        support, guesses = int(np.sum(expected == code)), int(np.sum(top == code))
        right = int(np.sum((expected == code) & (top == code)))
        if support or guesses:
            scores[name] = {
                "precision": right / guesses if guesses else None,
                "recall": right / support if support else None,
                "f1": 2 * right / (support + guesses),
                "support": support,
            }
    return scores


def _answer_recall(rows: Sequence[EvaluatedRow], k: int) -> float | None:
    return _share(np.array([row.expected_answer in row.ranked_answers[:k] for row in rows]))


def _share(hits: npt.NDArray[Any]) -> float | None:
    return float(hits.mean()) if len(hits) else None
