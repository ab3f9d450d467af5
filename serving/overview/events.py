"""What happened to a bot lately, as kinds with facts: which sentences tell them is the page's matter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chatbot_assets.collect.reading import ERASED, WITHDRAWN
from chatbot_assets.deploy.actors import BY_ITSELF
from chatbot_assets.deploy.record import LIFE, Deployment, History
from chatbot_assets.deploy.share import CANARY, SHADOW
from chatbot_assets.process.decisions import UNDO
from resources.attempts import Attempt

FILE_KINDS = {"read": "file_read", "duplicate": "file_again", WITHDRAWN: "file_withdrawn", ERASED: "file_erased"}
TAKEN_BACK = {"rolled_back": CANARY, "rejected": SHADOW}
"""The event that takes a tried deployment back, and what it was tried as."""


@dataclass(frozen=True)
class Event:
    """Something that happened to a bot; ``kind`` names its sentence, ``facts`` are what that mentions."""

    at: datetime
    kind: str
    facts: dict[str, Any]


def newest_events(
    past: History,
    files: Iterable[Mapping[str, Any]],
    failed: Iterable[Attempt] = (),
    decisions: Iterable[Mapping[str, Any]] = (),
) -> list[Event]:
    """What happened to a bot, the newest first.

    Of deployment events of one moment the one is told that says most. Decisions of one person between two other events
    are told as one: somebody who decides on a hundred turns must not hide everything else.

    Args:
        past: the events of its deployments.
        files: rows of ``landing_files``.
        failed: refreshes that did not end well.
        decisions: rows of ``review_decisions``.
    """
    by_moment: dict[datetime, list[dict[str, Any]]] = {}
    for event in past.events:
        by_moment.setdefault(event["at"], []).append(event)
    found = [_telling(events, past) for events in by_moment.values()]
    for row in files:
        facts = {"name": row["source_file"], "count": row["rows"], "rejected": row["rejected"]}
        found.append(Event(row["read_at"], FILE_KINDS[row["status"]], facts))
    found += [Event(one.at, "refresh_failed", {"count": one.count}) for one in failed]
    for row in decisions:
        is_undo = row["action"] == UNDO
        facts = {"person": row["reviewer"], "count": 1 if is_undo else len(row["turn_ids"])}
        found.append(Event(row["decided_at"], "undone" if is_undo else "decided", facts))
    return _joined(sorted(found, key=lambda event: event.at, reverse=True))


def _telling(events: Sequence[dict[str, Any]], past: History) -> Event:
    by_name = {event["event"]: event for event in events}
    name = next(name for name in ("rolled_back", "live", *reversed(LIFE)) if name in by_name)
    event = by_name[name]
    by_hand = not event["actor"].startswith(BY_ITSELF)
    facts = {
        "accuracy": Deployment.of(event).metrics.get("accuracy"),
        "who": event["actor"] if by_hand else "",
        "why": event["reason"],
    }
    tried_as = TAKEN_BACK.get(name)
    is_trial = tried_as is not None and _before(event, past) == tried_as
    return Event(event["at"], f"{tried_as}_taken_back" if is_trial else name, facts)


def _before(event: Mapping[str, Any], past: History) -> str | None:
    """What the deployment of an event was until then."""
    own = (one for one in past.events if one["deployment_id"] == event["deployment_id"] and one["at"] < event["at"])
    return next((str(one["event"]) for one in reversed(list(own))), None)


def _joined(events: Iterable[Event]) -> list[Event]:
    """The events with those that tell of the same person's decisions one after another as one, of the newest's time."""
    found: list[Event] = []
    for event in events:
        last = found[-1] if found else None
        person = event.facts.get("person")
        if last and person and (last.kind, last.facts.get("person")) == (event.kind, person):
            count = last.facts["count"] + event.facts["count"]
            found[-1] = replace(last, facts=last.facts | {"count": count})
        else:
            found.append(event)
    return found
