"""Explain: why a bot answered a served turn as it did, from the lake alone, however long ago that was."""
