"""Turns the scores of held-out rows into what serving needs: honest probabilities and two thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

# The posterior mean of a share under Jeffreys' prior, Beta(1/2, 1/2): few rows cannot prove a precision of 1.
_PRIOR = 0.5
_TEMPERATURES = np.geomspace(0.02, 5, 45)


@dataclass(frozen=True)
class Thresholds:
    """Where a turn is answered, where "did you mean…?" is offered, and what was measured there on held-out rows.

    A turn whose score is at least `answer` is answered; at least `suggest`, it is offered candidates; else it failed.
    `*_precision` is the share of right rows among the rows at or above the threshold, and `*_coverage` the share of
    all rows that stand there (0–1); a precision without rows is None. `*_reached` says whether the asked precision
    could be reached at all.
    """

    answer: float
    suggest: float
    answer_precision: float | None
    answer_coverage: float
    answer_reached: bool
    suggest_precision: float | None
    suggest_coverage: float
    suggest_reached: bool


def calibrate_thresholds(
    scores: Array,
    correct: npt.NDArray[np.bool_],
    is_out_of_scope: npt.NDArray[np.bool_] | None = None,
    *,
    answer_precision: float,
    suggest_precision: float,
) -> Thresholds:
    """Finds the smallest scores at and above which held-out rows reach the asked precisions (0–1).

    `scores` and `correct` are (n,): the confidence of each held-out row, and whether its top intent is right. An
    out-of-scope row (`is_out_of_scope`, or None when there is none) is never right. The precision that is compared is
    Jeffreys' estimate (right + ½) / (rows + 1), so that a handful of lucky rows opens nothing. Where no score reaches
    it, the threshold is the score with the highest estimate: the most careful choice that the data supports.
    `answer` is never below `suggest`. Without rows both are 1 and nothing is reached. Raises ValueError for a
    precision outside 0–1 or arrays of different lengths.
    """
    for asked in (answer_precision, suggest_precision):
        if not 0 <= asked <= 1:
            raise ValueError(f"a precision lies between 0 and 1, not at {asked}")
    right = np.asarray(correct, np.bool_)
    if is_out_of_scope is not None:
        right = right & ~np.asarray(is_out_of_scope, np.bool_)
    if len(scores) != len(right):
        raise ValueError(f"{len(scores)} scores, but {len(right)} rows that are right or wrong")
    suggest, suggest_reached = _smallest(scores, right, suggest_precision)
    answer, answer_reached = _smallest(scores, right, answer_precision)
    answer = max(answer, suggest)
    return Thresholds(
        answer, suggest, *_measure(scores, right, answer), answer_reached, *_measure(scores, right, suggest),
        suggest_reached,
    )  # fmt: skip


def _smallest(scores: Array, right: npt.NDArray[np.bool_], precision: float) -> tuple[float, bool]:
    if not len(scores):
        return 1.0, False
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked = np.asarray(scores, np.float64)[order]
    rows = np.arange(1, len(ranked) + 1)
    estimate = (np.cumsum(right[order]) + _PRIOR) / (rows + 2 * _PRIOR)
    estimate = np.where(np.append(ranked[1:] < ranked[:-1], True), estimate, -1)  # equal scores stand or fall together
    reaching = np.flatnonzero(estimate >= precision)
    return (float(ranked[reaching[-1]]), True) if len(reaching) else (float(ranked[estimate.argmax()]), False)


def _measure(scores: Array, right: npt.NDArray[np.bool_], threshold: float) -> tuple[float | None, float]:
    above = np.asarray(scores, np.float64) >= threshold
    return (float(right[above].mean()) if above.any() else None, float(above.mean()) if len(above) else 0.0)


def fit_temperature(probabilities: Array, intents: Sequence[str], expected: Sequence[str]) -> float:
    """Finds the temperature T > 0 that makes softmax(ln p / T) honest, by the smallest log loss on held-out rows.

    `probabilities` (n, k) are out-of-fold, in the order of `intents`; `expected` (n,) are the true intents, all of
    them in `intents`. Without rows, or with a single intent, T is 1. Guo et al. 2017, "On Calibration of Modern
    Neural Networks". Raises KeyError for an expected intent that is not in `intents`.
    """
    if not len(expected) or len(intents) < 2:
        return 1.0
    place = {intent: column for column, intent in enumerate(intents)}
    columns = np.array([place[intent] for intent in expected])
    rows = np.arange(len(columns))
    losses = [-_log(with_temperature(probabilities, t))[rows, columns].mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(losses))])


def with_temperature(probabilities: Array, temperature: float) -> npt.NDArray[np.float32]:
    """Returns softmax(ln p / temperature) of each row of `probabilities` (n, k): sharper below 1, flatter above."""
    logits = _log(probabilities) / temperature
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def _log(probabilities: Array) -> Array:
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
