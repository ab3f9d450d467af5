"""What a decision would do, before it is made: which waiting turns and golden dialogues it would mend, and which break.

A stand-in for the bot's classifier is fitted on the vectors that are there already: least squares on the intents
(Rifkin, Yeo & Poggio 2003, "Regularized least-squares classification") beside the nearest known text of each intent.
One more row changes its normal equations by one product, so the answer takes milliseconds and is that of a full refit.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from chatbot_assets.feedback.ordering import Floats

Doubles = npt.NDArray[np.float64]
L2 = 1.0
"""The penalty on the weights, beside vectors of length 1."""
ON_NEAREST = 1.0
"""What the cosine with an intent's nearest text counts beside the fitted score, in which 1 says yes and 0 no."""
BLOCK = 1_024


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

    Making one takes seconds for ten thousand rows and as many texts; each :meth:`of` then takes milliseconds.
    """

    def __init__(self, vectors: Floats, intents: Sequence[str], asked: Asked) -> None:
        """``vectors`` (n, d) are L2-normalised; n may be 0."""
        self.asked = asked
        self.intents, labels = np.unique(np.asarray(intents, np.str_), return_inverse=True)
        self.vectors, self._labels = np.asarray(vectors, np.float32), labels
        rows = _with_bias(self.vectors if len(vectors) else np.zeros((0, asked.vectors.shape[1]), np.float32))
        targets = np.eye(len(self.intents))[labels] if len(labels) else np.zeros((0, len(self.intents)))
        self._gram: Doubles = rows.T @ rows
        self._sums: Doubles = rows.T @ targets
        self._nearest = (
            np.stack([self._nearest_of(np.flatnonzero(labels == place)) for place in range(len(self.intents))], 1)
            if len(self.intents)
            else np.zeros((len(asked.names), 0))
        )
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
            nearest = np.hstack([nearest, np.zeros((len(nearest), 1))])
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

    def _understood(self, gram: Doubles, sums: Doubles, nearest: Doubles, intents: npt.NDArray[np.str_]) -> list[str]:
        """The intent of each text that is asked; nothing without intents."""
        if not len(intents):
            return []
        weights = np.linalg.solve(gram + L2 * np.eye(len(gram)), sums)
        scores = _with_bias(self.asked.vectors) @ weights + ON_NEAREST * nearest
        return [str(intents[place]) for place in scores.argmax(1)]

    def _nearest_of(self, places: npt.NDArray[np.int64]) -> Doubles:
        """The cosine of each text that is asked with the nearest of some known rows; 0 without rows."""
        found = np.zeros(len(self.asked.names))
        if len(places):
            for start in range(0, len(found), BLOCK):
                part = slice(start, start + BLOCK)
                found[part] = (self.asked.vectors[part] @ self.vectors[places].T).max(1)
        return found


@dataclass(frozen=True)
class Kept:
    """How a forecast compares with what came of it: names that were told to be fixed and are, or are not."""

    right: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def share(self) -> float | None:
        """The share of what was told that came true; None when nothing was."""
        told = len(self.right) + len(self.wrong)
        return len(self.right) / told if told else None


def kept(effect: Effect, intents_now: Mapping[str, str | None]) -> Kept:
    """Compares a forecast with the intents that the retrained bot gives, by name; what it was not asked is left out."""
    told = [change for change in effect.fixed if change.name in intents_now]
    right = tuple(change.name for change in told if intents_now[change.name] == change.after)
    return Kept(right, tuple(change.name for change in told if intents_now[change.name] != change.after))


def _with_bias(vectors: Floats) -> Doubles:
    return np.hstack([np.asarray(vectors, np.float64), np.ones((len(vectors), 1))])
