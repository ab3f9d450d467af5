"""Models as rows: large files come back bit for bit, once, and a damaged one is refused."""

import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from resources import model_store, remembered
from resources.lakehouse import Commit, Lake, LakeError, LakeTable
from resources.model_store import CHUNK_BYTES, file_hashes, model_id, pack, unpack
from resources.spark import SparkEngine

Save = Callable[..., Commit | None]
NOW = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
def models(lake: Lake) -> LakeTable:
    return lake.table("acme.faq", "models")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def folder_of(tmp_path: Path, name: str = "model", **files: bytes) -> Path:
    folder = tmp_path / name
    for file, data in files.items():
        path = folder / file.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def store(models: LakeTable, save: Save, folder: Path) -> str:
    rows: Iterable[pa.RecordBatch] = pack(folder, NOW, models.table.schema)
    save(models, models.append(models.stage_arrow(rows)))
    return model_id(file_hashes(folder))


def test_a_model_larger_than_a_chunk_comes_back_bit_for_bit(
    models: LakeTable, save: Save, cache: Path, tmp_path: Path, engine: SparkEngine
) -> None:
    large = np.random.default_rng(0).bytes(2 * CHUNK_BYTES + 12345)
    exact = large[:CHUNK_BYTES]
    folder = folder_of(tmp_path, weights=large, exact=exact, empty=b"", sub__config=b"{}")
    identity = store(models, save, folder)

    unpacked = unpack(models, identity, cache)
    assert file_hashes(unpacked) == file_hashes(folder)
    assert (unpacked / "weights").read_bytes() == large and (unpacked / "sub" / "config").read_bytes() == b"{}"
    rows = models.arrow(["file", "chunk", "chunks", "data"]).to_pylist()
    assert max(len(row["data"]) for row in rows) <= CHUNK_BYTES
    assert {row["file"]: row["chunks"] for row in rows} == {"weights": 3, "exact": 1, "empty": 1, "sub/config": 1}
    sizes = engine.session.sql(f"SELECT sum(length(data)) AS size FROM delta.`{models.path}`").collect()
    assert sizes[0]["size"] == len(large) + len(exact) + 2


def test_a_model_is_unpacked_once(models: LakeTable, save: Save, cache: Path, tmp_path: Path) -> None:
    identity = store(models, save, folder_of(tmp_path, weights=b"bytes"))
    first = unpack(models, identity, cache)
    shutil.rmtree(models.path)
    assert unpack(models, identity, cache) == first and (first / "weights").read_bytes() == b"bytes"


def test_a_look_reads_a_model_s_files_again_only_when_they_were_written_to(
    models: LakeTable, save: Save, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = store(models, save, folder_of(tmp_path, weights=b"bytes"))
    monkeypatch.setattr(remembered, "RACY_NS", 0)

    def in_a_new_process() -> int:
        """How often a look hashes files."""
        hashed: list[Path] = []
        monkeypatch.setattr(model_store, "_hashed", remembered.Remembered())
        monkeypatch.setattr(model_store, "file_hashes", lambda folder: hashed.append(folder) or file_hashes(folder))
        assert (unpack(models, identity, cache, for_a_look=True) / "weights").read_bytes() == b"bytes"
        return len(hashed)

    assert [in_a_new_process() for _ in range(3)] == [1, 1, 0], "after unpacking, then once, then never"
    weights = cache / "models" / identity / "weights"
    weights.write_bytes(b"other")
    os.utime(weights, (1, 1))  # many kernels give equal times to what happens within some milliseconds
    assert in_a_new_process() > 0
    (cache / model_store.SEALS / f"{identity}.json").write_text("{}")
    assert [in_a_new_process() for _ in range(2)] == [1, 0], "a seal of other files counts for nothing"


def test_each_model_of_a_table_has_its_own_files(models: LakeTable, save: Save, cache: Path, tmp_path: Path) -> None:
    one = store(models, save, folder_of(tmp_path, "one", weights=b"1", only=b"x"))
    two = store(models, save, folder_of(tmp_path, "two", weights=b"2"))
    assert (unpack(models, one, cache) / "weights").read_bytes() == b"1"
    assert sorted(os.listdir(unpack(models, two, cache))) == ["weights"]


def test_readers_at_the_same_moment_get_the_same_whole_model(
    models: LakeTable, save: Save, cache: Path, tmp_path: Path
) -> None:
    identity = store(models, save, folder_of(tmp_path, weights=b"bytes" * 100_000, config=b"{}"))
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: unpack(models, identity, cache), range(4)))
    assert len(found) == 1 and model_id(file_hashes(found.pop())) == identity
    assert os.listdir(cache / "models") == [identity], "what was unpacked in vain is left over"


@pytest.mark.parametrize("damage", ["byte", "chunk missing", "first chunk missing", "file missing", "renamed"])
def test_a_damaged_model_is_refused_in_one_line(
    models: LakeTable, save: Save, cache: Path, tmp_path: Path, damage: str
) -> None:
    folder = folder_of(tmp_path, weights=os.urandom(CHUNK_BYTES + 10), config=b"{}")
    rows = pa.Table.from_batches(pack(folder, NOW, models.table.schema)).to_pylist()
    weights = [row for row in rows if row["file"] == "weights"]
    if damage == "byte":
        weights[0]["data"] = bytes([weights[0]["data"][0] ^ 1]) + weights[0]["data"][1:]
    elif damage == "chunk missing":
        rows.remove(weights[1])
    elif damage == "first chunk missing":
        rows.remove(weights[0])
    elif damage == "file missing":
        rows = weights
    else:
        weights[0]["file"] = weights[1]["file"] = "wheights"
    save(models, models.overwrite(models.stage_arrow(pa.Table.from_pylist(rows, models.table.schema))))
    identity = model_id(file_hashes(folder))

    with pytest.raises(LakeError, match=f"model {identity} is damaged in the lake .* refresh the bot") as refused:
        unpack(models, identity, cache)
    assert "\n" not in str(refused.value)
    assert os.listdir(cache / "models") == [], "a damaged model is in the cache"


def test_a_model_that_is_not_there_is_refused_in_one_line(
    models: LakeTable, save: Save, cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(LakeError, match=r"model abc is not in .*; refresh the bot"):
        unpack(models, "abc", cache)
    store(models, save, folder_of(tmp_path, weights=b"bytes"))
    with pytest.raises(LakeError, match=r"model abc is not in .*; refresh the bot"):
        unpack(models, "abc", cache)


def test_a_file_name_cannot_lead_out_of_the_model_s_folder(
    models: LakeTable, save: Save, cache: Path, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, weights=b"bytes")
    rows = [
        row | {"file": "../../escaped"} for batch in pack(folder, NOW, models.table.schema) for row in batch.to_pylist()
    ]
    save(models, models.overwrite(models.stage_arrow(pa.Table.from_pylist(rows, models.table.schema))))
    with pytest.raises(LakeError, match="a file outside of its folder"):
        unpack(models, rows[0]["model_id"], cache)
    assert not list(tmp_path.rglob("escaped"))


def test_a_model_is_identified_by_its_files_names_and_contents(tmp_path: Path) -> None:
    folders = [
        folder_of(tmp_path, "1", a=b"1", b=b"2"),
        folder_of(tmp_path, "2", a=b"2", b=b"1"),
        folder_of(tmp_path, "3", a=b"12", b=b""),
        folder_of(tmp_path, "4", a=b"1", sub__b=b"2"),
    ]
    identities = [model_id(file_hashes(folder)) for folder in folders]
    assert len(set(identities)) == 4
    assert model_id(file_hashes(folder_of(tmp_path, "5", b=b"2", a=b"1"))) == identities[0]
