"""How far the nearest known text leads: measured on texts that are held out, with the encoder a bot would use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.embed.encoders import Encoder
from chatbot_assets.inspection.rows import spread_sample

SAMPLE = 4_000
HELD_OUT_SHARE = 0.1
BEST = 5


class Vectors:
    """Encodes each text once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, NDArray[np.float32]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of the texts, shape (texts, dimension)."""
        new = sorted(set(texts) - self._known.keys())
        self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])


@dataclass(frozen=True)
class Recall:
    """Shares of ``held_out`` texts whose label was that of the nearest known text, or among the nearest five labels.

    ``attainable`` is the share of them whose label any known text has at all.
    """

    known: int
    held_out: int
    attainable: float
    at_1: float
    at_5: float


def held_out_recall(labels: Mapping[str, frozenset[str]], vectors: Vectors) -> Recall | None:
    """Measures on a sample of the texts (keys) with their labels; None when there are fewer than 20.

    A label is an intent or an answer; a text may have several, of which each is right.
    """
    sample = spread_sample(list(labels), SAMPLE)
    cut = round(len(sample) * HELD_OUT_SHARE)
    if cut < 2:
        return None
    held_out, known = sample[:cut], sample[cut:]
    nearest = np.argsort(-(vectors(held_out) @ vectors(known).T), axis=1, kind="stable")
    of_known = [sorted(labels[text]) for text in known]
    everything = {label for found in of_known for label in found}
    hits = [
        _rank(labels[text], (of_known[place] for place in order)) for text, order in zip(held_out, nearest, strict=True)
    ]
    return Recall(
        len(known),
        cut,
        sum(not labels[text].isdisjoint(everything) for text in held_out) / cut,
        sum(rank == 0 for rank in hits) / cut,
        sum(rank < BEST for rank in hits) / cut,
    )


def _rank(right: frozenset[str], found: Iterable[list[str]]) -> int:
    """How many other labels come before a right one; ``BEST`` when so many do."""
    before: set[str] = set()
    for labels in found:
        if not right.isdisjoint(labels):
            return len(before)
        before.update(labels)
        if len(before) >= BEST:
            break
    return BEST
