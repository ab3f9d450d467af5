"""The caches of a home: removes what comes back by itself and is not likely to be wanted again."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from chatbot_assets.maintenance.retention import kept_events
from chatbot_assets.tables import DEPLOYMENTS, REVIEW_QUEUE
from resources.lakehouse import Lake
from resources.model_store import SEALS

UNUSED = timedelta(days=1)
"""What is younger may belong to a run under way."""


def remove_scratch(cache: Path, now: datetime) -> None:
    """Removes the intermediate results of runs that were killed."""
    for folder in _old_folders(cache / "scratch", now):
        shutil.rmtree(folder, ignore_errors=True)


def remove_old_queues(cache: Path, lake: Lake, key: str) -> None:
    """Removes what the review page has kept of a bot's queue as it was before: it may show turns that are gone."""
    last = lake.table(key, REVIEW_QUEUE.name).last()
    for path in (cache / "review").glob(f"{key}@*"):
        if last is None or not path.name.startswith(f"{key}@{last.version}-"):
            path.unlink(missing_ok=True)


def remove_unused_models(cache: Path, lake: Lake, since: datetime, now: datetime) -> int:
    """Removes the unpacked models that no deployment of any bot names (see ``kept_events``); gives how many.

    A model that is wanted after all is unpacked from the lake again.
    """
    unused = {folder.name: folder for folder in _old_folders(cache / "models", now)}
    if unused:
        for folder in sorted(lake.root.glob(f"*/*/{DEPLOYMENTS.name}")):
            deployments = lake.table(f"{folder.parent.parent.name}.{folder.parent.name}", DEPLOYMENTS.name)
            for event in kept_events(deployments, since):
                unused.pop(event["model_id"], None)
    for folder in unused.values():
        shutil.rmtree(folder, ignore_errors=True)
        (cache / SEALS / f"{folder.name}.json").unlink(missing_ok=True)
    return len(unused)


def _old_folders(parent: Path, now: datetime) -> list[Path]:
    oldest = (now - UNUSED).timestamp()
    folders = parent.iterdir() if parent.exists() else ()
    return [folder for folder in folders if folder.is_dir() and folder.stat().st_mtime < oldest]
