"""The answer index: the nearest vectors, the same ones every time, beside torch and from several threads."""

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.train.answer_index import FILE, FaissIndex

Floats = npt.NDArray[np.float32]
EXACT, GRAPH = FaissIndex(), FaissIndex(exact_up_to=0)
both = pytest.mark.parametrize("builder", [EXACT, GRAPH], ids=["exact", "graph"])


def unit(rows: int, seed: int, dimension: int = 32) -> Floats:
    """Unit vectors that float16 holds exactly enough to be told apart."""
    found = np.random.default_rng(seed).standard_normal((rows, dimension))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float16).astype(np.float32)


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 1000))
def test_the_exact_index_finds_what_comparing_with_all_vectors_finds(rows: int, k: int, seed: int) -> None:
    known, asked = unit(rows, seed), unit(7, seed + 1)
    similarities, places = EXACT.build(known).search(asked, k)
    products = asked @ known.T
    best = -np.sort(-products, axis=1)[:, :k]
    assert similarities.shape == places.shape == (7, min(k, rows))
    assert np.allclose(similarities, best, atol=1e-5)
    assert np.allclose(np.take_along_axis(products, places, 1), best, atol=1e-5)


def test_the_graph_finds_nearly_always_what_the_exact_index_finds() -> None:
    known, asked = unit(3000, 0), unit(300, 1)
    _, exact = EXACT.build(known).search(asked, 1)
    _, graph = GRAPH.build(known).search(asked, 1)
    assert np.mean(exact == graph) > 0.95


def test_the_graph_serves_from_the_configured_size_on() -> None:
    limit = FaissIndex(exact_up_to=100)
    below, above = limit.build(unit(100, 0)), limit.build(unit(101, 0))
    assert type(below._index).__name__ != type(above._index).__name__


@both
def test_equal_vectors_give_equal_bytes_and_what_was_saved_finds_the_same(builder: FaissIndex, tmp_path: Path) -> None:
    known, asked = unit(800, 0), unit(50, 1)
    index = builder.build(known)
    index.save(tmp_path / "first")
    builder.build(known.copy()).save(tmp_path / "second")
    assert (tmp_path / "first" / FILE).read_bytes() == (tmp_path / "second" / FILE).read_bytes()
    (similarities, places), (expected, nearest) = (
        builder.load(tmp_path / "first").search(asked, 5),
        index.search(asked, 5),
    )
    assert np.array_equal(similarities, expected) and np.array_equal(places, nearest)


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="tells memory apart by /proc")
@both
def test_a_loaded_index_stays_in_its_file_for_processes_to_share(builder: FaissIndex, tmp_path: Path) -> None:
    builder.build(unit(4000, 0, dimension=512)).save(tmp_path)
    size = (tmp_path / FILE).stat().st_size
    before = own_bytes()
    index = builder.load(tmp_path)
    index.search(unit(50, 1, dimension=512), 5)
    assert own_bytes() - before < size / 2


def own_bytes() -> int:
    """The memory of this process that no other one can share."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed and is kept for later is nobody's
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous"))


@both
def test_threads_that_search_at_once_find_what_one_finds(builder: FaissIndex) -> None:
    index, asked = builder.build(unit(500, 0)), unit(40, 1)
    _, alone = index.search(asked, 3)
    with ThreadPoolExecutor(4) as pool:
        together = [future.result()[1] for future in [pool.submit(index.search, asked, 3) for _ in range(12)]]
    assert all(np.array_equal(found, alone) for found in together)


@pytest.mark.parametrize("order", ["torch, faiss", "faiss, torch"])
def test_faiss_and_torch_work_in_one_process(order: str) -> None:
    script = (
        f"import {order}, numpy; from chatbot_assets.train.answer_index import FaissIndex\n"
        "vectors = numpy.eye(64, dtype='float32')\n"
        "for _ in range(3):\n"
        "    torch.ones(400, 400) @ torch.ones(400, 400)\n"
        "    assert FaissIndex(exact_up_to=0).build(vectors).search(vectors, 1)[1][:, 0].tolist() == list(range(64))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_bot_files_reader_does_not_import_faiss() -> None:
    script = (
        "import sys; from chatbot_assets.bot import Train\n"
        "Train.model_validate({'index': {'use': 'chatbot_assets.train.answer_index:FaissIndex',"
        " 'with': {'neighbours': 16}}})\n"
        "assert 'faiss' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
