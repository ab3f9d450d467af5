"""The demo data: enough of it, clean, unambiguous, and the same in every process."""

import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from chatbot_assets.demo import demo_rows, write_demo
from chatbot_assets.demo.home import DEVICES, PACKAGE_LANGUAGES, read_home
from resources.environment import PROJECT

LANGUAGES = sorted(PACKAGE_LANGUAGES)
RESIDUE = ("{", "}", "<", ">", "|", "[", "]", "  ")
DIGEST = """
import json, sys
from hashlib import sha256
from chatbot_assets.demo import demo_rows
heavy = {"hassil", "jinja2", "home_assistant_intents"} & set(sys.modules)
assert not heavy, heavy
print(json.dumps({key: sha256(json.dumps(demo_rows(key)).encode()).hexdigest() for key in sys.argv[1:]}))
"""


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, str]]]:
    return {language: demo_rows(language) for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_has_enough_intents_and_texts(rows: dict[str, list[dict[str, str]]], language: str) -> None:
    sizes = Counter(row["intent"] for row in rows[language])
    assert len(sizes) >= 15
    assert min(sizes.values()) >= 12
    assert 450 <= len(rows[language]) <= 1500


@pytest.mark.parametrize("language", LANGUAGES)
def test_rows_are_clean(rows: dict[str, list[dict[str, str]]], language: str) -> None:
    for row in rows[language]:
        assert set(row) == {"text", "intent", "answer"}
        for value in row.values():
            assert value and value == value.strip()
            assert unicodedata.is_normalized("NFC", value)
            assert not any(mark in value for mark in RESIDUE), row


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_one_intent(rows: dict[str, list[dict[str, str]]], language: str) -> None:
    texts = [row["text"] for row in rows[language]]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_written_row_is_lost(rows: dict[str, list[dict[str, str]]], language: str) -> None:
    path = files("chatbot_assets.demo") / "rows" / f"{language}.jsonl"
    written = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({row["text"] for row in written}) == len(written)
    assert [row for row in written if row not in rows[language]] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_part_of_the_home_has_a_name(language: str) -> None:
    home = read_home(language)
    assert set(home.names) == {device.key for device in DEVICES}
    assert {device.area for device in DEVICES} <= set(home.areas)
    assert {device.floor for device in DEVICES} <= set(home.floors)


def test_is_the_same_in_every_process(rows: dict[str, list[dict[str, str]]]) -> None:
    here = {key: sha256(json.dumps(rows[key]).encode()).hexdigest() for key in LANGUAGES}
    for seed in ("0", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", DIGEST, *LANGUAGES]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert json.loads(run.stdout) == here


def test_writes_the_file_whole(tmp_path: Path, rows: dict[str, list[dict[str, str]]]) -> None:
    path = tmp_path / "demo.jsonl"
    assert write_demo("ja", path) == len(rows["ja"])
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == rows["ja"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "demo.jsonl"
    path.write_text("old\n", encoding="utf-8")

    def fail(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_demo("ja", path)
    assert path.read_text(encoding="utf-8") == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_questions_are_fresh(rows: dict[str, list[dict[str, str]]]) -> None:
    lines = (files("chatbot_assets.demo") / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    for language in LANGUAGES:
        asked = [question for question in questions if question["language"] == language]
        intents = {row["intent"] for row in rows[language]}
        assert len({question["text"] for question in asked}) == 12
        assert [question["intent"] for question in asked].count(None) == 2
        assert {question["intent"] for question in asked} - {None} <= intents
        assert {question["text"] for question in asked}.isdisjoint(row["text"] for row in rows[language])


def test_every_language_has_a_bot() -> None:
    folder = Path(__file__).parents[2] / "bots" / "demo"
    bots = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml")}
    assert {name: bot["language"] for name, bot in bots.items()} == {key.lower(): key for key in LANGUAGES}
    assert all(set(bot) == {"language", "description"} and bot["description"] for bot in bots.values())


def test_the_first_question_of_the_readme_is_nearest_to_a_row_about_a_light(
    rows: dict[str, list[dict[str, str]]],
) -> None:
    from chatbot_assets.embed.encoders import MultilingualEncoder

    asked = "could you turn on the kitchen light"
    assert f'./chatbot ask demo.en "{asked}"' in (PROJECT / "README.md").read_text(encoding="utf-8")
    turning_on = [row for row in rows["en"] if row["intent"] == "HassTurnOn"]
    vectors = MultilingualEncoder().encode([asked, *(row["text"] for row in turning_on)])
    nearest = turning_on[int((vectors[1:] @ vectors[0]).argmax())]
    assert nearest["answer"] in ("I turned on the light.", "I turned on the lights.")
