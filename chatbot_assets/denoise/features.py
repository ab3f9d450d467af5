"""Dense features of texts for closed-form models: the sentence vector beside projected n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from chatbot_assets.train.features import NgramConfig, NgramVectorizer

Floats = npt.NDArray[np.float32]

BLOCK = 2048
"""Rows that are dense at one time: what is quadratic in the width stays small, whatever the number of rows."""
_SIGNS_PER_NGRAM = 4
_CONSTANT = 10.0
"""Large, so that the penalty hardly touches the offset that a model learns on it."""


@dataclass(frozen=True)
class DenseFeatures:
    """Fitted on texts; a row is the weighted sentence vector (d), the n-grams projected to `projected`, a constant.

    The projection is sparse and random, drawn from a fixed seed: each n-gram is added to four columns with random
    signs (Kane and Nelson 2014, "Sparser Johnson-Lindenstrauss transforms"), which keeps scalar products nearly as
    they are. No label is looked at, so a model over these features can still be judged by leaving rows out.
    """

    vectorizer: NgramVectorizer
    projection: sp.csr_matrix
    vector_weight: float
    vector_width: int

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vector_width: int,
        *,
        projected: int,
        vector_weight: float,
    ) -> DenseFeatures:
        """Learns the n-grams of the texts, in any order. Raises ValueError when texts and tokens differ in length."""
        vectorizer = NgramVectorizer.fit(texts, tokens, NgramConfig())
        drawn = np.random.default_rng(0)
        cells = vectorizer.n_features * _SIGNS_PER_NGRAM
        signs = drawn.choice([-1, 1], cells).astype(np.float32) / np.float32(np.sqrt(_SIGNS_PER_NGRAM))
        columns = drawn.integers(0, projected, cells)
        starts = np.arange(0, cells + 1, _SIGNS_PER_NGRAM)
        projection = sp.csr_matrix((signs, columns, starts), (vectorizer.n_features, projected))
        return cls(vectorizer, projection, vector_weight, vector_width)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.vector_width + int(self.projection.shape[1]) + 1

    def blocks(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Iterator[Floats]:
        """Yields the rows of features of n texts in order, float32 (at most BLOCK, width) at a time.

        Raises ValueError when the lengths differ or `vectors` is not (n, vector_width).
        """
        if vectors.shape != (len(texts), self.vector_width):
            raise ValueError(f"vectors of shape {vectors.shape} for {len(texts)} texts and a width {self.vector_width}")
        for start in range(0, len(texts), BLOCK):
            rows = slice(start, start + BLOCK)
            ngrams = self.vectorizer.transform(texts[rows], tokens[rows]) @ self.projection
            constant = np.full((ngrams.shape[0], 1), _CONSTANT, np.float32)
            yield np.hstack([vectors[rows] * np.float32(self.vector_weight), ngrams.toarray(), constant])
