"""Verifies a model before it goes live: loads it as the service would and compares its answers with those evaluated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chatbot_assets.deploy.agreement import SCORE_TOLERANCE, Answer, answers, difference, median_ms
from serving.responder import Responder


@dataclass(frozen=True)
class Verification:
    """Whether a model answered as recorded, in words, and its median time for one turn."""

    passed: bool
    reason: str
    p50_ms: float | None


class Verifier(Protocol):
    """Tries a model before it goes live; a bot's YAML names one below ``deploy.verification``."""

    def __call__(self, folder: Path, config: dict[str, Any], sample: Sequence[Mapping[str, Any]]) -> Verification:
        """Judges an unpacked model with the configuration it would be deployed with.

        ``sample`` holds ``text``, ``top`` (the first candidate's id) and ``score`` as the evaluation saw them.
        """
        ...


class AnswersAsEvaluated:
    """Asks the sample's texts one by one, as the service would, and compares intent and score; keeps ``Verifier``."""

    def __init__(self, score_tolerance: float = SCORE_TOLERANCE) -> None:
        self._score_tolerance = score_tolerance

    def __call__(self, folder: Path, config: dict[str, Any], sample: Sequence[Mapping[str, Any]]) -> Verification:
        responder = Responder(folder, config)
        asked: list[Answer] = []
        for row, answer in zip(sample, answers(responder, (row["text"] for row in sample)), strict=True):
            if reason := difference(row, answer, self._score_tolerance):
                return Verification(False, reason, None)
            asked.append(answer)
        return Verification(True, f"{len(sample)} held-out turns answered as evaluated", median_ms(asked))
