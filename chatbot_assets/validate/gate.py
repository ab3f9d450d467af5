"""Decides whether a model may be deployed: good enough by itself, and no worse than the champion."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from chatbot_assets.train.rows import TrainingRows
from serving.responder import Reply

SIGNIFICANCE = 0.05
"""A drop counts as one when chance would explain it less often than this (one-sided exact sign test)."""


@dataclass(frozen=True)
class Gate:
    """Whether a model may be deployed, and why in words."""

    passed: bool
    reason: str


class DeploymentGate(Protocol):
    """Judges a challenger; a bot's YAML names one below ``validate.gate``."""

    def __call__(
        self,
        rows: TrainingRows,
        replies: Sequence[Reply],
        champion: Sequence[Reply] | None,
        *,
        minimum_accuracy: float,
        maximum_drop: float,
    ) -> Gate:
        """``replies`` and ``champion`` (None without one) answer the held-out ``rows``, in their order."""
        ...


class NoWorseThanChampion:
    """Asks for a minimum of accuracy, and for no drop beyond chance against the champion; keeps ``DeploymentGate``."""

    def __init__(self, significance: float = SIGNIFICANCE) -> None:
        self._significance = significance

    def __call__(
        self,
        rows: TrainingRows,
        replies: Sequence[Reply],
        champion: Sequence[Reply] | None,
        *,
        minimum_accuracy: float,
        maximum_drop: float,
    ) -> Gate:
        places = [place for place, intent in enumerate(rows.intents) if intent is not None]
        if not places:
            return Gate(True, "no held-out row has an intent, so accuracy is unknown")
        right = np.array([_is_right(replies[place], rows.intents[place]) for place in places])
        accuracy = float(right.mean())
        if accuracy < minimum_accuracy:
            wrong = _examples(rows, replies, [place for place, good in zip(places, right, strict=True) if not good])
            return Gate(
                False, f"accuracy {accuracy:.3f} is below validate.minimum_accuracy {minimum_accuracy}; {wrong}"
            )
        if champion is None:
            return Gate(True, f"accuracy {accuracy:.3f} on {len(places)} held-out rows; there is no champion yet")
        before = np.array([_is_right(champion[place], rows.intents[place]) for place in places])
        drop = float(before.mean()) - accuracy
        lost, won = int((before & ~right).sum()), int((right & ~before).sum())
        by_chance = _sign_test(lost, won)
        compared = (
            f"accuracy {accuracy:.3f} against the champion's {accuracy + drop:.3f} on {len(places)} held-out rows"
        )
        if drop > maximum_drop and by_chance < self._significance:
            worse = [place for place, was, now in zip(places, before, right, strict=True) if was and not now]
            return Gate(False, f"{compared} (p = {by_chance:.3f}); {_examples(rows, replies, worse)}")
        return Gate(True, compared)


def _sign_test(lost: int, won: int) -> float:
    """How often as many losses or more come up when a loss is as likely as a win (exact and one-sided)."""
    rows = lost + won
    ways = sum(math.comb(rows, losses) for losses in range(lost, rows + 1))
    return math.exp(math.log(ways) - rows * math.log(2))


def _is_right(reply: Reply, intent: str | None) -> bool:
    return bool(reply.candidates) and reply.candidates[0].intent == intent


def _examples(rows: TrainingRows, replies: Sequence[Reply], places: Sequence[int]) -> str:
    """The first few rows that decided a refusal."""
    named = [
        f"{rows.texts[place]!r} is {rows.intents[place]}, taken for "
        f"{replies[place].candidates[0].intent if replies[place].candidates else 'nothing'}"
        for place in places[:3]
    ]
    return f"{len(places)} rows decided it, among them " + ", ".join(named)
