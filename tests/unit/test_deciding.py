"""Review decisions: what may be decided, who comes second, and which decision counts."""

import errno
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from chatbot_assets.feedback.deciding import Decision, DecisionError, undo_decision, write_decision
from chatbot_assets.feedback.decision_log import DecisionLog
from chatbot_assets.process.decisions import COLUMNS, in_force
from resources.environment import PROJECT
from resources.lakehouse import Commit, Lake

KEY = "acme.faq"


@pytest.fixture
def lake(lake: Lake, save: Callable[..., Commit | None]) -> Lake:
    """A bot with two intents, two landed rows and three served turns."""
    for name, rows in {
        "utterances": [{"utterance_id": "u1", "intent": "greet"}, {"utterance_id": "u2", "intent": "part"}],
        "dialogues": [{"turn_id": "d1", "text": "Hi"}, {"turn_id": "d2", "text": "Bye"}],
    }.items():
        table = lake.table(KEY, name)
        save(table, table.append(table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema))))
    served = [{"turn_id": f"s{n}", "text": f"text {n}", "served_at": datetime.now(UTC)} for n in range(3)]
    lake.table(KEY, "conversations").append_rows(served)
    return lake


def decide(
    lake: Lake, *turn_ids: str, action: str = "modify", intent: str | None = None, **more: Any
) -> dict[str, Any]:
    answer, reviewer = more.pop("answer", None), more.pop("reviewer", "kim")
    return write_decision(lake, KEY, Decision(turn_ids, action, intent, answer, reviewer), **more)


def decisions(lake: Lake) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.table(KEY, "review_decisions").arrow().to_pylist()
    return rows


def test_a_decision_is_kept_with_the_texts_it_was_about_and_who_made_it(lake: Lake) -> None:
    decide(lake, "s2", "s0", intent="greet", answer="Hello!")
    [row] = decisions(lake)
    assert (row["turn_ids"], row["texts"], row["source"]) == (["s2", "s0"], ["text 2", "text 0"], "conversations")
    assert (row["action"], row["intent"], row["answer"], row["reviewer"]) == ("modify", "greet", "Hello!", "kim")
    assert row["decided_at"].tzinfo is not None
    last = lake.table(KEY, "review_decisions").last()
    assert last and last.record and last.record.rows == 1


def test_a_landed_row_can_be_decided_on_too(lake: Lake) -> None:
    decide(lake, "d2", action="exclude")
    assert decisions(lake)[0]["source"] == "dialogues"


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        ({"turn_ids": ["s0"]}, "modify needs the right intent, the right answer or both"),
        ({"turn_ids": ["s0"], "action": "hold", "intent": "greet"}, "hold takes neither intent nor answer"),
        ({"turn_ids": ["s0"], "action": "delete"}, "allowed: modify, hold, exclude"),
        ({"turn_ids": ["s0"], "intent": "gret"}, "did you mean greet"),
        ({"turn_ids": ["s0"], "answer": "  "}, "must not be empty"),
        ({"turn_ids": ["s0", "s9"], "intent": "greet"}, "has no turn s9"),
        ({"turn_ids": ["s0", "d1"], "intent": "greet"}, "one kind at a time"),
        ({"turn_ids": [], "intent": "greet"}, "at least one turn"),
    ],
)
def test_a_decision_that_makes_no_sense_is_one_clear_line_and_is_not_kept(
    lake: Lake, decision: dict[str, Any], says: str
) -> None:
    with pytest.raises(DecisionError, match=says) as error:
        decide(lake, *decision.pop("turn_ids"), **decision)
    assert "\n" not in str(error.value)
    assert lake.table(KEY, "review_decisions").last() is None


def test_a_new_intent_is_taken_when_it_is_said_to_be_new(lake: Lake) -> None:
    decide(lake, "s0", intent="thanks", new_intent=True)
    assert decisions(lake)[0]["intent"] == "thanks"


def test_the_second_to_decide_on_a_turn_is_told_who_was_first(lake: Lake) -> None:
    decide(lake, "s0", "s1", intent="greet", reviewer="kim")
    with pytest.raises(DecisionError, match=r"s1 was already decided by kim: modify \(greet\)"):
        decide(lake, "s1", intent="part", reviewer="lee")
    decide(lake, "s1", intent="part", reviewer="lee", again=True)
    found = in_force(lake.table(KEY, "review_decisions").arrow(COLUMNS))
    assert {turn: (one.new_intent, one.reviewer) for turn, one in found.items()} == {
        "s0": ("greet", "kim"),
        "s1": ("part", "lee"),
    }


def test_a_turn_on_hold_waits_for_a_decision(lake: Lake) -> None:
    decide(lake, "s0", action="hold")
    decide(lake, "s0", intent="greet")
    assert in_force(lake.table(KEY, "review_decisions").arrow(COLUMNS))["s0"].action == "modify"


def test_of_many_who_decide_on_one_turn_at_once_one_wins_and_decisions_on_other_turns_are_all_kept(lake: Lake) -> None:
    refused: list[str] = []

    def review(reviewer: str) -> None:
        for turns in (("s0",), (f"own-{reviewer}",)):
            try:
                decide(lake, *turns, intent="greet", reviewer=reviewer)
            except DecisionError as error:
                refused.append(str(error))

    served = [{"turn_id": f"own-{n}", "text": "own", "served_at": datetime.now(UTC)} for n in range(4)]
    lake.table(KEY, "conversations").append_rows(served)
    threads = [threading.Thread(target=review, args=[str(n)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = sorted(turn for row in decisions(lake) for turn in row["turn_ids"])
    assert turns == ["own-0", "own-1", "own-2", "own-3", "s0"]
    assert len(refused) == 3 and all("already decided by" in line for line in refused)


def test_processes_decide_at_once_without_losing_or_doubling_one(lake: Lake) -> None:
    own = {name: [f"{name}-{n}" for n in range(4)] for name in ("kim", "lee")}
    both = [f"both-{n}" for n in range(3)]
    served = [*both, *own["kim"], *own["lee"]]
    rows = [{"turn_id": turn_id, "text": "?", "served_at": datetime.now(UTC)} for turn_id in served]
    lake.table(KEY, "conversations").append_rows(rows)
    start = lake.root / "start"
    deciding = [
        subprocess.Popen(
            [sys.executable, "-c", DECIDE, str(lake.root), str(start), name, *both, *own[name]],
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        for name in own
    ]
    while not all((lake.root / name).exists() for name in own) and all(one.poll() is None for one in deciding):
        time.sleep(0.01)
    start.touch()
    said = "".join(process.communicate(timeout=200)[0] for process in deciding)
    assert [process.returncode for process in deciding] == [0, 0]
    counts = Counter(turn_id for row in decisions(lake) for turn_id in row["turn_ids"])
    assert counts == Counter(served)
    assert said.count("already decided by") == len(both)
    record = lake.table(KEY, "review_decisions").last()
    assert record and record.record and record.record.rows == len(served)


DECIDE = """
import sys, time
from pathlib import Path
from chatbot_assets.feedback.deciding import Decision, DecisionError, undo_decision, write_decision
from chatbot_assets.feedback.decision_log import DecisionLog
from resources.lakehouse import Lake

root, start, name, *turns = sys.argv[1:]
Path(root, name).touch()
while not Path(start).exists():
    time.sleep(0.001)
for turn in turns:
    try:
        write_decision(Lake(Path(root)), "acme.faq", Decision((turn,), "exclude", None, None, name))
    except DecisionError as error:
        print(error)
"""


def test_the_log_tells_of_a_decision_what_one_that_reads_the_table_tells(lake: Lake) -> None:
    table = lake.table(KEY, "review_decisions")
    for turn_id, action in (("s0", "hold"), ("s1", "exclude")):
        decide(lake, turn_id, action=action)
    undo_decision(lake, KEY, decisions(lake)[0]["decision_id"], "lee")
    kept, read = DecisionLog.of(table), DecisionLog(table)
    read.update()
    assert kept is not read and kept.newest(9) == read.newest(9) and len(kept.newest(9)) == 3
    assert [kept.decided(turn_id) for turn_id in ("s0", "s1")] == [read.decided(turn_id) for turn_id in ("s0", "s1")]
    assert kept.last_at == read.last_at


def test_a_decision_that_cannot_be_committed_is_told_of_and_not_remembered(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(lake, "s0", action="exclude")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("deltalake.write_deltalake", full)
        with pytest.raises(OSError, match="No space left"):
            decide(lake, "s1", action="exclude", reviewer="kim")
    decide(lake, "s1", action="hold", reviewer="lee")
    assert [(row["turn_ids"], row["reviewer"]) for row in decisions(lake)] == [(["s0"], "kim"), (["s1"], "lee")]


def test_decisions_go_on_when_the_table_s_files_were_joined_or_it_was_set_back(lake: Lake, tmp_path: Path) -> None:
    table = lake.table(KEY, "review_decisions")
    decide(lake, "s0", action="hold")
    shutil.copytree(table.path, tmp_path / "before")
    decide(lake, "s0", action="hold")
    table.join_files(1 << 20)
    decide(lake, "s0", intent="greet")
    assert [row["action"] for row in decisions(lake)].count("hold") == 2 and len(table.files()) == 2
    shutil.rmtree(table.path)
    shutil.copytree(tmp_path / "before", table.path)
    decide(lake, "s0", intent="part")
    assert [(row["action"], row["intent"]) for row in decisions(lake)] == [("hold", None), ("modify", "part")]
