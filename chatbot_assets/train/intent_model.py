"""The bundled intent classifier: trained with torch, served with NumPy.

A linear model over TF-IDF rows of word and character n-grams beside the sentence vector, one intent against the rest:
a squared hinge with an L2 penalty (the objective of scikit-learn's LinearSVC, here for all intents at once), solved
by full-batch L-BFGS.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chatbot_assets.modules import Section
from chatbot_assets.train.arrays import mapped_arrays
from chatbot_assets.train.features import NgramConfig, NgramRows, NgramVectorizer
from chatbot_assets.train.lbfgs import minimise

if TYPE_CHECKING:
    import scipy.sparse as sp
    import torch

Floats = npt.NDArray[np.float32]

RESULT_LIBRARIES = ["torch", "numpy", "scipy", "safetensors"]
_WEIGHTS, _CONFIG = "intent_model.safetensors", "intent_model.json"


class LinearIntents(Section):
    """A learner of linear classifiers; the defaults were tuned on dev splits of six data sets pooled."""

    ngrams: NgramConfig = NgramConfig()
    vector_weight: float = Field(1.4, ge=0.0)
    """Length of a unit sentence vector beside the lengths of the n-gram groups."""
    l2: float = Field(4.0, gt=0.0)
    """The penalty: minimise l2 / 2 · |W|² + the sum of squared hinges. LinearSVC's C is 1 / l2."""
    iterations: int = Field(40, ge=1)
    """L-BFGS iterations; stopping before convergence costs nothing on held-out rows and regularises."""
    temperature: float = Field(0.2, gt=0.0)
    """Probabilities are softmax(margins / temperature)."""

    def fit(
        self,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: Floats,
        intents: Sequence[str],
        weights: Floats,
    ) -> "IntentModel":
        """Trains on n labelled texts, their words, their sentence vectors (n, d) and what each row counts (n).

        The same rows (in any order) and parameters give bit-equal weights on one machine: nothing is drawn at random.
        Raises ValueError without rows or when lengths differ.
        """
        lengths = len(texts), len(tokens), len(vectors), len(intents), len(weights)
        if len(set(lengths)) != 1 or not len(texts):
            raise ValueError(
                f"training needs rows, and as many texts as tokens, vectors, intents and weights; got {lengths}"
            )
        order = sorted(range(len(texts)), key=lambda row: (texts[row], intents[row], weights[row]))
        texts, tokens = [texts[row] for row in order], [tokens[row] for row in order]
        names, targets = np.unique([intents[row] for row in order], return_inverse=True)
        vectorizer = NgramVectorizer.fit(texts, tokens, self.ngrams)
        learnt = _solve(
            vectorizer.transform(texts, tokens),
            np.asarray(vectors, np.float32)[order],
            targets.astype(np.int64),
            np.asarray(weights, np.float32)[order],
            self,
        )
        return IntentModel(self, vectorizer, names.tolist(), learnt)

    def load(self, folder: Path) -> "IntentModel":
        """Reads what `IntentModel.save` wrote; the n-grams and their weights stay in the file.

        Raises FileNotFoundError when there is none.
        """
        about = json.loads((folder / _CONFIG).read_text("utf-8"))
        learner = LinearIntents.model_validate(about["config"])
        arrays = mapped_arrays(folder / _WEIGHTS)
        vectorizer = NgramVectorizer.from_arrays(arrays, learner.ngrams)
        weights = LinearWeights(arrays["ngram_weights"], arrays["vector_weights"].copy(), arrays["bias"].copy())
        return IntentModel(learner, vectorizer, about["intents"], weights)


@dataclass(frozen=True)
class LinearWeights:
    """What was learnt for k intents: `ngrams` (features, k), `vectors` (d, k) and `bias` (k), all float32."""

    ngrams: Floats
    vectors: Floats
    bias: Floats

    def margins(self, ngrams: NgramRows, vectors: Floats) -> Floats:
        """Scores rows of n-gram features and sentence vectors: float32 (n, k); above 0 speaks for the intent."""
        return np.asarray(ngrams @ self.ngrams + vectors @ self.vectors + self.bias, np.float32)


@dataclass(frozen=True)
class IntentModel:
    """A trained classifier of `intents` (sorted); made by `LinearIntents`, whose parameters are `config`."""

    config: LinearIntents
    vectorizer: NgramVectorizer
    intents: list[str]
    weights: LinearWeights

    def margins(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Floats:
        """Returns how far each text lies on each intent's side, float32 (n, k); all negative far from everything known.

        `tokens` are the words of each text and `vectors` (n, d) its sentence vectors, made as for the training.
        Raises ValueError when their lengths or widths do not fit.
        """
        width = len(self.weights.vectors)
        if vectors.shape != (len(texts), width):
            raise ValueError(f"vectors of shape {vectors.shape} for {len(texts)} texts and an encoder of width {width}")
        return self.weights.margins(self.vectorizer.rows(texts, tokens), vectors)

    def probabilities(self, margins: Floats) -> Floats:
        """Turns margins (n, k) into probabilities (n, k)."""
        return softmax(margins / np.float32(self.config.temperature))

    def save(self, folder: Path) -> None:
        """Writes the model as safetensors and JSON; equal models make equal bytes. Makes the folder if need be."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays = self.vectorizer.arrays() | {
            "ngram_weights": self.weights.ngrams,
            "vector_weights": self.weights.vectors,
            "bias": self.weights.bias,
        }
        save_file(arrays, folder / _WEIGHTS)
        about = {"config": self.config.model_dump(mode="json"), "intents": self.intents}
        (folder / _CONFIG).write_text(json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")


def softmax(scores: Floats) -> Floats:
    """Returns each row of `scores` (n, k) as float32 shares that sum to 1."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def _solve(
    ngrams: "sp.csr_matrix", vectors: Floats, targets: npt.NDArray[np.int64], row_weights: Floats, config: LinearIntents
) -> LinearWeights:
    """Minimises l2 / 2 · |W|² + Σ row_weight · max(0, 1 − y · margin)² over rows and intents, y = ±1; the bias is free.

    The weights always are Xᵀ·A, X being the rows (n, features) and A (n, k): L-BFGS from zero never leaves the span of
    the rows. So the solver works on A, beside X·W = X·Xᵀ·A and the bias, which together are far fewer numbers than W:
    three quarters of its time went into reading and writing those.
    """
    import torch

    n, k = len(targets), int(targets.max()) + 1
    total = float(row_weights.sum(dtype=np.float64))
    # Centred vectors: what all sentences share would only slow L-BFGS down. The bias takes it back at the end.
    mean = np.average(vectors, axis=0, weights=row_weights).astype(np.float32)
    # One thread: sums do not depend on how many there are, and for these sizes a second one gains little.
    torch.set_num_threads(1)
    with torch.no_grad():
        rows, columns = _torch_csr(ngrams), _torch_csr(ngrams.T.tocsr())
        dense = torch.from_numpy((vectors - mean) * np.float32(config.vector_weight)).clone()
        signs = torch.nn.functional.one_hot(torch.from_numpy(targets), k).float() * 2 - 1
        counts = torch.from_numpy(row_weights).clone()[:, None]

        def split(flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            return flat[: n * k].view(n, k), flat[n * k : -k].view(n, k), flat[-k:]

        def inner(left: torch.Tensor, right: torch.Tensor) -> float:
            return float(left[: n * k].dot(right[n * k : -k]) + left[-k:].dot(right[-k:]))

        def loss(flat: torch.Tensor) -> tuple[float, torch.Tensor]:
            coefficients, products, bias = split(flat)
            short = (1 - signs * (products + bias)).clamp_min_(0)
            slope = short * counts
            value = float((short * slope).sum() + config.l2 / 2 * (coefficients * products).sum()) / total
            slope.mul_(signs).mul_(-2)
            gradient = torch.empty_like(flat)
            on_coefficients, on_products, on_bias = split(gradient)
            torch.sum(slope, 0, out=on_bias)
            torch.add(slope, coefficients, alpha=config.l2, out=on_coefficients)
            torch.mm(dense, dense.T @ on_coefficients, out=on_products)
            on_products += rows @ (columns @ on_coefficients)
            return value, gradient.div_(total)

        start = torch.zeros(2 * n * k + k)
        start[-k:] = -1.0  # where every row is right about every intent but its own
        coefficients, _, bias = split(minimise(loss, start, iterations=config.iterations, inner=inner))
        on_ngrams = (columns @ coefficients).numpy().copy()
        on_vectors = (dense.T @ coefficients).numpy() * np.float32(config.vector_weight)
    return LinearWeights(on_ngrams, on_vectors, bias.numpy() - mean @ on_vectors)


def _torch_csr(matrix: "sp.csr_matrix") -> "torch.Tensor":
    """The matrix for torch, in memory that torch has aligned: the last bits of a product may depend on that."""
    import torch

    pointers, columns, values = (
        torch.from_numpy(part).clone() for part in (matrix.indptr, matrix.indices, matrix.data)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "Sparse CSR tensor support is in beta state"
        return torch.sparse_csr_tensor(pointers, columns, values, size=matrix.shape)
