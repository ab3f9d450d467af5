"""What the train stage's modules must do: a learner of intents, and an index of vectors.

A bot's YAML names a learner at ``train.classifier`` and an index at ``train.index``. What they made is saved into the
model's folder and loaded by a module of the same name and parameters, which the model's manifest holds. Learners and
indexes may be called from several threads at once, and equal arguments must save equal bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Classifier(Protocol):
    """A trained classifier of k intents."""

    @property
    def intents(self) -> Sequence[str]:
        """The k names, sorted."""
        ...

    def margins(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Floats:
        """How far each of n texts lies on each intent's side, (n, k).

        The highest margin names the intent, and of two texts the one with the higher top margin is the surer one.
        """
        ...

    def probabilities(self, margins: Floats) -> Floats:
        """Margins (n, k) as shares (n, k) in the same order; each row sums to 1."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the classifier into a folder, which it makes."""
        ...


class IntentLearner(Protocol):
    """Learns classifiers from labelled texts."""

    def fit(
        self,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: Floats,
        intents: Sequence[str],
        weights: Floats,
    ) -> Classifier:
        """Learns from n texts, the words of each, their vectors (n, d), intents, and what each counts (n, above 0).

        The rows' order must not matter. Raises ValueError without rows or when the lengths differ.
        """
        ...

    def load(self, folder: Path) -> Classifier:
        """Reads what a classifier's `save` wrote."""
        ...


class VectorIndex(Protocol):
    """Finds the nearest of n vectors."""

    def search(self, vectors: Floats, k: int) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The scalar products (m, k) with the nearest k vectors, highest first, and their places (m, k).

        With fewer than k vectors, there are as many columns as vectors. A place may be -1 where an approximate index
        found fewer; its scalar product then means nothing.
        """
        ...

    def save(self, folder: Path) -> None:
        """Writes the index into a folder, which it makes."""
        ...


class IndexBuilder(Protocol):
    """Makes and loads indexes."""

    def build(self, vectors: Floats) -> VectorIndex:
        """An index of L2-normalised vectors (n, d); n is at least 1."""
        ...

    def load(self, folder: Path) -> VectorIndex:
        """Reads what an index's `save` wrote."""
        ...
