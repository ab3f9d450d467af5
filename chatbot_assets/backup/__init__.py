"""Backup: a home and its bot files as one archive, taken while the platform runs, brought back whole or not at all."""
