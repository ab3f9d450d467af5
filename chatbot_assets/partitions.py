"""A bot is one dynamic partition; adding a YAML file adds the partition."""

import dagster as dg

BOTS = dg.DynamicPartitionsDefinition(name="bots")
