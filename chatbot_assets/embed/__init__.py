"""Embed: each distinct text gets one vector per encoder."""

REFERENCE = "reference"
"""Names the encoder as it makes the tables, among the variants that may serve."""
