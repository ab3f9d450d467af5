"""In which order people should see what waits for them: the decision that teaches the bot most comes first."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from chatbot_assets.modules import Section

Floats = npt.NDArray[np.float32]
RESULT_LIBRARIES = ["numpy"]
BLOCK = 1_000
"""Learnt texts that are compared at once."""


@dataclass(frozen=True)
class Known:
    """m texts that the bot has learnt, and their L2-normalised sentence vectors (m, d)."""

    texts: Sequence[str]
    vectors: Floats


@dataclass(frozen=True)
class Waiting:
    """n groups of turns that say the same and wait for one decision.

    ``texts`` are what they say, ``vectors`` (n, d) their L2-normalised sentence vectors, ``doubts`` (n) how unsure the
    bot was of its intent (0: sure, 1: the second guess was as likely as the first), ``counts`` (n) how many turns each
    holds, and ``urgencies`` (n, 0 to 1) what ``review.triage`` says of them. ``known`` is what the bot has
    learnt already, where that can be told.
    """

    texts: Sequence[str]
    vectors: Floats
    doubts: Floats
    counts: Floats
    urgencies: Floats
    known: Known | None = None


class Order(Protocol):
    """Says what a decision on each group is worth; a bot's YAML names one below ``review.order``."""

    def __call__(self, waiting: Waiting) -> Floats:
        """Priorities (n), at or above 0; the highest comes first. Equal arguments give equal priorities."""
        ...


class ExpectedValue(Section):
    """Frequency × uncertainty × newness; keeps ``Order``.

    A decision teaches about what is near to it: it is worth the sum, over all groups, of their weight (urgency × doubt
    × √count) times how near they are, as far as neither a group further ahead in the queue nor what the bot has learnt
    is nearer. That is the facility-location objective of Wei, Iyer & Bilmes, "Submodularity in Data Subset Selection
    and Active Learning" (ICML 2015), maximised greedily; its gains fall from pick to pick, so they are the priorities.
    """

    spelling: float = Field(0.5, ge=0.0, le=1.0)
    """What common n-grams count in nearness; the cosine of the sentence vectors counts the rest. The classifier reads
    both too: where the encoder knows a language badly, n-grams still tell what a decision will teach."""
    floor: float = Field(0.1, ge=-1.0, lt=1.0)
    """Nearness from which on two texts have to do with each other; it is stretched from there to 1."""
    learnt: float = Field(0.7, ge=0.0, le=1.0)
    """What nearness to a text that the bot has learnt counts, beside nearness to one that is about to be decided on."""
    first: int = Field(500, ge=1)
    """How many places are filled one after the other; those behind come by their weight."""
    candidates: int = Field(1_000, ge=1)
    """The groups of the greatest weight, so many, that these places are filled from."""
    audience: int = Field(4_000, ge=1)
    """Groups at most that a decision's worth is summed over: bounds the work for long queues."""
    known: int = Field(10_000, ge=1)
    """Learnt texts at most, evenly spaced, that are looked at."""

    def __call__(self, waiting: Waiting) -> Floats:
        weights = np.asarray(waiting.urgencies * waiting.doubts * np.sqrt(waiting.counts), np.float32)
        if not len(weights):
            return weights
        # SciPy is loaded when a queue is ordered, not with the definitions.
        from chatbot_assets.feedback.nearness import Compared, vectorizer_of

        by_weight = np.argsort(-weights, kind="stable")[: max(self.audience, self.candidates)]
        candidates = by_weight[: self.candidates]
        texts = [waiting.texts[place] for place in by_weight]
        vectorizer = vectorizer_of(texts)
        audience = Compared.of(texts, waiting.vectors[by_weight], vectorizer)
        near = partial(Compared.nearness, others=audience, spelling=self.spelling, floor=self.floor)
        nearness = near(audience.part(0, len(candidates)))
        covered = np.zeros(len(by_weight), np.float32)
        if waiting.known is not None:
            step = len(waiting.known.texts) // self.known + 1
            known = Compared.of(waiting.known.texts[::step], waiting.known.vectors[::step], vectorizer)
            for start in range(0, len(known.vectors), BLOCK):
                nearest = near(known.part(start, start + BLOCK)).max(0)
                np.maximum(covered, np.float32(self.learnt) * nearest, out=covered)
        gains = _greedy_gains(nearness, weights[by_weight], covered, self.first)
        picked = gains >= 0
        behind = min(gains[picked].min(), 1.0)
        priorities = weights * np.float32(behind / max(float(weights.max()), 1e-9))
        priorities[candidates[picked]] = gains[picked]
        return priorities


def _greedy_gains(nearness: Floats, weights: Floats, covered: Floats, picks: int) -> Floats:
    """What each row of ``nearness`` (m, n) adds when it is picked, of ``picks`` greedy picks; -1 for those left over.

    ``covered`` (n) is how near something already is to each column.

    Lazily (Minoux 1978): a gain never grows, so only the row that led by its last known gain is looked at again.
    """
    covered = covered.copy()
    heap = [(-float(gain), row) for row, gain in enumerate(np.maximum(nearness - covered, 0) @ weights)]
    heapq.heapify(heap)
    gains = np.full(len(nearness), -1.0, np.float32)
    for _ in range(min(picks, len(heap))):
        while True:
            _, row = heapq.heappop(heap)
            gain = float(np.maximum(nearness[row] - covered, 0) @ weights)
            if not heap or -gain <= heap[0][0]:
                break
            heapq.heappush(heap, (-gain, row))
        gains[row] = gain
        np.maximum(covered, nearness[row], out=covered)
    return gains
