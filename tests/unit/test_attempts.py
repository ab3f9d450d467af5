"""What stays on record of refreshes that did not end well."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatbot_assets.refreshing import _one_line
from resources import beside
from resources.attempts import FILE, KEPT, KILLED, begin, end, fail, failures, last_attempt, restore


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


def test_failures_are_remembered_after_they_were_made_good_and_those_of_one_cause_are_one(tmp_path: Path) -> None:
    for run in ("1", "2"):
        fail(tmp_path, begin(tmp_path, "full disk", run), "full disk", "passing", "no room", "models")
    end(tmp_path)
    fail(tmp_path, begin(tmp_path, "bad rows", "3"), "bad rows", "lasting", "no text", "dialogues")
    end(tmp_path)
    assert [(one.reason, one.count) for one in failures(tmp_path)] == [("no text", 1), ("no room", 2)]


def test_a_killed_refresh_is_a_failure_as_soon_as_it_does_not_go_on(tmp_path: Path) -> None:
    begin(tmp_path, "cause", "killed")
    assert failures(tmp_path, is_refreshing=True) == []
    assert [one.reason for one in failures(tmp_path)] == [KILLED]
    begin(tmp_path, "another cause", "next")
    assert [one.run_id for one in failures(tmp_path, is_refreshing=True)] == ["killed"]
    end(tmp_path)
    assert [one.run_id for one in failures(tmp_path)] == ["killed"]


def test_of_many_failures_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 5):
        cause = f"cause {number}"
        fail(tmp_path, begin(tmp_path, cause, f"run {number}"), cause, "lasting", "no text", None)
    assert len(failures(tmp_path)) == KEPT


@pytest.mark.parametrize("text", ["", "[]", "{", '{"failures": [{"new": 1}]}', '{"failures": [1]}'])
def test_what_another_release_wrote_of_failures_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".failures.json").write_text(text, encoding="utf-8")
    assert failures(tmp_path) == []
