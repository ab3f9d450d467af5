"""The intent classifier: trained with torch, served with NumPy.

Two heads read one row of features (TF-IDF of word and character n-grams, and the sentence vector), and their scores
are added. The *linear* head is a one-against-rest squared hinge with an L2 penalty (the objective of scikit-learn's
LinearSVC, for all intents at once), solved by full-batch L-BFGS over a sparse matrix. The *hidden* head is a network
with one hidden layer over the sentence vector and a count sketch of the n-grams (Charikar et al. 2002; Weinberger et
al. 2009, "Feature Hashing for Large Scale Multitask Learning"), trained by AdamW with dropout and label smoothing.
They err differently, so their sum beats either.
"""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from chatbot_assets.train.features import NgramConfig, NgramVectorizer

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float32]
Progress = Callable[[str], None]

_WEIGHTS, _CONFIG = "intent_model.safetensors", "intent_model.json"


@dataclass(frozen=True)
class IntentModelConfig:
    """Every hyper-parameter of the classifier; the defaults were tuned on dev splits of six languages pooled."""

    ngrams: NgramConfig = field(default_factory=NgramConfig)
    vector_weight: float = 1.4
    """Length of the sentence vector beside the n-gram groups' lengths."""
    l2: float = 4.0
    """The linear head's penalty: minimise l2 / 2 · |W|² + the sum of squared hinges. LinearSVC's C is 1 / l2."""
    iterations: int = 40
    """L-BFGS iterations of the linear head; stopping early costs little and regularises."""
    margin_scale: float = 6.0
    """What one unit of the linear head's margin is worth in the hidden head's logits."""
    sketch: int = 1024
    """Width of the n-grams' count sketch, a power of two."""
    hidden: int = 256
    """Units of the hidden layer; 0 leaves the hidden head out."""
    epochs: int = 10
    batch: int = 128
    learning_rate: float = 4e-3
    """The peak of the one-cycle schedule (Smith & Topin 2017)."""
    weight_decay: float = 1e-2
    input_dropout: float = 0.2
    hidden_dropout: float = 0.5
    label_smoothing: float = 0.1

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> IntentModelConfig:
        """The inverse of `dataclasses.asdict`, also after a trip through JSON. Raises TypeError for unknown names."""
        ngrams = {name: tuple(v) if isinstance(v, list) else v for name, v in values.get("ngrams", {}).items()}
        return cls(**{**values, "ngrams": NgramConfig(**ngrams)})


@dataclass(frozen=True)
class IntentModel:
    """A trained classifier; make one with `train_intent_model` or `load`.

    `heads` holds the numbers that were learnt, by name: `ngram_weights` (features, k), `vector_weights` (d, k) and
    `bias` (k) of the linear head, and `hidden_*`, `output_*` of the hidden one.
    """

    config: IntentModelConfig
    vectorizer: NgramVectorizer
    intents: list[str]
    heads: dict[str, Floats]
    temperature: float = 1.0

    def predict_proba(self, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats) -> Floats:
        """Returns the probability of every intent, float32 (n, k), in the order of `intents`; rows sum to 1.

        `tokens` are the words of each text and `vectors` (n, d) its sentence vectors, made as for the training.
        Raises ValueError when their lengths or widths do not fit.
        """
        width = len(self.heads["vector_weights"])
        if vectors.shape != (len(texts), width):
            raise ValueError(f"vectors of shape {vectors.shape} for {len(texts)} texts and an encoder of width {width}")
        scores = _scores(self.heads, _Features.of(self.vectorizer, texts, tokens, vectors, self.config), self.config)
        return _softmax(scores / self.temperature)

    def with_temperature(self, temperature: float) -> IntentModel:
        """The same model with its probabilities sharpened (below 1) or flattened (above 1)."""
        return replace(self, temperature=temperature)

    def save(self, folder: Path) -> None:
        """Writes the model as safetensors and JSON; equal models make equal bytes. Makes the folder if need be."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays = {**self.vectorizer.arrays(), **self.heads}
        save_file({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}, folder / _WEIGHTS)
        about = {"config": asdict(self.config), "intents": self.intents, "temperature": self.temperature}
        (folder / _CONFIG).write_text(json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> IntentModel:
        """Reads what `save` wrote. Raises FileNotFoundError when there is none."""
        from safetensors.numpy import load_file

        about = json.loads((folder / _CONFIG).read_text("utf-8"))
        config = IntentModelConfig.from_json(about["config"])
        arrays = load_file(folder / _WEIGHTS)
        vectorizer = NgramVectorizer.from_arrays(arrays, config.ngrams)
        heads = {name: array for name, array in arrays.items() if name not in vectorizer.arrays()}
        return cls(config, vectorizer, about["intents"], heads, about["temperature"])


def train_intent_model(
    texts: Sequence[str],
    tokens: Sequence[Sequence[str]],
    vectors: Floats,
    intents: Sequence[str],
    config: IntentModelConfig,
    *,
    seed: int = 0,
    threads: int = 2,
    progress: Progress | None = None,
) -> IntentModel:
    """Trains a classifier on n labelled texts, their words and their sentence vectors (n, d).

    The same rows (in any order), configuration, seed and number of threads give bit-equal weights on one machine.
    `progress` is told about each step in a line of English. Raises ValueError without rows or when lengths differ.
    """
    rows = _Rows.of(texts, tokens, vectors, intents)
    tell = progress or (lambda _: None)
    vectorizer = NgramVectorizer.fit(rows.texts, rows.tokens, config.ngrams)
    features = _Features.of(vectorizer, rows.texts, rows.tokens, rows.vectors, config)
    tell(f"{len(rows.texts)} rows, {len(rows.names)} intents, {vectorizer.n_features} n-grams")
    heads = _train(features, rows.targets, len(rows.names), config, seed, threads, tell)
    return IntentModel(config, vectorizer, rows.names, heads)


def out_of_fold_probabilities(
    texts: Sequence[str],
    tokens: Sequence[Sequence[str]],
    vectors: Floats,
    intents: Sequence[str],
    config: IntentModelConfig,
    *,
    folds: int = 3,
    seed: int = 0,
    threads: int = 2,
    progress: Progress | None = None,
) -> tuple[Floats, list[str]]:
    """Returns for each row the probabilities (n, k) by a model that has not seen its text, and the k sorted intents.

    A text's fold is a hash of the text, so equal texts stand together and new rows move no old one. The n-grams and
    their rarity are learnt once from all rows, without labels. Raises ValueError as `train_intent_model` does, and
    for fewer than two folds.
    """
    if folds < 2:
        raise ValueError(f"out-of-fold scores need at least two folds, not {folds}")
    rows = _Rows.of(texts, tokens, vectors, intents)
    tell = progress or (lambda _: None)
    vectorizer = NgramVectorizer.fit(rows.texts, rows.tokens, config.ngrams)
    features = _Features.of(vectorizer, rows.texts, rows.tokens, rows.vectors, config)
    fold = np.array([zlib.crc32(text.encode("utf-8", "surrogatepass")) % folds for text in rows.texts])
    scores = np.zeros((len(fold), len(rows.names)), np.float32)
    for number in range(folds):
        held, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if len(held) and len(rest):
            tell(f"fold {number + 1} of {folds}")
            heads = _train(features.take(rest), rows.targets[rest], len(rows.names), config, seed, threads, tell)
            scores[held] = _scores(heads, features.take(held), config)
    probabilities = np.empty_like(scores)
    probabilities[rows.order] = _softmax(scores)
    return probabilities, rows.names


@dataclass(frozen=True)
class _Rows:
    """Training rows in an order that depends on their content alone; `order[i]` is where row i was given."""

    texts: list[str]
    tokens: list[Sequence[str]]
    vectors: Floats
    names: list[str]
    targets: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: Floats, intents: Sequence[str]
    ) -> _Rows:
        lengths = {len(texts), len(tokens), len(vectors), len(intents)}
        if len(lengths) != 1 or not len(texts):
            raise ValueError(f"training needs rows, and as many texts as tokens, vectors and intents: {lengths}")
        order = sorted(range(len(texts)), key=lambda i: (texts[i], intents[i]))
        names = sorted(set(intents))
        place = {name: column for column, name in enumerate(names)}
        return cls(
            [texts[i] for i in order],
            [tokens[i] for i in order],
            np.asarray(vectors, np.float32)[order],
            names,
            np.array([place[intents[i]] for i in order]),
            np.array(order),
        )


@dataclass(frozen=True)
class _Features:
    """What the heads read: n-grams (n, features), their count sketch (n, sketch), weighted vectors (n, d)."""

    ngrams: sp.csr_matrix
    sketch: Floats
    vectors: Floats

    @classmethod
    def of(
        cls,
        vectorizer: NgramVectorizer,
        texts: Sequence[str],
        tokens: Sequence[Sequence[str]],
        vectors: Floats,
        config: IntentModelConfig,
    ) -> _Features:
        ngrams = vectorizer.transform(texts, tokens)
        weighted = np.asarray(vectors, np.float32) * np.float32(config.vector_weight)
        return cls(ngrams, _sketch(ngrams, vectorizer, config), weighted)

    def take(self, rows: npt.NDArray[np.int64]) -> _Features:
        return _Features(self.ngrams[rows], self.sketch[rows], self.vectors[rows])

    def dense(self) -> Floats:
        """The hidden head's input (n, sketch + d)."""
        return np.hstack([self.sketch, self.vectors])


def _sketch(ngrams: sp.csr_matrix, vectorizer: NgramVectorizer, config: IntentModelConfig) -> Floats:
    """Adds up each row's n-grams, with the signs that their hashes give them, in `config.sketch` buckets."""
    if not config.hidden:
        return np.zeros((ngrams.shape[0], 0), np.float32)
    # Knuth's multiplicative hash: a CRC's own low bits are too regular to serve as bucket and sign.
    mixed = np.concatenate(vectorizer.hashes)[ngrams.indices] * np.uint32(2654435761)
    signed = np.where(mixed & np.uint32(1 << 15), ngrams.data, -ngrams.data)
    bucket = (mixed >> np.uint32(16)).astype(np.int64) % config.sketch
    row = np.repeat(np.arange(ngrams.shape[0]), np.diff(ngrams.indptr))
    cells = np.bincount(row * config.sketch + bucket, signed, ngrams.shape[0] * config.sketch)
    return cells.astype(np.float32).reshape(ngrams.shape[0], config.sketch)


def _scores(heads: Mapping[str, Floats], features: _Features, config: IntentModelConfig) -> Floats:
    """The sum of both heads' logits, (n, k)."""
    # Only the rows of the weights that these texts use are touched: a model may be large and memory-mapped.
    used, place = np.unique(features.ngrams.indices, return_inverse=True)
    ngrams = sp.csr_matrix(
        (features.ngrams.data, place.astype(np.int32), features.ngrams.indptr), (features.ngrams.shape[0], len(used))
    )
    margins = ngrams @ heads["ngram_weights"][used].astype(np.float32)
    margins += features.vectors @ heads["vector_weights"] + heads["bias"]
    scores = margins * np.float32(config.margin_scale)
    if config.hidden:
        hidden = np.maximum(features.dense() @ heads["hidden_weights"] + heads["hidden_bias"], 0)
        scores += hidden @ heads["output_weights"] + heads["output_bias"]
    return np.asarray(scores, np.float32)


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def _train(
    features: _Features,
    targets: npt.NDArray[np.int64],
    k: int,
    config: IntentModelConfig,
    seed: int,
    threads: int,
    tell: Progress,
) -> dict[str, Floats]:
    with _torch_threads(threads):
        heads = _train_linear(features, targets, k, config, tell)
        if config.hidden:
            heads |= _train_hidden(features, targets, k, config, seed, tell)
    return heads


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train_linear(
    features: _Features, targets: npt.NDArray[np.int64], k: int, config: IntentModelConfig, tell: Progress
) -> dict[str, Floats]:
    """Minimises l2 / 2 · |W|² + Σ max(0, 1 − y · s)² over all rows and intents, y = ±1; the bias is free."""
    import torch

    n, ngrams, d = len(targets), features.ngrams.shape[1], features.vectors.shape[1]
    # Centred vectors: what all sentences share only slows L-BFGS down. The bias takes the mean back below.
    mean = features.vectors.mean(0, dtype=np.float64).astype(np.float32)
    rows, columns = _torch_csr(features.ngrams), _torch_csr(features.ngrams.T.tocsr())
    dense = torch.from_numpy(features.vectors - mean).clone()
    signs = torch.nn.functional.one_hot(torch.from_numpy(targets), k).float() * 2 - 1
    weights = torch.zeros(ngrams + d + 1, k)
    weights[-1] = -1.0
    weights.requires_grad_(True)

    @torch.no_grad()
    def loss() -> torch.Tensor:
        margins = rows @ weights[:ngrams]
        margins += dense @ weights[ngrams:-1]
        margins += weights[-1]
        short = (1 - signs * margins).clamp_min_(0)
        slope = signs * short * -2
        gradient = torch.cat([columns @ slope, dense.T @ slope, slope.sum(0, keepdim=True)])
        gradient[:-1] += config.l2 * weights[:-1]
        weights.grad = gradient / n
        return ((short * short).sum() + config.l2 / 2 * (weights[:-1] ** 2).sum()) / n

    optimizer = torch.optim.LBFGS(
        [weights], max_iter=config.iterations, history_size=8, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )
    optimizer.step(loss)
    tell(f"linear head: loss {float(loss()):.4f}")
    learnt = weights.detach().numpy()
    return {
        "ngram_weights": learnt[:ngrams].copy(),
        "vector_weights": learnt[ngrams:-1].copy(),
        "bias": learnt[-1] - mean @ learnt[ngrams:-1],
    }


def _train_hidden(
    features: _Features, targets: npt.NDArray[np.int64], k: int, config: IntentModelConfig, seed: int, tell: Progress
) -> dict[str, Floats]:
    """Trains the network by AdamW on standardised input; the standardisation is folded into the weights it returns."""
    import torch
    from torch import nn

    inputs = features.dense()
    mean = inputs.mean(0, dtype=np.float64).astype(np.float32)
    spread = np.float32(max(float((inputs - mean).std()), 1e-6))
    x = torch.from_numpy((inputs - mean) / spread).clone()
    y = torch.from_numpy(targets).clone()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, last = nn.Linear(x.shape[1], config.hidden), nn.Linear(config.hidden, k)
        network = nn.Sequential(
            nn.Dropout(config.input_dropout), first, nn.ReLU(), nn.Dropout(config.hidden_dropout), last
        )
        loss_of = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=config.weight_decay)
        steps = config.epochs * -(-len(y) // config.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps)
        loss = torch.zeros(())
        for _ in range(config.epochs):
            for batch in torch.randperm(len(y)).split(config.batch):
                optimizer.zero_grad()
                loss = loss_of(network(x[batch]), y[batch])
                loss.backward()
                optimizer.step()
                schedule.step()
    tell(f"hidden head: loss of the last batch {loss.item():.4f}")
    weights = first.weight.detach().numpy().T / spread
    return {
        "hidden_weights": weights,
        "hidden_bias": first.bias.detach().numpy() - mean @ weights,
        "output_weights": last.weight.detach().numpy().T.copy(),
        "output_bias": last.bias.detach().numpy().copy(),
    }


def _torch_csr(matrix: sp.csr_matrix) -> torch.Tensor:
    """The matrix for torch, in memory that torch has aligned: the last bits of a product depend on it."""
    import torch

    parts = (torch.from_numpy(part).clone() for part in (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Sparse CSR tensor support is in beta state"
        return torch.sparse_csr_tensor(*parts, size=matrix.shape)
