"""The history of a bot's deployments, as the lake tells it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from resources.lakehouse import LakeTable

LIFE = ("candidate", "verified", "rejected", "live")
"""The events of a deployment, in the order in which they can happen."""
COLUMNS = ("deployment_id", "model_id", "event", "at", "config_hash", "config", "code_revision", "metrics")


@dataclass(frozen=True)
class Deployment:
    """A deployment that is live, or was."""

    deployment_id: str
    model_id: str
    at: datetime
    config_hash: str
    config: dict[str, Any]
    code_revision: str
    metrics: dict[str, Any]


def newest_event(deployments: LakeTable) -> dict[str, Any] | None:
    """The last row of the history; of the events of one moment the one that comes last in a deployment's life."""
    if deployments.last() is None:
        return None
    rows: list[dict[str, Any]] = deployments.arrow().to_pylist()
    return max(rows, key=lambda row: (row["at"], LIFE.index(row["event"])), default=None)


def live_deployment(deployments: LakeTable) -> Deployment | None:
    """The deployment that answers now: the one whose ``live`` event is the newest. None before the first."""
    if deployments.last() is None:
        return None
    events = [row for row in deployments.arrow(COLUMNS).to_pylist() if row["event"] == "live"]
    if not events:
        return None
    newest = max(events, key=lambda row: row["at"])
    return Deployment(
        deployment_id=newest["deployment_id"],
        model_id=newest["model_id"],
        at=newest["at"],
        config_hash=newest["config_hash"],
        config=json.loads(newest["config"]),
        code_revision=newest["code_revision"],
        metrics=json.loads(newest["metrics"]),
    )
