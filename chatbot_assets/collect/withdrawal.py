"""Takes a wrongly landed file out again: its rows leave in commits of their own, and nothing is erased.

The steps are: move the file out of the landing folder, then commit ``dialogues``, ``rejected`` and, last, the ledger.
Each finds by itself what is left to do, so a withdrawal that was killed is finished by asking for it again. The file
goes first: were it still there when the ledger says ``withdrawn``, the next refresh would read it again.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from chatbot_assets.collect.landing import LandingFile, file_sha256, listing
from chatbot_assets.collect.reading import SOURCE, WITHDRAWN, Source, file_kind, of_sources
from resources.lakehouse import LakeTable, Record, StagedFile

WITHDRAWN_FOLDER = ".withdrawn"
"""Below the landing folder; hidden, so that its files are not listed."""


class UnknownFileError(ValueError):
    """No row, ledger entry or landing file has this name; its text lists the names that there are."""


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did.

    ``rows`` counts the rows that left, by table. ``files`` were moved to the folder of withdrawn files. ``copies`` are
    the byte-equal files that went with the one named. ``copy_of`` is the file whose rows stay, when the one named was
    only a copy of it.
    """

    file: str
    rows: Mapping[str, int]
    files: tuple[str, ...]
    copies: tuple[str, ...]
    copy_of: str | None


def withdraw(
    name: str,
    folder: Path,
    dialogues: LakeTable,
    rejected: LakeTable,
    landing_files: LakeTable,
    *,
    note: Mapping[str, Any],
    code_revision: str,
) -> Withdrawal:
    """Takes the rows that came from the landing file ``name`` out of the tables, and the file out of ``folder``.

    Byte-equal copies of the file go with it: they hold the same rows, and the next refresh would read them. A file that
    is itself only a copy goes alone. The caller holds the bot's tables.

    Args:
        name: the landing file's name, as the ledger and the rows have it.
        folder: the bot's landing folder.
        dialogues: the table of that name, as are ``rejected`` and ``landing_files``.
        note: kept in the record of each commit, under ``withdrawn``.
        code_revision: kept in the record of each commit.

    Raises:
        UnknownFileError: when there is no such file.
    """
    files = listing(folder, 0.0)
    ledger: list[dict[str, Any]] = landing_files.arrow().to_pylist()
    with_rows = _sources(dialogues) | _sources(rejected)
    read = with_rows | {_source(row) for row in ledger if row["status"] == "read"}
    sizes = {row["size"] for row in ledger if row["source_file"] == name}
    sizes |= {file.size for file in files if file.name == name}
    landed = {(file.name, file_sha256(file.path)): file for file in files if file.size in sizes or file.name == name}
    known = with_rows | {_source(row) for row in ledger} | landed.keys()
    named = {source for source in known if source[0] == name}
    if not named:
        names = sorted({source[0] for source in known} | {file.name for file in files})
        raise UnknownFileError(f"no landing file {name!r}; there are: {', '.join(names[:20]) or 'none'}")

    present = with_rows | {_source(row) for row in ledger if row["status"] != WITHDRAWN} | landed.keys()
    twins = {source: _twins(source, present) for source in named}
    owners = {source for source in named if source in read or not twins[source] & read}
    leaving = named.union(*(twins[source] for source in owners))
    copies = sorted({source[0] for source in leaving} - {name})
    staying = sorted({twin[0] for source in named - owners for twin in twins[source] & read})

    moved = [
        _move(landed[source], folder / WITHDRAWN_FOLDER, source[1])
        # The named file last: as long as it is there, the command can be given again.
        for source in sorted(leaving & landed.keys(), key=lambda source: (source[0] == name, source))
    ]
    notes = {"withdrawn": {"files": sorted({source[0] for source in leaving}), **note}}

    rows = {
        table.table.name: _commit(table, (), leaving, notes, code_revision) if leaving & with_rows else 0
        for table in (dialogues, rejected)
    }
    entries = [row | {"status": WITHDRAWN} for row in ledger if _source(row) in leaving and row["status"] != WITHDRAWN]
    if entries:
        staged = landing_files.stage_arrow(pa.Table.from_pylist(entries, landing_files.table.schema))
        _commit(landing_files, staged, leaving, notes, code_revision)
    return Withdrawal(name, rows, tuple(moved), tuple(copies), staying[0] if staying and not copies else None)


def _source(row: Mapping[str, Any]) -> Source:
    return row["source_file"], row["file_sha256"]


def _sources(table: LakeTable) -> set[Source]:
    """The files that the rows of a table came from."""
    found: set[Source] = set()
    for batch in table.batches(SOURCE):
        found.update(map(_source, pa.Table.from_batches([batch]).group_by(SOURCE).aggregate([]).to_pylist()))
    return found


def _twins(source: Source, among: Iterable[Source]) -> set[Source]:
    """The byte-equal files of the same kind under other names."""
    name, sha256 = source
    return {twin for twin in among if twin[1] == sha256 and twin[0] != name and file_kind(twin[0]) == file_kind(name)}


def _move(file: LandingFile, folder: Path, sha256: str) -> str:
    folder.mkdir(exist_ok=True)
    target = folder / file.path.name
    if target.exists():
        target = folder / f"{sha256[:8]}-{file.path.name}"
    os.rename(file.path, target)
    return target.name


def _commit(
    table: LakeTable,
    staged: Sequence[StagedFile],
    leaving: Iterable[Source],
    notes: Mapping[str, Any],
    code_revision: str,
) -> int:
    """Commits staged rows in the place of those that came from ``leaving``; gives how many fewer there are."""
    last = table.last()
    if last is None or last.record is None:
        return 0
    change = table.amend(tuple(staged), of_sources(leaving), SOURCE, notes=notes)
    left = last.record.rows - change.rows
    if not left and not staged:
        return 0
    record = Record.of(
        change,
        last.record.signature,
        config_hash=last.record.config_hash,
        code_revision=code_revision,
        accepted=last.record.accepted,
    )
    table.commit(change, record, last.version)
    return left
