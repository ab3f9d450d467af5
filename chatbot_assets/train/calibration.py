"""Turns the scores of held-out rows into what serving needs: one honest confidence a turn, and two thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

# The posterior mean of a share under Jeffreys' prior, Beta(1/2, 1/2): few rows cannot prove a precision of 1.
_PRIOR = 0.5
_SURE = 0.95
"""How sure the rows must make it that a precision cannot be reached."""


@dataclass(frozen=True)
class Thresholds:
    """Where a turn is answered, where "did you mean…?" is offered, and what was measured there on held-out rows.

    A turn whose score is at least `answer` is answered; at least `suggest`, it is offered candidates; else it failed.
    `*_precision` is the share of right rows among those answered, or among those offered candidates, and `*_coverage`
    the share that these are of all rows (0–1); a precision without rows is None. `*_reached` says whether the asked
    precision could be reached at all.
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
    out_of_scope_share: float | None = None,
) -> Thresholds:
    """Finds the smallest scores at which held-out rows reach the asked precisions (0–1).

    `answer_precision` is asked of the rows at or above `answer`, `suggest_precision` of those between the thresholds:
    turns that are right less often than that are better told that they were not understood.

    `scores` and `correct` are (n,): the confidence of each held-out row, and whether its top intent is right. An
    out-of-scope row (`is_out_of_scope`, or None when there is none) is never right; together these rows weigh as much
    as if `out_of_scope_share` (0–1) of all turns were out of scope, or one each when that is None. The precision that
    is compared is Jeffreys' estimate (right + ½) / (rows + 1), so that a handful of lucky rows opens nothing. Where no
    score reaches it, `answer` is the score with the highest estimate, the most careful that the data supports, and
    `suggest` equals `answer`. Without rows both are 1 and nothing is reached. Raises ValueError for a
    precision outside 0–1 or arrays of different lengths.
    """
    for asked in (answer_precision, suggest_precision):
        if not 0 <= asked <= 1:
            raise ValueError(f"a precision lies between 0 and 1, not at {asked}")
    right = np.asarray(correct, np.bool_)
    outside = np.zeros(len(right), np.bool_) if is_out_of_scope is None else np.asarray(is_out_of_scope, np.bool_)
    if not len(scores) == len(right) == len(outside):
        raise ValueError(f"{len(scores)} scores, but {len(right)} rows that are right or wrong")
    right, weights = right & ~outside, row_weights(outside, out_of_scope_share)
    answer, answer_reached = _smallest(scores, right, weights, answer_precision)
    if (
        not answer_reached
        and not outside.all()
        and _is_refuted(np.asarray(scores) >= answer, right, weights, answer_precision)
    ):
        answer = 1.0
    below = np.asarray(scores) < answer
    suggest, suggest_reached = _smallest(scores[below], right[below], weights[below], suggest_precision)
    suggest = suggest if suggest_reached else answer
    offered = below & (np.asarray(scores) >= suggest)
    return Thresholds(
        answer=answer,
        suggest=suggest,
        **_measured("answer", right, weights, ~below),
        answer_reached=answer_reached,
        **_measured("suggest", right, weights, offered),
        suggest_reached=suggest_reached,
    )


def row_weights(is_out_of_scope: npt.NDArray[np.bool_], share: float | None) -> Array:
    """Returns the weights (n,) that make the out-of-scope rows `share` (0–1) of the whole; in-scope rows weigh 1.

    With `share` None, or with rows of one kind only, every row weighs 1.
    """
    outside = int(is_out_of_scope.sum())
    inside = len(is_out_of_scope) - outside
    if share is None or not outside or not inside:
        return np.ones(len(is_out_of_scope))
    return np.where(is_out_of_scope, share * inside / ((1 - share) * outside), 1.0)


def _smallest(scores: Array, right: npt.NDArray[np.bool_], weights: Array, precision: float) -> tuple[float, bool]:
    if not len(scores):
        return 1.0, False
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked = np.asarray(scores, np.float64)[order]
    estimate = (np.cumsum((right * weights)[order]) + _PRIOR) / (np.cumsum(weights[order]) + 2 * _PRIOR)
    estimate = np.where(np.append(ranked[1:] < ranked[:-1], True), estimate, -1)  # equal scores stand or fall together
    reaching = np.flatnonzero(estimate >= precision)
    return (float(ranked[reaching[-1]]), True) if len(reaching) else (float(ranked[estimate.argmax()]), False)


def _is_refuted(rows: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_], weights: Array, precision: float) -> bool:
    """Whether some of the rows make it all but sure that less than this share of such turns is right."""
    from scipy.special import betaincinv

    chosen, good = float(weights[rows].sum()), float((right * weights)[rows].sum())
    return bool(betaincinv(good + _PRIOR, chosen - good + _PRIOR, _SURE) < precision)


def _measured(name: str, right: npt.NDArray[np.bool_], weights: Array, rows: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """The precision of some of the rows, and the share of all that they are."""
    chosen = float(weights[rows].sum())
    precision = float((right * weights)[rows].sum()) / chosen if chosen else None
    return {f"{name}_precision": precision, f"{name}_coverage": chosen / float(weights.sum()) if len(weights) else 0.0}


@dataclass(frozen=True)
class Confidence:
    """The probability that a turn's top intent is right *and* the turn in scope, from two readings of the turn.

    A logistic function of the classifier's top margin (how far the text lies on that intent's side) and the cosine
    similarity of that intent's nearest known text. Serving needs these four numbers and NumPy.
    """

    on_margin: float
    on_similarity: float
    bias: float
    rows: int
    """The number of held-out rows that the other three were fitted on."""

    def __call__(self, top_margins: Array, similarities: Array) -> Array:
        """Returns the confidence (n,) in 0–1 of n turns."""
        logits = self.on_margin * top_margins + self.on_similarity * similarities + self.bias
        return 1 / (1 + np.exp(-np.clip(logits, -50, 50)))

    @classmethod
    def fit(
        cls,
        top_margins: Array,
        similarities: Array,
        correct: npt.NDArray[np.bool_],
        is_out_of_scope: npt.NDArray[np.bool_],
        *,
        out_of_scope_share: float = 0.1,
    ) -> Confidence:
        """Fits it on held-out rows (n,): logistic regression by Newton's method, slopes held at or above 0.

        `is_out_of_scope` rows (see `held_out.pseudo_out_of_scope`) count as wrong and weigh as `out_of_scope_share`
        of all turns. A weak prior (a penalty of 1/2 on slopes and offset of the centred readings) decides where there
        are few rows.
        """
        readings = np.stack([top_margins, similarities], 1).astype(np.float64)
        right = np.asarray(correct, np.bool_) & ~is_out_of_scope
        weights = row_weights(is_out_of_scope, out_of_scope_share)
        center = readings.mean(0) if len(readings) else np.zeros(2)
        slopes, bias = _logistic(readings - center, right, weights)
        if (slopes < 0).any() and len(readings):  # a reading that points the wrong way by chance is left out
            used = [bool(slope > 0) for slope in slopes]
            slopes, bias = _logistic((readings - center) * used, right, weights)
            slopes = np.maximum(slopes, 0) * used
        return cls(float(slopes[0]), float(slopes[1]), float(bias - center @ slopes), len(readings))


def _logistic(readings: Array, right: npt.NDArray[np.bool_], weights: Array) -> tuple[Array, float]:
    design = np.hstack([readings, np.ones((len(readings), 1))])
    solution = np.zeros(3)
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(design @ solution, -50, 50)))
        gradient = design.T @ (weights * (chance - right)) + solution / 2
        curvature = (design * (weights * chance * (1 - chance))[:, None]).T @ design + np.eye(3) / 2
        step = np.linalg.solve(curvature, gradient)
        solution = solution - step * min(1.0, 5 / max(float(np.abs(step).max()), 1e-12))
    return solution[:2], float(solution[2])
