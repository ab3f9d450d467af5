"""Twelve kinds of bad landing file: what ``land`` says, which rows go through, and what is kept of the others."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatbot_assets.collect.landing import RAW_LIMIT, file_sha256, listing, parse_file
from chatbot_assets.collect.sources import Sources
from chatbot_assets.commands import UserError
from chatbot_assets.commands.land import usable_rows

LONG = 50_000_000
LINES = 1_000_000
KOREAN = "조명을 켜 주세요"


def line(text: object) -> bytes:
    return json.dumps({"text": text, "intent": "x"}, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Bad:
    """A bad file: its good texts, line and reason of each row that is refused, and the one line that ``land`` says.

    ``refused_at_once`` is None when the file is landed for the sake of its good rows.
    """

    name: str
    data: Callable[[], bytes]
    good: tuple[str, ...] = ()
    rejected: tuple[tuple[int, str], ...] = ()
    refused_at_once: str | None = None


def truncated() -> bytes:
    return gzip.compress(b"".join(line(f"{number} {number * 7919}") for number in range(300)))[:-40]


NO_ROWS = "the file holds no rows"
NOT_UTF_8 = "not UTF-8; save the file as UTF-8"
NO_COLUMN = "no column 'text'; columns: label, utt; name yours under 'sources' in the bot's YAML"
FILES = [
    Bad("empty.jsonl", lambda: b"", (), ((0, NO_ROWS),), NO_ROWS),
    Bad("encoding.csv", lambda: f"text,intent\nfine,x\n{KOREAN},y\n".encode("cp949"), ("fine",), ((3, NOT_UTF_8),)),
    Bad("encoding.tsv", lambda: f"text\n{KOREAN}\n".encode("cp949"), (), ((2, NOT_UTF_8),), NOT_UTF_8),
    Bad("missing.csv", lambda: b"utt,label\nhi,x\n", (), ((2, NO_COLUMN),), NO_COLUMN),
    Bad(
        "mixed.jsonl",
        lambda: b"".join([line("fine"), line(5), line(5.5), line(["x"]), line(None), b"[1]\n", b"{\n"]),
        ("fine", "5"),
        (
            (3, "'text' is a decimal number"),
            (4, "'text' is a list"),
            (5, "'text' is empty"),
            (6, "no JSON object"),
            (7, "no valid JSON"),
        ),
    ),
    Bad(
        "long.jsonl",
        lambda: line("before") + line("x" * LONG) + line("after"),
        ("before", "after"),
        ((2, "the line is longer than 1,000,000 characters"),),
    ),
    Bad(
        "long.csv",
        lambda: b"text\nbefore\n" + b"x" * LONG + b"\nafter\n",
        ("before", "after"),
        ((3, "the line is longer than 1,000,000 characters"),),
    ),
    Bad("nul.jsonl", lambda: b"\0" * 99 + b"\n" + line("fine"), ("fine",), ((1, "no JSON object"),)),
    Bad("nul.csv", lambda: b"text\nbe\0tween\nfine\n", ("be\0tween", "fine")),
    Bad("bom.csv", lambda: f"\ufefftext,intent\r\n{KOREAN},x\r\n둘,y\r\n".encode(), (KOREAN, "둘")),
    Bad("bom.jsonl", lambda: b"\xef\xbb\xbf" + line(KOREAN).replace(b"\n", b"\r\n"), (KOREAN,)),
    Bad("extension.docx", lambda: b"PK\x03\x04", (), ((0, "unknown kind of file"),), "unknown kind of file; allowed: "),
    Bad("excel.csv", lambda: b"PK\x03\x04\n\n", (), ((0, "is an Excel file"),), "export it as CSV or JSON Lines"),
    Bad("table.jsonl", lambda: b"text\nhi\n", (), ((1, "name it .csv"), (2, "name it .csv")), "name it .csv or .tsv"),
    Bad("lines.jsonl", lambda: b"\n" * LINES, (), ((0, NO_ROWS),), NO_ROWS),
    Bad("lines.csv", lambda: b"text\n" + b"\n" * (LINES // 5) + b"last\n", ("last",)),
]


@pytest.mark.parametrize("bad", FILES, ids=lambda bad: bad.name)
def test_each_good_row_goes_through_and_each_other_says_what_to_do(tmp_path: Path, bad: Bad) -> None:
    path = tmp_path / bad.name
    path.write_bytes(bad.data())
    rows = list(parse_file(path, path.name, "sha", Sources()))
    assert tuple(row["text"] for row in rows if not row.get("reason")) == bad.good
    refused = [row for row in rows if row.get("reason")]
    assert [row["source_line"] for row in refused] == [number for number, _ in bad.rejected]
    assert all(reason in row["reason"] for row, (_, reason) in zip(refused, bad.rejected, strict=True))
    assert all(len(row["raw"]) <= RAW_LIMIT for row in refused)
    if bad.refused_at_once is None:
        assert usable_rows(path, Sources()) == (len(bad.good), len(bad.rejected))
    else:
        with pytest.raises(UserError, match=bad.name) as error:
            usable_rows(path, Sources())
        assert bad.refused_at_once in str(error.value) and "\n" not in str(error.value)


def test_the_rows_before_the_cut_of_a_truncated_gzip_file_go_through(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(truncated())
    *good, last = parse_file(path, path.name, "sha", Sources())
    assert len(good) > 200 and not any(row["reason"] for row in good)
    assert last["source_line"] == len(good) + 1 and last["reason"].endswith("; land a complete copy of it")
    assert usable_rows(path, Sources())[0] == len(good)


def test_a_folder_is_refused_by_land_and_told_of_where_it_lies_among_the_landing_files(tmp_path: Path) -> None:
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    with pytest.raises(UserError, match=r"is a folder; name its files, for instance .*/\*\.jsonl"):
        usable_rows(folder, Sources())
    [found] = listing(tmp_path, 0)
    [row] = parse_file(found.path, found.name, file_sha256(found.path), Sources())
    assert row["reason"] == "folder.jsonl is a folder; move its files into the landing folder itself"


@pytest.mark.parametrize("name", ["long.jsonl", "long.csv", "long.jsonl.gz"])
def test_a_line_takes_no_more_memory_than_the_limit_however_long_it_is(tmp_path: Path, name: str) -> None:
    [bad] = [bad for bad in FILES if bad.name == name.removesuffix(".gz")]
    path = tmp_path / name
    path.write_bytes(gzip.compress(bad.data(), 1) if name.endswith(".gz") else bad.data())
    tracemalloc.start()
    try:
        assert len(list(parse_file(path, name, "sha", Sources()))) == 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LONG / 4


def test_a_file_whose_first_thousand_rows_are_bad_is_landed_for_the_sake_of_a_later_one(tmp_path: Path) -> None:
    path = tmp_path / "late.jsonl"
    path.write_bytes(b"{}\n" * 1_500 + line("late"))
    assert usable_rows(path, Sources()) == (0, 1_000)
