"""How near texts are to each other for the bundled classifier: by their n-grams and by their sentence vectors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from chatbot_assets.train.features import NgramConfig, NgramVectorizer

Floats = npt.NDArray[np.float32]

RESULT_LIBRARIES = ["numpy", "scipy"]
NGRAMS = NgramConfig(word_weight=0.5**0.5, char_weight=0.5**0.5)
"""Those of the classifier, words and letters alike, in rows of length 1."""


@dataclass(frozen=True)
class Compared:
    """Texts that can be compared: rows of ``ngrams``, each of length 1, and L2-normalised sentence ``vectors``."""

    ngrams: sp.csr_matrix
    vectors: Floats

    @classmethod
    def of(cls, texts: Sequence[str], vectors: Floats, vectorizer: NgramVectorizer) -> "Compared":
        """The texts by the n-grams that a vectoriser knows."""
        return cls(vectorizer.transform(texts, _words(texts)), vectors)

    def part(self, start: int, stop: int) -> "Compared":
        """The texts from one place to before another."""
        return Compared(self.ngrams[start:stop], self.vectors[start:stop])

    def nearness(self, others: "Compared", *, spelling: float, floor: float) -> Floats:
        """How near the m texts are to each of n others; (m, n) from 0 to 1.

        N-grams count ``spelling`` and vectors the rest; what is below ``floor`` is 0, and the rest is stretched to 1.
        """
        common = (self.ngrams @ others.ngrams.T).toarray()
        mixed = spelling * common + (1 - spelling) * (self.vectors @ others.vectors.T)
        return np.asarray(np.maximum(mixed - floor, 0) / (1 - floor), np.float32)


def vectorizer_of(texts: Sequence[str]) -> NgramVectorizer:
    """Knows the n-grams of the texts, and how rare each is among them."""
    return NgramVectorizer.fit(texts, _words(texts), NGRAMS)


def _words(texts: Sequence[str]) -> list[list[str]]:
    """What stands between blanks; letter n-grams do the rest where a language writes none."""
    return [text.split() for text in texts]
