"""What comes first in the review queue."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.feedback.ordering import ExpectedValue, Known, Waiting


def waiting(
    vectors: list[list[float]],
    doubts: list[float],
    counts: list[float] | None = None,
    texts: list[str] | None = None,
) -> Waiting:
    rows = np.array(vectors, np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ones = np.ones(len(rows), np.float32)
    return Waiting(
        texts or [chr(0x4E00 + place) for place in range(len(rows))],
        rows,
        np.array(doubts, np.float32),
        ones if counts is None else np.array(counts, np.float32),
        ones,
    )


def ranking(waits: Waiting, order: ExpectedValue | None = None) -> list[int]:
    return np.argsort(-(order or ExpectedValue())(waits), kind="stable").tolist()


APART = np.eye(4).tolist()


def test_the_more_in_doubt_the_earlier() -> None:
    assert ranking(waiting(APART, [0.2, 0.9, 0.5, 0.7])) == [1, 3, 2, 0]


def test_what_many_ask_comes_before_what_one_asks_but_not_in_proportion() -> None:
    assert ranking(waiting(APART, [0.5] * 4, [1, 9, 4, 2])) == [1, 2, 3, 0]
    assert ranking(waiting(APART[:2], [0.9, 0.4], [1, 4])) == [0, 1]


def test_what_is_like_much_else_comes_before_what_is_alone() -> None:
    near = [[1, 0, 0], [1, 0.1, 0], [1, 0, 0.1], [-1, 0, 0]]
    assert ranking(waiting(near, [0.5, 0.5, 0.5, 0.6]))[0] != 3


def test_the_like_of_what_stands_further_ahead_waits_for_what_is_new() -> None:
    vectors = [[1, 0, 0], [1, 0.01, 0], [0, 1, 0]]
    said = ["open the gate", "open the gate please", "buy bread"]
    first, second, _ = ranking(waiting(vectors, [1.0, 0.99, 0.4], texts=said))
    assert first in (0, 1) and second == 2


def test_where_the_encoder_tells_nothing_apart_the_words_do() -> None:
    said = ["open the gate", "open the gate now", "buy bread"]
    first, second, _ = ranking(waiting([[1, 0]] * 3, [0.9, 0.9, 0.8], texts=said))
    assert first in (0, 1) and second == 2


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=12), st.floats(0, 1, width=32), st.integers(1, 99)), max_size=12))
def test_any_texts_get_finite_priorities_not_below_0(rows: list[tuple[str, float, int]]) -> None:
    texts, doubts, counts = ([row[place] for row in rows] for place in range(3))
    vectors = np.ones((len(rows), 2), np.float32) / np.float32(2**0.5)
    ones = np.ones(len(rows), np.float32)
    waits = Waiting(texts, vectors, np.array(doubts, np.float32), np.array(counts, np.float32), ones)
    priorities = ExpectedValue(first=4, candidates=6, audience=8)(waits)
    assert priorities.shape == (len(rows),) and np.isfinite(priorities).all() and (priorities >= 0).all()
    assert np.array_equal(priorities, ExpectedValue(first=4, candidates=6, audience=8)(waits))


def test_what_is_like_something_learnt_waits_for_what_is_new() -> None:
    waits = waiting([[1, 0], [0, 1]], [0.9, 0.8], texts=["open the gate", "buy bread"])
    assert ranking(waits) == [0, 1]
    assert ranking(replace(waits, known=Known(["open the gates"], np.array([[1, 0]], np.float32)))) == [1, 0]


def test_nothing_learnt_changes_nothing() -> None:
    waits = waiting(APART, [0.2, 0.9, 0.5, 0.7])
    assert ranking(replace(waits, known=Known([], np.zeros((0, 4), np.float32)))) == ranking(waits)


def test_beyond_the_first_places_the_rest_follows_behind_them_by_weight() -> None:
    drawn = np.random.default_rng(0)
    waits = waiting(drawn.normal(size=(60, 5)).tolist(), drawn.random(60).tolist())
    order = ExpectedValue(first=10, candidates=20, audience=40)
    priorities = order(waits)
    rest = ranking(waits, order)[10:]
    assert (np.sort(priorities)[::-1][:10] >= priorities[rest].max()).all()
    assert np.all(np.diff(waits.doubts[rest]) <= 0)
