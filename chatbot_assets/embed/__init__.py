"""Embed: each distinct text gets one vector per encoder."""
