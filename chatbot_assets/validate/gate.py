"""Decides on the held-out rows whether a model may be deployed: good enough by itself, and no worse than the champion.

A difference counts only when it is larger than the bot's YAML allows *and* chance would hardly explain it. Both models
are asked the same rows, so the tests are paired:

- shares of right rows by the exact sign test on the rows where the models differ (McNemar's test; exact as in
  Dietterich 1998, "Approximate statistical tests for comparing supervised classification learning algorithms");
- intents by the same test in each, corrected for their number as in Tarone 1990, "A modified Bonferroni method for
  discrete data": an intent in which too few rows differ to ever decide anything costs the others nothing;
- calibration by a paired randomisation test (Yeh 2000, "More accurate tests for the statistical significance of result
  differences").

The rules share ``significance`` evenly, so two equally good models are told apart at most that often.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import bdtrc

from chatbot_assets.modules import Section
from chatbot_assets.validate.metrics import calibration_error, calibration_gaps

if TYPE_CHECKING:
    from chatbot_assets.train.rows import TrainingRows
    from serving.responder import Reply

Marks = NDArray[np.bool_]

NAMED_ROWS = 10
"""Rows that a refusal holds; it counts all of them."""
SHUFFLES = 1_999
"""Draws of the randomisation test; with them the smallest chance that it can find is 1 in 2,000."""
SHUFFLED_ROWS = 2_000
"""Rows that the randomisation test looks at: more decide no better."""


@dataclass(frozen=True)
class DecidingRow:
    """A text that decided a refusal: by which rule, what was wanted, and what the two models made of it."""

    rule: str
    text: str
    wanted: str
    challenger: str
    champion: str | None = None


@dataclass(frozen=True)
class Gate:
    """Whether a model may be deployed, and why in words; of the ``count`` rows that decided a refusal the first few."""

    passed: bool
    reason: str
    rows: tuple[DecidingRow, ...] = ()
    count: int = 0


class DeploymentGate(Protocol):
    """Judges a challenger; a bot's YAML names one below ``validate.gate``."""

    def __call__(
        self,
        rows: "TrainingRows",
        replies: "Sequence[Reply]",
        champion: "Sequence[Reply] | None",
        *,
        minimum_accuracy: float,
        maximum_drop: float,
    ) -> Gate:
        """``replies`` and ``champion`` (None without one) answer the held-out ``rows``, in their order."""
        ...


class NoWorseThanChampion(Section):
    """Asks for a minimum of accuracy, and for no drop beyond chance against the champion; keeps ``DeploymentGate``."""

    significance: float = Field(0.05, gt=0.0, lt=1.0)
    """How often, at most, a model that is as good as the champion is refused by all rules together."""
    intent_drop: float = Field(0.2, ge=0.0, le=1.0)
    """Share of its held-out rows that an intent may lose, beyond chance."""
    calibration_rise: float = Field(0.1, ge=0.0, le=1.0)
    """By how much the expected calibration error may rise, beyond chance."""

    def __call__(
        self,
        rows: "TrainingRows",
        replies: "Sequence[Reply]",
        champion: "Sequence[Reply] | None",
        *,
        minimum_accuracy: float,
        maximum_drop: float,
    ) -> Gate:
        compared = Compared.of(rows, replies, champion)
        places = np.flatnonzero(compared.has_intent)
        if not len(places):
            words = "no held-out row has an intent, so accuracy is unknown"
        else:
            accuracy = float(compared.right[places].mean())
            words = f"accuracy {accuracy:.3f} on {len(places)} held-out rows"
            if accuracy < minimum_accuracy:
                wrong = places[~compared.right[places]]
                why = f"accuracy {accuracy:.3f} is below validate.minimum_accuracy {minimum_accuracy}"
                return refused(why, compared.deciding("minimum_accuracy", wrong))
        if champion is None:
            return Gate(True, f"{words}; there is no champion yet")
        if len(places):
            before = float(compared.was_right[places].mean())
            words = f"accuracy {accuracy:.3f} against the champion's {before:.3f} on {len(places)} held-out rows"
        found = list(self._drops(compared, maximum_drop))
        if not found:
            return Gate(True, words)
        rule_rows = [row for drop in found for row in compared.deciding(drop.rule, drop.places)]
        return refused("; ".join([words, *(drop.words for drop in found)]), rule_rows)

    def _drops(self, compared: "Compared", maximum_drop: float) -> "Iterator[Drop]":
        """The rules that the challenger breaks; each rule that has rows gets an equal share of the significance."""
        in_scope = np.flatnonzero(compared.has_intent)
        answers = np.flatnonzero(~compared.has_intent)
        share = self.significance / max(1, 3 * bool(len(in_scope)) + bool(len(answers)))
        for rule, of, places in (("accuracy", "rows", in_scope), ("answers", "questions", answers)):
            drop = sign_test(compared, places)
            if drop.size > maximum_drop and drop.chance <= share:
                yield Drop(
                    rule,
                    f"{drop.size:.3f} of the {of} are lost, more than validate.maximum_drop {maximum_drop} and than "
                    f"chance explains (p = {drop.chance:.4f})",
                    places[drop.lost],
                )
        if len(in_scope):
            yield from self._intent_drops(compared, in_scope, share)
            yield from self._calibration_drop(compared, in_scope, share)

    def _intent_drops(self, compared: "Compared", in_scope: NDArray[np.intp], share: float) -> "Iterator[Drop]":
        of_intent: dict[str, list[int]] = {}
        for place in in_scope:
            of_intent.setdefault(str(compared.rows.intents[place]), []).append(int(place))
        tests = {name: sign_test(compared, np.array(places)) for name, places in sorted(of_intent.items())}
        level = share / tarone_factor([one.differing for one in tests.values()], share)
        for name, drop in tests.items():
            if drop.size > self.intent_drop and drop.chance <= level:
                places = np.array(of_intent[name])
                yield Drop(
                    "intent_drop",
                    f"intent {name} loses {len(drop.lost)} of {len(places)} rows and wins {drop.won}, more than "
                    f"intent_drop {self.intent_drop} and than chance explains (p = {drop.chance:.4f})",
                    places[drop.lost],
                )

    def _calibration_drop(self, compared: "Compared", in_scope: NDArray[np.intp], share: float) -> "Iterator[Drop]":
        now, before = compared.scores[in_scope], compared.scores_before[in_scope]
        right, was_right = compared.right[in_scope], compared.was_right[in_scope]
        error, error_before = calibration_error(now, right) or 0.0, calibration_error(before, was_right) or 0.0
        if error - error_before <= self.calibration_rise:
            return
        chance = calibration_test(now, right, before, was_right)
        if chance <= share:
            far = np.abs(now - right) - np.abs(before - was_right)
            yield Drop(
                "calibration_rise",
                f"the calibration error rises from {error_before:.3f} to {error:.3f}, more than calibration_rise "
                f"{self.calibration_rise} and than chance explains (p = {chance:.4f})",
                in_scope[np.argsort(-far, kind="stable")[: int((far > 0).sum())]],
            )


@dataclass(frozen=True)
class Drop:
    """A rule that a challenger breaks, in words, and the places of the rows that say so."""

    rule: str
    words: str
    places: NDArray[np.intp]


@dataclass(frozen=True)
class Compared:
    """Held-out rows as two models answered them; with no champion its columns equal the challenger's.

    A row is right when the best guess has its intent or, where it has none, its answer. ``scores`` are (rows), 0–1.
    """

    rows: "TrainingRows"
    replies: "Sequence[Reply]"
    champion: "Sequence[Reply] | None"
    has_intent: Marks
    right: Marks
    was_right: Marks
    scores: NDArray[np.float64]
    scores_before: NDArray[np.float64]

    @classmethod
    def of(cls, rows: "TrainingRows", replies: "Sequence[Reply]", champion: "Sequence[Reply] | None") -> "Compared":
        """Judges each row."""
        before = replies if champion is None else champion
        wanted = list(zip(rows.intents, rows.answers, strict=True))
        return cls(
            rows=rows,
            replies=replies,
            champion=champion,
            has_intent=np.array([intent is not None for intent in rows.intents], np.bool_),
            right=np.array([_is_right(reply, *want) for reply, want in zip(replies, wanted, strict=True)], np.bool_),
            was_right=np.array([_is_right(reply, *want) for reply, want in zip(before, wanted, strict=True)], np.bool_),
            scores=np.array([reply.score for reply in replies], np.float64),
            scores_before=np.array([reply.score for reply in before], np.float64),
        )

    def deciding(self, rule: str, places: Sequence[int] | NDArray[np.intp]) -> list[DecidingRow]:
        """The rows at some places, as a refusal names them."""
        return [
            DecidingRow(
                rule=rule,
                text=self.rows.texts[place],
                wanted=self.rows.intents[place] or repr(self.rows.answers[place]),
                challenger=gave(self.replies[place]),
                champion=gave(self.champion[place]) if self.champion is not None else None,
            )
            for place in places
        ]


@dataclass(frozen=True)
class SignTest:
    """What a comparison of two models on the same rows found: the places lost, the number won, the share lost.

    ``chance`` is how often as many losses or more come up when a loss is as likely as a win (exact and one-sided).
    """

    lost: NDArray[np.intp]
    won: int
    size: float
    chance: float

    @property
    def differing(self) -> int:
        """Rows that only one of the two models has right."""
        return len(self.lost) + self.won


def sign_test(compared: Compared, places: NDArray[np.intp]) -> SignTest:
    """Tests whether the challenger is worse on the rows at some places; ``lost`` counts within these places."""
    right, was_right = compared.right[places], compared.was_right[places]
    lost, won = np.flatnonzero(was_right & ~right), int((right & ~was_right).sum())
    chance = float(bdtrc(len(lost) - 1, len(lost) + won, 0.5))
    return SignTest(lost, won, (len(lost) - won) / max(len(places), 1), chance)


def tarone_factor(differing: Sequence[int], significance: float) -> int:
    """By what the significance is divided, for tests in which so many rows differ: the least k such that at most k
    of them could be significant at all at ``significance / k``. A test of d rows finds no chance below 2 to the -d."""
    for factor in range(1, len(differing)):
        if sum(2.0**-rows <= significance / factor for rows in differing) <= factor:
            return factor
    return max(len(differing), 1)


def calibration_test(
    scores: NDArray[np.float64], right: Marks, scores_before: NDArray[np.float64], was_right: Marks
) -> float:
    """How often the calibration error would rise by as much or more if, on each row, it were a toss which model is
    which: a Monte Carlo estimate that is valid for any number of draws, and the same on every call."""
    kept = np.unique(np.linspace(0, len(scores) - 1, min(SHUFFLED_ROWS, len(scores))).astype(np.intp))
    now = calibration_gaps(scores[kept], right[kept])
    before = calibration_gaps(scores_before[kept], was_right[kept])
    swapped = _tosses(len(kept)) @ (now - before)
    rises = np.abs(now.sum(0) - swapped).sum(1) - np.abs(before.sum(0) + swapped).sum(1)
    observed = np.abs(now.sum(0)).sum() - np.abs(before.sum(0)).sum()
    return float((1 + np.sum(rises >= observed - 1e-9)) / (1 + SHUFFLES))


@functools.lru_cache(maxsize=1)
def _tosses(rows: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).integers(0, 2, (SHUFFLES, rows), dtype=np.int8).astype(np.float64)


def refused(why: str, rows: Sequence[DecidingRow]) -> Gate:
    """A refusal with the rows that decided it; the first few stand in its words, too."""
    named = ", ".join(f"{row.text!r} is {row.wanted}, taken for {row.challenger}" for row in rows[:3])
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    decided = f"; {count} decided it{', among them' if len(rows) > 3 else ':'} {named}" if rows else ""
    return Gate(False, why + decided, tuple(rows[:NAMED_ROWS]), len(rows))


def gave(reply: "Reply") -> str:
    """What a model made of a text, in words: its best guess, and whether it dared to answer."""
    if not reply.candidates:
        return "nothing"
    best = reply.candidates[0]
    return f"{best.intent or repr(best.answer)}" + ("" if reply.category == "answered" else f" ({reply.category})")


def _is_right(reply: "Reply", intent: str | None, answer: str | None) -> bool:
    if not reply.candidates:
        return False
    best = reply.candidates[0]
    return best.intent == intent if intent is not None else best.answer == answer
