"""What is remembered of files is forgotten as soon as they may have changed."""

import os
import time
from pathlib import Path

from resources import remembered
from resources.remembered import Remembered, fingerprint


def settle(*paths: Path) -> None:
    """Waits until the paths' last change is old enough to be trusted."""
    time.sleep(max(0.0, max(path.stat().st_ctime for path in paths) + remembered.RACY_NS / 1e9 - time.time()) + 0.05)


def test_a_change_of_a_moment_ago_is_not_trusted_and_an_older_one_is(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one", encoding="utf-8")
    assert fingerprint(file) is None
    settle(file)
    before = fingerprint(file)
    assert before is not None and fingerprint(file) == before
    file.write_text("two", encoding="utf-8")
    os.utime(file, (1, 1))
    assert fingerprint(file) is None, "its time was set back, but the change is new"


def test_a_new_entry_changes_the_fingerprint_of_a_folder(tmp_path: Path) -> None:
    settle(tmp_path)
    before = fingerprint(tmp_path)
    (tmp_path / "entry").touch()
    settle(tmp_path)
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
