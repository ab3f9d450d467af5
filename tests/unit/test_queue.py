"""The review queue: which served turns people see, and which come first."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from chatbot_assets.feedback.queue import build_queue
from chatbot_assets.feedback.triage import FailedAndDissatisfied, Triaged
from chatbot_assets.modules import ModuleRef
from chatbot_assets.process.decisions import DECIDED_DDL, DECIDED_SCHEMA
from chatbot_assets.tables import CONVERSATIONS, REVIEW_QUEUE
from resources.spark import SparkEngine

TRIAGE = ModuleRef(use="chatbot_assets.feedback.triage:FailedAndDissatisfied")


def turn(turn_id: str, category: str = "failed", text: str = "what", **more: Any) -> dict[str, Any]:
    plain = {"score": 0.5, "candidates": json.dumps([]), "served_at": datetime.now(UTC), "answer": "Pardon?"}
    return plain | {"turn_id": turn_id, "category": category, "text": text} | more


def decided(turn_id: str, action: str, source: str = "conversations") -> dict[str, Any]:
    return {"turn_id": turn_id, "raw": "what", "source": source, "action": action, "reviewer": "kim"}


@pytest.fixture
def queue(engine: SparkEngine) -> Callable[..., dict[str, dict[str, Any]]]:
    """The queue's rows by turn."""

    def build(
        turns: list[dict[str, Any]], decisions: list[dict[str, Any]] | None = None, triage: ModuleRef = TRIAGE
    ) -> dict[str, dict[str, Any]]:
        session = engine.session
        frame = build_queue(
            session.createDataFrame(pa.Table.from_pylist(turns, CONVERSATIONS.schema)),
            session.createDataFrame(pa.Table.from_pylist(decisions, DECIDED_SCHEMA), DECIDED_DDL)
            if decisions
            else None,
            triage,
        )
        rows = frame.select(*REVIEW_QUEUE.schema.names).toArrow().to_pylist()
        assert len(rows) == len({row["turn_id"] for row in rows})
        return {row["turn_id"]: row for row in rows}

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
        ]
    )
    assert {name: row["kind"] for name, row in found.items()} == {
        "a": "failed",
        "b": "similar",
        "d": "dissatisfied",
        "e": "satisfied",
        "f": "dissatisfied",
    }


def test_a_settled_turn_does_not_come_back_and_one_on_hold_says_so(queue: Any) -> None:
    decisions = [
        decided("a", "modify"),
        decided("b", "exclude"),
        decided("c", "hold"),
        decided("d", "modify", "dialogues"),
    ]
    found = queue([turn(name) for name in "abcd"], decisions)
    assert {name: row["on_hold"] for name, row in found.items()} == {"c": True, "d": False}


def test_turns_that_say_the_same_are_one_group_and_come_before_single_ones(queue: Any) -> None:
    found = queue([turn("a", text="What?"), turn("b", text=" what "), turn("c", text="else")])
    assert found["a"]["group_id"] == found["b"]["group_id"] != found["c"]["group_id"]
    assert [found[name]["group_size"] for name in "abc"] == [2, 2, 1]
    assert found["a"]["priority"] > found["c"]["priority"]


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
