"""Large arrays that stay in their file, which is mapped into memory: what nobody reads costs nothing.

The file is one of safetensors (https://github.com/huggingface/safetensors#format): eight bytes with the length of a
header, the header as JSON, and the arrays one behind the other. The package's own reader copies them into memory.
"""

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESULT_LIBRARIES = ["numpy"]
_LENGTH = 8
_TYPES = {"F16": "<f2", "F32": "<f4", "I32": "<i4", "I64": "<i8", "U32": "<u4", "U64": "<u8"}


def mapped_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by their names; they cannot be written to, and the processes of a machine share them.

    Raises:
        KeyError: when the file holds an array of a type that no model has.
    """
    with open(path, "rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    behind = _LENGTH + int.from_bytes(mapped[:_LENGTH], "little")
    header: dict[str, Any] = json.loads(mapped[_LENGTH:behind])
    return {
        name: _array(mapped, behind + about["data_offsets"][0], _TYPES[about["dtype"]], about["shape"])
        for name, about in header.items()
        if name != "__metadata__"
    }


def _array(mapped: mmap.mmap, offset: int, kind: str, shape: list[int]) -> NDArray[Any]:
    size = int(np.prod(shape, dtype=np.int64))
    # NumPy makes no array of a buffer that ends where the array would begin.
    return (np.frombuffer(mapped, kind, size, offset) if size else np.zeros(0, kind)).reshape(shape)
