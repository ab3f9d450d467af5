"""Takes a person out of what lies beside the tables: caches, Dagster's databases, logs and small files of state."""

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from chatbot_assets.erasing.history import replace_text
from chatbot_assets.erasing.markers import Markers, redacted
from chatbot_assets.erasing.search import SQLITE, holds_marker
from resources.audit import FOLDER as AUDIT
from resources.environment import Home
from serving.people.store import FILE as PEOPLE

BUSY_SECONDS = 60
"""How long a database may be in use by others before the search gives up."""
FILL = b" "
ENCODERS = "encoders"
"""The cache's folder for encoders as they were published: no bot's data."""


def accounts_and_audit(home: Home) -> frozenset[Path]:
    """The accounts of those who work with the platform, and what they did: no bot's data, and never redacted.

    Each entry of an audit log holds the hash of the one before, and none a user's text.
    """
    return frozenset([*(home.root / AUDIT).glob("*"), *home.root.glob(f"{PEOPLE}*")])


def named_among_staff(home: Home, names: Markers) -> list[str]:
    """Which of these files hold a name, relative to the home; all of the database's as one."""
    found = [path.relative_to(home.root).as_posix() for path in accounts_and_audit(home) if holds_marker(path, names)]
    return sorted({PEOPLE if name.startswith(PEOPLE) else name for name in found})


def clear_cache(home: Home, key: str, markers: Markers, models: set[str]) -> int:
    """Removes unpacked models and intermediate results that hold something of the person; gives how many.

    The bot's sorted review queues go in any case: they are made of the tables again in a second.
    """
    folders = [path for place in ("models", "scratch") for path in (home.cache / place).glob("*") if path.is_dir()]
    removed = 0
    for folder in folders:
        if folder.name in models or any(holds_marker(path, markers) for path in _files(folder)):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    queues = set((home.cache / "review").glob(f"{key}@*"))
    for path in _files(home.cache):
        if path.is_relative_to(home.cache / ENCODERS):
            continue
        with contextlib.suppress(FileNotFoundError):  # the chat service puts a newer one in its place
            if path in queues or holds_marker(path, markers):
                path.unlink()
                removed += 1
    return removed


def clear_beside(home: Home, key: str, markers: Markers, skip: frozenset[Path]) -> list[str]:
    """Redacts databases, logs and files of state that hold markers; gives their names relative to the home.

    The bot's tables and landing files, other bots' folders, archives and ``skip`` are left alone.
    """
    tenant, _, name = key.partition(".")
    own = home.lake / tenant / name
    telling = Markers(markers.telling)
    changed = []
    for path in _files(home.root):
        in_lake = path.is_relative_to(home.lake) and path.parent != own
        if in_lake or path in skip or path.is_relative_to(home.landing("")) or path.is_relative_to(home.cache):
            continue
        with contextlib.suppress(FileNotFoundError):
            if _is_sqlite(path):
                done = _redact_database(path, telling)
            elif path.name.endswith(("-wal", "-shm", "-journal")) or not telling.is_in(path.read_bytes()):
                done = False
            elif path.suffix == ".json":
                done = _redact_json(path, telling)
            else:
                done = _blank_lines(path, telling)
            if done:
                changed.append(path.relative_to(home.root).as_posix())
    return changed


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(SQLITE)) == SQLITE


def _redact_database(path: Path, markers: Markers) -> bool:
    """Redacts the cells of a database that others may be using, and leaves no old page of it behind."""
    changed = False
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"
        for (table,) in connection.execute(tables).fetchall():
            changed |= _redact_table(connection, table, markers)
        wal = path.with_name(path.name + "-wal")
        if changed or markers.is_in(path.read_bytes()) or (wal.exists() and markers.is_in(wal.read_bytes())):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            changed = True
    return changed


def _redact_table(connection: sqlite3.Connection, table: str, markers: Markers) -> bool:
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    try:
        rows = connection.execute(f'SELECT rowid, * FROM "{table}"')
    except sqlite3.OperationalError:
        return False  # a table without row ids; Dagster has none
    news = []
    for rowid, *cells in rows:
        for column, cell in zip(columns, cells, strict=True):
            if isinstance(cell, str | bytes):
                data = cell.encode("utf-8", "surrogatepass") if isinstance(cell, str) else cell
                if markers.is_in(data):
                    news.append((column, rowid, _redact_cell(cell, markers)))
    for column, rowid, cell in news:
        connection.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (cell, rowid))
    return bool(news)


def _redact_cell(cell: str | bytes, markers: Markers) -> str | bytes:
    if isinstance(cell, str):
        clean = redacted(cell, markers)
        if isinstance(clean, str) and not markers.is_in(clean.encode("utf-8", "surrogatepass")):
            return clean
    data = cell.encode("utf-8", "surrogatepass") if isinstance(cell, str) else cell
    for form in markers.forms:
        data = data.replace(form, b"*" * len(form))
    return data.decode("utf-8", "replace") if isinstance(cell, str) else data


def _redact_json(path: Path, markers: Markers) -> bool:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return _blank_lines(path, markers)
    mode = path.stat().st_mode
    replace_text(path, json.dumps(redacted(value, markers), ensure_ascii=False))
    os.chmod(path, mode)
    return True


def _blank_lines(path: Path, markers: Markers) -> bool:
    """Fills the lines that hold a marker with blanks, in place: a process may be appending to the file."""
    with path.open("r+b") as stream:
        data = stream.read()
        place = 0
        for line in data.splitlines(keepends=True):
            if markers.is_in(line):
                body = line.rstrip(b"\r\n")
                stream.seek(place)
                stream.write(FILL * len(body))
            place += len(line)
        stream.flush()
        os.fsync(stream.fileno())
    return True
