"""Turns texts into sparse TF-IDF rows of word and character n-grams, without a stored vocabulary.

Every n-gram is known by the CRC-32 of its UTF-8 bytes, so a fitted vectoriser is nothing but two sorted arrays of
numbers (which can be memory-mapped), and inference needs NumPy only. Two n-grams with one hash share a column; with
100,000 columns that meets one unknown n-gram in 40,000.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, PositiveInt

from chatbot_assets.modules import Section

if TYPE_CHECKING:
    import scipy.sparse as sp

UInt32s = npt.NDArray[np.uint32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class NgramConfig(Section):
    """Which n-grams are features.

    `*_ngrams` are the smallest and the largest n, `*_weight` the Euclidean length of that group's part of a row, and
    `min_rows` the number of texts that an n-gram must stand in; below `small` texts a single one is enough.
    """

    word_ngrams: tuple[PositiveInt, PositiveInt] = (1, 2)
    char_ngrams: tuple[PositiveInt, PositiveInt] = (1, 4)
    word_weight: float = Field(1.0, ge=0.0)
    char_weight: float = Field(1.0, ge=0.0)
    min_rows: int = Field(2, ge=1)
    small: int = 1000


@dataclass(frozen=True)
class NgramRows:
    """A sparse matrix by rows: row i has `values[starts[i]:starts[i + 1]]` in `columns[starts[i]:starts[i + 1]]`."""

    values: Floats
    columns: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]

    def __matmul__(self, dense: Floats) -> Floats:
        """The product (rows, k) with a dense matrix (columns, k), of which only the rows in use are touched.

        Sums in the order of the columns, so a row's product does not depend on the rows beside it.
        """
        product = np.empty((len(self.starts) - 1, dense.shape[1]), np.float32)
        for row, (start, stop) in enumerate(itertools.pairwise(self.starts.tolist())):
            part = dense[self.columns[start:stop]]
            part *= self.values[start:stop, None]
            np.add.reduce(part, axis=0, out=product[row])
        return product


@dataclass(frozen=True)
class NgramVectorizer:
    """A fitted vectoriser; make one with `fit` or `from_arrays`.

    `hashes[g]` are the sorted CRC-32 values of group g's n-grams (0: words, 1: characters), `weights[g]` their inverse
    document frequencies. Group 1's columns follow group 0's.
    """

    config: NgramConfig
    hashes: tuple[UInt32s, UInt32s]
    weights: tuple[Floats, Floats]

    @property
    def n_features(self) -> int:
        """The number of columns of `transform`'s result."""
        return len(self.hashes[0]) + len(self.hashes[1])

    @classmethod
    def fit(cls, texts: Sequence[str], tokens: Sequence[Sequence[str]], config: NgramConfig) -> NgramVectorizer:
        """Learns the n-grams of `texts` (and of `tokens`, their words, one sequence a text) and how rare each is.

        The inverse document frequency of an n-gram that stands in d of n texts is ln((1 + n) / (1 + d)) + 1, as in
        scikit-learn. The result does not depend on the order of the texts. Raises ValueError when `texts` and
        `tokens` differ in length.
        """
        min_rows = config.min_rows if len(texts) >= config.small else 1
        hashes, weights = [], []
        for grams in _groups(texts, tokens, config):
            counts = _count(grams)
            found, rows = np.unique(counts.hashes, return_counts=True)
            often = rows >= min_rows
            hashes.append(found[often].astype(np.uint32))
            weights.append((np.log((1 + len(texts)) / (1 + rows[often])) + 1).astype(np.float32))
        return cls(config, (hashes[0], hashes[1]), (weights[0], weights[1]))

    def transform(self, texts: Sequence[str], tokens: Sequence[Sequence[str]]) -> sp.csr_matrix:
        """Returns `rows` as a float32 matrix (n, n_features) of SciPy, which takes longer to import than to answer."""
        import scipy.sparse as sp

        rows = self.rows(texts, tokens)
        matrix = sp.csr_matrix((len(texts), self.n_features), dtype=np.float32)
        matrix.data, matrix.indices, matrix.indptr = rows.values, rows.columns, rows.starts
        return matrix

    def rows(self, texts: Sequence[str], tokens: Sequence[Sequence[str]]) -> NgramRows:
        """Returns a float32 matrix (n, n_features) by rows.

        A cell is (1 + ln count) × inverse document frequency; each group of a row is then scaled to its configured
        length. A text of which no n-gram is known is a row of zeros. Raises ValueError when `texts` and `tokens`
        differ in length.
        """
        places, columns, values, offset = [], [], [], 0
        lengths = (self.config.word_weight, self.config.char_weight)
        for grams, known, weights, length in zip(
            _groups(texts, tokens, self.config), self.hashes, self.weights, lengths, strict=True
        ):
            counts = _count(grams)
            column, is_known = _find(known, counts.hashes)
            row, column = counts.rows[is_known], column[is_known]
            value = (1 + np.log(counts.counts[is_known])) * weights[column]
            norms = np.sqrt(np.bincount(row, value * value, len(texts)))
            places.append(row)
            columns.append(column + offset)
            values.append((value * (length / norms[row])).astype(np.float32))
            offset += len(known)
        row = np.concatenate(places)
        order = np.argsort(row, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(texts)))])
        return NgramRows(
            np.concatenate(values)[order], np.concatenate(columns)[order].astype(np.int32), starts.astype(np.int32)
        )

    def describe(self, text: str, tokens: Sequence[str]) -> list[tuple[str, int]]:
        """Names the known n-grams of one text with their columns, for explanations: words first, each once."""
        named, offset = [], 0
        for grams, known in zip((_words(tokens, self.config), _chars(text, self.config)), self.hashes, strict=True):
            distinct = list(dict.fromkeys(grams))
            column, is_known = _find(known, _hash(distinct))
            named += [
                (gram.replace("\t", " "), int(c) + offset)
                for gram, c, yes in zip(distinct, column, is_known, strict=True)
                if yes
            ]
            offset += len(known)
        return named

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `from_arrays` needs besides the configuration, ready for safetensors."""
        return {
            "word_hashes": self.hashes[0],
            "word_weights": self.weights[0],
            "char_hashes": self.hashes[1],
            "char_weights": self.weights[1],
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], config: NgramConfig) -> NgramVectorizer:
        """The inverse of `arrays`; other keys are ignored. Raises KeyError when one is missing."""
        return cls(
            config,
            (arrays["word_hashes"], arrays["char_hashes"]),
            (arrays["word_weights"], arrays["char_weights"]),
        )


@dataclass(frozen=True)
class _Counts:
    """How often (`counts`) the n-gram of a hash stands in a row: one entry for each pair, sorted by row and hash."""

    rows: Int64s
    hashes: UInt32s
    counts: Int64s


def _groups(
    texts: Sequence[str], tokens: Sequence[Sequence[str]], config: NgramConfig
) -> tuple[Iterator[list[str]], Iterator[list[str]]]:
    if len(texts) != len(tokens):
        raise ValueError(f"{len(texts)} texts, but tokens of {len(tokens)}")
    return (_words(row, config) for row in tokens), (_chars(text, config) for text in texts)


def _words(tokens: Sequence[str], config: NgramConfig) -> list[str]:
    """The word n-grams of one text. A tab parts the words, so no word n-gram looks like another."""
    low, high = config.word_ngrams
    words = [token.lower() for token in tokens]
    return ["\t".join(words[i : i + n]) for n in range(low, high + 1) for i in range(len(words) - n + 1)]


def _chars(text: str, config: NgramConfig) -> list[str]:
    """The character n-grams of one text, lower-cased, runs of white space made one blank."""
    low, high = config.char_ngrams
    line = " ".join(text.lower().split())
    return [line[i : i + n] for n in range(low, high + 1) for i in range(len(line) - n + 1)]


def _hash(grams: Sequence[str]) -> UInt32s:
    # "surrogatepass": a lone surrogate in a chat message must not fail the turn.
    return np.fromiter((zlib.crc32(gram.encode("utf-8", "surrogatepass")) for gram in grams), np.uint32, len(grams))


def _count(rows: Iterator[list[str]]) -> _Counts:
    hashed = [_hash(grams) for grams in rows]
    row = np.repeat(np.arange(len(hashed), dtype=np.uint64), [len(h) for h in hashed])
    flat = np.concatenate([np.zeros(0, np.uint32), *hashed]).astype(np.uint64)
    keys, counts = np.unique((row << np.uint64(32)) | flat, return_counts=True)
    return _Counts((keys >> np.uint64(32)).astype(np.int64), keys.astype(np.uint32), counts)


def _find(known: UInt32s, hashes: UInt32s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Where each hash stands in the sorted `known`, and whether it does."""
    if not len(known):
        return np.zeros(len(hashes), np.int64), np.zeros(len(hashes), np.bool_)
    column = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return column, known[column] == hashes
