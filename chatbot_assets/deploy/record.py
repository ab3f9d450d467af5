"""The history of a bot's deployments, as the lake tells it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from chatbot_assets.deploy.share import CANARY, SHARES
from chatbot_assets.embed import REFERENCE
from resources.arrow_values import row_dicts
from resources.lakehouse import LakeTable

ERASED = "erased"
"""The event of a deployment whose model learnt from a person who was forgotten since: the model is gone."""
LIFE = ("candidate", "verified", "rejected", "rolled_back", "canary", "shadow", "live", ERASED)
"""The events of a deployment, in the order in which those of one moment are told."""


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
    data_versions: dict[str, Any]

    @property
    def served_config(self) -> dict[str, Any]:
        """The configuration to load the model with: it names the variant that was chosen when it was evaluated."""
        return served_config(self.config, self.metrics)

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> "Deployment":
        """The deployment that an event is about; ``at`` is when the event happened."""
        return cls(
            deployment_id=event["deployment_id"],
            model_id=event["model_id"],
            at=event["at"],
            config_hash=event["config_hash"],
            config=json.loads(event["config"]),
            code_revision=event["code_revision"],
            metrics=json.loads(event["metrics"]),
            data_versions=json.loads(event["data_versions"]),
        )


def served_config(config: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration with the variant that its metrics say was chosen; the reference where they say none."""
    variant = metrics.get("serving", {}).get("variant", REFERENCE)
    return {**config, "serve": {"variant": variant}}


@dataclass(frozen=True)
class Trial:
    """A deployment that is tried beside the live one: a canary answers a share of the sessions, a shadow nobody sees.

    ``deployment.at`` is when the trial began.
    """

    kind: str
    deployment: Deployment

    @property
    def share(self) -> float:
        """Of the sessions (canary) or the turns (shadow), between 0 and 1; as it was configured when it was made."""
        own = self.deployment.config["deploy"].get(self.kind, {})
        return float(own.get("share", SHARES[self.kind]))

    def __str__(self) -> str:
        of = "sessions" if self.kind == CANARY else "turns, unseen by users,"
        return f"{self.kind}: {self.share * 100:g} % of {of} since {self.deployment.at:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class History:
    """All events of a bot's deployments, the oldest first, as of a version of the table (-1: there is none yet)."""

    version: int
    events: tuple[dict[str, Any], ...]

    @property
    def newest(self) -> dict[str, Any] | None:
        """The last event; of those of one moment the one that comes last in a deployment's life."""
        return self.events[-1] if self.events else None

    @cached_property
    def live(self) -> Deployment | None:
        """The deployment that answers: the one whose ``live`` event is the newest. None before the first."""
        event = self._live_event
        return Deployment.of(event) if event else None

    @cached_property
    def trial(self) -> Trial | None:
        """The deployment that is tried beside the live one now.

        A trial ends with the deployment's own next event, with another trial, or with another deployment that goes
        live: what it was compared with is live no longer.
        """
        ruling = [event for event in self.events if event["event"] in ("live", *SHARES)]
        if not ruling or ruling[-1]["event"] == "live":
            return None
        event = ruling[-1]
        is_on = self.stands(event["deployment_id"]) == event["event"]
        return Trial(event["event"], Deployment.of(event)) if is_on else None

    @property
    def waiting(self) -> dict[str, Any] | None:
        """The event ``verified`` of the deployment that was made last, when that waits for somebody to promote it.

        So does one whose trial ended without a judgement.
        """
        made = [event for event in self.events if event["event"] in ("candidate", "verified", "rejected")]
        stands = self.stands(made[-1]["deployment_id"]) if made else None
        is_waiting = stands == "verified" or (stands in SHARES and self.trial is None)
        return made[-1] if is_waiting else None

    @property
    def rejection(self) -> dict[str, Any] | None:
        """The event ``rejected`` of the deployment that was made last; None when that was not rejected."""
        made = [event for event in self.events if event["event"] in ("candidate", "verified", "rejected")]
        return made[-1] if made and made[-1]["event"] == "rejected" else None

    @property
    def rollback(self) -> dict[str, Any] | None:
        """The event ``rolled_back`` that came with the present live one; None when that went live in another way."""
        live = self._live_event
        for event in self.events:
            is_rollback = live is not None and event["event"] == "rolled_back" and event["at"] == live["at"]
            if is_rollback and self.last_live(event["deployment_id"]):
                return event
        return None

    @property
    def before(self) -> Deployment | None:
        """What a rollback goes back to: what was live last before, and has not been rolled back or erased since."""
        live = self._live_event
        for event in self._lives:
            identity = event["deployment_id"]
            if live and identity != live["deployment_id"] and self.stands(identity) not in ("rolled_back", ERASED):
                return Deployment.of(event)
        return None

    def stands(self, identity: str) -> str | None:
        """The last event of a deployment; None when there is no such deployment."""
        own = [str(event["event"]) for event in self.events if event["deployment_id"] == identity]
        return own[-1] if own else None

    def last(self, identity: str) -> dict[str, Any]:
        """The last event of a deployment that there is."""
        return next(event for event in reversed(self.events) if event["deployment_id"] == identity)

    def verified(self, identity: str) -> dict[str, Any] | None:
        """The last event ``verified`` of a deployment; None when it never came so far."""
        own = (event for event in reversed(self.events) if event["deployment_id"] == identity)
        return next((event for event in own if event["event"] == "verified"), None)

    def was_tried(self, identity: str) -> bool:
        """Whether a deployment ever was a canary or a shadow."""
        return any(event["deployment_id"] == identity and event["event"] in SHARES for event in self.events)

    def erased(self, model_id: str) -> dict[str, Any] | None:
        """The event that says that a model was erased; None when it was not."""
        return next((one for one in self.events if (one["event"], one["model_id"]) == (ERASED, model_id)), None)

    def last_live(self, identity: str) -> dict[str, Any] | None:
        """The last event ``live`` of a deployment; None when it never answered."""
        return next((event for event in self._lives if event["deployment_id"] == identity), None)

    @property
    def _live_event(self) -> dict[str, Any] | None:
        return self._lives[0] if self._lives else None

    @cached_property
    def _lives(self) -> list[dict[str, Any]]:
        """The events ``live``, the newest first."""
        return [event for event in reversed(self.events) if event["event"] == "live"]


def history(deployments: LakeTable) -> History:
    """The events of a bot's deployments up to the table's newest version."""
    last = deployments.last()
    if last is None:
        return History(-1, ())
    rows: list[dict[str, Any]] = row_dicts(deployments.arrow(version=last.version))
    return History(last.version, tuple(sorted(rows, key=lambda row: (row["at"], LIFE.index(row["event"])))))


def live_deployment(deployments: LakeTable) -> Deployment | None:
    """The deployment that answers now; None before the first."""
    return history(deployments).live


def recorded_sample(evaluations: LakeTable, deployment: Deployment) -> list[dict[str, Any]]:
    """What the evaluation saw the deployment answer (``text``, ``top``, ``score``); empty when the lake has none."""
    made_from = deployment.data_versions.get(evaluations.table.name)
    if made_from is None:
        return []
    _, record = next(evaluations.records(made_from["version"]), (None, None))
    return list(record.notes.get("sample", ())) if record else []
