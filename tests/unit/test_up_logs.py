"""The logs of what ``up`` starts do not grow without bound."""

import subprocess
import sys
from pathlib import Path

import pytest
from small_bot import wait_for

from chatbot_assets.commands import up

WRITER = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(up, "LOG_BYTES", 100)
    return tmp_path / "dagster.log"


def test_a_log_that_has_become_large_is_put_aside_and_its_writer_goes_on(log: Path) -> None:
    with (
        log.open("ab") as output,
        subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=output, text=True) as writer,
    ):
        assert writer.stdin is not None
        writer.stdin.write("before\n" * 50)
        writer.stdin.flush()
        wait_for(lambda: log.stat().st_size == 350)
        up._keep_short(log)
        writer.stdin.write("after\n")
    assert log.read_text() == "after\n"
    assert log.with_name("dagster.log.1").read_text() == "before\n" * 50


def test_a_short_log_is_left_alone(log: Path) -> None:
    log.write_text("all is well\n")
    up._keep_short(log)
    assert log.read_text() == "all is well\n" and [*log.parent.iterdir()] == [log]
