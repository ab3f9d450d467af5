"""Single rows leave landing files of each kind, and those around them are read as before."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.collect.landing import parse_file
from chatbot_assets.collect.sources import Sources
from chatbot_assets.erasing.landing_rows import own_rows, rewritten

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["me", "you", ""]),
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(lambda text: f"t{text}e"),
        st.sampled_from(["\n", " ", "\r\n"]),
    ),
    min_size=1,
    max_size=8,
)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    kind = path.name.partition(".")[2].removesuffix(".gz")
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([("text", pa.string()), ("user_id", pa.string())])), path)
        return
    if kind == "jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        quoted = (f'"{row["text"].replace(chr(34), chr(34) * 2)}",{row["user_id"]}' for row in rows)
        text = "\n".join(["text,user_id", *quoted]) + "\n"
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)


def read(path: Path) -> list[tuple[int, str, str | None]]:
    rows = parse_file(path, path.name, "sha", Sources())
    return [(row["source_line"], row["text"], row["user_id"]) for row in rows if row.get("reason") is None]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "jsonl.gz", "csv.gz"])
@given(rows=ROWS)
def test_the_others_keep_their_lines_and_texts(
    tmp_path_factory: pytest.TempPathFactory, kind: str, rows: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("landing") / f"file.{kind}"
    write(path, [{"text": f"{text}{end}x", "user_id": user} for user, text, end in rows])
    before = read(path)
    mine = own_rows(path, "me", Sources())
    assert sorted(mine.lines) == [line for line, _, user in before if user == "me"]
    data = rewritten(mine)
    others = [row for row in before if row[2] != "me"]
    assert (data is None) == (not others)
    if data is not None:
        path.write_bytes(data)
        assert read(path) == others


def test_a_dialogue_goes_as_a_whole_but_for_what_other_users_said(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    talk = [("me", "user"), (None, "bot"), ("you", "user"), (None, "user")]
    rows = [{"text": "hello", "dialogue_id": "d", "user_id": user, "speaker": speaker} for user, speaker in talk]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"text": "hello", "dialogue_id": "e"}]))
    assert sorted(own_rows(path, "me", Sources()).lines) == [1, 2, 4]


def test_a_line_that_cannot_be_read_is_theirs_when_it_names_them(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "half", "user_id": "u-1"\n{"text": "half", "user_id": "u-12"\n{"user_id": "u-1"}\n')
    assert sorted(own_rows(path, "u-1", Sources()).lines) == [1, 3]


def test_an_id_that_is_no_more_than_a_number_says_nothing_of_a_line_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"turn": 7, "text": \n{"user_id": 7, "text": \n7, 7\n{"text": "fine", "user_id": "7"}\n')
    assert sorted(own_rows(path, "7", Sources()).lines) == [2, 4]
