"""Judges a canary or a shadow against the live deployment over the same time, and ends its trial accordingly."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.deploy.life import end_trial
from chatbot_assets.deploy.record import Trial, history
from chatbot_assets.deploy.share import CANARY
from chatbot_assets.deploy.watch import SIGNIFICANCE, Conduct, Limits, breach, conduct, turns_since
from chatbot_assets.tables import CONVERSATIONS, SHADOW_ANSWERS
from resources.lakehouse import ConflictError, Lake, LakeTable

EARLY_SIGNIFICANCE = 3.29
"""For a look before the time: once in two thousand by chance. Who looks often must ask for more than at the end, or
chance alone would end good trials (Haybittle 1971, Peto et al. 1976: stop early only at p < .001)."""
EARLY_PART = 4
"""A look before the time says anything from this part of the turns on."""
FEW_TURNS = 20
"""Turns of each from which on a canary of a bot with few users is compared at the end of its time."""


class CanaryLimits(Protocol):
    """The section ``deploy.canary`` of a bot's YAML."""

    @property
    def turns(self) -> int:
        """Turns that the canary and the live deployment must each have served to be compared."""

    @property
    def hours(self) -> float:
        """For how long it is tried at least."""

    @property
    def max_hours(self) -> float:
        """After this time it is judged with the turns that there are."""


class ShadowLimits(Protocol):
    """The section ``deploy.shadow`` of a bot's YAML."""

    @property
    def turns(self) -> int:
        """Turns that it must have answered to be judged."""

    @property
    def then(self) -> str:
        """What follows when it does no worse: it goes live (``automatic``) or waits for somebody (``manual``)."""


class TrialLimits(Protocol):
    """What a trial is judged by; the section ``deploy`` of a bot's YAML."""

    @property
    def canary(self) -> CanaryLimits: ...

    @property
    def shadow(self) -> ShadowLimits: ...

    @property
    def watch(self) -> Limits: ...


@dataclass(frozen=True)
class Compared:
    """How a trial fares beside the live deployment since it began.

    ``differing`` (shadows only) are the turns that it answered otherwise.
    """

    trial: Conduct
    live: Conduct
    hours: float
    differing: int = 0

    @property
    def turns(self) -> int:
        """Of the one that has served fewer."""
        return min(self.trial.turns, self.live.turns)


@dataclass(frozen=True)
class Judgement:
    """What is known of a trial, in words; ``event`` is what its deployment becomes, None while it goes on."""

    kind: str
    deployment_id: str
    said: str
    event: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing was found that speaks against it."""
        return self.event not in ("rolled_back", "rejected")


def compare(lake: Lake, key: str, trial: Trial, live_id: str, at: datetime) -> Compared:
    """Compares a trial with the live deployment over the time of the trial."""
    since, own = trial.deployment.at, trial.deployment.deployment_id
    hours = (at - since).total_seconds() / 3600
    turns = turns_since(lake.table(key, CONVERSATIONS.name), since)
    live = turns.filter(pc.equal(turns.column("deployment_id"), live_id))
    if trial.kind == CANARY:
        return Compared(conduct(turns.filter(pc.equal(turns.column("deployment_id"), own))), conduct(live), hours)
    answers = _shadow_answers(lake.table(key, SHADOW_ANSWERS.name), own, since)
    # The same turns of both; a turn's verdict is about what users saw, so it says nothing of the shadow.
    beside = live.filter(pc.is_in(live.column("turn_id"), answers.column("turn_id")))
    unjudged = replace(conduct(beside), judged=0, dissatisfied=0)
    return Compared(conduct(answers), unjudged, hours, pc.sum(answers.column("differs")).as_py() or 0)


def judge(lake: Lake, key: str, limits: TrialLimits, actor: str, at: datetime | None = None) -> Judgement | None:
    """Judges the trial of a bot, and ends it when it is decided; None when there is none.

    Args:
        at: the moment to judge at; now by default.
    """
    table = lake.table(key, "deployments")
    past = history(table)
    if past.trial is None or past.live is None:
        return None
    found = decide(past.trial, compare(lake, key, past.trial, past.live.deployment_id, at or datetime.now(UTC)), limits)
    if found.event is None:
        return found
    try:
        end_trial(table, past, event=found.event, actor=actor, reason=found.said)
    except ConflictError:
        return replace(found, said=f"{found.said}; somebody else changed the deployments first", event=None)
    return found


def decide(trial: Trial, compared: Compared, limits: TrialLimits) -> Judgement:
    """What follows from how a trial fares."""
    if trial.kind == CANARY:
        event, said = _of_canary(compared, limits.canary, limits.watch)
    else:
        event, said = _of_shadow(compared, limits.shadow, limits.watch)
    return Judgement(trial.kind, trial.deployment.deployment_id, said, event)


def progress(trial: Trial, compared: Compared, limits: TrialLimits) -> str:
    """How far a trial has come, in words."""
    if trial.kind == CANARY:
        wanted = limits.canary
        served = f"{compared.trial.turns:,} turns served, {compared.live.turns:,} by the live one"
        return f"{served}, of {wanted.turns:,} each; {compared.hours:.1f} of at least {wanted.hours:g} hours"
    return f"{compared.trial.turns:,} of {limits.shadow.turns:,} turns, {compared.differing:,} answered otherwise"


def _of_canary(compared: Compared, wanted: CanaryLimits, watch: Limits) -> tuple[str | None, str]:
    """The event that follows, if one does, and why."""
    is_complete = compared.turns >= wanted.turns and compared.hours >= wanted.hours
    is_over = compared.hours >= wanted.max_hours
    if is_complete or is_over:
        found = _worse(compared, watch, wanted.turns if is_complete else FEW_TURNS, SIGNIFICANCE)
    else:
        # The first turns of a process are slow, so of the time they take nothing is concluded early.
        untimed = replace(compared, trial=replace(compared.trial, p95_ms=None))
        found = _worse(untimed, watch, max(FEW_TURNS, wanted.turns // EARLY_PART), EARLY_SIGNIFICANCE)
    shown = (
        f"{compared.trial.turns:,} turns in {compared.hours:.1f} hours, beside {compared.live.turns:,} of the live one"
    )
    if found:
        return "rolled_back", f"the canary fares worse: {found} ({shown})"
    if is_complete:
        return "live", f"the canary fares no worse: {shown}"
    if is_over:
        few = f"few users, {shown}; nothing was found that speaks against it"
        return "live", f"the canary's time of {wanted.max_hours:g} hours is over: {few}"
    return None, f"the canary has served {shown}; {wanted.turns:,} of each and {wanted.hours:g} hours are needed"


def _of_shadow(compared: Compared, wanted: ShadowLimits, watch: Limits) -> tuple[str | None, str]:
    shown = f"{compared.trial.turns:,} turns, {compared.differing:,} of them answered otherwise than by the live one"
    if compared.turns < wanted.turns:
        return None, f"the shadow has answered {shown}; {wanted.turns:,} are needed"
    if found := _worse(compared, watch, wanted.turns, SIGNIFICANCE):
        return "rejected", f"the shadow fares worse: {found} ({shown})"
    failed = f"{compared.trial.failed:,} not understood, against {compared.live.failed:,}"
    return ("live" if wanted.then == "automatic" else "verified"), f"the shadow fares no worse: {shown}; {failed}"


def _worse(compared: Compared, watch: Limits, turns: int, significance: float) -> str | None:
    return breach(compared.trial, compared.live, watch, turns, significance, other="for the live one it is")


def _shadow_answers(table: LakeTable, deployment_id: str, since: datetime) -> pa.Table:
    """The answers of a shadow, with the columns that :func:`conduct` reads."""
    turns = turns_since(table, since, ("turn_id", "deployment_id", "category", "latency_ms", "served_at", "differs"))
    own = turns.filter(pc.equal(turns.column("deployment_id"), deployment_id))
    return own.append_column("satisfied", pa.nulls(own.num_rows, pa.bool_()))
