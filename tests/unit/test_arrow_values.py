"""Values go between Arrow and Python as Arrow's own functions bring them, and without pandas."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.tables import TIME
from resources.arrow_values import row_dicts, text_array

ROWS = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=5),
        "at": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
        "tokens": st.none() | st.lists(st.text(max_size=3), max_size=2),
    }
)
SCHEMA = pa.schema([("text", pa.string()), ("at", TIME), ("tokens", pa.list_(pa.string()))])


@given(st.lists(st.text(max_size=6), max_size=6))
def test_texts_become_the_array_that_arrow_makes(texts: list[str]) -> None:
    assert text_array(texts).equals(pa.array(texts, pa.string()))


@given(st.lists(ROWS, max_size=4), st.lists(ROWS, max_size=4))
def test_rows_become_the_objects_that_arrow_makes(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    rows = pa.concat_tables([pa.Table.from_pylist(first, SCHEMA), pa.Table.from_pylist(second, SCHEMA)])
    assert row_dicts(rows) == rows.to_pylist() == first + second


def test_a_text_that_is_no_unicode_is_in_no_table() -> None:
    assert len(text_array(["\ud800"])) == 1


def test_looking_rows_up_imports_neither_pandas_nor_scipy() -> None:
    code = """
import sys
import pyarrow as pa
from resources.arrow_values import row_dicts, text_array
import chatbot_assets.explain.explanation, chatbot_assets.commands.versions, chatbot_assets.commands.ask
times = pa.Array.from_buffers(pa.timestamp("us", "UTC"), 1, [None, pa.py_buffer(bytes(8))])
row_dicts(pa.Table.from_arrays([text_array(["a"]), times], ["text", "at"]))
print(sorted({"pandas", "scipy", "phonenumbers"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
