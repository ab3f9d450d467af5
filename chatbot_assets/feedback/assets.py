"""Declares ``conversations``, which the chat service writes and Dagster only observes."""

import dagster as dg

from chatbot_assets.delta_asset import asset_properties
from chatbot_assets.tables import CONVERSATIONS
from resources.environment import Home
from resources.lakehouse import Lake


def _properties() -> dict[str, object]:
    return {name: value for name, value in asset_properties(CONVERSATIONS, {"python"}).items() if name != "kinds"}


@dg.observable_source_asset(
    name=CONVERSATIONS.name,
    group_name=CONVERSATIONS.stage,
    description=CONVERSATIONS.description,
    partitions_def=asset_properties(CONVERSATIONS, set())["partitions_def"],
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
