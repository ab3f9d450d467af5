"""A classifier of intents by their centroids alone: learnt in a fraction of a second, a few hundred kilobytes large."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chatbot_assets.modules import Section
from chatbot_assets.train.contracts import Floats

Doubles = npt.NDArray[np.float64]

RESULT_LIBRARIES = ["numpy", "safetensors"]
_ARRAYS, _CONFIG = "centroids.safetensors", "centroids.json"
_LEAST = 1e-9
"""Keeps a division by the length of a zero vector, or by a variance of nothing, within numbers."""


class CentroidIntents(Section):
    """A learner that reads sentence vectors only, for bots that change by the minute or have few rows an intent.

    Directions in which texts of one intent differ among themselves count less: within-class covariance normalisation
    (Hatch, Kajarekar & Stolcke 2006) with cosine scoring. The covariance is shrunk as Ledoit & Wolf (2004) say, so that
    few rows are compared almost as they are. With many rows an intent, `LinearIntents` is far more accurate.
    """

    temperature: float = Field(0.1, gt=0.0)
    """Probabilities are softmax(margins / temperature)."""

    def fit(
        self,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: Floats,
        intents: Sequence[str],
        weights: Floats,
    ) -> "Centroids":
        """Learns from n vectors (n, d), their intents and what each counts (n).

        Raises ValueError without rows or when lengths differ.
        """
        if not len(texts) == len(vectors) == len(intents) == len(weights) or not len(texts):
            raise ValueError("training needs rows, and as many vectors, intents and weights as texts")
        order = sorted(range(len(texts)), key=lambda row: (texts[row], intents[row], weights[row]))
        names, targets = np.unique([intents[row] for row in order], return_inverse=True)
        rows = np.asarray(vectors, np.float64)[order]
        shares = np.asarray(weights, np.float64)[order] / np.sum(weights, dtype=np.float64)
        means = np.stack(
            [np.average(rows[targets == k], axis=0, weights=shares[targets == k]) for k in range(len(names))]
        )
        mean = shares @ rows
        whitening = _whitening(rows - means[targets], shares)
        centroids = _unit((means - mean) @ whitening)
        return Centroids(
            self, names.tolist(), mean.astype(np.float32), whitening.astype(np.float32), centroids.astype(np.float32)
        )

    def load(self, folder: Path) -> "Centroids":
        """Reads what `Centroids.save` wrote."""
        from safetensors.numpy import load_file

        about = json.loads((folder / _CONFIG).read_text("utf-8"))
        return Centroids(CentroidIntents(**about["config"]), about["intents"], **load_file(folder / _ARRAYS))


@dataclass(frozen=True)
class Centroids:
    """A trained classifier of k `intents`: the `mean` (d) that is taken off, `whitening` (d, d), `centroids` (k, d)."""

    config: CentroidIntents
    intents: list[str]
    mean: Floats
    whitening: Floats
    centroids: Floats

    def margins(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Floats:
        """The cosines (n, k) between n whitened sentence vectors and the intents' centroids."""
        whitened = (np.asarray(vectors, np.float32) - self.mean) @ self.whitening
        return np.asarray(_unit(whitened) @ self.centroids.T, np.float32)

    def probabilities(self, margins: Floats) -> Floats:
        """Margins (n, k) as probabilities (n, k)."""
        powers = np.exp((margins - margins.max(1, keepdims=True)) / np.float32(self.config.temperature))
        return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)

    def save(self, folder: Path) -> None:
        """Writes safetensors and JSON; equal classifiers make equal bytes."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        save_file({"mean": self.mean, "whitening": self.whitening, "centroids": self.centroids}, folder / _ARRAYS)
        about = {"config": self.config.model_dump(), "intents": self.intents}
        (folder / _CONFIG).write_text(json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")


def _whitening(residuals: Doubles, shares: Doubles) -> Doubles:
    """The matrix (d, d) after which residuals (n, d) of the given shares vary alike in all directions."""
    dimension = residuals.shape[1]
    covariance = (residuals * shares[:, None]).T @ residuals
    variance = float(np.trace(covariance)) / dimension
    target = variance * np.eye(dimension)
    # Ledoit & Wolf (2004), lemma 3.3, with shares in place of 1 / n.
    spread = float(np.sum(shares**2 * np.sum(residuals**2, 1) ** 2) - np.sum(shares**2) * np.sum(covariance**2))
    distance = float(np.sum((covariance - target) ** 2))
    shrinkage = min(1.0, max(spread, 0.0) / distance) if distance > 0 else 1.0
    values, directions = np.linalg.eigh((1 - shrinkage) * covariance + shrinkage * target)
    return np.asarray(directions / np.sqrt(np.maximum(values, _LEAST)))


def _unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST))
