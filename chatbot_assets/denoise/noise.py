"""From the scores of rows that a model has not seen to honest probabilities, though some labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESULT_LIBRARIES = ["numpy", "scipy"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_MOST_ROWS = 20_000
"""Two numbers need no more rows than these to be fitted."""
_TEMPERATURES = (0.01, 1.0)
_USUAL_TEMPERATURE = 0.06
_MOST_NOISE = 0.9


@dataclass(frozen=True)
class NoiseModel:
    """How labels come about: with probability 1 − noise from softmax(scores / temperature), else any of k at random.

    Fitting both numbers at once keeps wrong labels from making all probabilities timid, and `noise` (0–1) is itself
    the estimate of how many labels were given at random: the maximum-likelihood estimate of the mixture that Mnih and
    Hinton 2012, "Learning to label aerial images from noisy data", train with.
    """

    temperature: float
    noise: float

    @classmethod
    def fit(cls, scores: Floats, labels: npt.NDArray[np.int64]) -> NoiseModel:
        """Fits it on out-of-sample scores (n, k) and the columns (n) of the labels as they were given.

        A weak prior (a usual temperature, little noise) decides where there are few rows.
        """
        from scipy.optimize import minimize_scalar

        rows = np.unique(np.linspace(0, max(len(labels) - 1, 0), _MOST_ROWS).astype(np.int64))[: len(labels)]
        some, given = np.asarray(scores, np.float64)[rows], labels[rows]

        def loss(log_temperature: float) -> float:
            chances = _of_label(softmax(some / np.exp(log_temperature)), given)
            unusual = 5 * (log_temperature - np.log(_USUAL_TEMPERATURE)) ** 2
            return _surprise(chances, _noise(chances, scores.shape[1]), scores.shape[1]) + float(unusual)

        found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded", options={"xatol": 1e-3})
        temperature = float(np.exp(found.x))
        return cls(temperature, _noise(_of_label(softmax(some / temperature), given), scores.shape[1]))

    def probabilities(self, scores: Floats) -> Doubles:
        """The probability of each intent before the given label is looked at: (n, k), rows sum to 1."""
        return softmax(np.asarray(scores, np.float64) / self.temperature)

    def posterior(self, probabilities: Doubles, labels: npt.NDArray[np.int64]) -> Doubles:
        """The probability of each intent (n, k) once the given label is known as well; rows sum to 1.

        `labels` (n) are the columns of the given labels; the value there is the chance that the label is right.
        """
        at_random = self.noise / probabilities.shape[1]
        joint = probabilities * at_random
        rows = np.arange(len(labels))
        joint[rows, labels] += probabilities[rows, labels] * (1 - self.noise)
        total = joint.sum(1, keepdims=True)
        # Without any noise, and a label of no probability at all, nothing is left to divide: the label stands.
        joint[rows, labels] += total[:, 0] == 0
        return np.asarray(joint / np.where(total > 0, total, 1), np.float64)


def softmax(scores: Doubles) -> Doubles:
    """Each row of (n, k) as shares that sum to 1."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def _of_label(probabilities: Doubles, labels: npt.NDArray[np.int64]) -> Doubles:
    return np.asarray(probabilities[np.arange(len(labels)), labels], np.float64)


def _surprise(chances: Doubles, noise: float, k: int) -> float:
    """The negative log-likelihood of the labels, plus the prior of a beta distribution that favours little noise."""
    return float(-np.log((1 - noise) * chances + noise / k + 1e-300).sum() - 9 * np.log1p(-noise))


def _noise(chances: Doubles, k: int) -> float:
    """The share of random labels that explains best what probability the labels have; the loss is convex in it."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda noise: _surprise(chances, noise, k), bounds=(0.0, _MOST_NOISE), method="bounded", options={"xatol": 1e-4}
    )
    return float(found.x)
