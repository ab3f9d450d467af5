"""Arrays that stay in their file are those that safetensors reads."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from chatbot_assets.train.arrays import mapped_arrays

KINDS = st.sampled_from([np.float16, np.float32, np.int32, np.int64, np.uint32, np.uint64])
ANY_ARRAY = KINDS.flatmap(
    lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4))
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text("abc_", min_size=1, max_size=4), ANY_ARRAY, max_size=4))
def test_they_are_the_arrays_that_were_saved(
    tmp_path_factory: pytest.TempPathFactory, saved: dict[str, NDArray[np.float32]]
) -> None:
    file = tmp_path_factory.mktemp("arrays") / "arrays.safetensors"
    save_file({name: np.ascontiguousarray(array) for name, array in saved.items()}, file)
    mapped, read = mapped_arrays(file), load_file(file)
    assert mapped.keys() == read.keys()
    for name, array in read.items():
        np.testing.assert_array_equal(mapped[name], array, strict=True)


def test_nobody_writes_into_a_model_by_mistake(tmp_path: Path) -> None:
    save_file({"weights": np.ones(3, np.float32)}, tmp_path / "arrays.safetensors")
    with pytest.raises(ValueError, match="read-only"):
        mapped_arrays(tmp_path / "arrays.safetensors")["weights"][0] = 2
