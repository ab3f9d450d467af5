"""Asks a model the turns that its evaluation kept as a sample, and says where it answers something else."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.responder import Reply, Responder

SCORE_TOLERANCE = 0.02
"""Vectors are stored in float16 and fresh ones are not, so scores may differ in the third digit."""


@dataclass(frozen=True)
class Answer:
    """What is compared of a reply: its first candidate's id and its score; and the time of a turn that was timed."""

    top: str | None
    score: float
    milliseconds: float | None = None

    @classmethod
    def of(cls, reply: "Reply", milliseconds: float | None = None) -> "Answer":
        return cls(reply.candidates[0].id if reply.candidates else None, reply.score, milliseconds)


def answers(responder: "Responder", texts: Iterable[str]) -> Iterator[Answer]:
    """Asks the texts one by one, as users do, and times each turn."""
    for text in texts:
        started = time.perf_counter()
        reply = responder.respond([text])[0]
        yield Answer.of(reply, (time.perf_counter() - started) * 1000)


def difference(row: Mapping[str, Any], answer: Answer, tolerance: float = SCORE_TOLERANCE) -> str | None:
    """In words, how an answer differs from a row of the sample (``text``, ``top``, ``score``); None when they agree."""
    if answer.top == row["top"] and abs(answer.score - row["score"]) <= tolerance:
        return None
    return (
        f"{row['text']!r} gives {answer.top} ({answer.score:.3f}), but {row['top']} ({row['score']:.3f}) was evaluated"
    )


def tolerance_of(config: Mapping[str, Any]) -> float:
    """How far scores may differ, by the deployment's configuration."""
    return float(config["deploy"]["verification"]["with"].get("score_tolerance", SCORE_TOLERANCE))


def median_ms(asked: Sequence[Answer]) -> float | None:
    """The (upper) median time of a turn; None when none was timed."""
    times = sorted(answer.milliseconds for answer in asked if answer.milliseconds is not None)
    return times[len(times) // 2] if times else None
