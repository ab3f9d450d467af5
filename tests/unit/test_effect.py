"""What a decision would do: told before it is made, and compared with what came of it."""

from typing import Any

import numpy as np
import pytest

from chatbot_assets.feedback.effect import Asked, Change, Forecast

DRAWN = np.random.default_rng(0)
TOPICS = {name: vector / np.linalg.norm(vector) for name, vector in zip("abc", DRAWN.normal(size=(3, 16)), strict=True)}


def about(topic: str, count: int = 1) -> Any:
    """Vectors of texts about a topic."""
    rows = TOPICS[topic] + 0.05 * DRAWN.normal(size=(count, 16))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def forecast() -> Forecast:
    """A bot that knows topics a and b, and is asked two waiting turns about c and golden dialogues about a and b."""
    asked = Asked(
        ["turn 1", "turn 2", "golden a", "golden b"],
        np.concatenate([about("c", 2), about("a"), about("b")]),
        [None, None, "a", "b"],
    )
    return Forecast(np.concatenate([about("a", 20), about("b", 20)]), ["a"] * 20 + ["b"] * 20, asked)


def names(changes: tuple[Change, ...]) -> list[str]:
    return [change.name for change in changes]


def test_a_new_intent_mends_the_turns_that_are_like_the_one_decided_on_and_breaks_nothing(forecast: Forecast) -> None:
    effect = forecast.of(about("c", 3), "c")
    assert (names(effect.fixed), effect.broken, effect.moved) == (["turn 1", "turn 2"], (), ())
    assert all(change.before in "ab" and change.after == "c" for change in effect.fixed)


def test_a_wrong_decision_tells_which_golden_dialogue_it_would_break(forecast: Forecast) -> None:
    assert names(forecast.of(about("a", 60), "b").broken) == ["golden a"]


def test_a_changed_label_takes_the_place_of_the_one_before(forecast: Forecast) -> None:
    effect = forecast.of(np.concatenate([forecast.vectors[:20]]), "c", replaces=range(20))
    assert names(effect.broken) == ["golden a"]


def test_a_forecast_is_the_same_as_one_made_with_the_decision_from_the_beginning(forecast: Forecast) -> None:
    taught = about("c", 2)
    after = Forecast(np.concatenate([forecast.vectors, taught]), ["a"] * 20 + ["b"] * 20 + ["c"] * 2, forecast.asked)
    told = {change.name: change.after for change in forecast.of(taught, "c").fixed}
    assert told == {name: now for name, now in zip(forecast.asked.names, after._before, strict=True) if now == "c"}


def test_a_bot_that_knows_nothing_yet_learns_its_first_intent() -> None:
    empty = Forecast(np.zeros((0, 16), np.float32), [], Asked(["turn"], about("a"), [None]))
    assert empty.of(about("a"), "a").fixed == (Change("turn", None, "a"),)
