"""The intent classifier: trained with torch, served with NumPy.

A linear model over TF-IDF rows of word and character n-grams beside the sentence vector, one intent against the rest:
a squared hinge with an L2 penalty (the objective of scikit-learn's LinearSVC, here for all intents at once), solved
by full-batch L-BFGS over a sparse matrix.
"""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from chatbot_assets.train.calibration import nearest_similarity
from chatbot_assets.train.features import NgramConfig, NgramVectorizer
from chatbot_assets.train.lbfgs import minimise

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
Progress = Callable[[str], None]

_WEIGHTS, _CONFIG = "intent_model.safetensors", "intent_model.json"


@dataclass(frozen=True)
class IntentModelConfig:
    """Every hyper-parameter of the classifier; the defaults were tuned on dev splits of six data sets pooled."""

    ngrams: NgramConfig = field(default_factory=NgramConfig)
    vector_weight: float = 1.4
    """Length of a unit sentence vector beside the lengths of the n-gram groups."""
    l2: float = 4.0
    """The penalty: minimise l2 / 2 · |W|² + the sum of squared hinges. LinearSVC's C is 1 / l2."""
    iterations: int = 40
    """L-BFGS iterations; stopping before convergence costs nothing on held-out rows and regularises."""
    temperature: float = 0.2
    """Probabilities are softmax(margins / temperature)."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> IntentModelConfig:
        """The inverse of `dataclasses.asdict`, also after a trip through JSON. Raises TypeError for unknown names."""
        ngrams: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.get("ngrams", {}).items()
        }
        return cls(**{**values, "ngrams": NgramConfig(**ngrams)})


@dataclass(frozen=True)
class LinearWeights:
    """What was learnt for k intents: `ngrams` (features, k), `vectors` (d, k) and `bias` (k), all float32."""

    ngrams: Floats
    vectors: Floats
    bias: Floats

    def margins(self, ngrams: sp.csr_matrix, vectors: Floats) -> Floats:
        """Scores rows of n-gram features and sentence vectors: float32 (n, k); above 0 speaks for the intent."""
        # Only the rows of the weights that these texts use are touched: a model may be large and memory-mapped.
        used, place = np.unique(ngrams.indices, return_inverse=True)
        compact = sp.csr_matrix((ngrams.data, place.astype(np.int32), ngrams.indptr), (ngrams.shape[0], len(used)))
        return np.asarray(compact @ self.ngrams[used] + vectors @ self.vectors + self.bias, np.float32)


@dataclass(frozen=True)
class IntentModel:
    """A trained classifier of `intents` (sorted); make one with `train_intent_model` or `load`."""

    config: IntentModelConfig
    vectorizer: NgramVectorizer
    intents: list[str]
    weights: LinearWeights

    def predict_proba(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Floats:
        """Returns the probability of every intent, float32 (n, k), in the order of `intents`; rows sum to 1.

        `tokens` are the words of each text and `vectors` (n, d) its sentence vectors, made as for the training.
        Raises ValueError when their lengths or widths do not fit.
        """
        return self.probabilities(self.margins(texts, tokens, vectors))

    def probabilities(self, margins: Floats) -> Floats:
        """Turns margins (n, k) into probabilities (n, k)."""
        return softmax(margins / np.float32(self.config.temperature))

    def margins(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Floats:
        """Returns how far each text lies on each intent's side, float32 (n, k); all negative far from everything known.

        Arguments and errors as for `predict_proba`, which is softmax(margins / temperature).
        """
        width = len(self.weights.vectors)
        if vectors.shape != (len(texts), width):
            raise ValueError(f"vectors of shape {vectors.shape} for {len(texts)} texts and an encoder of width {width}")
        return self.weights.margins(self.vectorizer.transform(texts, tokens), vectors)

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
        about = {"config": asdict(self.config), "intents": self.intents}
        (folder / _CONFIG).write_text(json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> IntentModel:
        """Reads what `save` wrote. Raises FileNotFoundError when there is none."""
        from safetensors.numpy import load_file

        about = json.loads((folder / _CONFIG).read_text("utf-8"))
        config = IntentModelConfig.from_json(about["config"])
        arrays = load_file(folder / _WEIGHTS)
        vectorizer = NgramVectorizer.from_arrays(arrays, config.ngrams)
        weights = LinearWeights(arrays["ngram_weights"], arrays["vector_weights"], arrays["bias"])
        return cls(config, vectorizer, about["intents"], weights)


def train_intent_model(
    texts: Sequence[str],
    tokens: Sequence[Sequence[str]],
    vectors: Floats,
    intents: Sequence[str],
    config: IntentModelConfig,
    *,
    progress: Progress | None = None,
) -> IntentModel:
    """Trains a classifier on n labelled texts, their words and their sentence vectors (n, d).

    The same rows (in any order) and configuration give bit-equal weights on one machine: nothing is drawn at random.
    `progress` is told about each step in a line of English. Raises ValueError without rows or when lengths differ.
    """
    rows = _Rows.of(texts, tokens, vectors, intents, config)
    tell = progress or (lambda _: None)
    tell(f"{len(rows.texts)} rows, {len(rows.names)} intents, {rows.vectorizer.n_features} n-grams")
    weights = _solve(rows.ngrams, rows.vectors, rows.targets, len(rows.names), config, tell)
    return IntentModel(config, rows.vectorizer, rows.names, weights)


@dataclass(frozen=True)
class HeldOut:
    """What a model made of m rows it had not seen, some of them of intents that it did not know.

    Each array is (m,): the margin of the top intent, the cosine similarity of the nearest text that the model was
    trained on, whether the top intent is right, and whether the row's intent was unknown to the model.
    """

    top_margins: Floats
    similarities: Floats
    correct: npt.NDArray[np.bool_]
    is_out_of_scope: npt.NDArray[np.bool_]


def pseudo_out_of_scope(
    texts: Sequence[str],
    tokens: Sequence[Sequence[str]],
    vectors: Floats,
    intents: Sequence[str],
    config: IntentModelConfig,
    *,
    parts: int = 4,
    rounds: int | None = None,
    most: int = 4000,
    progress: Progress | None = None,
) -> HeldOut:
    """Shows what out-of-scope turns look like to a bot that has none: leaves texts and whole intents out of training.

    Each round trains without one part of the texts and one part of the intents, both chosen by hash, and scores at
    most `most` of the texts left out. `rounds` None means one round from 4,000 rows on and `parts` rounds below.
    What comes back is what `calibration.Confidence` and `calibration.calibrate_thresholds` are fitted on. Raises
    ValueError as `train_intent_model` does.
    """
    rows = _Rows.of(texts, tokens, vectors, intents, config)
    tell = progress or (lambda _: None)
    of_text = np.array([_part(text, parts) for text in rows.texts])
    of_intent = np.array([_part(f"intent {name}", parts) for name in rows.names])[rows.targets]
    found: list[HeldOut] = []
    for part in range(rounds or (1 if len(rows.texts) >= 4000 else parts)):
        held = np.flatnonzero(of_text == part)[:most]
        rest = np.flatnonzero((of_text != part) & (of_intent != part))
        if not len(held) or not len(rest):
            continue
        tell(f"without part {part + 1} of {parts} of the texts and of the intents")
        known, targets = np.unique(rows.targets[rest], return_inverse=True)
        weights = _solve(rows.ngrams[rest], rows.vectors[rest], targets, len(known), config, tell)
        margins = weights.margins(rows.ngrams[held], rows.vectors[held])
        expected = rows.targets[held]
        found.append(
            HeldOut(
                margins.max(1),
                nearest_similarity(rows.vectors[held], rows.vectors[rest]),
                known[margins.argmax(1)] == expected,
                ~np.isin(expected, known),
            )
        )
    return HeldOut(
        np.concatenate([np.zeros(0, np.float32), *(one.top_margins for one in found)]),
        np.concatenate([np.zeros(0, np.float32), *(one.similarities for one in found)]),
        np.concatenate([np.zeros(0, np.bool_), *(one.correct for one in found)]),
        np.concatenate([np.zeros(0, np.bool_), *(one.is_out_of_scope for one in found)]),
    )


def _part(text: str, parts: int) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % parts


def softmax(scores: Floats) -> Floats:
    """Returns each row of `scores` (n, k) as float32 shares that sum to 1."""
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


@dataclass(frozen=True)
class _Rows:
    """Training rows, vectorised, in an order that depends on their content alone; row i was given as `order[i]`."""

    texts: list[str]
    vectorizer: NgramVectorizer
    ngrams: sp.csr_matrix
    vectors: Floats
    names: list[str]
    targets: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: Floats,
        intents: Sequence[str],
        config: IntentModelConfig,
    ) -> _Rows:
        lengths = len(texts), len(tokens), len(vectors), len(intents)
        if len(set(lengths)) != 1 or not len(texts):
            raise ValueError(f"training needs rows, and as many texts as tokens, vectors and intents; got {lengths}")
        order = sorted(range(len(texts)), key=lambda i: (texts[i], intents[i]))
        names = sorted(set(intents))
        place = {name: column for column, name in enumerate(names)}
        texts, tokens = [texts[i] for i in order], [tokens[i] for i in order]
        vectorizer = NgramVectorizer.fit(texts, tokens, config.ngrams)
        return cls(
            texts,
            vectorizer,
            vectorizer.transform(texts, tokens),
            np.asarray(vectors, np.float32)[order],
            names,
            np.array([place[intents[i]] for i in order]),
            np.array(order),
        )


def _solve(
    ngrams: sp.csr_matrix,
    vectors: Floats,
    targets: npt.NDArray[np.int64],
    k: int,
    config: IntentModelConfig,
    tell: Progress,
) -> LinearWeights:
    """Minimises l2 / 2 · |W|² + Σ max(0, 1 − y · margin)² over all rows and intents, y = ±1; the bias is free."""
    import torch

    n, features = len(targets), int(ngrams.shape[1])
    # Centred vectors: what all sentences share would only slow L-BFGS down. The bias takes it back at the end.
    mean = vectors.mean(0, dtype=np.float64).astype(np.float32)
    # One thread: sums do not depend on how many there are, and for these sizes a second one gains little.
    torch.set_num_threads(1)
    with torch.no_grad():
        rows, columns = _torch_csr(ngrams), _torch_csr(ngrams.T.tocsr())
        dense = torch.from_numpy((vectors - mean) * np.float32(config.vector_weight)).clone()
        signs = torch.nn.functional.one_hot(torch.from_numpy(targets), k).float() * 2 - 1
        start = torch.zeros(features + dense.shape[1] + 1, k)
        start[-1] = -1.0  # where every row is right about every intent but its own

        def loss(flat: torch.Tensor) -> tuple[float, torch.Tensor]:
            weights = flat.view(-1, k)
            margins = rows @ weights[:features]
            margins += dense @ weights[features:-1]
            margins += weights[-1]
            short = (1 - signs * margins).clamp_min_(0)
            slope = signs * short * -2
            gradient = torch.cat([columns @ slope, dense.T @ slope, slope.sum(0, keepdim=True)])
            gradient[:-1] += config.l2 * weights[:-1]
            value = float((short * short).sum() + config.l2 / 2 * (weights[:-1] ** 2).sum()) / n
            return value, gradient.div_(n).view(-1)

        found = minimise(loss, start.view(-1), iterations=config.iterations)
        tell(f"loss {loss(found)[0]:.4f} after {config.iterations} iterations at most")
        learnt = found.view(-1, k).numpy()
    on_vectors = learnt[features:-1] * np.float32(config.vector_weight)
    return LinearWeights(learnt[:features].copy(), on_vectors, learnt[-1] - mean @ on_vectors)


def _torch_csr(matrix: sp.csr_matrix) -> torch.Tensor:
    """The matrix for torch, in memory that torch has aligned: the last bits of a product may depend on that."""
    import torch

    pointers, columns, values = (
        torch.from_numpy(part).clone() for part in (matrix.indptr, matrix.indices, matrix.data)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "Sparse CSR tensor support is in beta state"
        return torch.sparse_csr_tensor(pointers, columns, values, size=matrix.shape)
