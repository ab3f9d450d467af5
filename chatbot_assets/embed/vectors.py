"""Encodes the distinct texts in use, and only those that have no vector yet."""

import hashlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chatbot_assets.embed.encoders import Encoder
from chatbot_assets.modules import ModuleRef
from resources.metering import timed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VECTOR_DDL = "text_id string, encoder string, encoder_version string, vector binary"
VECTOR_SCHEMA = pa.schema(
    [("text_id", pa.string()), ("encoder", pa.string()), ("encoder_version", pa.string()), ("vector", pa.binary())]
)
VECTOR_TYPE = np.dtype("<f2")
POOL_FROM = 2_000
"""Texts in a batch from which starting worker processes (about two seconds) pays."""
POOL_CHUNK = 512
GROUP_ROWS = 8_192
"""Texts that are encoded together, about: a vector's last bits depend on the texts that it is encoded with."""


def text_id(text: str) -> str:
    """Identifies a normalised text; the same as :func:`distinct_texts` computes in the engine."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def encoder_version(encoder: ModuleRef, code: str) -> str:
    """Identifies the encoder's code, weights and parameters."""
    return hashlib.blake2b(encoder.key(code).encode(), digest_size=8).hexdigest()


def distinct_texts(utterances: "DataFrame", paraphrase_candidates: "DataFrame") -> "DataFrame":
    """Rows (text_id, text) of the utterances in use and of the candidates for paraphrases."""
    from pyspark.sql import functions as F

    used = utterances.filter(F.col("excluded").isNull()).select("text")
    candidates = paraphrase_candidates.select(F.explode("candidates").alias("text"))
    texts = used.unionByName(candidates).distinct()
    return texts.select(F.substring(F.sha2("text", 256), 1, 32).alias("text_id"), "text")


def vectors_of(texts: Sequence[str], embeddings: pa.Table) -> NDArray[np.float32]:
    """The stored vectors (texts, dimension) of texts; ``embeddings`` has text_id and vector."""
    import pyarrow.compute as pc

    if not texts:
        return np.zeros((0, 0), np.float32)
    ids = pa.array([text_id(text) for text in texts], pa.string())
    return unpack_vectors(embeddings.column("vector").take(pc.index_in(ids, embeddings.column("text_id"))))


class EncodeTexts:
    """For ``mapInArrow``: rows (text_id, text) become rows of ``VECTOR_SCHEMA``.

    Equal batches give equal bits with any number of processes.
    Sail runs this in its own process, under one interpreter lock, so large batches are encoded by worker processes.
    """

    def __init__(self, encoder: ModuleRef, version: str, processes: int) -> None:
        self.encoder = encoder
        self.version = version
        self.processes = processes

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        encoder: Encoder = self.encoder.load()
        for batch in batches:
            texts = batch.column("text").to_pylist()
            pooled = self.processes > 1 and len(texts) >= POOL_FROM
            with timed("embed.encoder", len(texts)):
                vectors = encode_in_processes(self.encoder, texts, self.processes) if pooled else encoder.encode(texts)
            arrays = [
                batch.column("text_id").cast(pa.string()),
                pa.array([encoder.name] * len(texts), pa.string()),
                pa.array([self.version] * len(texts), pa.string()),
                pack_vectors(vectors),
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=VECTOR_SCHEMA)


def encode_in_processes(encoder: ModuleRef, texts: Sequence[str], processes: int) -> NDArray[np.float32]:
    """Encodes with several processes, each with its own copy of the encoder.

    They are kept for the next batch, until :func:`end_processes`.
    """
    from joblib import Parallel, delayed

    chunks = [texts[start : start + POOL_CHUNK] for start in range(0, len(texts), POOL_CHUNK)]
    with _pool:
        parts = Parallel(n_jobs=processes, backend="loky")(delayed(_encode)(encoder, list(chunk)) for chunk in chunks)
    return np.concatenate(parts)


_pool = threading.Lock()
"""The engine encodes groups in several threads; of two that make joblib's processes, one finds them half made."""


def end_processes() -> None:
    """Ends the processes that encoded: they hold memory, and a process that has such children does not end either."""
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and loky._executor is not None:
        loky._executor.shutdown(wait=True, kill_workers=True)


def _encode(encoder: ModuleRef, texts: list[str]) -> NDArray[np.float32]:
    loaded: Encoder = encoder.load()
    return loaded.encode(texts)


def pack_vectors(vectors: NDArray[np.float32]) -> pa.Array:
    """Vectors (n, d) as n binary cells of little-endian float16."""
    packed = np.ascontiguousarray(vectors, VECTOR_TYPE)
    width = packed.shape[1] * VECTOR_TYPE.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(packed), [None, pa.py_buffer(packed.tobytes())]
    ).cast(pa.binary())


def unpack_vectors(column: pa.ChunkedArray | pa.Array) -> NDArray[np.float32]:
    """The inverse of :func:`pack_vectors`, in the precision that was stored."""
    cells = column.to_pylist()
    return np.frombuffer(b"".join(cells), VECTOR_TYPE).reshape(len(cells), -1 if cells else 0).astype(np.float32)


def leaving(gone: Sequence[str], version: str) -> Callable[[pa.RecordBatch], pa.Array]:
    """Marks vectors of texts no longer in use, and those that another encoder made; reads text_id, encoder_version."""
    import pyarrow.compute as pc

    texts = pa.array(gone, pa.string())

    def mark(batch: pa.RecordBatch) -> pa.Array:
        other = pc.not_equal(batch.column("encoder_version"), version)
        return pc.or_(other, pc.is_in(batch.column("text_id"), value_set=texts))

    return mark
