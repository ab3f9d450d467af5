"""Replicas of the tables that an imported deployment was made from, for explaining its answers where it serves.

A replica has the log of the table it is a copy of, up to the version that was read, and so the same version numbers; of
the data files it has those that an explanation reads at that version. Files are named once and changed by erasures
alone, which the log tells, so a later import copies only what is new. Replicas lie in a lake of their own inside the
bot's folder: what refreshes a bot does not see them, and its own tables stay as they are.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatbot_assets.tables import DIALOGUES, LABELS, PARAPHRASES, REVIEW_DECISIONS, UTTERANCES
from resources.lakehouse import Lake, LakeTable

FOLDER = ".imported"
EXPLAINED = tuple(table.name for table in (DIALOGUES, UTTERANCES, LABELS, PARAPHRASES, REVIEW_DECISIONS))
"""The tables whose rows an explanation reads; of the others it names the versions."""


@dataclass(frozen=True)
class Copied:
    """What an import copied of the tables behind a deployment; ``missing`` are data files that are gone there."""

    files: int = 0
    bytes: int = 0
    missing: int = 0

    def __add__(self, other: "Copied") -> "Copied":
        return Copied(self.files + other.files, self.bytes + other.bytes, self.missing + other.missing)


def replicas(lake: Lake, key: str) -> Lake:
    """The lake of the replicas that were made for a bot; its tables may not exist."""
    return Lake(lake.bot_folder(key) / FOLDER)


def replicate(tables: Iterable[tuple[LakeTable, int]], target: Lake, key: str) -> Copied:
    """Brings replicas of a bot's tables up to a version of each; to be called while the bot's tables are held."""
    copied = Copied()
    for table, version in tables:
        replica = replicas(target, key).table(key, table.table.name)
        log, to = table.path / "_delta_log", replica.path / "_delta_log"
        entries = [path for path in sorted(log.glob("*.json")) if path.stem.isdigit() and int(path.stem) <= version]
        if _is_of_another_history(entries, to):
            shutil.rmtree(replica.path)
        if table.table.name in EXPLAINED:
            copied += _copy_files(table, replica, version)
        copied += sum((_copy(path, to / path.name) for path in entries if not (to / path.name).exists()), Copied())
    return copied


def _is_of_another_history(entries: Sequence[Path], to: Path) -> bool:
    """Whether a replica's log says something else than the table's: that home began anew, or forgot a person."""
    return any((to / path.name).exists() and (to / path.name).read_bytes() != path.read_bytes() for path in entries)


def _copy_files(table: LakeTable, replica: LakeTable, version: int) -> Copied:
    copied = Copied()
    for path in table.files_at(version):
        if (replica.path / path).exists():
            continue
        try:
            copied += _copy(table.path / path, replica.path / path)
        except FileNotFoundError:
            copied += Copied(missing=1)
    return copied


def _copy(path: Path, to: Path) -> Copied:
    """Copies a file, whole or not at all."""
    size = path.stat().st_size
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        shutil.copyfile(path, unfinished)
        os.replace(unfinished, to)
    finally:
        unfinished.unlink(missing_ok=True)
    return Copied(1, size)
