"""Groups of turns that say the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.feedback.grouping import groups_of, skeleton

TEXTS = st.lists(st.text(alphabet="abAB 12!?ㅋ한é\u0301", max_size=14), max_size=12)


def together(one: str, other: str) -> bool:
    return len(set(groups_of([one, other]).tolist())) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello!!", " hello"),
        ("배송이 언제 오나요?", "배송이언제오나요"),
        ("soooooo good", "soo good"),
        ("where is my parcel please", "where is my parcell please"),
        ("ｗｈａｔ", "what"),
    ],
)
def test_spelling_makes_no_other_question(one: str, other: str) -> None:
    assert together(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("on", "off"),
        ("turn on the light", "turn off the light"),
        ("set the alarm for 7 in the morning", "set the alarm for 8 in the morning"),
        ("배송이 언제 오나요", "환불이 언제 되나요"),
        ("?", "!"),
    ],
)
def test_another_word_or_number_is_another_question(one: str, other: str) -> None:
    assert not together(one, other)


@given(TEXTS)
def test_groups_depend_on_the_texts_and_not_on_their_order(texts: list[str]) -> None:
    found = groups_of(texts)
    backwards = groups_of(texts[::-1])
    assert [texts[place] for place in found] == [texts[::-1][place] for place in backwards][::-1]


@given(TEXTS)
def test_each_group_is_named_by_one_of_its_own_texts(texts: list[str]) -> None:
    found = groups_of(texts)
    assert np.array_equal(found[found], found)


@given(st.text())
def test_a_skeleton_is_its_own_skeleton(text: str) -> None:
    assert skeleton(skeleton(text)) == skeleton(text)
