"""``land``: checks files and copies them into a bot's landing folder, each under a temporary name first."""

import os
import shutil
import uuid
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from chatbot_assets.bot import load_bot
from chatbot_assets.collect.landing import FORMATS, file_sha256, format_of, parse_file
from chatbot_assets.collect.sources import Sources
from chatbot_assets.commands import UserError
from resources.environment import Home

LOOK_ROWS = 1_000
"""Rows of each file that are looked at before it is landed (more only to find a usable one); a refresh reads all."""


def run(key: str, files: Sequence[Path]) -> dict[str, Any]:
    """Lands all files or, when one cannot hold a usable row, none.

    Raises:
        UserError: naming the file and what to do.
    """
    home = Home.from_environment()
    bot = load_bot(home.bots, key)
    looked = [(path, *usable_rows(path, bot.sources)) for path in files]
    folder = home.landing(key)
    folder.mkdir(parents=True, exist_ok=True)
    landed = [
        {"file": _copy(path, folder).name, "rows_looked_at": good + bad, "rejected_among_them": bad}
        for path, good, bad in looked
    ]
    return {"bot": key, "landing": str(folder), "files": landed}


def describe(report: dict[str, Any]) -> str:
    lines = [
        f"{file['file']}: landed"
        + (
            f" ({file['rejected_among_them']} of its first {file['rows_looked_at']} rows cannot be used)"
            if file["rejected_among_them"]
            else ""
        )
        for file in report["files"]
    ]
    return "\n".join([*lines, f"next: ./chatbot refresh {report['bot']} (or let the running platform do it)"])


def usable_rows(path: Path, sources: Sources) -> tuple[int, int]:
    """How many of a file's first rows can and cannot be used.

    Raises:
        UserError: when there is no such file, its kind is unknown, or no row in it can be used.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder; name its files, for instance {path}/*.jsonl")
    if not path.exists():
        raise UserError(f"{path} does not exist")
    if format_of(path.name) is None:
        raise UserError(f"{path}: unknown kind of file; allowed: {', '.join(FORMATS)}, each also with .gz")
    parsed = parse_file(path, path.name, "", sources)
    rows = list(islice(parsed, LOOK_ROWS))
    bad = [row for row in rows if row.get("reason")]
    if len(bad) == len(rows) and all(row.get("reason") for row in parsed):
        raise UserError(f"{path}: no usable row; line {bad[0]['source_line']}: {bad[0]['reason']}")
    return len(rows) - len(bad), len(bad)


def _copy(path: Path, folder: Path) -> Path:
    target = folder / path.name
    if target.exists():
        digest = file_sha256(path)[:8]
        stem, _, suffixes = path.name.partition(".")
        target = folder / f"{stem}-{digest}.{suffixes}"
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    shutil.copy2(path, temporary)
    os.rename(temporary, target)
    return target
