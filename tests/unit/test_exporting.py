"""Exports: whole files that spreadsheets do not execute, and that can be turned back."""

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.commands import UserError
from chatbot_assets.commands.export import run
from chatbot_assets.exporting import FORMULA, guarded, unguarded
from resources.audit import AuditLog
from resources.environment import Home
from resources.lakehouse import Lake

KEY = "acme.faq"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TEXTS = ['=HYPERLINK("http://x")', "@SUM(1)", "\tx", "'quoted", "-1", 'says "a, b"\nand c', "plain"]


@given(st.text())
def test_a_cell_begins_no_formula_and_can_be_turned_back(text: str) -> None:
    assert not guarded(text).startswith(FORMULA)
    assert unguarded(guarded(text)) == text


@pytest.fixture
def served(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CHATBOT_HOME", str(home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(home.bots))
    turns = [
        {"turn_id": f"{number:032x}", "text": text, "score": -0.5, "served_at": NOON + timedelta(hours=number)}
        for number, text in enumerate(TEXTS)
    ]
    Lake(home.lake).table(KEY, "conversations").append_rows(turns)
    return home


def exported(path: Path, table: str = "conversations", **options: str | None) -> Path:
    wanted = {"form": "csv", "since": None, "until": None, "actor": "kim"} | options
    run(KEY, table, output=path, **wanted)  # type: ignore[arg-type]
    return path


def test_csv_holds_every_text_and_numbers_stay_numbers(served: Home, tmp_path: Path) -> None:
    with exported(tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [unguarded(row["text"]) for row in rows] == TEXTS
    assert {row["score"] for row in rows} == {"-0.5"}
    assert list(tmp_path.glob(".out*")) == []


def test_json_lines_hold_the_rows_of_a_period(served: Home, tmp_path: Path) -> None:
    path = exported(tmp_path / "o.jsonl", form="jsonl", since="2026-01-31T14:00", until="2026-01-31T16:00+00:00")
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == TEXTS[2:4]


def test_an_export_is_noted(served: Home, tmp_path: Path) -> None:
    exported(tmp_path / "out.csv")
    [noted] = map(json.loads, (served.root / "exports.jsonl").read_text().splitlines())
    assert (noted["bot"], noted["table"], noted["rows"], noted["actor"]) == (KEY, "conversations", len(TEXTS), "kim")
    *_, entry = AuditLog(served.root, KEY.partition(".")[0]).entries()
    assert (entry["event"], entry["actor"], entry["bot"], entry["about"]) == ("exported", "kim", KEY, "conversations")
    assert entry["details"]["rows"] == len(TEXTS)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            lambda path: run(KEY, "chats", form="csv", since=None, until=None, output=path, actor=None),
            "no table 'chats'",
        ),
        (lambda path: exported(path, form="xlsx"), "format 'xlsx' is unknown; allowed: csv, jsonl"),
        (lambda path: exported(path, since="yesterday"), "no ISO 8601 date or time"),
        (lambda path: exported(exported(path)), "exists; name another file"),
        (lambda path: exported(path / "no" / "folder.csv"), "cannot be written: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    served: Home, tmp_path: Path, change: Callable[[Path], object], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        change(tmp_path / "out.csv")
