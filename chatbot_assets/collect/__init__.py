"""Collect: landing files become dialogues, rejected rows and a ledger of what was read."""
