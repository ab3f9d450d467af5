"""Verifies a model before it goes live: loads it as the service would and compares its answers with those evaluated."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from serving.responder import Responder

SCORE_TOLERANCE = 0.02
"""Vectors are stored in float16 and fresh ones are not, so scores may differ in the third digit."""


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
        milliseconds = []
        for row in sample:
            started = time.perf_counter()
            reply = responder.respond([row["text"]])[0]
            milliseconds.append((time.perf_counter() - started) * 1000)
            top = reply.candidates[0].id if reply.candidates else None
            if top != row["top"] or abs(reply.score - row["score"]) > self._score_tolerance:
                reason = (
                    f"{row['text']!r} gives {top} ({reply.score:.3f}), "
                    f"but {row['top']} ({row['score']:.3f}) was evaluated"
                )
                return Verification(False, reason, None)
        median = sorted(milliseconds)[len(milliseconds) // 2] if milliseconds else None
        return Verification(True, f"{len(sample)} held-out turns answered as evaluated", median)


def deployment_id(model_id: str, config_hash: str) -> str:
    """Identifies what answers: the model and the whole configuration around it."""
    return hashlib.blake2b(f"{model_id}:{config_hash}".encode(), digest_size=16).hexdigest()


def event_id(identity: str, event: str, position: int) -> str:
    """Identifies an event of a deployment by the version that the table had before it."""
    return hashlib.blake2b(f"{identity}:{event}:{position}".encode(), digest_size=16).hexdigest()


def events(
    names: Sequence[str],
    *,
    identity: str,
    model_id: str,
    at: datetime,
    position: int,
    actor: str,
    reasons: Sequence[str],
    config_hash: str,
    config: dict[str, Any],
    code_revision: str,
    data_versions: dict[str, Any],
    metrics: dict[str, Any],
) -> list[dict[str, Any]]:
    """Rows of ``deployments``: one for each named event, in order; ``position`` is the table's version before them."""
    return [
        {
            "event_id": event_id(identity, name, position),
            "deployment_id": identity,
            "model_id": model_id,
            "event": name,
            "at": at,
            "actor": actor,
            "reason": reason,
            "config_hash": config_hash,
            "config": json.dumps(config, ensure_ascii=False, sort_keys=True),
            "code_revision": code_revision,
            "data_versions": json.dumps(data_versions, sort_keys=True),
            "metrics": json.dumps(metrics, sort_keys=True),
        }
        for name, reason in zip(names, reasons, strict=True)
    ]
