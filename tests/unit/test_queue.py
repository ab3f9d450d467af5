"""The review queue: which served turns people see, and which come first."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chatbot_assets.feedback.ordering import ExpectedValue
from chatbot_assets.feedback.queue import SHOWN, doubt, encoding, queue_rows, triaged_turns
from chatbot_assets.feedback.triage import FailedAndDissatisfied, Triaged
from chatbot_assets.modules import ModuleRef
from chatbot_assets.process.decisions import Decided
from chatbot_assets.tables import CONVERSATIONS, REVIEW_QUEUE
from resources.spark import SparkEngine

TRIAGE = ModuleRef(use="chatbot_assets.feedback.triage:FailedAndDissatisfied")


def turn(turn_id: str, category: str = "failed", text: str = "what", **more: Any) -> dict[str, Any]:
    plain = {"score": 0.5, "candidates": json.dumps([]), "served_at": datetime.now(UTC), "answer": "Pardon?"}
    return plain | {"turn_id": turn_id, "category": category, "text": text} | more


def decided(turn_id: str, action: str, source: str = "conversations", raw: str = "what") -> Decided:
    return Decided(turn_id, raw, source, action, None, None, "kim", f"decision {turn_id}", datetime.now(UTC))


class Letters:
    """An encoder by letters, fast and without a model; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Any:
        self.asked += texts
        counts = np.array([[text.count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def arranged(
    turns: list[dict[str, Any]], decisions: Sequence[Decided] = (), encode: Any = None
) -> dict[str, dict[str, Any]]:
    """The queue's rows by turn, of turns that are triaged already."""
    found = queue_rows(
        [dict.fromkeys(SHOWN) | {"kind": "failed", "urgency": 0.5} | one for one in turns],
        {one.turn_id: one for one in decisions},
        normalise=str.strip,
        encode=encode or Letters().encode,
        order=ExpectedValue(),
    )
    rows = pa.Table.from_pylist(found, REVIEW_QUEUE.schema).to_pylist()
    assert len(rows) == len({row["turn_id"] for row in rows})
    return {row["turn_id"]: row for row in rows}


@pytest.fixture
def queue(engine: SparkEngine) -> Callable[..., dict[str, dict[str, Any]]]:
    """The rows that triage leaves, by turn."""

    def build(turns: list[dict[str, Any]], triage: ModuleRef = TRIAGE) -> dict[str, dict[str, Any]]:
        frame = triaged_turns(engine.session.createDataFrame(pa.Table.from_pylist(turns, CONVERSATIONS.schema)), triage)
        return {row["turn_id"]: row for row in frame.toArrow().to_pylist()}

    return build


def test_failed_and_similar_turns_and_those_that_users_judged_are_queued(queue: Any) -> None:
    found = queue(
        [
            turn("a"),
            turn("b", "similar"),
            turn("c", "answered"),
            turn("d", "answered", satisfied=False),
            turn("e", "answered", satisfied=True),
            turn("f", "failed", satisfied=False),
            turn("g", "error", satisfied=False),
        ]
    )
    assert {name: row["kind"] for name, row in found.items()} == {
        "a": "failed",
        "b": "similar",
        "d": "dissatisfied",
        "e": "satisfied",
        "f": "dissatisfied",
    }


def test_a_settled_turn_does_not_come_back_and_one_on_hold_says_so() -> None:
    decisions = [
        decided("a", "modify"),
        decided("b", "exclude"),
        decided("c", "hold", raw="blue"),
        decided("d", "modify", "dialogues", raw="green"),
    ]
    turns = [
        {"turn_id": name, "text": text} for name, text in zip("abcd", ("what", "red", "blue", "green"), strict=True)
    ]
    found = arranged(turns, decisions)
    assert {name: row["on_hold"] for name, row in found.items()} == {"c": True, "d": False}


def test_a_turn_that_says_what_was_decided_on_is_settled_with_it_unless_its_user_was_dissatisfied() -> None:
    turns = [
        {"turn_id": "a", "text": "Where is my parcel?"},
        {"turn_id": "b", "text": "where is my parcell"},
        {"turn_id": "c", "text": "where is my parcel", "kind": "dissatisfied"},
        {"turn_id": "d", "text": "where is my money"},
    ]
    assert set(arranged(turns, [decided("a", "modify", raw="Where is my parcel?")])) == {"c", "d"}


def test_turns_that_say_the_same_are_one_group_and_come_before_single_ones() -> None:
    found = arranged(
        [{"turn_id": "a", "text": "What?"}, {"turn_id": "b", "text": " what "}, {"turn_id": "c", "text": "book"}]
    )
    assert found["a"]["group_id"] == found["b"]["group_id"] != found["c"]["group_id"]
    assert [found[name]["group_size"] for name in "abc"] == [2, 2, 1]
    assert found["a"]["priority"] > found["c"]["priority"]


def test_what_the_user_picked_of_the_suggestions_is_preset() -> None:
    candidates = json.dumps(
        [
            {"id": "pay", "intent": "pay", "answer": "By card.", "score": 0.4},
            {"id": "u7", "intent": None, "answer": "On Monday.", "score": 0.3},
        ]
    )
    found = arranged(
        [
            {"turn_id": name, "text": name * 5, "candidates": candidates, "chosen_candidate": chosen}
            for name, chosen in (("a", "pay"), ("b", "u7"), ("c", None), ("d", "gone"))
        ]
    )
    preset = {name: (row["preset_intent"], row["preset_answer"]) for name, row in found.items()}
    assert preset == {"a": ("pay", None), "b": (None, "On Monday."), "c": (None, None), "d": (None, None)}


def test_the_bot_was_in_doubt_when_its_second_guess_was_as_likely_as_its_first() -> None:
    def of(*scores: float) -> float:
        return doubt([{"id": str(n), "score": score} for n, score in enumerate(scores)])

    assert of(0.4, 0.4, 0.1) == 1.0 > of(0.6, 0.3) > of(0.9, 0.05) > 0
    assert of() == 1.0 and of(0.75) == 0.25


def test_only_texts_that_the_queue_did_not_hold_before_are_encoded() -> None:
    first, second = Letters(), Letters()
    turns = [{"turn_id": "a", "text": "blue"}, {"turn_id": "b", "text": "green"}]
    before = arranged(turns, encode=encoding(loaded(first), None))
    earlier = pa.Table.from_pylist(list(before.values()), REVIEW_QUEUE.schema)
    after = arranged([*turns, {"turn_id": "c", "text": "red"}], encode=encoding(loaded(second), earlier))
    assert (sorted(first.asked), second.asked) == (["blue", "green"], ["red"])
    assert [after[name]["vector"] for name in "ab"] == [before[name]["vector"] for name in "ab"]


def test_the_queue_depends_on_the_turns_and_not_on_their_order() -> None:
    turns = [
        {"turn_id": f"{n:02}", "text": text} for n, text in enumerate(("hello", "Hello!", "bye", "by", "good bye"))
    ]
    assert arranged(turns) == dict(sorted(arranged(turns[::-1]).items()))


def loaded(encoder: Letters) -> Any:
    """A module that is the encoder."""
    return SimpleNamespace(load=lambda: encoder)


def test_another_triage_from_outside_the_package_decides_what_is_queued(
    queue: Any, write_module: Callable[[str, str], str]
) -> None:
    write_module(
        "own_triage",
        "from chatbot_assets.feedback.triage import Triaged\n"
        "class Everything:\n    def __call__(self, turn):\n        return Triaged('failed', 1.0)\n",
    )
    assert set(queue([turn("a", "answered"), turn("b")], triage=ModuleRef(use="own_triage:Everything"))) == {"a", "b"}


def test_a_turn_without_a_score_is_triaged() -> None:
    judge = FailedAndDissatisfied()
    plain = {"satisfied": None, "chosen_candidate": None}
    assert judge(plain | {"category": "failed", "score": None}) == Triaged("failed", 0.6)
    chosen = judge(plain | {"category": "similar", "score": 0.2, "chosen_candidate": "x"})
    open_ = judge(plain | {"category": "similar", "score": 0.2})
    assert chosen and open_ and chosen.urgency < open_.urgency
