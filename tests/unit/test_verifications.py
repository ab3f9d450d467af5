"""What verifications found wrong stays on record until one finds it right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chatbot_assets.bot import Bot
from chatbot_assets.commands import status
from resources.environment import Home
from resources.lakehouse import Lake
from resources.verifications import FILE, found_wrong, note


def test_what_is_wrong_is_kept_by_table_until_it_is_right_again(tmp_path: Path) -> None:
    assert found_wrong(tmp_path) == {}
    note(tmp_path, "models", "a file is missing")
    note(tmp_path, "labels", "89 rows")
    note(tmp_path, "labels", "88 rows")
    assert found_wrong(tmp_path) == {"labels": "88 rows", "models": "a file is missing"}
    note(tmp_path, "labels", None)
    assert found_wrong(tmp_path) == {"models": "a file is missing"}
    note(tmp_path, "models", None)
    assert [*tmp_path.iterdir()] == []


def test_a_bot_without_tables_gets_no_folder(tmp_path: Path) -> None:
    note(tmp_path / "none", "labels", None)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_file_of_something_else_counts_as_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    assert found_wrong(tmp_path) == {}


def test_status_says_what_is_wrong(
    home: Home, lake: Lake, write_bot: Callable[..., Bot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(home.bots))
    key = write_bot().key
    lake.bot_folder(key).mkdir(parents=True)
    note(lake.bot_folder(key), "labels", "89 rows")
    report = status.run()
    assert report["bots"][0]["failed_verification"] == {"labels": "89 rows"}
    assert status.describe(report).endswith("; failed its verification: labels: 89 rows")
