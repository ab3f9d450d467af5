"""What ``inspect`` says of files: guessed columns and languages, what is wrong with the rows, what a bot could do."""

import csv
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from small_bot import small_rows

from chatbot_assets.collect.landing import parse_file
from chatbot_assets.collect.sources import Sources
from chatbot_assets.commands.inspect import describe
from chatbot_assets.inspection.clusters import proposed_intents
from chatbot_assets.inspection.columns import ColumnError, guess_sources
from chatbot_assets.inspection.findings import inspect_files
from chatbot_assets.inspection.languages import language_shares
from chatbot_assets.inspection.rows import Turn, questions_with_answers, spread_sample
from chatbot_assets.languages import LANGUAGES
from resources.environment import PROJECT

SUBJECTS = ("the music player", "my bank account", "tomorrow's weather")
VERBS = (
    "play",
    "show",
    "stop",
    "open",
    "close",
    "check",
    "change",
    "forget",
    "explain",
    "repeat",
    "fix",
    "lose",
    "find",
)


def jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
    return path


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


# -- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "mapping"),
    [
        ({"text": "hi there", "intent": "greet", "answer": "hello"}, {}),
        ({"utt": "hi there", "label": "greet"}, {"text": "utt", "intent": "label"}),
        ({"Question": "hi there", "Answer ": "hello"}, {"text": "Question", "answer": "Answer "}),
        ({"질문": "안녕하세요", "답변": "반갑습니다"}, {"text": "질문", "answer": "답변"}),
        ({"text": "hi", "utterance": "other", "label": "greet"}, {"intent": "label"}),
        ({"id": "8731", "said": "hi there my friend", "when": "yesterday"}, {"text": "said"}),
        ({"text": "hi", "turn": "first", "time": "12:30"}, {}),
        ({"text": "hi", "created_at": "2026-01-31T09:00:00Z"}, {"timestamp": "created_at"}),
    ],
)
def test_columns_are_guessed_by_their_names_and_values(row: dict[str, str], mapping: dict[str, str]) -> None:
    assert guess_sources([row], {}) == mapping


def test_a_column_that_the_user_names_wins_and_one_that_is_not_there_is_told() -> None:
    rows = [{"text": "hi", "utt": "hello", "topic": "a"}]
    assert guess_sources(rows, {"text": "utt", "intent": "topic"}) == {"text": "utt", "intent": "topic"}
    with pytest.raises(ColumnError, match="no column 'utterance'; columns: text, utt, topic"):
        guess_sources(rows, {"text": "utterance"})
    with pytest.raises(ColumnError, match="no column holds texts; name it with --text"):
        guess_sources([{"n": 1, "m": "12"}], {})


@pytest.mark.parametrize(
    ("speakers", "bots"),
    [
        (["user", "bot"], None),
        (["customer", "agent"], None),
        (["고객", "상담사"], ["상담사"]),
        (["USR", "SYS"], ["sys"]),
        (["A", "B"], ["b"]),
        (["anna", "ben", "carl"], None),
    ],
)
def test_the_side_that_answers_is_told_by_its_name_or_by_who_begins(
    speakers: list[str], bots: list[str] | None
) -> None:
    rows = [
        {"dialogue_id": str(dialogue), "turn": turn, "speaker": speakers[turn % len(speakers)], "text": f"{turn}"}
        for dialogue in range(3)
        for turn in range(3)
    ]
    assert guess_sources(rows, {}).get("bot_speakers") == bots


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["text", "utt", "label", "time", "turn", "speaker", "x"]),
            st.none() | st.integers(-5, 5) | st.text(max_size=8) | st.booleans() | st.lists(st.integers(), max_size=2),
        ),
        max_size=6,
    )
)
def test_any_rows_give_a_mapping_that_can_be_used_or_one_line(rows: list[dict[str, Any]]) -> None:
    try:
        mapping = guess_sources(rows, {})
    except ColumnError as error:
        assert "\n" not in str(error)
    else:
        Sources.model_validate(mapping)
        assert {column for field, column in mapping.items() if field != "bot_speakers"} <= {
            key for row in rows for key in row
        }


# -- languages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_of_the_platform_s_languages_is_told_from_its_texts(language: str) -> None:
    lines = (PROJECT / "chatbot_assets/demo/rows" / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    shares = language_shares([json.loads(line)["text"] for line in lines])
    assert next(iter(shares)) == language and shares[language] > 0.95
    assert sum(shares.values()) == pytest.approx(1)


def test_another_language_is_named_and_texts_without_letters_are_of_none() -> None:
    german = ["Wie komme ich zum Bahnhof?", "Ich möchte mein Konto kündigen", "Wann haben Sie geöffnet?"] * 10
    assert list(language_shares(german)) == ["de"]
    assert language_shares(["12", "?!", ""]) == {}


# -- rows -------------------------------------------------------------------------------------------------------------


def test_labelled_rows_are_described_with_all_that_is_wrong_with_them(tmp_path: Path) -> None:
    rows = [(row["text"], row["intent"]) for row in small_rows()]
    wrong = [("What is parcel?", "weather"), ("WHAT IS PARCEL?", "weather"), ("내 소포는 어디에 있나요", "delivery")]
    rare = [("I was born in May, write to kim@example.com", "birthday")]
    path = table(tmp_path / "faq.csv", ["utt", "label"], [*rows, *rows[:5], *wrong, *rare, ("", "hours")])
    copy = tmp_path / "copy.csv"
    copy.write_bytes(path.read_bytes())
    report = inspect_files([path, copy])

    assert (report["rows"]["accepted"], report["rows"]["rejected"]) == (99, 1)
    assert report["rows"]["files"][1]["same_as"] == str(path)
    assert report["rows"]["reasons"] == [{"reason": "'utt' is empty", "rows": 1, "first": "faq.csv:101"}]
    assert report["columns"] == {"sources": {"text": "utt", "intent": "label"}, "unused": []}
    assert report["language"]["proposed"] == "en"
    assert report["other_language"]["examples"] == ["내 소포는 어디에 있나요"]
    assert report["texts"]["duplicates"] >= 5
    assert report["intents"]["too_small"] == ["birthday"] and report["intents"]["sizes"]["hours"] == 15
    assert report["personal_data"]["email"] == report["personal_data"]["texts"] == 1
    assert report["abilities"]["verdict"] == "classify"
    assert report["intent_recall"]["at_1"] > 0.5
    assert yaml.safe_load(report["bot_yaml"])["sources"] == {"text": "utt", "intent": "label"}
    json.dumps(report)
    text = describe(report)
    for said in ("99 usable, 1 rejected", "byte-equal to", "birthday 1", "1 email"):
        assert said in text


def test_a_text_with_two_intents_is_a_conflict(tmp_path: Path) -> None:
    rows = [*small_rows(), {"text": "what is PARCEL", "intent": "weather"}]
    report = inspect_files([jsonl(tmp_path / "f.jsonl", rows)])
    assert report["conflicts"]["texts"] == 1
    assert report["conflicts"]["examples"][0]["intents"] == ["delivery", "weather"]


def test_questions_and_answers_make_a_bot_that_retrieves(tmp_path: Path) -> None:
    rows = [{"Q": row["text"], "A": row["answer"]} for row in small_rows()]
    report = inspect_files([jsonl(tmp_path / "faq.jsonl", rows)])
    assert report["columns"]["sources"] == {"text": "Q", "answer": "A"}
    assert (report["pairs"]["questions"], report["pairs"]["from_conversations"]) == (90, False)
    assert report["answer_recall"]["attainable"] == 1 and report["answer_recall"]["at_5"] > 0.8
    assert report["abilities"]["verdict"] == "retrieve"


def conversation(dialogue: int, question: str, answer: str) -> list[dict[str, Any]]:
    said = [("customer", question), ("clerk", answer), ("customer", f"thank you {dialogue}")]
    return [
        {"dialogue_id": str(dialogue), "turn": turn, "speaker": speaker, "text": text}
        for turn, (speaker, text) in enumerate(said)
    ]


def test_conversations_whose_replies_never_recur_could_not_be_served_and_their_intents_are_proposed(
    tmp_path: Path,
) -> None:
    questions = [f"please {verb} {subject}" for subject in SUBJECTS for verb in VERBS]
    turns = [turn for n, question in enumerate(questions) for turn in conversation(n, question, f"number {n * 7919}")]
    report = inspect_files([jsonl(tmp_path / "log.jsonl", turns)])
    assert report["columns"]["sources"]["bot_speakers"] == ["clerk"]
    assert (report["pairs"]["questions"], report["pairs"]["from_conversations"]) == (len(questions), True)
    assert report["abilities"]["verdict"] == "nothing yet"
    assert "0% recur" in report["abilities"]["retrieve"]["why"]
    proposed = report["proposed_intents"]["intents"]
    assert sum(found["texts"] for found in proposed) == report["texts"]["distinct"] and len(proposed) >= 3
    assert all(1 <= len(found["examples"]) <= 3 for found in proposed)
    assert report == inspect_files([tmp_path / "log.jsonl"]), "the same file, the same findings"


def test_a_language_that_the_platform_has_not_makes_no_bot_and_no_yaml(tmp_path: Path) -> None:
    rows = [{"text": f"Wie kündige ich mein Konto Nummer {n}?", "intent": "ab"[n % 2]} for n in range(40)]
    report = inspect_files([jsonl(tmp_path / "f.jsonl", rows)])
    assert (report["language"]["proposed"], report["bot_yaml"]) == (None, None)
    assert (
        report["abilities"]["verdict"] == "nothing yet" and "(de) is none of" in report["abilities"]["classify"]["why"]
    )
    assert "none of the platform" in describe(report)


def test_files_without_a_usable_row_say_so(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(gzip.compress(b'{"text": "hi"}\n' * 50)[:12])
    empty = jsonl(tmp_path / "empty.jsonl", [])
    report = inspect_files([broken, empty])
    assert report["rows"]["rejected"] == 2
    assert report["abilities"]["classify"] == {"can": False, "why": "no row can be used"}
    assert "the file holds no rows" in describe(report)


# -- parts ------------------------------------------------------------------------------------------------------------


def test_a_user_turn_is_paired_with_the_bot_turn_right_after_it_in_its_conversation(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "f.jsonl", [*conversation(1, "q1", "a1"), *conversation(2, "q2", "a2")][::-1])
    parsed = list(parse_file(path, path.name, "s", Sources(bot_speakers=("clerk",))))
    turns = [
        Turn(row["text"], None, row["answer"], (row["dialogue_id"], "s"), row["turn"], row["speaker"]) for row in parsed
    ]
    found = {turn.text: answer for turn, answer in questions_with_answers(turns)}
    assert found == {"q1": "a1", "q2": "a2", "thank you 1": None, "thank you 2": None}


@given(st.lists(st.text(max_size=4), max_size=30), st.integers(0, 10))
def test_a_sample_is_the_same_in_whatever_order_the_texts_come(texts: list[str], limit: int) -> None:
    sample = spread_sample(texts, limit)
    assert sample == spread_sample(texts[::-1], limit)
    assert len(sample) == len(set(sample)) == min(limit, len(set(texts))) and set(sample) <= set(texts)


def test_groups_that_lie_apart_are_found_and_named_by_their_own_words() -> None:
    draw = np.random.default_rng(0)
    words = ("music", "money", "weather")
    texts = [f"the {word} {number}" for word in words for number in range(60)]
    vectors = np.repeat(np.eye(3, 8, dtype=np.float32), 60, axis=0) + draw.normal(0, 0.05, (180, 8)).astype(np.float32)
    unit = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    clusters, silhouette = proposed_intents(texts, [text.split() for text in texts], unit)
    assert sorted((cluster.name.split(" / ")[0], cluster.texts) for cluster in clusters) == [
        (w, 60) for w in sorted(words)
    ]
    assert silhouette > 0.8
    assert all(cluster.name.split(" / ")[0] in example for cluster in clusters for example in cluster.examples)


def test_few_texts_are_one_group() -> None:
    clusters, _ = proposed_intents(["hello world"], [["hello", "world"]], np.full((1, 4), 0.5, np.float32))
    assert [(cluster.texts, cluster.examples) for cluster in clusters] == [(1, ("hello world",))]
