"""What is remembered of files is forgotten as soon as they may have changed."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from resources import remembered
from resources.remembered import RACY_NS, Remembered, fingerprint

At = Callable[[Path, int], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> At:
    """Sets the clock to so many nanoseconds after a path's last change."""

    def set_clock(path: Path, later: int) -> None:
        changed = path.stat().st_ctime_ns
        monkeypatch.setattr(remembered, "time", SimpleNamespace(time_ns=lambda: changed + later))

    return set_clock


def test_a_change_of_a_moment_ago_is_not_trusted_and_an_older_one_is(tmp_path: Path, at: At) -> None:
    file = tmp_path / "file"
    file.write_text("one", encoding="utf-8")
    at(file, RACY_NS - 1)
    assert fingerprint(file) is None
    at(file, RACY_NS)
    before = fingerprint(file)
    assert before is not None and fingerprint(file) == before
    file.write_text("two", encoding="utf-8")
    os.utime(file, (1, 1))
    at(file, RACY_NS - 1)
    assert fingerprint(file) is None, "its time was set back, but the change is new"


def test_a_new_entry_changes_the_fingerprint_of_a_folder(tmp_path: Path, at: At) -> None:
    os.utime(tmp_path, (1, 1))
    at(tmp_path, RACY_NS)
    before = fingerprint(tmp_path)
    (tmp_path / "entry").touch()
    at(tmp_path, RACY_NS)
    assert before is not None and fingerprint(tmp_path) not in (None, before)


def test_a_missing_file_has_none(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "nowhere") is None


def test_a_value_is_made_once_for_each_mark_and_always_without_one() -> None:
    values: Remembered[int] = Remembered()
    made = iter(range(10))
    assert [values.get("key", mark, lambda: next(made)) for mark in ("a", "a", "b", "a", None, None, "a")] == [
        *(0, 0, 1, 2, 3, 4, 5)
    ]
    assert values.get("other", "a", lambda: next(made)) == 6
