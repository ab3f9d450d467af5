"""Pictures and tables for people: they can be read, hold any text, and say what changed."""

import base64
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest

from chatbot_assets.showing import changes, charts
from chatbot_assets.showing.markdown import Markdown, escape, picture, table
from chatbot_assets.showing.tables import principal_components
from chatbot_assets.tables import TABLES, Column, Table

LARGEST = 60_000
"""Characters of a picture as it stands in the metadata."""
NAMES = [f"a_rather_long_intent_name_{number}" for number in range(22)] + ["온도를 올려 주세요", "$x_1$ <b> & |"]
TEN = NAMES[-10:]
PICTURES = {
    "bars": lambda: charts.bars("Sizes", NAMES, {"train": range(24), "held out": range(24)}),
    "histogram": lambda: charts.histogram("Quality", {"keep": [0.5, 1.0], "drop": [0.0]}, "quality"),
    "matrix": lambda: charts.matrix("Confusions", TEN, [*TEN, "(nothing)"], np.arange(110).reshape(10, 11)),
    "lines": lambda: charts.lines("History", NAMES, {"accuracy": [None, *[0.5] * 23], "macro_f1": [0.1] * 24}),
    "dots": lambda: charts.dots(
        "Map", {name: np.random.default_rng(0).normal(size=(125, 2)) for name in ["", *TEN[:7]]}
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_svg_of_bounded_size_and_the_same_each_time(name: str) -> None:
    svg = PICTURES[name]()
    assert ET.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert svg == PICTURES[name]()
    assert len(picture(name, svg)) < LARGEST


def test_names_in_every_script_stay_texts_in_a_picture() -> None:
    drawn = "".join(ET.fromstring(PICTURES["bars"]()).itertext())
    assert "온도를 올려 주세요" in drawn
    assert "$x_1$ <b> & |" in drawn


def test_a_picture_stands_in_the_markdown_itself() -> None:
    found = picture("What [is] shown", b"<svg/>")
    title, _, data = found.partition("](data:image/svg+xml;base64,")
    assert title == r"![What \[is\] shown"
    assert base64.b64decode(data.removesuffix(")")) == b"<svg/>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", r"a \| b"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("**bold** _x_ `code`", r"\*\*bold\*\* \_x\_ \`code\`"),
        ("[link](http://x)", r"\[link\](http://x)"),
        ("two\nlines\u2028and\ttabs", "two lines and tabs"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_texts_are_shown_as_they_are(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_a_long_text_is_shortened() -> None:
    assert escape("x" * 200) == "x" * 99 + "…"


def test_a_table_has_one_line_a_row_whatever_its_cells_hold() -> None:
    found = table(("text", "rows", "share"), [("a|b\nc", 1234, 0.5), (None, 0, None)], 2)
    assert isinstance(found, Markdown)
    assert found.splitlines() == [
        "| text | rows | share |",
        "| --- | ---: | ---: |",
        r"| a\|b c | 1,234 | 0.500 |",
        "| – | 0 | – |",
    ]


def rows(*found: tuple[str, str | None, str]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"id": key, "intent": intent, "text": text} for key, intent, text in found],
        pa.schema([("id", pa.string()), ("intent", pa.string()), ("text", pa.string())]),
    )


def test_rows_that_came_went_and_changed_are_told_apart_by_intent() -> None:
    found = changes.compare(
        rows(("1", "a", "x"), ("2", "b", "x"), ("3", None, "x")),
        rows(("2", "b", "y"), ("3", None, "x"), ("4", None, "x"), ("5", "a", "x")),
        ["id"],
        ["intent", "text"],
    )
    assert found.added == {changes.NO_INTENT: 1, "a": 1}
    assert found.removed == {"a": 1}
    assert found.changed == {"b": 1}


def test_rows_that_are_written_again_as_they_were_are_no_change() -> None:
    same = rows(("1", "a", "x"), ("2", None, "y"))
    found = changes.compare(same, same, ["id"], ["intent", "text"])
    assert found.named == []


def test_at_most_ten_intents_are_named_those_with_most_changes_first() -> None:
    many = rows(*[(str(number), f"intent {number % 12}", "x") for number in range(100)])
    text = changes.describe(changes.compare(rows(), many, ["id"], ["intent"]), 100, 0, "Because.")
    assert text.startswith("**100 rows added, 0 removed, 0 changed**: 0 → 100 rows.\n\nBecause.")
    assert text.count("| intent ") == 11
    assert text.endswith("… and 2 more intents.")


def test_the_map_is_the_plane_in_which_vectors_differ_most() -> None:
    rng = np.random.default_rng(5)
    flat = rng.normal(size=(200, 2)) * (5.0, 2.0)
    vectors = np.concatenate([flat, rng.normal(size=(200, 6)) * 0.01], axis=1)
    found = principal_components(vectors)
    assert found.shape == (200, 2)
    assert np.allclose(np.abs(found), np.abs(principal_components(-vectors)))
    assert np.allclose(found.std(axis=0), flat.std(axis=0), rtol=0.05)


@pytest.mark.parametrize("one", TABLES.values(), ids=lambda one: one.name)
def test_each_column_is_made_from_columns_that_the_tables_inputs_have(one: Table) -> None:
    columns = {name: set(TABLES[name].schema.names) for name in one.inputs}
    missing = [source for column in one.columns for source in column.sources if source[1] not in columns[source[0]]]
    assert missing == []


def test_each_table_that_is_made_from_others_says_of_which_columns() -> None:
    assert [one.name for one in TABLES.values() if one.inputs and not any(map(made_from, one.columns))] == []


def made_from(column: Column) -> bool:
    return bool(column.made_from)
