"""Which files make up a home, each in a state that fits the others although the platform may be running.

A bot's tables and landing files are copied while its lock is held, so no refresh is halfway; a table is its log up to
one pinned version and all data files that this log names, older versions included. The tables that the chat service
writes at any time are whole in the same way. Dagster's SQLite files are copied by SQLite itself.
"""

import contextlib
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from chatbot_assets.backup.archive import ArchiveError, Writer
from chatbot_assets.bot_key import KEY
from resources.environment import Home
from resources.lakehouse import Lake

HOME = "home"
BOTS = "bots"
TOKENS_FILE = "tokens.json"
PEOPLE_FILE = "people.sqlite"
SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")
KEPT_SECRETS = (TOKENS_FILE, "receipts.key", "pseudonyms.key")
SECRETS = (*KEPT_SECRETS, PEOPLE_FILE, *(PEOPLE_FILE + companion for companion in SQLITE_COMPANIONS))
LEFT_OUT = frozenset(
    {"lake", "landing", "dagster", "cache", "journal", "logs", "erasing", "up.lock", "service.json", *SECRETS}
)
"""Names in a home that have their own rule here, or that come back by themselves."""
SQLITE_MAGIC = b"SQLite format 3\0"
LOG_VERSION = re.compile(r"^(\d{20})\.")


def copy_home(home: Home, writer: Writer, *, with_tokens: bool) -> dict[str, int]:
    """Adds a home and its bot files to an archive; gives the pinned version of every table.

    Names in the archive begin with ``home/`` and ``bots/``. ``SECRETS`` come only when asked for. The folders
    ``cache``, ``logs`` and ``journal`` do not: what the last one holds is in a table a moment later. What an erasure
    under way has found (``erasing``) stays here.

    Raises:
        ArchiveError: when a table lacks a file, or a landing file is still being written.
    """
    lake = Lake(home.lake)
    versions = {}
    in_lake = {f"{path.parent.name}.{path.name}" for path in home.lake.glob("*/*") if path.is_dir()}
    in_landing = {path.name for path in home.landing("").glob("*") if path.is_dir()}
    for key in sorted(in_lake | in_landing):
        with lake.writing(key) if KEY.match(key) else contextlib.nullcontext():
            for first in sorted(lake.bot_folder(key).glob(f"*/_delta_log/{0:020d}.json")):
                table = first.parent.parent
                version = _copy_table(table, _name(table, home.root, HOME), writer)
                versions[table.relative_to(home.lake).as_posix()] = version
            for path in _files(home.landing(key)):
                if path.suffix not in (".tmp", ".part"):
                    writer.add(path, _name(path, home.root, HOME))
    _copy_dagster(home, writer)
    for path in sorted(home.root.iterdir()):
        for file in [] if path.name in LEFT_OUT else _files(path) if path.is_dir() else [path]:
            writer.add(file, _name(file, home.root, HOME), may_grow=True)
    for secret in (home.root / name for name in KEPT_SECRETS):
        if with_tokens and secret.exists():
            writer.add(secret, _name(secret, home.root, HOME))
    people = home.root / PEOPLE_FILE
    if with_tokens and people.exists():
        _add_sqlite(people, _name(people, home.root, HOME), writer)
    for path in _files(home.bots):
        if not any(part.startswith(".") for part in path.relative_to(home.bots).parts):
            writer.add(path, _name(path, home.bots, BOTS))
    return versions


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder, in a fixed order."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _name(path: Path, root: Path, top: str) -> str:
    return f"{top}/{path.relative_to(root).as_posix()}"


def _copy_table(table: Path, name: str, writer: Writer) -> int:
    log = table / "_delta_log"
    numbered = {file: int(match[1]) for file in sorted(os.listdir(log)) if (match := LOG_VERSION.match(file))}
    commits = sorted(version for file, version in numbered.items() if file == f"{version:020d}.json")
    if commits != list(range(len(commits))):
        raise ArchiveError(f"{table}: its log has gaps; restore the table before backing it up")
    pinned = len(commits) - 1
    needed: dict[str, bool] = {}
    for version in commits:
        with open(log / f"{version:020d}.json", encoding="utf-8") as lines:
            for action in map(json.loads, lines):
                for kind in action.keys() & {"add", "remove", "cdc"}:
                    needed[unquote(action[kind]["path"])] = kind == "add"
    for file, is_current in sorted(needed.items()):
        if (table / file).exists():
            writer.add(table / file, f"{name}/{file}")
        elif is_current:
            raise ArchiveError(f"{table}: its file {file} is missing; restore the table before backing it up")
    for file, version in sorted(numbered.items()):
        if version <= pinned and not file.endswith(".tmp"):
            writer.add(log / file, f"{name}/_delta_log/{file}")
    return pinned


def _copy_dagster(home: Home, writer: Writer) -> None:
    for path in _files(home.dagster):
        name = _name(path, home.root, HOME)
        # dagster.yaml is a link into the code, which each command makes anew.
        if path.is_symlink() or path.name.endswith(SQLITE_COMPANIONS):
            continue
        with path.open("rb") as stream:
            is_sqlite = stream.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
        if is_sqlite:
            _add_sqlite(path, name, writer)
        else:
            writer.add(path, name, may_grow=True)


def _add_sqlite(path: Path, name: str, writer: Writer) -> None:
    with tempfile.TemporaryDirectory(prefix="chatbot-backup-") as temporary:
        copy = Path(temporary, "copy.db")
        _copy_sqlite(path, copy)
        writer.add(copy, name)


def _copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a database that others may be writing, by SQLite's online backup API."""
    reading, writing = sqlite3.connect(source), sqlite3.connect(target)
    try:
        reading.backup(writing)
    finally:
        reading.close()
        writing.close()
    shutil.copystat(source, target)
