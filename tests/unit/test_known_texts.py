"""The known texts: nothing nearer is lost, and each has its own answer and intent."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.train.answer_index import FaissIndex
from chatbot_assets.train.known_texts import NO_PLACE, KnownTexts
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.train.strings import Strings, TextPlaces, load_strings, save_strings

Floats = npt.NDArray[np.float32]
Label = tuple[str | None, str | None]
"""An intent and an answer."""


def unit(rows: int, seed: int) -> Floats:
    found = np.random.default_rng(seed).standard_normal((rows, 16))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float16).astype(np.float32)


def rows_of(labels: list[Label], seed: int = 0, parents: list[str | None] | None = None) -> TrainingRows:
    names = [f"text {place}" for place in range(len(labels))]
    return TrainingRows(
        ids=[f"id {place}" for place in range(len(labels))],
        texts=names,
        tokens=[name.split() for name in names],
        intents=[intent for intent, _ in labels],
        answers=[answer for _, answer in labels],
        vectors=unit(len(labels), seed),
        parents=parents or [None] * len(labels),
        weights=np.ones(len(labels), np.float32),
    )


some_labels = st.lists(
    st.tuples(st.none() | st.sampled_from("abc"), st.none() | st.sampled_from("xyzw")), min_size=1, max_size=40
).filter(lambda labels: any(intent or answer for intent, answer in labels))


@given(some_labels, st.integers(0, 100))
def test_the_nearest_text_of_an_intent_is_the_nearest_of_all_its_texts(labels: list[Label], seed: int) -> None:
    rows = rows_of(labels, seed)
    known, asked = KnownTexts.of(rows), unit(5, seed + 1)
    for intent in {intent for intent, _ in labels if intent}:
        own = [place for place, label in enumerate(labels) if label[0] == intent]
        similarities, places = known.nearest_of_intents([intent] * 5, asked)
        products = asked @ rows.vectors[own].T
        assert np.allclose(similarities, products.max(1), atol=1e-5)
        answering = [place for place in own if labels[place][1] is not None] or own
        nearest = (asked @ rows.vectors[answering].T).argmax(1)
        assert [known.texts[place] for place in places] == [rows.texts[answering[column]] for column in nearest]


@given(some_labels, st.integers(0, 100), st.integers(1, 5))
def test_the_nearest_questions_are_the_nearest_one_of_each_answer(labels: list[Label], seed: int, k: int) -> None:
    rows = rows_of(labels, seed)
    known, asked = KnownTexts.of(rows, FaissIndex()), unit(4, seed + 1)
    questions = [place for place, (intent, answer) in enumerate(labels) if answer and not intent]
    for vector, found in zip(asked, known.nearest_questions(asked, k), strict=True):
        best: dict[str | None, float] = {}
        for place in questions:
            answer = labels[place][1]
            best[answer] = max(best.get(answer, -1.0), float(vector @ rows.vectors[place]))
        expected = sorted(best.items(), key=lambda one: -one[1])[:k]
        assert [known.answer(place) for place, _ in found] == [answer for answer, _ in expected]
        assert np.allclose([likeness for _, likeness in found], [likeness for _, likeness in expected], atol=1e-5)


@given(some_labels)
def test_each_text_keeps_its_own_intent_and_answer(labels: list[Label]) -> None:
    known = KnownTexts.of(rows_of(labels), FaissIndex())
    kept = {f"text {place}": label for place, label in enumerate(labels) if label != (None, None)}
    assert {text: (known.intent(place), known.answer(place)) for place, text in enumerate(known.texts)} == kept
    assert all(known.ids[known.place_of(text)] == text.replace("text", "id") for text in kept)
    assert known.questions == sum(intent is None for intent, _ in kept.values())


def test_a_text_that_was_not_taught_has_no_place() -> None:
    known = KnownTexts.of(rows_of([("a", None)]))
    assert known.place_of("something else") == NO_PLACE
    assert known.intent(NO_PLACE) is None and not known.is_question(NO_PLACE)


def test_paraphrases_are_no_known_texts() -> None:
    rows = rows_of([("a", "x"), ("a", "x"), (None, "y")], parents=[None, "id 0", None])
    assert KnownTexts.of(rows, FaissIndex()).texts == ["text 0", "text 2"]


def test_an_intent_without_a_known_text_is_near_to_nothing() -> None:
    similarities, places = KnownTexts.of(rows_of([("a", None)])).nearest_of_intents(["b"], unit(1, 3))
    assert (similarities.tolist(), places.tolist()) == ([0.0], [NO_PLACE])


@pytest.mark.parametrize("labels", [[("a", "x"), (None, "y"), ("b", None)], [("a", None)], [(None, "x")]])
def test_saving_and_loading_changes_nothing_and_equal_rows_are_equal_bytes(labels: list[Label], tmp_path: Path) -> None:
    rows = rows_of(labels)
    known = KnownTexts.of(rows, FaissIndex())
    known.save(tmp_path / "first")
    KnownTexts.of(rows.take(list(range(len(labels)))[::-1]), FaissIndex()).save(tmp_path / "second")
    loaded = KnownTexts.load(tmp_path / "first", FaissIndex())
    loaded.save(tmp_path / "third")
    first, second, third = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("first", "second", "third")
    )
    assert first == second == third
    assert loaded.texts == known.texts
    asked = unit(3, 9)
    assert loaded.nearest_questions(asked, 2) == known.nearest_questions(asked, 2)


def test_a_text_that_was_taught_with_two_intents_is_left_to_the_classifier() -> None:
    rows = rows_of([("a", "x"), ("a", "y"), ("b", "x"), ("c", None), ("b", "z")])
    rows = replace(rows, texts=["both", "one", "both", "both", "other"])
    known = KnownTexts.of(rows)
    assert known.place_of("both") == NO_PLACE
    assert known.intent(known.place_of("one")) == "a" and known.intent(known.place_of("other")) == "b"


def test_a_text_with_two_answers_of_one_intent_is_taught() -> None:
    rows = replace(rows_of([("a", "x"), ("a", "y"), ("b", "x")]), texts=["same", "same", "other"])
    known = KnownTexts.of(rows)
    assert known.intent(known.place_of("same")) == "a"


@given(st.lists(st.text(), max_size=30))
def test_mapped_texts_are_those_that_were_saved(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    path = tmp_path_factory.mktemp("texts") / "texts.arrow"
    before = pa.total_allocated_bytes()
    save_strings(path, {"texts": Strings.of(texts)})
    loaded = load_strings(path)["texts"]
    assert loaded == texts and list(loaded) == texts and loaded[1:3] == texts[1:3]
    assert pa.total_allocated_bytes() <= before, "they are in the file, not in memory"


@given(st.dictionaries(st.text(), st.integers(0, 5), max_size=30), st.text())
def test_each_text_is_found_at_its_place_and_no_other_one_is(texts: dict[str, int], asked: str) -> None:
    names = [text.encode("utf-8", "replace").decode() for text in texts]
    places = {text: place for place, text in enumerate(names)}
    found = TextPlaces.of(places)
    assert {text: found.find(text, Strings.of(names)) for text in (*names, asked)} == places | {
        asked: places.get(asked)
    }


def test_texts_whose_hashes_are_equal_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatbot_assets.train.strings._hash", len)
    found, texts = TextPlaces.of({"ab": 0, "cd": 1, "e": 2}), Strings.of(["ab", "cd", "e"])
    assert [found.find(text, texts) for text in ("cd", "ab", "e", "xy", "")] == [1, 0, 2, None, None]
