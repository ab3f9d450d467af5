"""What a decision would do, before it is made: which waiting turns and golden dialogues it would mend, and which break.

A stand-in for the bot's classifier is fitted on the vectors that are there already: least squares on the intents
(Rifkin, Yeo & Poggio 2003, "Regularized least-squares classification") beside the nearest known text of each intent.
One more row changes its normal equations by one product, so the answer takes milliseconds and is that of a full refit.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from chatbot_assets.feedback.ordering import Floats

Doubles = npt.NDArray[np.float64]
L2 = 1.0
"""The penalty on the weights, beside vectors of length 1."""
ON_NEAREST = 1.0
"""What the cosine with an intent's nearest text counts beside the fitted score, in which 1 says yes and 0 no."""
BLOCK = 512
"""Texts that are compared with all known rows at once."""


@dataclass(frozen=True)
class Asked:
    """m texts that are asked before and after: their `names`, `vectors` (m, d), and the intents they want, if known.

    A queued turn wants what a person will say, so nothing yet (None); a golden dialogue wants its intent.
    """

    names: Sequence[str]
    vectors: Floats
    wanted: Sequence[str | None]


@dataclass(frozen=True)
class Change:
    """A text that would be understood in another way than now."""

    name: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Effect:
    """What a decision would do.

    ``fixed`` are texts that would get the intent that they want, or, when nobody has said yet what they want, the one
    that the decision gives; ``broken`` lose the intent that they want; ``moved`` are other texts that nobody has
    decided on and that would change from one intent to another.
    """

    fixed: tuple[Change, ...] = ()
    broken: tuple[Change, ...] = ()
    moved: tuple[Change, ...] = field(default=())


class Forecast:
    """A stand-in for the classifier of n known rows, and the texts that it is asked; may be used from several threads.

    Making one takes a second for ten thousand rows and two thousand texts; each :meth:`of` then takes milliseconds.
    """

    def __init__(self, vectors: Floats, intents: Sequence[str], asked: Asked) -> None:
        """``vectors`` (n, d) are L2-normalised; n may be 0."""
        self.asked = asked
        self._asked = _with_bias(asked.vectors)
        self.intents, self._labels = np.unique(np.asarray(intents, np.str_), return_inverse=True)
        self.vectors = np.asarray(vectors, np.float32) if len(vectors) else asked.vectors[:0]
        by_intent = np.argsort(self._labels, kind="stable")
        rows = _with_bias(self.vectors[by_intent])
        starts = np.searchsorted(self._labels[by_intent], np.arange(len(self.intents)))
        self._gram: Doubles = (rows.T @ rows).astype(np.float64)
        self._sums: Doubles = np.zeros((rows.shape[1], len(self.intents)))
        self._nearest: Floats = np.zeros((len(asked.names), len(self.intents)), np.float32)
        if len(starts):
            self._sums = np.add.reduceat(rows, starts, axis=0, dtype=np.float64).T
            for part in _blocks(len(self._nearest)):
                cosines = asked.vectors[part] @ rows[:, :-1].T
                self._nearest[part] = np.maximum.reduceat(cosines, starts, axis=1)
        self._before = self._understood(self._gram, self._sums, self._nearest, self.intents)

    def of(self, taught: Floats, intent: str, replaces: Collection[int] = ()) -> Effect:
        """The effect of teaching that texts with the vectors ``taught`` (t, d) have an intent, known or new.

        ``replaces`` are places of known rows that the decision takes the place of: those of landed rows whose label it
        changes.
        """
        intents, sums, nearest = self.intents, self._sums, self._nearest
        if intent not in intents:
            intents = np.append(intents, intent)
            sums = np.hstack([sums, np.zeros((len(sums), 1))])
            nearest = np.hstack([nearest, np.zeros((len(nearest), 1), np.float32)])
        gram, sums, nearest = self._gram.copy(), sums.copy(), nearest.copy()
        for place in replaces:
            row = _with_bias(self.vectors[[place]])
            gram -= row.T @ row
            sums[:, self._labels[place]] -= row[0]
        for label in {int(self._labels[place]) for place in replaces}:
            left = np.setdiff1d(np.flatnonzero(self._labels == label), np.fromiter(replaces, np.int64))
            nearest[:, label] = self._nearest_of(left)
        column = int(np.flatnonzero(intents == intent)[0])
        rows = _with_bias(np.asarray(taught, np.float32))
        gram += rows.T @ rows
        sums[:, column] += rows.sum(0)
        if len(taught):
            nearest[:, column] = np.maximum(nearest[:, column], (self.asked.vectors @ taught.T).max(1))
        return self._compared(self._understood(gram, sums, nearest, intents), intent)

    def _compared(self, after: Sequence[str], intent: str) -> Effect:
        fixed, broken, moved = [], [], []
        before: Sequence[str | None] = self._before or [None] * len(after)
        for name, wanted, old, new in zip(self.asked.names, self.asked.wanted, before, after, strict=True):
            if old == new:
                continue
            change = Change(name, old, new)
            if new == (wanted or intent):
                fixed.append(change)
            elif wanted is not None and old == wanted:
                broken.append(change)
            else:
                moved.append(change)
        return Effect(tuple(fixed), tuple(broken), tuple(moved))

    def _understood(self, gram: Doubles, sums: Doubles, nearest: Floats, intents: npt.NDArray[np.str_]) -> list[str]:
        """The intent of each text that is asked; nothing without intents."""
        if not len(intents):
            return []
        weights = np.linalg.solve(gram + L2 * np.eye(len(gram)), sums).astype(np.float32)
        scores = self._asked @ weights + ON_NEAREST * nearest
        return [str(intents[place]) for place in scores.argmax(1)]

    def _nearest_of(self, places: npt.NDArray[np.int64]) -> Floats:
        """The cosine of each text that is asked with the nearest of some known rows; 0 without rows."""
        found = np.zeros(len(self.asked.names), np.float32)
        if len(places):
            for part in _blocks(len(found)):
                found[part] = (self.asked.vectors[part] @ self.vectors[places].T).max(1)
        return found


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))


def _with_bias(vectors: Floats) -> Floats:
    return np.hstack([np.asarray(vectors, np.float32), np.ones((len(vectors), 1), np.float32)])
