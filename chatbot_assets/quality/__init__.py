"""Checks of tables: what must hold of their rows, found before a change is committed and again every night."""
