"""Dagster's home: its own folder below the platform's, with the repository's ``dagster.yaml``."""

import os

from resources.environment import PROJECT, Home


def prepare_dagster_home(home: Home) -> None:
    """Makes Dagster's home, links ``dagster.yaml`` into it and points this process and its children to it."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    link = home.dagster / "dagster.yaml"
    target = PROJECT / "dagster.yaml"
    if link.is_symlink() and link.resolve() != target:
        link.unlink()
    if not link.exists():
        link.symlink_to(target)
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ["CHATBOT_HOME"] = str(home.root)
    os.environ["CHATBOT_BOTS"] = str(home.bots)
