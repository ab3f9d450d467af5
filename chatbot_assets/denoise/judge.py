"""Judges labels: which are right, which are wrong, and which a person should look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

RESULT_LIBRARIES = ["cleanlab"]

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Decision = Literal["keep", "relabel", "drop", "review"]


@dataclass(frozen=True)
class LabelledRows:
    """Parallel columns of n labelled utterances; `vectors` is (n, d), `reviewed` says whose label a person has set."""

    ids: Sequence[str]
    texts: Sequence[str]
    tokens: Sequence[Sequence[str]]
    vectors: Floats
    intents: Sequence[str]
    reviewed: Sequence[bool]


@dataclass(frozen=True)
class Verdict:
    """What is thought of one label.

    `quality` (0–1) is the probability of the given intent by a model that has not seen the row (cleanlab's label
    quality score). `verdict`: `keep`; `relabel`, to `suggested_intent`; `drop`, most probably wrong and the right one
    unclear; `review`, doubtful: the row stays in training and is shown to a person. `suggested_intent` is the most
    probable other intent, None for a label that is kept.
    """

    quality: float
    verdict: Decision
    suggested_intent: str | None


class Judge(Protocol):
    """What the stage `denoise` needs: one verdict a row, in the order of the rows."""

    def __call__(self, rows: LabelledRows) -> list[Verdict]: ...


class ConfidentLearning:
    """Confident learning (Northcutt et al. 2021, arXiv 1911.00068; cleanlab) on leave-one-out probabilities.

    A label is suspected when cleanlab finds it an issue. What is done about it depends on how probable it is that the
    label is wrong, given the share of wrong labels that the scores themselves show (`NoiseModel`): no threshold has
    to be set to the data, and data that look clean lose nothing.
    """

    def __init__(
        self,
        drop_above: float = 0.7,
        relabel_above: float = 0.8,
        review_above: float = 0.4,
        smallest_intent: int = 5,
        act_above: float = 0.02,
    ) -> None:
        """Sets how sure the judge must be; all but `smallest_intent` are probabilities or shares (0–1).

        Args:
            drop_above: a label that is wrong with at least this probability is dropped.
            relabel_above: another intent that is right with at least this probability is the new label.
            review_above: a label that is wrong with at least this probability is shown to a person.
            smallest_intent: the labels of intents with fewer wordings than this are left to people.
            act_above: with a smaller share of wrong labels than this, all suspected ones are left to people: dropping
                costs more than so few mistakes do.

        Raises:
            ValueError: when a probability is none, or `review_above` exceeds the other two.
        """
        for name, value in (
            ("drop_above", drop_above),
            ("relabel_above", relabel_above),
            ("review_above", review_above),
            ("act_above", act_above),
        ):
            if not 0 <= value <= 1:
                raise ValueError(f"denoise: {name} lies between 0 and 1, not at {value}")
        if review_above > min(drop_above, relabel_above):
            raise ValueError(f"denoise: review_above ({review_above}) must not exceed drop_above and relabel_above")
        self._drop_above = drop_above
        self._relabel_above = relabel_above
        self._review_above = review_above
        self._smallest_intent = smallest_intent
        self._act_above = act_above

    def __call__(self, rows: LabelledRows) -> list[Verdict]:
        """One verdict a row, in the order of the rows; it does not depend on that order.

        A reviewed row is always kept: human decisions win. So is one whose intent has no other wording, and every row
        where there are fewer than two intents: there is nothing to judge it by.
        Raises ValueError when the columns differ in length.
        """
        columns = (rows.ids, rows.texts, rows.tokens, rows.vectors, rows.intents, rows.reviewed)
        lengths = sorted({len(column) for column in columns})
        if len(lengths) > 1:
            raise ValueError(f"a judge needs columns of one length, not of {lengths}")
        if len(set(rows.intents)) < 2:
            return [Verdict(1.0, "keep", None)] * len(rows.ids)
        from chatbot_assets.denoise.leave_one_out import LeaveOneOut, same_wording

        model = LeaveOneOut.fit(rows.texts, rows.tokens, rows.vectors, rows.intents)
        wordings = Counter(intent for intent, _ in set(zip(rows.intents, map(same_wording, rows.texts), strict=True)))
        order = sorted(range(len(rows.ids)), key=lambda row: rows.ids[row])
        place = {intent: column for column, intent in enumerate(model.intents)}
        labels = np.array([place[rows.intents[row]] for row in order])
        verdicts = self._verdicts(
            model.scores[order],
            labels,
            np.array(rows.reviewed, np.bool_)[order],
            model.intents,
            np.array([wordings[intent] for intent in model.intents]),
        )
        return [verdict for _, verdict in sorted(zip(order, verdicts, strict=True), key=lambda pair: pair[0])]

    def _verdicts(
        self, scores: Floats, labels: Ints, reviewed: Bools, intents: Sequence[str], wordings: Ints
    ) -> list[Verdict]:
        """The verdicts on labels (n, as columns) with out-of-sample scores (n, k); `wordings` (k) sizes the intents."""
        from cleanlab.filter import find_label_issues  # takes a second
        from cleanlab.rank import get_label_quality_scores

        from chatbot_assets.denoise.noise import NoiseModel

        # Without the one wording that an intent has, a model does not know the intent: it cannot judge that label.
        settled = reviewed | (wordings < 2)[labels]
        noise = NoiseModel.fit(scores[~settled], labels[~settled])
        probabilities = noise.probabilities(scores)
        quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
        suspected = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1) & ~settled

        posterior = noise.posterior(probabilities, labels)
        rows = np.arange(len(labels))
        wrong = 1 - posterior[rows, labels]
        posterior[rows, labels] = 0
        other, other_chance = posterior.argmax(1), posterior.max(1)

        decisions = np.where(suspected & (wrong >= self._review_above), "review", "keep").astype(object)
        if noise.noise >= self._act_above:
            decisions[suspected & (wrong >= self._drop_above)] = "drop"
            decisions[suspected & (other_chance >= self._relabel_above)] = "relabel"
            decisions[self._for_people(labels, decisions, wordings) & (decisions != "keep")] = "review"
        return [
            Verdict(float(quality[row]), decisions[row], None if decisions[row] == "keep" else intents[other[row]])
            for row in rows
        ]

    def _for_people(self, labels: Ints, decisions: npt.NDArray[np.object_], wordings: Ints) -> Bools:
        """Whether the row's intent is tiny, or would lose all its rows."""
        left = np.bincount(labels, np.isin(decisions, ["keep", "review"]), len(wordings))
        return np.asarray(((wordings < self._smallest_intent) | (left == 0))[labels], np.bool_)
