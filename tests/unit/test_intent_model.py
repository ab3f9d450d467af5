"""The bundled classifiers of intents: they learn, are the same every time, and say what they cannot do."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chatbot_assets.train.centroids import CentroidIntents
from chatbot_assets.train.contracts import Classifier
from chatbot_assets.train.intent_model import IntentModel, LinearIntents

Floats = npt.NDArray[np.float32]
Learner = LinearIntents | CentroidIntents
LEARNERS: list[Learner] = [LinearIntents(), CentroidIntents()]
both = pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)

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


def ones(rows: list[str]) -> Floats:
    return np.ones(len(rows), np.float32)


def train(texts: list[str], intents: list[str]) -> IntentModel:
    return LinearIntents().fit(texts, words(texts), vectors(texts), intents, ones(texts))


def top(model: Classifier, texts: list[str], found: Floats | None = None) -> list[str]:
    """The intents with the highest margins."""
    margins = model.margins(texts, words(texts), vectors(texts) if found is None else found)
    return [model.intents[column] for column in margins.argmax(1)]


def clusters(seed: int, rows: int, intents: int = 4) -> tuple[Floats, list[str]]:
    """Unit vectors around a random direction for each intent, with much noise that all intents share."""
    centres = np.random.default_rng(1).standard_normal((intents, 8))
    rng = np.random.default_rng(seed)
    targets = np.arange(rows) % intents
    found = centres[targets] + rng.standard_normal((rows, 8)) * np.array([0.2] * 4 + [1.5] * 4)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32), [f"i{k}" for k in targets]


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return train(TEXTS, INTENTS)


def files(model: Classifier, folder: Path) -> dict[str, bytes]:
    model.save(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_learns_and_generalises(model: IntentModel) -> None:
    unseen = ["turn on the kettle", "switch off my kettle", "order a new kettle", "the kettle is broken"]
    assert top(model, unseen) == list(FORMS)
    assert model.intents == sorted(FORMS)


def test_it_finds_the_weights_that_scikit_learn_finds() -> None:
    from sklearn.svm import LinearSVC

    found, intents = clusters(0, 200)
    texts = [""] * len(intents)
    learner = LinearIntents(vector_weight=1.0, l2=2.0, iterations=500)
    ours = learner.fit(texts, words(texts), found, intents, ones(texts)).margins(texts, words(texts), found)
    # A large scaling of the intercept leaves it unpenalised, as ours is.
    theirs = LinearSVC(C=0.5, intercept_scaling=100, tol=1e-6, max_iter=100_000).fit(found, intents)
    assert np.allclose(ours, theirs.decision_function(found), atol=0.02)


@both
def test_centroids_and_weights_are_learnt_from_vectors_alone(learner: Learner) -> None:
    found, intents = clusters(0, 400)
    unseen, expected = clusters(5, 200)
    model = learner.fit([f"{i}" for i in range(400)], [[]] * 400, found, intents, ones(intents))
    assert np.mean([a == b for a, b in zip(top(model, [""] * 200, unseen), expected, strict=True)]) > 0.9


def test_directions_in_which_every_intent_varies_count_less() -> None:
    found, intents = clusters(0, 400)
    unseen, expected = clusters(5, 400)
    texts = [f"{i}" for i in range(400)]
    model = CentroidIntents().fit(texts, words(texts), found, intents, ones(texts))
    plain = np.stack([found[np.array(intents) == name].mean(0) for name in model.intents])
    nearest = (unseen @ (plain / np.linalg.norm(plain, axis=1, keepdims=True)).T).argmax(1)
    wrong = np.mean([model.intents[k] != name for k, name in zip(nearest, expected, strict=True)])
    assert np.mean([a != b for a, b in zip(top(model, texts, unseen), expected, strict=True)]) < wrong


@both
def test_of_two_rows_that_contradict_each_other_the_heavier_wins(learner: Learner) -> None:
    texts, intents = [*TEXTS, *TEXTS[:12]], [*INTENTS, *["buy"] * 12]  # "turn on the …" taken for "buy" too
    for weight, expected in ((0.1, "on"), (10.0, "buy")):
        weights = np.array([1.0] * len(TEXTS) + [weight] * 12, np.float32)
        # One vector for all texts but those of "on", so that centroids can tell these from the others.
        found = np.array([[1, 0] if intent == "on" else [0, 1] for intent in INTENTS] + [[1, 0]] * 12, np.float32)
        model = learner.fit(texts, words(texts), found, intents, weights)
        assert set(top(model, TEXTS[:12], found[:12])) == {expected}


@both
@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_the_probabilities_of_any_text_sum_to_one_and_keep_the_order_of_the_margins(
    learner: Learner, texts: list[str]
) -> None:
    model = _trained(learner)
    found = np.random.default_rng(len(texts)).standard_normal((len(texts), 8)).astype(np.float32)
    margins = model.margins(texts, words(texts), found)
    chances = model.probabilities(margins)
    assert chances.shape == (len(texts), len(model.intents)) and chances.dtype == margins.dtype == np.float32
    assert np.allclose(chances.sum(1), 1, atol=1e-5) and (chances >= 0).all()
    assert np.array_equal(chances.max(1), np.take_along_axis(chances, margins.argmax(1)[:, None], 1)[:, 0])


@functools.cache
def _trained(learner: Learner) -> Classifier:
    return learner.fit(TEXTS, words(TEXTS), vectors(TEXTS), INTENTS, ones(TEXTS))


@both
def test_training_again_in_any_order_writes_the_same_bytes(learner: Learner, tmp_path: Path) -> None:
    order = np.random.default_rng(3).permutation(len(TEXTS)).tolist()
    texts, intents = [TEXTS[i] for i in order], [INTENTS[i] for i in order]
    again = learner.fit(texts, words(texts), vectors(texts), intents, ones(texts))
    assert files(_trained(learner), tmp_path / "first") == files(again, tmp_path / "second")


@both
def test_saving_and_loading_changes_no_bit(learner: Learner, tmp_path: Path) -> None:
    written = files(_trained(learner), tmp_path / "first")
    loaded = learner.load(tmp_path / "first")
    assert files(loaded, tmp_path / "second") == written
    arguments = TEXTS, words(TEXTS), vectors(TEXTS)
    assert np.array_equal(loaded.margins(*arguments), _trained(learner).margins(*arguments))
    assert loaded.intents == _trained(learner).intents


def test_a_model_keeps_the_parameters_it_was_trained_with(tmp_path: Path) -> None:
    learner = LinearIntents.model_validate({"l2": 1, "ngrams": {"char_ngrams": [2, 3]}})
    learner.fit(TEXTS, words(TEXTS), vectors(TEXTS), INTENTS, ones(TEXTS)).save(tmp_path)
    assert LinearIntents().load(tmp_path).config == learner


def test_serving_imports_neither_torch_nor_scikit_learn(model: IntentModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    script = (
        "import sys, numpy, pathlib; from chatbot_assets.train.intent_model import LinearIntents\n"
        "model = LinearIntents().load(pathlib.Path(sys.argv[1]))\n"
        "model.margins(['turn'], [['turn']], numpy.zeros((1, 8), 'float32'))\n"
        "assert not {'torch', 'sklearn', 'dagster'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


@both
def test_one_intent_takes_everything(learner: Learner) -> None:
    only = learner.fit(["yes", "no"], [["yes"], ["no"]], vectors(["yes", "no"]), ["talk", "talk"], ones(["", ""]))
    assert only.probabilities(only.margins([""], [[]], vectors([""]))).tolist() == [[1.0]]


@both
def test_a_single_row_is_enough_to_learn_from(learner: Learner) -> None:
    only = learner.fit(["yes"], [["yes"]], vectors(["yes"]), ["talk"], ones(["yes"]))
    assert np.isfinite(only.margins(["yes"], [["yes"]], vectors(["yes"]))).all()


def test_a_tiny_bot_learns_its_rows_though_some_intents_have_two() -> None:
    texts, intents = TEXTS[:14] + TEXTS[24:26], INTENTS[:14] + INTENTS[24:26]
    assert top(train(texts, intents), texts) == intents


def test_rows_without_vectors_are_learnt_from_their_n_grams() -> None:
    none = np.zeros((len(TEXTS), 0), np.float32)
    bare = LinearIntents().fit(TEXTS, words(TEXTS), none, INTENTS, ones(TEXTS))
    assert top(bare, TEXTS, none) == INTENTS


@both
def test_what_cannot_be_trained_is_refused(learner: Learner) -> None:
    with pytest.raises(ValueError, match="training needs rows"):
        learner.fit([], [], vectors([]), [], ones([]))
    with pytest.raises(ValueError, match="training needs rows"):
        learner.fit(["a"], [["a"]], vectors(["a"]), ["x"], ones([]))


def test_vectors_of_another_encoder_are_refused(model: IntentModel) -> None:
    with pytest.raises(ValueError, match="an encoder of width 8"):
        model.margins(["a"], [["a"]], np.zeros((1, 3), np.float32))


@pytest.mark.parametrize(
    "wrong", [{"l3": 1}, {"l2": 0}, {"iterations": "many"}, {"ngrams": {"word_ngrams": [0, 2]}}, {"ngrams": {"x": 1}}]
)
def test_parameters_that_do_not_exist_or_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LinearIntents.model_validate(wrong)
