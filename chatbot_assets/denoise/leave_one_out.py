"""What a classifier would say about each row, had it not seen that row: in closed form, without training it again."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from chatbot_assets.denoise.features import BLOCK, DenseFeatures

RESULT_LIBRARIES = ["numpy", "scipy"]

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
FEW = 2
"""Up to width / FEW rows, a matrix as large as the rows are many is inverted, and not one as large as they are wide."""


def same_wording(text: str) -> str:
    """What is left of a text without case, white space and punctuation: texts that share it are one to the model."""
    kept = "".join(letter for letter in text.casefold() if unicodedata.category(letter)[0] not in "ZP")
    return kept or text


@dataclass(frozen=True)
class LeaveOneOut:
    """Ridge regression on the intents, one against the rest, that can forget any one of its rows.

    With W = A⁻¹ZᵀY, A = ZᵀZ + l2·I and the leverage h = zᵀA⁻¹z of a row z with target y, the model without that row is
    W − A⁻¹z(y − zW)ᵀ / (1 − h): the PRESS formula, for classification in Rifkin and Lippert 2007, "Notes on regularized
    least-squares". Rows of one wording are folded into one row with their mean target, so they are forgotten together,
    and no row is vouched for by its own double. Time and memory grow linearly with the rows.

    `intents` are the k names, sorted; `scores` is float32 (n, k): how much row i looks like each intent (about 1: like
    it, 0: not) to the model without row i.
    """

    intents: list[str]
    scores: Floats
    _features: DenseFeatures
    _weights: Floats
    _inverse: Floats
    _fold_of: Places
    _folds: _Folds
    _correction: Floats
    """(folds, k): (y − zW) / (1 − h) of each fold, by which it has pulled the model to itself."""

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: Floats,
        intents: Sequence[str],
        *,
        l2: float = 4.0,
        projected: int = 2048,
        vector_weight: float = 1.4,
    ) -> LeaveOneOut:
        """Fits it on n labelled texts, their words and their sentence vectors (n, d).

        `l2` is the penalty, `projected` the number of columns that the n-grams are projected to, and `vector_weight`
        the length of a unit sentence vector beside an n-gram group of length 1. The result does not depend on the
        order of the rows. Raises ValueError without rows or when lengths differ.
        """
        lengths = len(texts), len(tokens), len(vectors), len(intents)
        if len(set(lengths)) != 1 or not len(texts):
            raise ValueError(f"needs rows, and as many texts as tokens, vectors and intents; got {lengths}")
        names = sorted(set(intents))
        folds, fold_of = _Folds.of(texts, tokens, vectors)
        place = {name: column for column, name in enumerate(names)}
        targets = np.zeros((len(folds.texts), len(names)), np.float32)
        np.add.at(targets, (fold_of, np.array([place[intent] for intent in intents])), 1)
        targets /= targets.sum(1, keepdims=True)
        features = DenseFeatures.fit(
            folds.texts, folds.tokens, vectors.shape[1], projected=projected, vector_weight=vector_weight
        )
        with threadpool_limits(1):  # sums do not depend on how many threads there are
            inverse, weights = _solve(features, folds, targets, l2)
            fitted, leverages = [], []
            for rows in folds.features(features):
                fitted.append(rows @ weights)
                leverages.append(np.einsum("ij,ij->i", rows @ inverse, rows))
        predicted, leverage = np.concatenate(fitted), np.concatenate(leverages)[:, None]
        correction = (targets - predicted) / (1 - leverage)
        scores = predicted - leverage * correction
        return cls(names, scores[fold_of], features, weights, inverse, fold_of, folds, correction)

    def scores_without(
        self, places: Places, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats
    ) -> Floats:
        """Scores m other texts, text j by the model that has not seen row `places[j]`: float32 (m, k).

        Raises ValueError when the lengths differ or the vectors have another width than those of the rows.
        """
        if len(places) != len(texts):
            raise ValueError(f"{len(texts)} texts, but {len(places)} places of rows to forget")
        found = [np.zeros((0, len(self.intents)), np.float32)]
        with threadpool_limits(1):
            for number, rows in enumerate(self._features.blocks(texts, tokens, vectors)):
                fold = self._fold_of[places[number * BLOCK :][: len(rows)]]
                forgotten, which = np.unique(fold, return_inverse=True)
                directions = np.vstack(list(self._folds.take(forgotten).features(self._features))) @ self._inverse
                overlap = np.einsum("ij,ij->i", rows, directions[which])
                found.append(rows @ self._weights - overlap[:, None] * self._correction[fold])
        return np.concatenate(found)


@dataclass(frozen=True)
class _Folds:
    """One row for each wording: the first of its texts in sorting order stands for all."""

    texts: list[str]
    tokens: list[Sequence[str]]
    vectors: Floats

    @classmethod
    def of(cls, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> tuple[_Folds, Places]:
        """The folds in the order of their wording, and the fold of each row."""
        wordings = [same_wording(text) for text in texts]
        first: dict[str, int] = {}
        for row in sorted(range(len(texts)), key=lambda row: (wordings[row], texts[row])):
            first.setdefault(wordings[row], row)
        fold = {wording: number for number, wording in enumerate(first)}
        rows = list(first.values())
        folds = cls([texts[row] for row in rows], [tokens[row] for row in rows], np.asarray(vectors, np.float32)[rows])
        return folds, np.array([fold[wording] for wording in wordings], np.int64)

    def take(self, places: Places) -> _Folds:
        return _Folds([self.texts[p] for p in places], [self.tokens[p] for p in places], self.vectors[places])

    def features(self, features: DenseFeatures) -> Iterator[Floats]:
        return features.blocks(self.texts, self.tokens, self.vectors)


def _solve(features: DenseFeatures, folds: _Folds, targets: Floats, l2: float) -> tuple[Floats, Floats]:
    """A⁻¹ (width, width) and W (width, k), in double precision, rounded at the end."""
    few = len(folds.texts) <= features.width // FEW
    inverse, weights = (_solve_by_rows if few else _solve_by_columns)(features, folds, targets, l2)
    return inverse.astype(np.float32), weights.astype(np.float32)


def _solve_by_columns(features: DenseFeatures, folds: _Folds, targets: Floats, l2: float) -> tuple[Doubles, Doubles]:
    gram = l2 * np.eye(features.width)
    pulled = np.zeros((features.width, targets.shape[1]))
    for number, rows in enumerate(folds.features(features)):
        gram += rows.T @ rows
        pulled += rows.T @ targets[number * BLOCK :][: len(rows)]
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    return cho_solve(factor, np.eye(features.width), check_finite=False), cho_solve(factor, pulled, check_finite=False)


def _solve_by_rows(features: DenseFeatures, folds: _Folds, targets: Floats, l2: float) -> tuple[Doubles, Doubles]:
    """The same by Woodbury's identity: A⁻¹ = (I − Zᵀ(ZZᵀ + l2·I)⁻¹Z) / l2, so that W = Zᵀ(ZZᵀ + l2·I)⁻¹Y."""
    rows = np.vstack(list(folds.features(features))).astype(np.float64)
    factor = cho_factor(rows @ rows.T + l2 * np.eye(len(rows)), lower=True, overwrite_a=True, check_finite=False)
    inverse = rows.T @ cho_solve(factor, rows, check_finite=False)
    np.negative(inverse, out=inverse)
    inverse[np.diag_indices_from(inverse)] += 1
    inverse /= l2
    return inverse, rows.T @ cho_solve(factor, targets.astype(np.float64), check_finite=False)
