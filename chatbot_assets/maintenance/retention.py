"""Retention: which versions of a bot's tables, and which models, must stay readable."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from itertools import pairwise
from typing import Any

from resources.lakehouse import LakeTable


def kept_versions(committed_at: Sequence[datetime], since: datetime, pinned: Set[int]) -> set[int]:
    """The versions to keep: each one that was the newest at some moment since ``since``, and those that are pinned.

    Args:
        committed_at: when each version was committed, from version 0.
    """
    newest = len(committed_at) - 1
    current = {version for version in range(newest) if committed_at[version + 1] >= since}
    return current | {newest} | {version for version in pinned if version <= newest}


def kept_events(deployments: LakeTable, since: datetime) -> list[dict[str, Any]]:
    """The events of deployments that are live or were since ``since``, or that something happened to since then."""
    if deployments.last() is None:
        return []
    columns = ("model_id", "event", "at", "data_versions")
    events = sorted(deployments.arrow(columns).to_pylist(), key=lambda event: event["at"])
    lives = [event for event in events if event["event"] == "live"]
    was_live = [event for event, after in pairwise(lives) if after["at"] >= since]
    recent = [event for event in events if event["at"] >= since]
    return [*was_live, *lives[-1:], *events[-1:], *recent]


def pinned_versions(deployments: LakeTable, since: datetime) -> Mapping[str, Set[int]]:
    """The versions of each table that these deployments were made from."""
    pinned: defaultdict[str, set[int]] = defaultdict(set)
    for event in kept_events(deployments, since):
        for name, made_from in json.loads(event["data_versions"]).items():
            pinned[name].add(made_from["version"])
    return pinned
