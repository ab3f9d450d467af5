"""What a reviewer's desk holds, and the taking back of decisions."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chatbot_assets.bot import Bot
from chatbot_assets.embed.vectors import pack_vectors, text_id
from chatbot_assets.feedback.asking import outcomes
from chatbot_assets.feedback.deciding import Decision, DecisionError, undo_decision, write_decision, write_decisions
from chatbot_assets.feedback.decision_log import DecisionLog
from chatbot_assets.feedback.desk import Desks
from chatbot_assets.process.decisions import COLUMNS, Decided, decided_rows, in_force
from resources.lakehouse import Commit, Lake, Record, Signature
from serving.responder import Reply

KEY = "acme.faq"
TOPICS = np.eye(4, dtype=np.float32)
NOW = datetime.now(UTC)


@pytest.fixture
def lake(lake: Lake, save: Callable[..., Commit | None]) -> Lake:
    """A bot that knows greetings and farewells, with a doubtful label and three turns that wait."""
    cells = pack_vectors(TOPICS).to_pylist()
    used = {"split": "train", "language": "en", "reviewed": False}
    tables: dict[str, list[dict[str, Any]]] = {
        "dialogues": [{"turn_id": f"d{n}", "text": text} for n, text in enumerate(("hi", "bye", "ciao", "ciao"))],
        "utterances": [
            used | {"utterance_id": "u0", "text": "hi", "intent": "greet", "sources": ["d0"]},
            used | {"utterance_id": "u1", "text": "bye", "intent": "part", "sources": ["d1"]},
            used | {"utterance_id": "u2", "text": "ciao", "intent": "part", "sources": ["d2"]},
        ],
        "labels": [
            {"utterance_id": "u0", "intent": "greet", "quality": 0.9, "verdict": "keep"},
            {"utterance_id": "u1", "intent": "part", "quality": 0.8, "verdict": "keep"},
            {"utterance_id": "u2", "intent": "part", "quality": 0.1, "verdict": "review", "suggested_intent": "greet"},
        ],
        "embeddings": [
            {"text_id": text_id(text), "encoder": "e", "encoder_version": "1", "vector": cells[n]}
            for n, text in enumerate(("hi", "bye", "ciao"))
        ],
        "review_queue": [
            {
                "turn_id": f"s{n}",
                "kind": "failed",
                "priority": 0.3,
                "text": "thanks",
                "group_id": "g",
                "vector": cells[3],
            }
            for n in range(3)
        ],
    }
    for name, rows in tables.items():
        table = lake.table(KEY, name)
        save(table, table.append(table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema))))
    lake.table(KEY, "conversations").append_rows([{"turn_id": f"s{n}", "text": "thanks"} for n in range(3)])
    return lake


def wait(lake: Lake, turn_id: str, group_id: str) -> None:
    """One more turn waits, worth less than the others."""
    queue = lake.table(KEY, "review_queue")
    vector = queue.arrow(["vector"]).column("vector")[0].as_py()
    row = {"turn_id": turn_id, "group_id": group_id, "kind": "failed", "priority": 0.1, "text": "ta", "vector": vector}
    change = queue.append(queue.stage_arrow(pa.Table.from_pylist([row], queue.table.schema)))
    last = queue.last()
    queue.commit(change, Record.of(change, Signature()), last.version if last else None)


def test_a_decision_that_is_taken_back_is_no_more_in_force_and_all_of_it_is_on_record(lake: Lake) -> None:
    row = write_decision(lake, KEY, Decision(("s0", "s1"), "exclude", None, None, "kim"))
    undone = undo_decision(lake, KEY, row["decision_id"], "lee", "a mistake")
    decisions = lake.table(KEY, "review_decisions")
    assert in_force(decisions.arrow(COLUMNS)) == {} and decided_rows(decisions.arrow(COLUMNS)).num_rows == 0
    history = DecisionLog.of(decisions).history("s0")
    assert [(one["reviewer"], one["action"]) for one in history] == [("lee", "undo"), ("kim", "exclude")]
    with pytest.raises(DecisionError, match="already taken back by lee"):
        undo_decision(lake, KEY, row["decision_id"], "kim")
    with pytest.raises(DecisionError, match=r"no decision .* that could be taken back"):
        undo_decision(lake, KEY, undone["decision_id"], "kim")
    write_decision(lake, KEY, Decision(("s0",), "modify", "greet", None, "kim"))
    assert DecisionLog.of(decisions).decided("s0") == in_force(decisions.arrow(COLUMNS))["s0"]


def test_what_was_decided_before_a_decision_that_is_taken_back_counts_again(lake: Lake) -> None:
    write_decision(lake, KEY, Decision(("s0",), "modify", "greet", None, "kim"))
    row = write_decision(lake, KEY, Decision(("s0",), "modify", "part", None, "lee"), again=True)
    undo_decision(lake, KEY, row["decision_id"], "lee")
    assert in_force(lake.table(KEY, "review_decisions").arrow(COLUMNS))["s0"].new_intent == "greet"


def test_several_decisions_are_one_commit_or_none(lake: Lake) -> None:
    write_decision(lake, KEY, Decision(("s2",), "exclude", None, None, "lee"))
    wanted = [Decision(("s0", "s1"), "modify", "greet", None, "kim"), Decision(("s2",), "modify", "part", None, "kim")]
    with pytest.raises(DecisionError, match="s2 was already decided by lee"):
        write_decisions(lake, KEY, wanted)
    table = lake.table(KEY, "review_decisions")
    assert len(table.arrow()) == 1
    write_decisions(lake, KEY, wanted, again=True)
    assert len(table.arrow()) == 3 and (last := table.last()) and last.version == 1
    with pytest.raises(DecisionError, match="named twice"):
        write_decisions(lake, KEY, [wanted[0], wanted[0]])


def test_a_decision_shows_beforehand_what_else_it_would_mend(lake: Lake, write_bot: Callable[..., Bot]) -> None:
    effect = Desks(lake).of(write_bot(KEY)).effect(["s0"], "thanks")
    assert {change.name for change in effect.fixed} == {"s0", "s1", "s2"} and not effect.broken


def test_a_turn_that_is_too_little_worth_to_be_asked_itself_still_tells_what_a_decision_on_it_would_do(
    lake: Lake, write_bot: Callable[..., Bot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatbot_assets.feedback.desk.ASKED_GROUPS", 1)
    wait(lake, "s9", "other")
    effect = Desks(lake).of(write_bot(KEY)).effect(["s9"], "thanks")
    assert {change.name for change in effect.fixed} == {"s0", "s1", "s2"}


def test_a_label_that_is_changed_is_forecast_without_the_row_as_it_was(
    lake: Lake, write_bot: Callable[..., Bot]
) -> None:
    made = Desks(lake).of(write_bot(KEY))
    assert made.known["d2"] == [2]
    assert made.effect(["d2"], "greet").broken == ()


def test_a_desk_is_made_once_for_the_versions_of_its_tables_also_when_it_is_asked_for_while_it_is_made(
    lake: Lake, write_bot: Callable[..., Bot]
) -> None:
    desks, one = Desks(lake), write_bot(KEY)
    desks.make_ahead(one)
    first = desks.of(one)
    assert desks.of(one) is first
    wait(lake, "s9", "other")
    assert desks.of(one) is not first


def test_a_corrected_turn_is_mended_when_the_live_model_gives_what_was_wanted() -> None:
    def decided(intent: str | None, answer: str | None = None, action: str = "modify") -> Decided:
        return Decided("t", "hi", "conversations", action, intent, answer, "kim", "d", NOW)

    def fixed(one: Decided, category: str, intent: str | None, answer: str | None = None) -> list[bool]:
        return [found.fixed for found in outcomes([one], [Reply(answer, intent, 0.9, category, ())])]

    assert fixed(decided("greet"), "answered", "greet") == [True]
    assert fixed(decided("greet"), "similar", "greet") == [False], "it was only suggested"
    assert fixed(decided("greet"), "answered", "part") == [False]
    assert fixed(decided(None, "Hello!"), "answered", "greet", "Hello!") == [True]
    assert fixed(decided("greet", "Hello!"), "answered", "greet", "Bye!") == [False]
    assert fixed(decided(None, action="exclude"), "failed", None) == []
