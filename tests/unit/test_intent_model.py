"""The intent classifier: it learns, says so in honest probabilities, and is the same every time."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.train.intent_model import (
    IntentModel,
    IntentModelConfig,
    pseudo_out_of_scope,
    train_intent_model,
)

Floats = npt.NDArray[np.float32]
CONFIG = IntentModelConfig()

THINGS = ["lamp", "radio", "heater", "fan", "oven", "door", "screen", "alarm", "car", "phone", "boiler", "printer"]
FORMS = {"on": "turn on the {}", "off": "switch off my {}", "buy": "order a new {}", "fix": "the {} is broken"}
TEXTS = [form.format(thing) for form in FORMS.values() for thing in THINGS]
INTENTS = [intent for intent in FORMS for _ in THINGS]


def words(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def vectors(texts: list[str]) -> Floats:
    """Unit vectors that depend on the text alone."""
    rows = [np.random.default_rng(list(text.encode())).standard_normal(8) for text in texts]
    found = np.array(rows, np.float32).reshape(len(texts), 8)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def train(texts: list[str], intents: list[str]) -> IntentModel:
    return train_intent_model(texts, words(texts), vectors(texts), intents, CONFIG)


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return train(TEXTS, INTENTS)


def files(model: IntentModel, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_learns_and_generalises(model: IntentModel) -> None:
    unseen = ["turn on the kettle", "switch off my kettle", "order a new kettle", "the kettle is broken"]
    found = model.predict_proba(unseen, words(unseen), vectors(unseen))
    assert [model.intents[column] for column in found.argmax(1)] == list(FORMS)
    assert model.intents == sorted(FORMS)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_the_probabilities_of_any_text_sum_to_one(model: IntentModel, texts: list[str]) -> None:
    seed = np.random.default_rng(len(texts)).standard_normal((len(texts), 8)).astype(np.float32)
    found = model.predict_proba(texts, words(texts), seed)
    assert found.shape == (len(texts), len(model.intents)) and found.dtype == np.float32
    assert np.allclose(found.sum(1), 1, atol=1e-5) and (found >= 0).all()


def test_training_again_in_any_order_writes_the_same_bytes(model: IntentModel, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(len(TEXTS))
    again = train([TEXTS[i] for i in order], [INTENTS[i] for i in order])
    assert files(model, tmp_path / "first") == files(again, tmp_path / "second")


def test_saving_and_loading_changes_no_bit(model: IntentModel, tmp_path: Path) -> None:
    written = files(model, tmp_path / "first")
    loaded = IntentModel.load(tmp_path / "first")
    assert files(loaded, tmp_path / "second") == written
    arguments = TEXTS, words(TEXTS), vectors(TEXTS)
    assert np.array_equal(loaded.predict_proba(*arguments), model.predict_proba(*arguments))
    assert loaded.config == CONFIG and loaded.intents == model.intents


def test_serving_imports_neither_torch_nor_scikit_learn(model: IntentModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    script = (
        "import sys, numpy, pathlib; from chatbot_assets.train.intent_model import IntentModel\n"
        "model = IntentModel.load(pathlib.Path(sys.argv[1]))\n"
        "model.predict_proba(['turn'], [['turn']], numpy.zeros((1, 8), 'float32'))\n"
        "assert not {'torch', 'sklearn', 'dagster'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_one_intent_takes_everything() -> None:
    only = train(["yes", "no"], ["talk", "talk"])
    assert only.predict_proba([""], [[]], vectors([""])).tolist() == [[1.0]]


def test_a_tiny_bot_learns_its_rows_though_some_intents_have_two() -> None:
    texts, intents = TEXTS[:14] + TEXTS[24:26], INTENTS[:14] + INTENTS[24:26]
    tiny = train(texts, intents)
    found = tiny.predict_proba(texts, words(texts), vectors(texts))
    assert [tiny.intents[column] for column in found.argmax(1)] == intents


def test_rows_without_vectors_are_learnt_from_their_n_grams() -> None:
    none = np.zeros((len(TEXTS), 0), np.float32)
    bare = train_intent_model(TEXTS, words(TEXTS), none, INTENTS, CONFIG)
    found = bare.predict_proba(TEXTS, words(TEXTS), none)
    assert [bare.intents[column] for column in found.argmax(1)] == INTENTS


def test_rows_of_intents_left_out_look_out_of_scope() -> None:
    found = pseudo_out_of_scope(TEXTS, words(TEXTS), vectors(TEXTS), INTENTS, CONFIG)
    assert len(found.top_margins) == len(TEXTS)  # each text is left out in one round
    assert found.is_out_of_scope.any() and not (found.correct & found.is_out_of_scope).any()
    assert found.top_margins[found.is_out_of_scope].mean() < found.top_margins[~found.is_out_of_scope].mean()


def test_a_bot_with_one_intent_never_loses_its_whole_scope() -> None:
    texts = ["yes", "no", "maybe", "sure"]
    found = pseudo_out_of_scope(texts, words(texts), vectors(texts), ["talk"] * 4, CONFIG)
    assert not found.is_out_of_scope.any()


def test_the_configuration_survives_json() -> None:
    from dataclasses import asdict

    assert IntentModelConfig.from_json(json.loads(json.dumps(asdict(CONFIG)))) == CONFIG


def test_what_cannot_be_trained_or_scored_is_refused(model: IntentModel) -> None:
    with pytest.raises(ValueError, match="training needs rows"):
        train([], [])
    with pytest.raises(ValueError, match="training needs rows"):
        train_intent_model(["a"], [], vectors(["a"]), ["x"], CONFIG)
    with pytest.raises(ValueError, match="an encoder of width 8"):
        model.predict_proba(["a"], [["a"]], np.zeros((1, 3), np.float32))
