"""Retention: which versions of a bot's tables, and which models, must stay readable."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from itertools import pairwise
from typing import Any

from chatbot_assets.tables import DEPLOYMENTS, TABLES
from resources.lakehouse import Lake, LakeTable


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


def pinned_versions(lake: Lake, key: str, since: datetime) -> Mapping[str, Set[int]]:
    """The versions of each table that these deployments were made from, so that each can be explained and rebuilt.

    Beside the versions that were the newest when a bot was deployed, these are the ones that the tables' records name.
    They differ where a table was written anew without any change that counts: the model goes on as it was, but what it
    learnt from, to the last bit, is the version before.
    """
    pinned: defaultdict[str, set[int]] = defaultdict(set)
    waiting = [
        (name, made_from["version"])
        for event in kept_events(lake.table(key, DEPLOYMENTS.name), since)
        for name, made_from in json.loads(event["data_versions"]).items()
    ]
    while waiting:
        name, version = waiting.pop()
        if name not in TABLES or version < 0 or version in pinned[name]:
            continue
        pinned[name].add(version)
        state = lake.table(key, name).at(version)
        if state and state.record:
            waiting += [(source, read.version) for source, read in state.record.signature.inputs.items()]
    return pinned
