"""Between Arrow and Python, for processes that want to answer at once.

Arrow's own ``array`` and, for times, ``to_pylist`` import pandas wherever that is installed: a third of a second.
"""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

import pyarrow as pa

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = pa.timestamp("us", "UTC")


def text_array(texts: Sequence[str]) -> pa.StringArray:
    """Texts, at most 2 GiB of them, as ``pa.array`` makes it."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    starts = array("i", accumulate(map(len, encoded), initial=0))
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(starts), pa.py_buffer(b"".join(encoded)))


def row_dicts(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as ``to_pylist`` gives them."""
    columns = [_values(column) for column in rows.columns]
    return [dict(zip(rows.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.ChunkedArray) -> list[Any]:
    if column.type != _TIME:
        found: list[Any] = column.to_pylist()
        return found
    counts = (count for chunk in column.chunks for count in chunk.view(pa.int64()).to_pylist())
    return [None if count is None else _EPOCH + timedelta(microseconds=count) for count in counts]
