"""What planners should know about how a bot stands, as kinds with facts: which words say them is the page's matter."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from chatbot_assets.automation import BotState
from chatbot_assets.deploy.record import History
from chatbot_assets.deploy.share import CANARY, SHADOW
from chatbot_assets.tables import DEPLOYMENTS, MATERIALISED, REVIEW_QUEUE, SOURCES

Weight = Literal["act", "wait", "know"]
"""Somebody must act; it goes on by itself; or it is only good to know."""


@dataclass(frozen=True)
class Trouble:
    """One thing about a bot.

    Attributes:
        kind: names its sentences.
        weight: who has to do something about it.
        facts: what the sentences mention: ``count``, ``names``, ``at``, ``who``, ``why``, ``made``, ``of``,
            ``share``.
        detail: what the platform says of it, in its own English words: for a developer.
    """

    kind: str
    weight: Weight
    facts: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""

    @classmethod
    def of(cls, kind: str, detail: str = "", **facts: Any) -> "Trouble":
        """One of ``KINDS``."""
        return cls(kind, KINDS[kind], facts, detail)


KINDS: dict[str, Weight] = {
    "file_mistake": "act",
    "unreadable": "act",
    "damaged": "act",
    "no_data": "act",
    "nothing_to_learn": "act",
    "failed_verification": "act",
    "refused": "act",
    "failed_lasting": "act",
    "failed_often": "act",
    "promotion": "act",
    "failed_passing": "wait",
    "retrying": "wait",
    "refreshing": "wait",
    "gathering": "wait",
    "new_files": "wait",
    "decisions": "wait",
    "settings": "wait",
    "code": "wait",
    "first": "wait",
    "unfinished": "wait",
    "asked": "wait",
    "canary": "know",
    "shadow": "know",
    "canary_taken_back": "know",
    "shadow_taken_back": "know",
    "rolled_back": "know",
    "imported": "know",
}
"""Every kind, the gravest first."""


def troubles(
    state: BotState, past: History, damaged: Mapping[str, str], is_refreshing: bool, now: datetime | None = None
) -> tuple[Trouble, ...]:
    """What there is to know of a bot whose files can be read; empty when all is well."""
    now = now or datetime.now(UTC)
    found: list[Trouble] = []

    def say(kind: str, detail: str = "", **facts: Any) -> None:
        found.append(Trouble.of(kind, detail, **facts))

    if damaged:
        say("damaged", "; ".join(f"{table}: {words}" for table, words in damaged.items()))
    if past.waiting:
        say("promotion", f"./chatbot promote {state.key}", at=past.waiting["at"])
    if past.trial:
        trial = past.trial
        say(trial.kind, f"./chatbot versions {state.key}", at=trial.deployment.at, share=trial.share)
    elif ended := _trial_taken_back(past):
        say(f"{ended[0]}_taken_back", str(ended[1]["reason"]), at=ended[1]["at"])
    if back := past.rollback:
        say("rolled_back", f"{back['actor']}: {back['reason']}", at=back["at"])
    if is_refreshing:
        made = sum(state.commits[table.name] is not None for table in MATERIALISED)
        say("refreshing", state.reason, made=made, of=len(MATERIALISED))
    elif what := obstacle(state):
        found.append(what)
    elif state.attempt and state.retry_at:
        say("retrying", state.attempt.reason, at=state.retry_at)
    if not is_refreshing:
        found += due(state, now)
    order = list(KINDS)
    return tuple(sorted(found, key=lambda one: order.index(one.kind)))


def obstacle(state: BotState) -> Trouble | None:
    """What keeps a bot from being brought up to date."""
    kind: str | None = state.obstacle
    if kind == "failed" and state.retry_at is None:
        kind = "failed_lasting"
    elif kind == "failed":
        is_unknown = state.attempt is not None and state.attempt.kind == "unknown"
        kind = "failed_often" if is_unknown else "failed_passing"
        return Trouble.of(kind, state.blocked or "", at=state.retry_at)
    return Trouble.of(kind, state.blocked or "") if kind else None


def _trial_taken_back(past: History) -> tuple[str, dict[str, Any]] | None:
    """What the newest deployment was tried as and the event that took it back; None when it stands otherwise."""
    if past.newest is None:
        return None
    own = [event for event in past.events if event["deployment_id"] == past.newest["deployment_id"]]
    before = own[-2]["event"] if len(own) > 1 else None
    is_over = own[-1]["event"] in ("rolled_back", "rejected") and before in (CANARY, SHADOW)
    return (str(before), own[-1]) if is_over else None


def due(state: BotState, now: datetime) -> list[Trouble]:
    """What a refresh will bring, by what makes it necessary."""
    found: list[Trouble] = []

    def say(kind: str, detail: str = "", **facts: Any) -> None:
        found.append(Trouble.of(kind, detail, **facts))

    if state.unread:
        names = [file.name for file in state.unread]
        arriving = state.gather_until is not None and now < state.gather_until
        say("gathering" if arriving else "new_files", ", ".join(names[:20]), count=len(names), at=state.gather_until)
    if state.asked:
        say("asked", state.asked.reason, who=state.asked.by)
    reasons = {
        (item.table, reason)
        for item in state.stale
        if item.table != REVIEW_QUEUE.name and not (item.table == DEPLOYMENTS.name and state.obstacle == "refused")
        for reason in item.reasons
    }
    if any(reason == "never made" for _, reason in reasons):
        if not state.obstacle and state.commits[DEPLOYMENTS.name] is None and not state.unread:
            say("first")
        return found
    detail = "; ".join(sorted(f"{table}: {reason}" for table, reason in reasons))
    sources = {f"{table.name} changed" for table in SOURCES}
    kinds = {
        "settings": any(reason == "configuration changed" for _, reason in reasons),
        "code": any(reason.startswith("code of ") for _, reason in reasons),
        "decisions": any(reason in sources for _, reason in reasons),
    }
    for kind, holds in kinds.items():
        if holds:
            say(kind, detail)
    if reasons and not any(kinds.values()) and not state.unread:
        say("unfinished", detail)
    return found
