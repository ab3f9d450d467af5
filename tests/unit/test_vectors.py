"""Vectors: how they are stored, which texts get one, and what the bundled encoder promises."""

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from chatbot_assets.embed.encoders import MultilingualEncoder
from chatbot_assets.embed.vectors import (
    POOL_FROM,
    VECTOR_SCHEMA,
    EncodeTexts,
    distinct_texts,
    encoder_version,
    end_processes,
    leaving,
    pack_vectors,
    text_id,
    unpack_vectors,
    vectors_of,
)
from chatbot_assets.modules import ModuleRef
from resources.spark import SparkEngine

ENCODER = """
import multiprocessing
import os
import numpy as np

class Letters:
    name = "letters"
    dimension = 3

    def __init__(self, scale=1.0, parent=0):
        self.scale = scale
        self.parent = parent

    def encode(self, texts):
        counts = [[text.count("a"), len(text), os.getpid() == self.parent] for text in texts]
        return np.array(counts, np.float32).reshape(len(texts), 3) * self.scale
"""
float16s = st.integers(1, 3).flatmap(
    lambda width: hnp.arrays(np.float16, st.tuples(st.integers(0, 5), st.just(width)), elements=st.floats(width=16))
)


@given(float16s)
def test_vectors_are_stored_in_half_precision_and_come_back_unchanged(vectors: Any) -> None:
    packed = pack_vectors(vectors.astype(np.float32))
    assert packed.type == pa.binary() and len(packed) == len(vectors)
    for column in (packed, pa.chunked_array([packed[:1], packed[1:]])):
        found = unpack_vectors(column)
        assert found.dtype == np.float32 and len(found) == len(vectors)
        if len(vectors):
            np.testing.assert_array_equal(found, vectors.astype(np.float32))


def test_a_cell_holds_little_endian_half_floats() -> None:
    assert pack_vectors(np.array([[1.0, -2.0]], np.float32)).to_pylist() == [b"\x00\x3c\x00\xc0"]
    assert pack_vectors(np.array([[1.0, 9, -2.0, 9]], ">f4")[:, ::2]).to_pylist() == [b"\x00\x3c\x00\xc0"]


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.sets(st.text(st.characters(codec="utf-8"), max_size=8), max_size=40))
def test_the_engine_and_python_identify_a_text_alike(engine: SparkEngine, texts: set[str]) -> None:
    schema = pa.schema([("text", pa.string()), ("excluded", pa.string())])
    rows = pa.Table.from_pylist([{"text": text, "excluded": None} for text in sorted(texts) * 2], schema)
    frame = engine.session.createDataFrame(rows, "text string, excluded string")
    found = distinct_texts(frame, candidates_frame(engine)).collect()
    assert sorted((row["text_id"], row["text"]) for row in found) == sorted((text_id(text), text) for text in texts)


def test_texts_that_are_not_used_get_no_vector(engine: SparkEngine) -> None:
    frame = engine.session.createDataFrame(
        [("hi", None), ("이상해", "not in the bot's language")], "text string, excluded string"
    )
    assert [row["text"] for row in distinct_texts(frame, candidates_frame(engine)).collect()] == ["hi"]


def test_candidates_for_paraphrases_get_a_vector_once(engine: SparkEngine) -> None:
    frame = engine.session.createDataFrame([("hi", None)], "text string, excluded string")
    found = distinct_texts(frame, candidates_frame(engine, ["hi", "hello"], [], ["hello"])).collect()
    assert sorted(row["text"] for row in found) == ["hello", "hi"]


def candidates_frame(engine: SparkEngine, *candidates: list[str]) -> Any:
    rows = pa.table({"candidates": pa.array(candidates, pa.list_(pa.string()))})
    return engine.session.createDataFrame(rows, "candidates array<string>")


def test_stored_vectors_are_found_by_their_texts() -> None:
    vectors = np.eye(3, dtype=np.float32)
    stored = pa.table({"text_id": [text_id(text) for text in "abc"], "vector": pack_vectors(vectors)})
    np.testing.assert_array_equal(vectors_of(["c", "a", "c"], stored), vectors[[2, 0, 2]])
    assert len(vectors_of([], stored)) == 0


@pytest.fixture
def letters(write_module: Callable[[str, str], str]) -> ModuleRef:
    write_module("own_letters", ENCODER)
    return ModuleRef(use="own_letters:Letters")


def batch_of(*texts: str) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"text_id": text_id(text), "text": text} for text in texts])


def test_each_text_of_each_batch_gets_its_vector(letters: ModuleRef) -> None:
    batches = list(EncodeTexts(letters, "v1", 1)(iter([batch_of("a", "banana"), batch_of("xyz")])))
    assert [batch.schema for batch in batches] == [VECTOR_SCHEMA] * 2
    rows = pa.Table.from_batches(batches)
    assert rows.column("text_id").to_pylist() == [text_id(text) for text in ("a", "banana", "xyz")]
    assert (
        rows.select(["encoder", "encoder_version"]).to_pylist() == [{"encoder": "letters", "encoder_version": "v1"}] * 3
    )
    assert unpack_vectors(rows.column("vector"))[:, :2].tolist() == [[1, 1], [3, 6], [0, 3]]


def test_many_texts_are_encoded_by_other_processes_in_their_order(letters: ModuleRef) -> None:
    letters = ModuleRef.model_validate({"use": letters.use, "with": {"parent": os.getpid()}})
    texts = ["a" * (number % 50) for number in range(POOL_FROM)]
    end_processes()
    before = {child.pid for child in multiprocessing.active_children()}
    [alone] = EncodeTexts(letters, "v1", 1)(iter([batch_of(*texts)]))
    [pooled] = EncodeTexts(letters, "v1", 2)(iter([batch_of(*texts)]))
    one, many = unpack_vectors(alone.column("vector")), unpack_vectors(pooled.column("vector"))
    np.testing.assert_array_equal(one[:, :2], many[:, :2])
    assert one[:, 2].all() and not many[:, 2].any(), "the texts were encoded in this process"
    encoding = {child.pid for child in multiprocessing.active_children()} - before
    assert encoding
    end_processes()
    left = {child.pid for child in multiprocessing.active_children()}
    assert not encoding & left, "they would keep a refresh from ending"


def test_the_version_of_an_encoder_covers_its_code_and_its_parameters(letters: ModuleRef) -> None:
    scaled = ModuleRef.model_validate({"use": letters.use, "with": {"scale": 2.0}})
    assert len({encoder_version(letters, "v1"), encoder_version(letters, "v2"), encoder_version(scaled, "v1")}) == 3
    assert encoder_version(letters, "v1") == encoder_version(ModuleRef(use=letters.use), "v1")


def test_vectors_leave_with_their_text_and_with_their_encoder() -> None:
    batch = pa.RecordBatch.from_pydict({"text_id": ["a", "b", "a"], "encoder_version": ["v1", "v1", "v0"]})
    assert leaving(["b"], "v1")(batch).to_pylist() == [False, True, True]
    assert leaving([], "v1")(batch).to_pylist() == [False, False, True]


def test_the_bundled_encoder_puts_likeness_in_meaning_into_the_scalar_product() -> None:
    encoder = MultilingualEncoder()
    vectors = encoder.encode(["turn on the light", "불을 켜 줘", "what is the capital of France", "", "\u0378"])
    assert vectors.shape == (5, encoder.dimension) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert encoder.encode([]).shape == (0, encoder.dimension)
