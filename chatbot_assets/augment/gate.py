"""Lets through only those paraphrases that are new, near in meaning and still of their parent's intent or answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

KNOWN = "is a text of the bot already"
REPEATED = "came from another paraphrase already"
FAR = "is too far from its parent in meaning"
OTHER_INTENT = "looks like another intent"
OTHER_ANSWER = "is nearer to a question with another answer"
_BLOCK = 1024


@dataclass(frozen=True)
class GoldRows:
    """Parallel columns of n utterances that people wrote; `vectors` is (n, d), of unit length or zero."""

    ids: Sequence[str]
    texts: Sequence[str]
    intents: Sequence[str | None]
    answers: Sequence[str | None]
    vectors: Floats
    tokens: Sequence[Sequence[str]]


@dataclass(frozen=True)
class CandidateRows:
    """Parallel columns of m generated texts; `parent_ids` are ids of gold rows, `vectors` is (m, d) as for those."""

    parent_ids: Sequence[str]
    texts: Sequence[str]
    rules: Sequence[str]
    vectors: Floats
    tokens: Sequence[Sequence[str]]

    def take(self, places: Ints) -> CandidateRows:
        """The rows at the given places."""
        return CandidateRows(
            [self.parent_ids[place] for place in places],
            [self.texts[place] for place in places],
            [self.rules[place] for place in places],
            self.vectors[places],
            [self.tokens[place] for place in places],
        )


@dataclass(frozen=True)
class Judgement:
    """Whether a candidate is kept, why not (None when it is), and its cosine similarity to its parent."""

    kept: bool
    reason: str | None
    similarity: float


class Gate(Protocol):
    """What the stage `augment` needs: one judgement a candidate, in the order of the candidates."""

    def __call__(self, gold: GoldRows, candidates: CandidateRows) -> list[Judgement]: ...


class NearAndFaithful:
    """Keeps a candidate that is new, as near to its parent as asked, and of the parent's intent to an impartial model.

    That model has seen all gold rows but the parent (and those of the parent's wording): a rule that turns the
    meaning round is found out even where the parent's own words would have vouched for it. A parent without an
    intent must instead be nearer to the candidate than any gold text with another answer is.
    """

    def __init__(self, minimum_similarity: float = 0.75, small_intent: int = 20) -> None:
        """Sets how near is near, and which intents are too small for a hard decision.

        Args:
            minimum_similarity: the least cosine of the candidate's and the parent's vectors, -1 to 1.
            small_intent: with fewer rows than this, a candidate need not look like its intent most of all; it is
                enough that it looks no less like it than the parent itself does, to the same model.

        Raises:
            ValueError: when the similarity is no cosine.
        """
        if not -1 <= minimum_similarity <= 1:
            raise ValueError(f"augment: minimum_similarity lies between -1 and 1, not at {minimum_similarity}")
        self._minimum_similarity = minimum_similarity
        self._small_intent = small_intent

    def __call__(self, gold: GoldRows, candidates: CandidateRows) -> list[Judgement]:
        """One judgement a candidate; of equal candidates the first that passes is kept, so their order matters.

        Raises ValueError when a candidate's parent is no gold row.
        """
        place = {identifier: number for number, identifier in enumerate(gold.ids)}
        unknown = sorted(set(candidates.parent_ids) - place.keys())
        if unknown:
            raise ValueError(f"{len(unknown)} parents of paraphrases are no utterances, the first of them {unknown[0]}")
        parents = np.array([place[parent] for parent in candidates.parent_ids], np.int64)
        similarities = np.einsum("ij,ij->i", candidates.vectors, gold.vectors[parents])
        reasons: list[str | None] = [None] * len(parents)
        known = set(gold.texts)
        for number, text in enumerate(candidates.texts):
            if text in known:
                reasons[number] = KNOWN
            elif similarities[number] < self._minimum_similarity:
                reasons[number] = FAR
        for reason, refuse in ((OTHER_INTENT, self._of_other_intent), (OTHER_ANSWER, _nearer_to_other_answer)):
            left = np.array([number for number, refused in enumerate(reasons) if refused is None], np.int64)
            for number in left[refuse(gold, candidates.take(left), parents[left])]:
                reasons[number] = reason
        kept: set[str] = set()
        for number, text in enumerate(candidates.texts):
            if reasons[number] is None and text in kept:
                reasons[number] = REPEATED
            elif reasons[number] is None:
                kept.add(text)
        return [
            Judgement(reason is None, reason, float(similarity))
            for reason, similarity in zip(reasons, similarities, strict=True)
        ]

    def _of_other_intent(self, gold: GoldRows, candidates: CandidateRows, parents: Ints) -> Bools:
        """Whether a candidate of a parent with an intent is of another one, to the model without the parent."""
        labelled = np.array([row for row, intent in enumerate(gold.intents) if intent is not None], np.int64)
        asked = np.flatnonzero(np.isin(parents, labelled))
        refused = np.zeros(len(parents), np.bool_)
        intents = [str(gold.intents[row]) for row in labelled]
        if not len(asked) or len(set(intents)) < 2:
            return refused
        from chatbot_assets.denoise.leave_one_out import LeaveOneOut

        model = LeaveOneOut.fit(
            [gold.texts[row] for row in labelled],
            [gold.tokens[row] for row in labelled],
            gold.vectors[labelled],
            intents,
        )
        places = np.searchsorted(labelled, parents[asked])
        column = {intent: number for number, intent in enumerate(model.intents)}
        own = np.array([column[intent] for intent in intents])
        theirs = candidates.take(asked)
        margins = _margins(model.scores_without(places, theirs.texts, theirs.tokens, theirs.vectors), own[places])
        small = np.bincount(own)[own[places]] < self._small_intent
        asked_margins = np.where(small, np.minimum(0, _margins(model.scores, own)[places]), 0)
        refused[asked] = margins < asked_margins
        return refused


def _margins(scores: Floats, own: Ints) -> Floats:
    """How much more each row of (n, k) looks like its own intent than like the best other one."""
    rows = np.arange(len(scores))
    others = scores.copy()
    others[rows, own] = -np.inf
    return np.asarray(scores[rows, own] - others.max(1), np.float32)


def _nearer_to_other_answer(gold: GoldRows, candidates: CandidateRows, parents: Ints) -> Bools:
    """Whether a candidate of a parent with an answer and no intent is nearer to a gold text with another answer.

    Gold texts that equal the parent are left out: a question with two answers stays one in other words.
    """
    refused = np.zeros(len(parents), np.bool_)
    answer_of = _numbers(gold.answers)
    text_of = _numbers(gold.texts)
    asked = [
        row for row, parent in enumerate(parents) if gold.intents[parent] is None and gold.answers[parent] is not None
    ]
    for block in _blocks(np.array(asked, np.int64)):
        parent = parents[block]
        nearness = candidates.vectors[block] @ gold.vectors.T
        to_parent = nearness[np.arange(len(block)), parent]
        other = (answer_of >= 0) & (answer_of != answer_of[parent, None]) & (text_of[None] != text_of[parent, None])
        refused[block] = np.where(other, nearness, -np.inf).max(1) >= to_parent
    return refused


def _numbers(values: Sequence[str | None]) -> Ints:
    """A number for each value; -1 for None."""
    numbers: dict[str | None, int] = {None: -1}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def _blocks(places: Ints) -> Iterator[Ints]:
    for start in range(0, len(places), _BLOCK):
        yield places[start : start + _BLOCK]
