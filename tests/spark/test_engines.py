"""Two engines, one result: equal histories leave equal tables, and each engine continues what the other began."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from korean_history import LATER, STEPS, Played, begin_and_play, play
from small_bot import ENGINE, NAMES

from resources.environment import PROJECT
from resources.jars import jars_folder, locked_jars, missing_jars
from resources.java import find_java

READY = find_java() is not None and not missing_jars(locked_jars(), jars_folder())
REQUIRED = "java" in os.environ.get("CHATBOT_REQUIRE", "")

pytestmark = [
    pytest.mark.java,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not READY and not REQUIRED, reason="needs Java and: ./chatbot setup local"),
    pytest.mark.skipif(ENGINE != "sail", reason="plays on both engines by itself"),
]


@dataclass(frozen=True)
class Histories:
    """What the steps left on each engine, and in homes that were begun on the other one."""

    sail: Played
    local: Played
    begun_on_sail: Played
    begun_on_local: Played


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    folder = tmp_path_factory.mktemp("engines")
    sail = begin_and_play(folder / "sail", folder / "begun-on-sail")
    shutil.copytree(folder / "begun-on-sail", folder / "continued-on-local")
    script = Path(__file__).with_name("korean_history.py")
    other = on_local(folder, script, folder / "local", folder / "begun-on-local", folder / "continued-on-local")
    assert other.returncode == 0, other.stderr
    printed = json.loads(other.stdout)
    return Histories(sail, printed["own"], printed["continued"], play(folder / "begun-on-local", LATER))


def on_local(home: Path, *command: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python in a process of its own, on the engine ``local``."""
    environment = os.environ | {"CHATBOT_TEST_ENGINE": "local", "CHATBOT_HOME": str(home)}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("step", STEPS)
def test_every_table_has_the_same_data_version_on_both_engines(histories: Histories, step: str) -> None:
    assert set(histories.sail[step]["data_versions"]) == set(NAMES)
    assert histories.local[step]["data_versions"] == histories.sail[step]["data_versions"]


@pytest.mark.parametrize("step", LATER)
def test_a_home_that_one_engine_began_is_continued_by_the_other_as_if_by_the_first(
    histories: Histories, step: str
) -> None:
    for continued in (histories.begun_on_sail, histories.begun_on_local):
        assert continued[step]["data_versions"] == histories.sail[step]["data_versions"]
        assert continued[step]["computed"] == histories.sail[step]["computed"], "nothing is computed again"


def test_each_step_of_the_history_changes_tables_and_the_last_one_none(histories: Histories) -> None:
    for played in (histories.sail, histories.local):
        assert [bool(played[step]["committed"]) for step in STEPS] == [True, True, False]
        assert played["more"]["computed"]["utterances"] == 2


def test_a_commit_names_the_engine_that_made_it(histories: Histories) -> None:
    for played, engine in ((histories.sail, "sail"), (histories.begun_on_sail, "local")):
        assert set(played["more"]["engines"].values()) == {engine}


def test_a_function_over_batches_runs_under_this_python_and_imports_what_this_process_can(tmp_path: Path) -> None:
    (tmp_path / "of_the_user.py").write_text("WORD = '안녕'\n", encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = on_local(tmp_path, script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [f"{sys.executable} 안녕 {number}" for number in range(3)]
    assert done.stderr == "", "the JVM's own lines go to the log"
    assert (tmp_path / "logs/spark.log").exists()
    assert not list(tmp_path.glob("*/_SUCCESS")) and not list(tmp_path.glob("*/.*.crc"))


SCRIPT = """
import json, sys
import pyarrow as pa
from resources.spark import SparkEngine

def greet(batches):
    import of_the_user
    for batch in batches:
        numbers = batch.column("number").to_pylist()
        yield pa.record_batch({"said": [f"{sys.executable} {of_the_user.WORD} {number}" for number in numbers]})

engine = SparkEngine(engine="local")
frame = engine.session.range(3).withColumnRenamed("id", "number")
sys.path.append(sys.argv[1])
engine.session
frame.mapInArrow(greet, "said string").write.parquet(sys.argv[1] + "/said")
read = engine.session.read.parquet(sys.argv[1] + "/said").collect()
print(json.dumps(sorted(row["said"] for row in read), ensure_ascii=False))
"""


def test_a_refresh_without_java_ends_with_the_one_line_and_reads_nothing(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "bots/demo", tmp_path / "bots/demo")
    landing = tmp_path / "landing/demo.ko"
    landing.mkdir(parents=True)
    shutil.copy(PROJECT / "chatbot_assets/demo/rows/ko.jsonl", landing)
    os.utime(landing / "ko.jsonl", (0, 0))
    environment = {"CHATBOT_HOME": str(tmp_path), "CHATBOT_BOTS": str(tmp_path / "bots"), "JAVA_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "chatbot_assets.cli", "refresh", "demo.ko", "--engine", "local"],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("chatbot: demo.ko: engine 'local' needs Java 17")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("lake/*/*/dialogues/*"))
