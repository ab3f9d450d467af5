"""Finds texts that say the same but for spelling, in time that grows with their number alone.

Two texts are alike when their skeletons (letters and digits, without case, blanks, marks and drawn-out letters) are
equal, or nearly: MinHash (Broder 1997) over pairs of neighbouring letters proposes, and the Jaccard index decides.
Likeness in *meaning* is left to the order of the queue: of texts that a sentence encoder calls alike at a cosine of
0.85, one in five has another intent (MASSIVE, Japanese), far too many to be settled by one decision.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

RESULT_LIBRARIES = ["numpy"]
LEAST_JACCARD = 0.85
"""Share of letter pairs, of all that either text has, that two texts must have in common."""
SHORTEST = 10
"""Shorter skeletons must be equal: one letter more or less is another word."""
BANDS, ROWS = 8, 4
"""Texts meet when one of so many bands of so many hashes is equal: of those at the threshold, 99.8 % do."""
PRIME = (1 << 31) - 1
_DRAWN_OUT = re.compile(r"(.)\1{2,}")


def skeleton(text: str) -> str:
    """What is left of a text without case, blanks, punctuation, symbols and drawn-out letters; digits stay.

    A text of marks alone is its own skeleton.
    """
    found = _stripped(text)
    # A mark may now follow another letter, and compose with it.
    while (again := _stripped(found)) != found:
        found = again
    return found


def _stripped(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LNM")
    return _DRAWN_OUT.sub(r"\1\1", kept) or "".join(folded.split())


def groups_of(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """For each of n texts the place of the first text, in the order of their skeletons, that it says the same as.

    Depends on the set of texts alone, not on their order. Each text is compared with at most ``BANDS`` others.
    """
    skeletons = [skeleton(text) for text in texts]
    distinct = sorted(set(skeletons), key=lambda one: (len(one), one))
    leader = _leaders(distinct)
    first: dict[str, int] = {}
    for place, one in sorted(enumerate(skeletons), key=lambda pair: (texts[pair[0]], pair[0])):
        first.setdefault(one, place)
    place_of = {one: first[distinct[leader[number]]] for number, one in enumerate(distinct)}
    return np.array([place_of[one] for one in skeletons], np.int64)


def _leaders(skeletons: Sequence[str]) -> list[int]:
    """For each distinct skeleton, the number of an earlier one that it is all but equal to, or its own."""
    leader = list(range(len(skeletons)))
    long = [number for number, one in enumerate(skeletons) if len(one) >= SHORTEST]
    if not long:
        return leader
    pairs = {number: _pairs(skeletons[number]) for number in long}
    met: dict[tuple[int, bytes], int] = {}
    for number, signature in zip(long, _signatures([pairs[number] for number in long]), strict=True):
        for band in range(BANDS):
            other = met.setdefault((band, signature[band * ROWS : (band + 1) * ROWS].tobytes()), number)
            if other != number and leader[number] == number and leader[other] == other:
                mine, theirs = pairs[number], pairs[other]
                common = len(mine & theirs)
                same_digits = _digits(skeletons[number]) == _digits(skeletons[other])
                if same_digits and common >= LEAST_JACCARD * (len(mine) + len(theirs) - common):
                    leader[number] = other
    return leader


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit())


def _pairs(text: str) -> frozenset[int]:
    """Hashes of a text's pairs of neighbouring letters."""
    return frozenset(
        zlib.crc32(text[place : place + 2].encode("utf-8", "surrogatepass")) % PRIME for place in range(len(text) - 1)
    )


def _signatures(sets: Sequence[frozenset[int]]) -> npt.NDArray[np.int64]:
    """MinHash signatures (n, BANDS · ROWS) of sets of numbers below ``PRIME``, none of them empty."""
    drawn = np.random.default_rng(0)
    count = BANDS * ROWS
    factors, offsets = drawn.integers(1, PRIME, count), drawn.integers(0, PRIME, count)
    flat = np.concatenate([np.fromiter(sorted(one), np.int64, len(one)) for one in sets])
    starts = np.concatenate([[0], np.cumsum([len(one) for one in sets])[:-1]])
    return np.stack(
        [
            np.minimum.reduceat((flat * factor + offset) % PRIME, starts)
            for factor, offset in zip(factors, offsets, strict=True)
        ],
        1,
    )
