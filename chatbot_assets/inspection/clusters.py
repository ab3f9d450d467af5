"""Proposes intents for texts without labels: groups of vectors, named by the words that tell them apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEED = 0
CLUSTER_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
SMALLEST_MEAN = 15
"""Texts that a cluster must have on average; fewer would be no intent that can be learned and held out."""
NEARLY_BEST = 0.9
"""Of the numbers of clusters whose silhouette is this near to the best one, the largest is taken: finer says more."""
JUDGED = 1_500
"""Texts on which the number of clusters is judged, which costs the square of them."""
EXAMPLES = 3
WORDS = 3


@dataclass(frozen=True)
class Cluster:
    """A proposed intent: its name, how many texts it has, how close they are to its centre (mean cosine), examples."""

    name: str
    texts: int
    closeness: float
    examples: tuple[str, ...]


def proposed_intents(
    texts: Sequence[str], tokens: Sequence[Sequence[str]], vectors: NDArray[np.float32]
) -> tuple[list[Cluster], float]:
    """Clusters, largest first, and their silhouette (Rousseeuw 1987): near 0 they overlap, near 1 they are far apart.

    The same texts in the same order give the same clusters. Vectors are of shape (texts, dimension), L2-normalised.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):
        labels, silhouette = _best_labels(vectors)
    words = _telling_words(labels, tokens)
    clusters = [_cluster(label, labels, texts, vectors, words[label]) for label in sorted(words)]
    return sorted(clusters, key=lambda cluster: (-cluster.texts, cluster.name)), silhouette


def _best_labels(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int32], float]:
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    found: list[tuple[float, NDArray[np.int32]]] = []
    for count in CLUSTER_COUNTS:
        if count * SMALLEST_MEAN > len(vectors):
            break
        labels = KMeans(count, n_init=3, random_state=SEED).fit_predict(vectors)
        score = float(
            silhouette_score(vectors, labels, metric="cosine", sample_size=min(JUDGED, len(vectors)), random_state=SEED)
        )
        found.append((score, labels))
    if not found:
        return np.zeros(len(vectors), np.int32), 0.0
    enough = max(score for score, _ in found) * NEARLY_BEST
    score, labels = [(score, labels) for score, labels in found if score >= enough][-1]
    return labels, score


def _cluster(
    label: int, labels: NDArray[np.int32], texts: Sequence[str], vectors: NDArray[np.float32], words: Sequence[str]
) -> Cluster:
    members = np.flatnonzero(labels == label)
    centre = vectors[members].mean(axis=0)
    closeness = vectors[members] @ (centre / max(float(np.linalg.norm(centre)), 1e-9))
    nearest = members[np.argsort(-closeness, kind="stable")[:EXAMPLES]]
    examples = tuple(texts[place] for place in nearest)
    return Cluster(" / ".join(words) or examples[0], len(members), float(closeness.mean()), examples)


def _telling_words(labels: NDArray[np.int32], tokens: Sequence[Sequence[str]]) -> dict[int, list[str]]:
    """The words of each cluster by class-based TF-IDF (Grootendorst 2022, arXiv 2203.05794)."""
    counts: dict[int, Counter[str]] = {int(label): Counter() for label in np.unique(labels)}
    for label, found in zip(labels, tokens, strict=True):
        counts[int(label)].update({token for token in found if len(token) > 1 and token.isalpha()})
    overall: Counter[str] = sum(counts.values(), Counter())
    mean = sum(overall.values()) / max(1, len(counts))
    words = {}
    for label, own in counts.items():
        ranked = sorted(own, key=lambda token: (-own[token] * np.log1p(mean / overall[token]), token))
        chosen: list[str] = []
        for token in ranked[: 10 * WORDS]:
            if len(chosen) < WORDS and not any(_overlap(token, other) for other in chosen):
                chosen.append(token)
        words[label] = chosen
    return words


def _overlap(token: str, other: str) -> bool:
    """Whether two tokens may be pieces of one word: in scripts without spaces, segmenters give characters in pairs."""
    pieces = not token.isascii() and (token[0] == other[-1] or token[-1] == other[0])
    return pieces or token in other or other in token
