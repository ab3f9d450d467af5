"""What stays on record of refreshes that did not end well."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_assets.refreshing import _one_line
from resources import beside
from resources.attempts import FILE, KILLED, begin, end, fail, last_attempt, restore


def test_before_the_first_refresh_and_after_a_good_one_there_is_nothing(tmp_path: Path) -> None:
    assert last_attempt(tmp_path) is None
    begin(tmp_path, "cause", "run")
    end(tmp_path)
    assert last_attempt(tmp_path) is None
    end(tmp_path)


def test_a_refresh_that_was_killed_says_so_by_having_said_nothing(tmp_path: Path) -> None:
    begun = begin(tmp_path, "cause", "run")
    found = last_attempt(tmp_path)
    assert found == begun and (found.kind, found.reason) == (None, KILLED)


def test_attempts_at_one_cause_are_counted_and_another_cause_starts_anew(tmp_path: Path) -> None:
    for count in (1, 2, 3):
        attempt = begin(tmp_path, "full disk", f"run {count}")
        assert attempt.count == count
        fail(tmp_path, attempt, "full disk", "passing", "no room", "models")
    assert begin(tmp_path, "another", "run 4").count == 1


def test_a_failure_is_kept_under_the_state_that_it_leaves_behind(tmp_path: Path) -> None:
    attempt = begin(tmp_path, "files and models behind", "run")
    before = datetime.now(UTC)
    failed = fail(tmp_path, attempt, "models behind", "lasting", "too few rows", "models")
    assert last_attempt(tmp_path) == failed and failed.at >= before
    assert (failed.cause, failed.kind, failed.reason, failed.table) == (
        "models behind",
        "lasting",
        "too few rows",
        "models",
    )
    assert begin(tmp_path, "models behind", "next").count == 2


def test_what_was_on_record_can_be_put_back(tmp_path: Path) -> None:
    earlier = fail(tmp_path, begin(tmp_path, "models", "one"), "models", "lasting", "why", "models")
    begin(tmp_path, "models", "two")
    restore(tmp_path, earlier)
    assert last_attempt(tmp_path) == earlier


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cause": "c"}', json.dumps({"at": "yesterday"})])
def test_a_file_that_cannot_be_understood_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert last_attempt(tmp_path) is None


def test_when_not_even_the_record_can_be_written_what_is_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(tmp_path, "cause", "run")

    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(beside.os, "replace", full)
    fail(tmp_path, begun, "cause", "passing", "no space", None)
    assert last_attempt(tmp_path) == begun
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("ValueError: no", "ValueError: no"),
        ("two\n  lines", "two lines"),
        ("x" * 400, "x" * 300),
        (
            'engine said: Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'
            "RuntimeError: the normaliser is broken\n",
            "RuntimeError: the normaliser is broken",
        ),
        ("Traceback (most recent call last)", ""),
    ],
)
def test_a_reason_is_one_line_and_no_traceback(message: str, line: str) -> None:
    assert _one_line(message) == line
