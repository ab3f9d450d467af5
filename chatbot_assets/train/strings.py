"""Very many texts without an object for each: an Arrow file that is mapped into memory, and the search in it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

RESULT_LIBRARIES = ["pyarrow"]


class Strings(Sequence[str]):
    """A read-only sequence over an Arrow array; each text becomes an object when it is asked for."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Strings":
        return cls(pa.array(texts, pa.large_string()))

    def __len__(self) -> int:
        return len(self._array)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Strings": ...
    def __getitem__(self, place: int | slice) -> "str | Strings":
        if isinstance(place, slice):
            return Strings(self._array[place])
        found: str = self._array[int(place)].as_py()
        return found

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Strings):
            return bool(self._array.equals(other._array))
        return isinstance(other, Sequence) and self._array.to_pylist() == list(other)

    __hash__ = None  # type: ignore[assignment]


def save_strings(path: Path, columns: Mapping[str, Strings]) -> None:
    """Writes columns of equal length; equal texts give equal bytes."""
    batch = pa.record_batch([column._array for column in columns.values()], list(columns))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def load_strings(path: Path) -> dict[str, Strings]:
    """The inverse of :func:`save_strings`; the texts stay in the file, which the processes of a machine share."""
    batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    return {name: Strings(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}


class TextPlaces:
    """Finds a text's place by its hash: two sorted arrays, 12 bytes a text instead of a dictionary's hundred."""

    def __init__(self, hashes: NDArray[np.uint64], places: NDArray[np.int32]) -> None:
        self.hashes = hashes
        self.places = places

    @classmethod
    def of(cls, places: Mapping[str, int]) -> "TextPlaces":
        hashes = np.fromiter(map(_hash, places), np.uint64, len(places))
        order = np.lexsort((np.fromiter(places.values(), np.int32, len(places)), hashes))
        return cls(hashes[order], np.fromiter(places.values(), np.int32, len(places))[order])

    def find(self, text: str, texts: Strings) -> int | None:
        """The place of a text among ``texts``; None when it is not there."""
        wanted = np.uint64(_hash(text))
        start, stop = (int(np.searchsorted(self.hashes, wanted, side)) for side in ("left", "right"))
        return next((int(place) for place in self.places[start:stop] if texts[place] == text), None)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
