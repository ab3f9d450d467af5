"""Which served turns a person should look at, and how urgently."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Triaged:
    """A turn for the queue: its ``kind`` ('failed', 'similar', 'dissatisfied', 'satisfied') and urgency (0 to 1)."""

    kind: str
    urgency: float


class Triage(Protocol):
    """Judges one served turn; a bot's YAML names one below ``review.triage``."""

    def __call__(self, turn: Mapping[str, Any]) -> Triaged | None:
        """None when nobody needs to see the turn.

        ``turn`` holds turn_id, text, category, satisfied, score, chosen_candidate, candidates (JSON) and intent.
        """
        ...


class FailedAndDissatisfied:
    """Queues turns that failed, got suggestions, or were judged by the user; keeps ``Triage``.

    A user's verdict counts before the bot's own: an answer that did not help is dissatisfying however sure the bot was.
    The most urgent are dissatisfied users, then failed turns that were nearly understood, then suggestions without a
    choice; a chosen suggestion only needs confirmation, and praise is kept for the record. What could not be answered
    at all says nothing about the data, so nobody is shown it.
    """

    def __call__(self, turn: Mapping[str, Any]) -> Triaged | None:
        score = min(max(float(turn["score"] or 0.0), 0.0), 1.0)
        if turn["satisfied"] is False:
            return Triaged("dissatisfied", 1.0)
        if turn["category"] == "failed":
            return Triaged("failed", 0.6 + 0.3 * score)
        if turn["category"] == "similar":
            return Triaged("similar", 0.4 if turn["chosen_candidate"] else 0.5 + 0.1 * (1 - score))
        return Triaged("satisfied", 0.1) if turn["satisfied"] else None
