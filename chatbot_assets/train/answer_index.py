"""The bundled answer index: faiss, exact for most bots and a navigable graph for very many questions."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chatbot_assets.modules import Section
from chatbot_assets.train.contracts import Floats

RESULT_LIBRARIES = ["faiss-cpu"]
FILE = "answers.faiss"


class FaissIndex(Section):
    """Makes indexes whose vectors are stored in float16 and compared in float32 (scalar product).

    Up to ``exact_up_to`` vectors, each search looks at all of them; beyond, it follows a hierarchical navigable small
    world graph (Malkov & Yashunin 2018, arXiv 1603.09320), whose parameters are M, efConstruction and efSearch. The
    last was chosen on one half of the queries of ``bench answers`` with 60,000 questions: 128 finds the nearest one for
    98.7 % of them, 256 for 99.7 % in twice the time.
    """

    exact_up_to: int = Field(50_000, ge=0)
    neighbours: int = Field(32, ge=2)
    build_width: int = Field(80, ge=1)
    search_width: int = Field(256, ge=1)

    def build(self, vectors: Floats) -> "AnswerIndex":
        """An index of vectors (n, d), built on one thread: equal vectors give an equal index."""
        import faiss

        exact = len(vectors) <= self.exact_up_to
        kind = "SQfp16" if exact else f"HNSW{self.neighbours}_SQfp16"
        index: Any = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
        if not exact:
            index.hnsw.efConstruction = self.build_width
        faiss.omp_set_num_threads(1)
        index.add(np.ascontiguousarray(vectors, np.float32))
        return AnswerIndex(index, self.search_width)

    def load(self, folder: Path) -> "AnswerIndex":
        """Reads what `AnswerIndex.save` wrote; the vectors stay in the file, mapped into memory."""
        import faiss

        return AnswerIndex(faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP_IFC), self.search_width)


class AnswerIndex:
    """A built index; made by :class:`FaissIndex`. May be searched from several threads at once."""

    def __init__(self, index: Any, search_width: int) -> None:
        self._index = index
        self._search_width = search_width

    def search(self, vectors: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
        """The scalar products (m, k) with the nearest vectors, highest first, and their places (m, k).

        A place is -1 where the graph led to fewer than k.
        """
        import faiss

        k = min(k, self._index.ntotal)
        # The number of threads belongs to the calling thread: many turns at once must not each start a team.
        faiss.omp_set_num_threads(1)
        graph = isinstance(self._index, faiss.IndexHNSW)
        parameters = faiss.SearchParametersHNSW(efSearch=max(self._search_width, k)) if graph else None  # type: ignore[attr-defined]
        similarities, places = self._index.search(np.ascontiguousarray(vectors, np.float32), k, params=parameters)
        return similarities, places

    def save(self, folder: Path) -> None:
        """Writes one file; equal indexes give equal bytes."""
        import faiss

        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(self._index, str(folder / FILE))
