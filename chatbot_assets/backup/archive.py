"""One compressed tar file with a manifest: the size and SHA-256 of every file, written last.

What has no manifest was not finished, and what differs from its manifest is damaged: neither is ever brought back.
Modification times stand in the manifest to the nanosecond, since landing files are recognised by them.
"""

import contextlib
import hashlib
import io
import json
import os
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

FORMAT = 1
MANIFEST = "MANIFEST.json"
CODECS = {".tar.zst": "zstd", ".tar.gz": "gzip"}
MAGIC = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip"}
BLOCK = 1 << 20


class ArchiveError(ValueError):
    """An archive that cannot be written or read; its text is one line that says why."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive, as its manifest describes it."""

    size: int
    sha256: str
    modified_ns: int


class _Hashing:
    """Reads from a stream and hashes what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(size)
        self.digest.update(data)
        return data


class Writer:
    """Adds files to an archive that is being made; see ``create``."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.entries: dict[str, Entry] = {}

    def add(self, source: Path, name: str, *, may_grow: bool = False) -> None:
        """Adds a file under a name; of one that ``may_grow``, what it holds now.

        Raises:
            ArchiveError: when the file changes meanwhile.
        """
        with source.open("rb") as stream:
            before = os.fstat(stream.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mtime = before.st_size, int(before.st_mtime)
            hashing = _Hashing(stream)
            changed = ArchiveError(f"{source} was written while it was copied; try again when it is complete")
            try:
                self._tar.addfile(info, hashing)
            except OSError as error:
                if os.fstat(stream.fileno()).st_size < before.st_size:
                    raise changed from error
                raise
            after = os.fstat(stream.fileno())
        if not may_grow and (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise changed
        self.entries[name] = Entry(before.st_size, hashing.digest.hexdigest(), before.st_mtime_ns)

    def write_manifest(self, about: Mapping[str, Any]) -> None:
        """Adds the manifest; nothing may be added after it."""
        files = {name: asdict(entry) for name, entry in sorted(self.entries.items())}
        manifest = {"format": FORMAT, **about, "files": files}
        data = json.dumps(manifest | {"sha256": _digest(manifest)}, indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))


@contextlib.contextmanager
def create(target: Path, about: Mapping[str, Any]) -> Iterator[Writer]:
    """Makes an archive that appears under its name when it is complete, readable by its owner alone.

    ``about`` joins the manifest; it may still be filled while files are added.

    Raises:
        ArchiveError: when there is such a file already, or its name says no known compression.
    """
    codec = next((codec for suffix, codec in CODECS.items() if target.name.endswith(suffix)), None)
    if codec is None:
        raise ArchiveError(f"{target}: name the archive .tar.zst or .tar.gz")
    if target.exists():
        raise ArchiveError(f"{target} exists already; choose another name or move it away")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with (
            pa.CompressedOutputStream(str(temporary), codec) as compressed,
            tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT, bufsize=BLOCK) as tar,
        ):
            writer = Writer(tar)
            yield writer
            writer.write_manifest(about)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def extract(source: Path, folder: Path, tops: frozenset[str]) -> dict[str, Any]:
    """Writes the files of an archive below an empty folder and gives its manifest, when all are as it says.

    Every name must begin with one of ``tops``; nothing is written outside of the folder.

    Raises:
        ArchiveError: when the file is no such archive, is damaged or is of a newer format.
    """
    try:
        with source.open("rb") as stream:
            first = stream.read(4)
        codec = next((codec for magic, codec in MAGIC.items() if first.startswith(magic)), None)
        if codec is None:
            raise ArchiveError("is no backup: it is neither a .tar.zst nor a .tar.gz file")
        with (
            pa.OSFile(str(source)) as raw,
            pa.CompressedInputStream(raw, codec) as plain,
            tarfile.open(fileobj=plain, mode="r|", bufsize=BLOCK) as tar,
        ):
            found, manifest = _write_members(tar, folder, tops)
    except ArchiveError as error:
        raise ArchiveError(f"{source}: {error}") from None
    except (OSError, EOFError, tarfile.TarError, pa.ArrowException, ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:200]
        raise ArchiveError(f"{source} cannot be read, it is damaged or no backup: {why}") from error
    for name, entry in found.items():
        os.utime(folder / name, ns=(entry.modified_ns, entry.modified_ns))
    return manifest


def _write_members(tar: tarfile.TarFile, folder: Path, tops: frozenset[str]) -> tuple[dict[str, Entry], dict[str, Any]]:
    hashes: dict[str, tuple[int, str]] = {}
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise ArchiveError(f"{member.name!r} is no plain file; this is no backup")
        if member.name == MANIFEST:
            manifest = _checked(content.read())
            entries = {name: Entry(**entry) for name, entry in manifest["files"].items()}
            described = {name: (entry.size, entry.sha256) for name, entry in entries.items()}
            differing = sorted({name for name, _ in described.items() ^ hashes.items()})
            if differing:
                raise ArchiveError(f"is damaged: {', '.join(differing[:3])} differ from its manifest")
            return entries, manifest
        path = folder / _safe(member.name, tops)
        path.parent.mkdir(parents=True, exist_ok=True)
        hashing = _Hashing(content)
        size = 0
        with path.open("xb") as stream:
            while data := hashing.read(BLOCK):
                size += stream.write(data)
        hashes[member.name] = (size, hashing.digest.hexdigest())
    raise ArchiveError("has no manifest: it is no backup, or was cut off")


def _checked(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        if isinstance(manifest, dict) and manifest.get("format") == FORMAT:
            if manifest.pop("sha256", None) != _digest(manifest):
                raise ArchiveError("is damaged: its manifest was changed")
            return manifest
    except json.JSONDecodeError:
        raise ArchiveError("is damaged: its manifest cannot be read") from None
    raise ArchiveError(f"is no backup of format {FORMAT}; restore it with the release that made it")


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _safe(name: str, tops: frozenset[str]) -> PurePosixPath:
    path = PurePosixPath(name)
    plain = str(path) == name and ".." not in path.parts and "\0" not in name
    if not plain or len(path.parts) < 2 or path.parts[0] not in tops:
        raise ArchiveError(f"{name!r} would be written elsewhere; this is no backup")
    return path
