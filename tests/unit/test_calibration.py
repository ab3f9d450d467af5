"""Thresholds and temperatures from held-out scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.train.calibration import (
    Confidence,
    calibrate_thresholds,
    row_weights,
)


def test_the_thresholds_are_the_smallest_scores_that_reach_the_asked_precision() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=5000)
    correct = rng.uniform(size=5000) < scores  # a row is right as often as its score says
    found = calibrate_thresholds(scores, correct, answer_precision=0.9, suggest_precision=0.6)
    assert found.answer == pytest.approx(0.8, abs=0.05)  # the mean of a uniform score above 0.8 is 0.9
    assert found.suggest == pytest.approx(0.4, abs=0.05)  # the mean of a uniform score from 0.4 to 0.8 is 0.6
    assert found.answer_reached and found.suggest_reached
    assert found.answer_precision is not None and found.answer_precision >= 0.9
    assert found.answer_coverage == pytest.approx(0.2, abs=0.05)


def test_out_of_scope_rows_are_never_right() -> None:
    scores, correct = np.linspace(0, 1, 100), np.ones(100, bool)
    strict = calibrate_thresholds(scores, correct, scores < 0.5, answer_precision=0.95, suggest_precision=0.5)
    assert strict.answer > 0.4
    assert calibrate_thresholds(scores, correct, answer_precision=0.95, suggest_precision=0.5).answer == 0


def test_an_unreachable_precision_falls_back_to_the_most_careful_score_and_says_so() -> None:
    scores, correct = np.array([0.9, 0.8, 0.7]), np.array([True, True, False])
    found = calibrate_thresholds(scores, correct, answer_precision=0.99, suggest_precision=0.5)
    assert not found.answer_reached and found.answer == 0.8
    assert found.suggest == found.answer and not found.suggest_reached  # the one row below was wrong


def test_where_many_rows_speak_against_the_asked_precision_only_certainty_is_answered() -> None:
    scores = np.repeat(np.linspace(0.1, 0.9, 9), 100)
    correct = np.tile(np.arange(100) % 2 == 0, 9)  # half of the rows are right, whatever they score
    found = calibrate_thresholds(scores, correct, answer_precision=0.9, suggest_precision=0.3)
    assert (found.answer, found.answer_reached, found.answer_coverage) == (1.0, False, 0.0)
    assert found.suggest == pytest.approx(0.1) and found.suggest_reached


def test_rows_that_are_all_out_of_scope_say_nothing_about_precision_but_what_is_too_far() -> None:
    scores, outside = np.linspace(0.2, 0.7, 50), np.ones(50, bool)
    found = calibrate_thresholds(scores, ~outside, outside, answer_precision=0.9, suggest_precision=0.3)
    assert found.answer == found.suggest == 0.7 and not found.answer_reached


def test_without_rows_nothing_is_answered() -> None:
    found = calibrate_thresholds(np.zeros(0), np.zeros(0, bool), answer_precision=0.9, suggest_precision=0.5)
    assert (found.answer, found.suggest, found.answer_precision, found.answer_coverage) == (1, 1, None, 0)


def test_impossible_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibrate_thresholds(np.ones(1), np.ones(1, bool), answer_precision=90, suggest_precision=0.5)
    with pytest.raises(ValueError, match="2 scores, but 1 rows"):
        calibrate_thresholds(np.ones(2), np.ones(1, bool), answer_precision=0.9, suggest_precision=0.5)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), max_size=40), st.floats(0, 1), st.floats(0, 1)
)
def test_answer_is_never_below_suggest_and_the_precision_holds_where_it_was_reached(
    rows: list[tuple[float, bool, bool]], answer: float, suggest: float
) -> None:
    scores = np.array([score for score, _, _ in rows])
    correct, outside = (np.array([row[i] for row in rows], bool) for i in (1, 2))
    found = calibrate_thresholds(scores, correct, outside, answer_precision=answer, suggest_precision=suggest)
    assert found.answer >= found.suggest
    if found.suggest_reached:
        offered = (scores >= found.suggest) & (scores < found.answer)
        assert ((correct & ~outside)[offered].sum() + 0.5) / (offered.sum() + 1) >= suggest


def held_out(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    outside = rng.uniform(size=n) < 0.3
    margins, similarities = rng.normal(np.where(outside, -0.6, 0.6), 0.4), rng.normal(np.where(outside, 0.5, 0.8), 0.1)
    return margins, similarities, ~outside & (rng.uniform(size=n) < 0.95), outside


def test_confidence_is_honest_and_parts_in_from_out_of_scope() -> None:
    margins, similarities, correct, outside = held_out(np.random.default_rng(2), 4000)
    confidence = Confidence.fit(margins, similarities, correct, outside, out_of_scope_share=0.3)
    found = confidence(margins, similarities)
    assert confidence.on_margin > 0 and confidence.on_similarity > 0
    assert found.mean() == pytest.approx(correct.mean(), abs=0.02)
    assert found[~outside].mean() > 0.85 and found[outside].mean() < 0.25
    rarer = Confidence.fit(margins, similarities, correct, outside, out_of_scope_share=0.02)
    assert rarer(margins, similarities).mean() > found.mean()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-1, 1), st.booleans(), st.booleans()), max_size=12))
def test_confidence_of_few_rows_stays_a_probability_that_grows_with_both_readings(
    rows: list[tuple[float, float, bool, bool]],
) -> None:
    margins, similarities = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    correct, outside = np.array([row[2] for row in rows], bool), np.array([row[3] for row in rows], bool)
    confidence = Confidence.fit(margins, similarities, correct, outside)
    found = confidence(np.array([-1.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()
    assert (np.diff(found) >= 0).all()


def test_out_of_scope_rows_weigh_as_their_share_says() -> None:
    outside = np.array([False, False, False, True, True])
    weights = row_weights(outside, 0.1)
    assert weights[outside].sum() / weights.sum() == pytest.approx(0.1)
    assert row_weights(outside, None).tolist() == [1, 1, 1, 1, 1]
    assert row_weights(outside[:3], 0.1).tolist() == [1, 1, 1]
