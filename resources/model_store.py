"""Models as rows: packs a folder of files into chunks, and unpacks a model once into a content-addressed cache."""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from resources import beside
from resources.lakehouse import LakeError, LakeTable
from resources.remembered import Remembered, fingerprint

CHUNK_BYTES = 8 * 1024 * 1024
"""Cells stay far below the 128 MiB that Sail refuses."""
SEALS = "seals"
"""The folder of the cache that tells of each unpacked model which files were hashed and found to be its own."""
logger = logging.getLogger(__name__)
_hashed: Remembered[str] = Remembered()


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its relative name, sorted."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def model_id(hashes: dict[str, str]) -> str:
    """Identifies a model by its files' names and contents."""
    canonical = "".join(f"{name}\0{sha256}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def pack(folder: Path, trained_at: datetime, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of ``models`` for a folder of files, one batch a chunk."""
    hashes = file_hashes(folder)
    identity = model_id(hashes)
    for name, sha256 in hashes.items():
        size = (folder / name).stat().st_size
        chunks = max(1, -(-size // CHUNK_BYTES))
        with open(folder / name, "rb") as stream:
            for chunk in range(chunks):
                row = {
                    "model_id": identity,
                    "file": name,
                    "chunk": chunk,
                    "chunks": chunks,
                    "sha256": sha256,
                    "data": stream.read(CHUNK_BYTES),
                    "trained_at": trained_at,
                }
                yield pa.RecordBatch.from_pylist([row], schema)


def holds(table: LakeTable, identity: str) -> bool:
    """Whether ``models``, or another table of models, has rows of one; reads their identifiers alone."""
    return bool(table.rows_with("model_id", [identity], ["model_id"]))


def unpack(models: LakeTable, identity: str, cache: Path, *, for_a_look: bool = False) -> Path:
    """The folder with a model's files, from the cache or, the first time, from the lake.

    A model whose files in the cache are no longer those of its name is unpacked anew. Files are hashed once in a
    process, and again when one has changed; ``for_a_look`` at a few of their bytes it is enough that an earlier process
    did, and that they have not been written to since.

    Raises:
        LakeError: when the lake does not hold the model whole and unchanged.
    """
    target = cache / "models" / identity
    if target.exists():
        if _is_whole(target, identity, cache / SEALS / f"{identity}.json", for_a_look):
            return target
        logger.warning("the files of model %s in the cache are not its own; they are unpacked anew", identity)
        _remove(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpacking-"))
    try:
        _write_files(models, identity, building)
        found = model_id(file_hashes(building))
        if found != identity:
            raise _damaged(models, identity, f"its files hash to {found}")
        try:
            os.rename(building, target)
        except OSError:
            if not target.exists():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _is_whole(folder: Path, identity: str, seal: Path, trusts_seal: bool) -> bool:
    """Whether a folder's files are still those of the model. The seal says which files were found to be."""
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        mark = fingerprint(*files)
        sealed = {"files": [list(one) for one in mark]} if mark else None
        if trusts_seal and sealed and beside.read(seal) == sealed:
            return True
        is_whole = _hashed.get(folder, mark, lambda: model_id(file_hashes(folder))) == identity
    except FileNotFoundError:
        return False
    if is_whole and sealed and beside.read(seal) != sealed:
        with suppress(OSError):  # a cache that cannot be written to is hashed each time
            seal.parent.mkdir(parents=True, exist_ok=True)
            beside.write(seal, sealed)
    return is_whole


def _remove(folder: Path) -> None:
    """Takes a folder away at once; a process that has mapped its files keeps them."""
    with suppress(OSError):  # another process was first
        gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
        os.rename(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def _write_files(models: LakeTable, identity: str, folder: Path) -> None:
    parts: dict[tuple[str, int], bytes] = {}
    try:
        for row in models.rows_with("model_id", [identity], ["file", "chunk", "data"]):
            parts[row["file"], row["chunk"]] = row["data"]
    except (OSError, pa.ArrowException) as error:
        raise _damaged(models, identity, str(error).splitlines()[0]) from error
    if not parts:
        raise LakeError(f"model {identity} is not in {models.path}; refresh the bot")
    for name, chunk in sorted(parts):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise LakeError(f"model {identity} holds a file outside of its folder: {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb" if chunk == 0 else "ab") as stream:
            stream.write(parts[name, chunk])


def _damaged(models: LakeTable, identity: str, why: str) -> LakeError:
    return LakeError(f"model {identity} is damaged in the lake ({why}); remove {models.path} and refresh the bot")
