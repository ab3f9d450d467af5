"""Whether one of many byte strings occurs in some bytes, in a time that hardly depends on how many there are.

The first eight bytes of each string are its anchor. A table of one bit for each hash of an anchor passes over nearly
every place of the bytes at once; only what is left is compared (after Rabin and Karp, "Efficient randomized
pattern-matching algorithms", 1987, with multiplicative hashing in place of a rolling one).
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

ANCHOR = 8
HASH_BITS = 20
FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""Knuth's multiplier for multiplicative hashing: 2**64 divided by the golden ratio."""
BLOCK = 1 << 20
"""Places that are hashed at once: keeps what it takes within the processor's cache, nearly."""
SMALL = 2_048
"""Bytes below which trying each string is as fast."""


class Occurrence:
    """Looks for any of some byte strings."""

    def __init__(self, strings: Iterable[bytes]) -> None:
        self._all = tuple(sorted(set(strings), key=len))
        self._short = tuple(one for one in self._all if len(one) < ANCHOR)
        # By anchor and length, so that a beginning that many of them share costs no more than their lengths.
        self._by_anchor: defaultdict[int, defaultdict[int, set[bytes]]] = defaultdict(lambda: defaultdict(set))
        for one in self._all[len(self._short) :]:
            self._by_anchor[int.from_bytes(one[:ANCHOR], "little")][len(one)].add(one)
        anchors = np.array(sorted(self._by_anchor), np.uint64)
        self._anchors = anchors
        self._table = np.zeros(1 << HASH_BITS, np.bool_)
        self._table[_hashes(anchors)] = True

    def is_in(self, data: bytes) -> bool:
        """Whether one of them occurs in the bytes."""
        if len(data) < SMALL:
            return any(one in data for one in self._all)
        if any(one in data for one in self._short):
            return True
        return bool(len(self._anchors)) and any(
            data[place : place + length] in strings
            for start in range(0, len(data), BLOCK)
            for place, anchor in self._places(data, start)
            for length, strings in self._by_anchor[anchor].items()
        )

    def _places(self, data: bytes, start: int) -> list[tuple[int, int]]:
        """Where in a block an anchor stands, and which one."""
        found: list[tuple[int, int]] = []
        stop = min(start + BLOCK + ANCHOR - 1, len(data))
        for shift in range(ANCHOR):
            count = (stop - start - shift) // ANCHOR
            if count <= 0:
                break
            words = np.frombuffer(data, "<u8", count, start + shift).astype(np.uint64, copy=False)
            likely = np.flatnonzero(self._table[_hashes(words)])
            sure = likely[np.isin(words[likely], self._anchors)]
            found += [(start + shift + ANCHOR * int(place), int(words[place])) for place in sure]
        return found


def _hashes(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * FACTOR) >> np.uint64(64 - HASH_BITS)
