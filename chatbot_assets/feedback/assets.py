"""Declares ``conversations``, which the chat service writes and Dagster only observes."""

import dagster as dg

from chatbot_assets.delta_asset import asset_properties
from chatbot_assets.tables import CONVERSATIONS
from resources.environment import Home
from resources.lakehouse import Lake

_SHOWN = asset_properties(CONVERSATIONS, set())


@dg.observable_source_asset(
    name=CONVERSATIONS.name,
    # An observed asset takes kinds as tags, and no owners.
    tags={f"dagster/kind/{kind}": "" for kind in _SHOWN["kinds"]},
    **{name: _SHOWN[name] for name in ("group_name", "description", "metadata", "partitions_def")},
)
def conversations(home: dg.ResourceParam[Home]) -> dg.DataVersionsByPartition:
    """The newest version of each bot's conversations."""
    lake = Lake(home.lake)
    versions = {}
    for path in sorted(lake.root.glob(f"*/*/{CONVERSATIONS.name}")):
        key = f"{path.parent.parent.name}.{path.parent.name}"
        last = lake.table(key, CONVERSATIONS.name).last()
        if last is not None:
            versions[key] = str(last.version)
    return dg.DataVersionsByPartition(versions)
