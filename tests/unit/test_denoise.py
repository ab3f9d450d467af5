"""Label verdicts: leave-one-out in closed form, honest probabilities, and a judge that is careful where it must be."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.denoise import leave_one_out
from chatbot_assets.denoise.judge import ConfidentLearning, LabelledRows, Verdict
from chatbot_assets.denoise.leave_one_out import LeaveOneOut, same_wording
from chatbot_assets.denoise.noise import NoiseModel

Floats = npt.NDArray[np.float32]

THINGS = ["lamp", "radio", "heater", "fan", "oven", "door", "screen", "alarm", "car", "phone", "boiler", "printer"]
ROOMS = ["kitchen", "bathroom", "garage", "hall", "attic"]
FORMS = {
    "on": "turn on the {} {}",
    "off": "switch off my {} {}",
    "buy": "order a new {} {}",
    "fix": "the {} {} is broken",
}
TEXTS = [form.format(room, thing) for form in FORMS.values() for thing in THINGS for room in ROOMS]
INTENTS = [intent for intent in FORMS for _ in THINGS for _ in ROOMS]
judge = ConfidentLearning()


def words(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def vectors(texts: list[str]) -> Floats:
    """Unit vectors that depend on the text alone."""
    rows = [np.random.default_rng(list(text.encode())).standard_normal(8) for text in texts]
    found = np.array(rows, np.float32).reshape(len(texts), 8)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def rows_of(texts: list[str], intents: list[str], reviewed: list[bool] | None = None) -> LabelledRows:
    ids = [f"{text}|{intent}" for text, intent in zip(texts, intents, strict=True)]
    return LabelledRows(ids, texts, words(texts), vectors(texts), intents, reviewed or [False] * len(texts))


def mislabelled(share: float) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """The intents with a share of them replaced, and where."""
    drawn = np.random.default_rng(5)
    wrong = drawn.random(len(INTENTS)) < share
    names = sorted(FORMS)
    return [
        names[(names.index(intent) + drawn.integers(1, len(names))) % len(names)] if is_wrong else intent
        for intent, is_wrong in zip(INTENTS, wrong, strict=True)
    ], wrong


def trained_without(model: LeaveOneOut, row: int, texts: list[str], intents: list[str], asked: list[str]) -> Floats:
    """The scores of the asked texts by ridge regression trained anew, on the same features, without one row."""
    rows = np.vstack(list(model._features.blocks(texts, words(texts), vectors(texts)))).astype(np.float64)
    targets = np.array([[intent == name for name in model.intents] for intent in intents], np.float64)
    rest = np.arange(len(texts)) != row
    gram = rows[rest].T @ rows[rest] + 4.0 * np.eye(rows.shape[1])
    weights = np.linalg.solve(gram, rows[rest].T @ targets[rest])
    return np.vstack(list(model._features.blocks(asked, words(asked), vectors(asked)))) @ weights


def test_the_closed_form_says_what_training_without_the_row_would_say() -> None:
    texts, intents = TEXTS[::7], INTENTS[::7]
    model = LeaveOneOut.fit(texts, words(texts), vectors(texts), intents, projected=64)
    for row, text in enumerate(texts):
        expected = trained_without(model, row, texts, intents, [text])
        assert np.allclose(model.scores[row], expected[0], atol=2e-3)


@pytest.mark.parametrize("few", [1, 1_000])
def test_a_few_rows_and_many_are_solved_alike(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = words(TEXTS), vectors(TEXTS), INTENTS
    expected = LeaveOneOut.fit(TEXTS, *rows, projected=300)
    monkeypatch.setattr(leave_one_out, "FEW", few)
    assert np.allclose(LeaveOneOut.fit(TEXTS, *rows, projected=300).scores, expected.scores, atol=1e-5)


def test_other_texts_are_scored_by_the_model_that_has_not_seen_the_row() -> None:
    texts, intents = TEXTS[::7], INTENTS[::7]
    model = LeaveOneOut.fit(texts, words(texts), vectors(texts), intents, projected=64)
    asked = ["turn on the cellar light", "the cellar light is broken", "good morning"]
    for row in (0, 10, 30):
        found = model.scores_without(np.full(3, row), asked, words(asked), vectors(asked))
        assert np.allclose(found, trained_without(model, row, texts, intents, asked), atol=2e-3)


def test_a_row_itself_is_scored_as_a_text_that_the_model_has_not_seen() -> None:
    model = LeaveOneOut.fit(TEXTS, words(TEXTS), vectors(TEXTS), INTENTS)
    places = np.arange(len(TEXTS))
    assert np.allclose(model.scores_without(places, TEXTS, words(TEXTS), vectors(TEXTS)), model.scores, atol=1e-4)


def test_rows_of_one_wording_do_not_vouch_for_each_other() -> None:
    twice = ["Turn on the kitchen lamp!!", *TEXTS]
    model = LeaveOneOut.fit(twice, words(twice), vectors(twice), ["buy", *INTENTS])
    assert same_wording("Turn on the kitchen lamp!!") == same_wording("turn on the kitchen lamp")
    assert np.array_equal(model.scores[0], model.scores[1 + TEXTS.index("turn on the kitchen lamp")])
    assert model.intents[int(model.scores[0].argmax())] == "on"


def test_the_order_of_the_rows_changes_no_score() -> None:
    order = np.random.default_rng(1).permutation(len(TEXTS))
    mixed = [TEXTS[place] for place in order]
    first = LeaveOneOut.fit(TEXTS, words(TEXTS), vectors(TEXTS), INTENTS)
    second = LeaveOneOut.fit(mixed, words(mixed), vectors(mixed), [INTENTS[place] for place in order])
    assert np.array_equal(first.scores[order], second.scores)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
def test_white_space_case_and_punctuation_do_not_make_another_wording(text: str) -> None:
    if same_wording(text) != text:
        assert same_wording(same_wording(text)) == same_wording(text)
    assert same_wording(f" {text} ... ") in (same_wording(text), f" {text} ... ")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_the_share_of_random_labels_is_estimated_from_the_scores_alone(share: float) -> None:
    drawn = np.random.default_rng(3)
    k, n = 10, 4000
    true = drawn.integers(0, k, n)
    scores = (0.1 * drawn.standard_normal((n, k)) + 0.5 * np.eye(k)[true]).astype(np.float32)
    labels = np.where(drawn.random(n) < share, drawn.integers(0, k, n), true)
    found = NoiseModel.fit(scores, labels)
    assert found.noise == pytest.approx(share, abs=0.02)
    right = (found.probabilities(scores).argmax(1) == true).mean()
    assert found.probabilities(scores).max(1).mean() == pytest.approx(right, abs=0.03)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(2, 5), st.floats(0, 0.9), st.integers(0, 1000))
def test_probabilities_and_posteriors_sum_to_one(n: int, k: int, noise: float, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    model = NoiseModel(temperature=0.01, noise=noise)
    probabilities = model.probabilities((10 * drawn.standard_normal((n, k))).astype(np.float32))
    assert np.allclose(probabilities.sum(1), 1)
    assert np.allclose(model.posterior(probabilities, drawn.integers(0, k, n)).sum(1), 1)


def test_clean_labels_are_left_alone() -> None:
    verdicts = judge(rows_of(TEXTS, INTENTS))
    assert not {verdict.verdict for verdict in verdicts} & {"drop", "relabel"}
    assert sum(verdict.verdict == "review" for verdict in verdicts) <= 2
    assert all(0 <= verdict.quality <= 1 for verdict in verdicts)


def test_wrong_labels_are_found_and_put_right() -> None:
    intents, wrong = mislabelled(0.2)
    verdicts = judge(rows_of(TEXTS, intents))
    acted = np.array([verdict.verdict in ("drop", "relabel") for verdict in verdicts])
    assert (acted & wrong).sum() >= 0.9 * wrong.sum() and (acted & wrong).sum() >= 0.9 * acted.sum()
    corrected = [
        verdict.suggested_intent == true
        for verdict, true in zip(verdicts, INTENTS, strict=True)
        if verdict.verdict == "relabel"
    ]
    assert corrected and np.mean(corrected) >= 0.9
    quality = np.array([verdict.quality for verdict in verdicts])
    assert quality[wrong].mean() < 0.2 < 0.8 < quality[~wrong].mean()


def test_a_label_that_is_kept_has_no_suggestion_and_any_other_has_another_intent() -> None:
    intents, _ = mislabelled(0.2)
    for verdict, intent in zip(judge(rows_of(TEXTS, intents)), intents, strict=True):
        assert (verdict.suggested_intent is None) == (verdict.verdict == "keep")
        assert verdict.suggested_intent != intent


def test_what_a_person_has_decided_is_kept_though_it_looks_wrong() -> None:
    intents, wrong = mislabelled(0.2)
    verdicts = judge(rows_of(TEXTS, intents, [bool(is_wrong) for is_wrong in wrong]))
    assert {verdict.verdict for verdict, reviewed in zip(verdicts, wrong, strict=True) if reviewed} == {"keep"}


def test_the_order_of_the_rows_changes_no_verdict() -> None:
    intents, _ = mislabelled(0.2)
    order = np.random.default_rng(2).permutation(len(TEXTS))
    mixed = judge(rows_of([TEXTS[place] for place in order], [intents[place] for place in order]))
    verdicts = judge(rows_of(TEXTS, intents))
    assert mixed == [verdicts[place] for place in order]


def test_labels_of_a_tiny_intent_are_left_to_people() -> None:
    intents, _ = mislabelled(0.2)
    strays = [f"turn on the {room} toaster" for room in ROOMS[:3]]
    verdicts = judge(rows_of([*TEXTS, *strays], [*intents, *["toast"] * 3]))[-3:]
    assert {verdict.verdict for verdict in verdicts} <= {"keep", "review"}


@pytest.mark.parametrize(
    ("texts", "intents"),
    [
        (["a"], ["x"]),
        (["a", "b"], ["x", "y"]),
        (["a"] * 20, ["x"] * 20),
        (["a"] * 20, ["x"] * 15 + ["y"] * 5),
        ([""] * 4, ["x", "y", "z", "x"]),
        ([f"word{number}" for number in range(30)], [f"intent{number}" for number in range(30)]),
    ],
    ids=["one row", "two rows", "one intent", "equal texts", "empty texts", "an intent for each row"],
)
def test_where_nothing_can_be_known_labels_stay(texts: list[str], intents: list[str]) -> None:
    zeros = np.zeros((len(texts), 8), np.float32)
    ids = [str(number) for number in range(len(texts))]
    verdicts = judge(LabelledRows(ids, texts, words(texts), zeros, intents, [False] * len(texts)))
    assert len(verdicts) == len(texts)
    assert {verdict.verdict for verdict in verdicts} <= {"keep", "review"}


def test_no_rows_have_no_verdicts() -> None:
    assert judge(rows_of([], [])) == []


def test_all_rows_reviewed_leave_nothing_to_judge() -> None:
    verdicts = judge(rows_of(TEXTS, INTENTS, [True] * len(TEXTS)))
    assert {verdict.verdict for verdict in verdicts} == {"keep"}


def test_less_noise_than_it_should_act_on_is_only_shown() -> None:
    intents, _ = mislabelled(0.2)
    verdicts = ConfidentLearning(act_above=0.5)(rows_of(TEXTS, intents))
    assert {verdict.verdict for verdict in verdicts} == {"keep", "review"}


def test_one_intent_is_kept_with_full_quality() -> None:
    assert judge(rows_of(["a", "b"], ["x", "x"])) == [Verdict(1.0, "keep", None)] * 2


def test_parameters_and_rows_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="drop_above lies between 0 and 1"):
        ConfidentLearning(drop_above=1.5)
    with pytest.raises(ValueError, match="review_above"):
        ConfidentLearning(review_above=0.9)
    with pytest.raises(ValueError, match="columns of one length"):
        judge(LabelledRows(["1"], ["a", "b"], [["a"], ["b"]], vectors(["a", "b"]), ["x", "y"], [False, False]))
    with pytest.raises(ValueError, match="needs rows"):
        LeaveOneOut.fit([], [], vectors([]), [])
    model = LeaveOneOut.fit(TEXTS[:3], words(TEXTS[:3]), vectors(TEXTS[:3]), ["x", "x", "y"])
    with pytest.raises(ValueError, match="1 texts, but 2 places"):
        model.scores_without(np.array([0, 1]), ["a"], [["a"]], vectors(["a"]))
    with pytest.raises(ValueError, match="a width 8"):
        model.scores_without(np.array([0]), ["a"], [["a"]], np.zeros((1, 3), np.float32))
