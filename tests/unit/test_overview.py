"""Periods in time zones, and turns that are counted once for each file of the table."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.feedback.deciding import Decision, undo_decision, write_decisions
from chatbot_assets.feedback.decision_log import DecisionLog
from resources import costs
from resources.lakehouse import InputVersion, Lake, LakeTable, Record, Signature
from resources.metering import Meter
from serving.conversations import Conversations, new_turn_id
from serving.overview import traffic
from serving.overview.bots import Quality
from serving.overview.period import PeriodError, period_of
from serving.overview.traffic import QUARTER, Shares, Traffic
from serving.overview.unanswered import Question, Unanswered, plain_form
from serving.pages.service.plots import outcome_bars, quality_line, satisfaction_bars

NOW = datetime(2026, 3, 29, 20, 30, tzinfo=UTC)


# -- periods ------------------------------------------------------------------------------------------------------


def test_today_is_the_day_of_the_time_zone() -> None:
    assert period_of({"period": "today", "zone": "Asia/Seoul"}, NOW).first == date(2026, 3, 30)
    assert period_of({"period": "today", "zone": "America/New_York"}, NOW).first == date(2026, 3, 29)


def test_a_day_of_a_clock_change_has_as_many_hours_as_it_has() -> None:
    hours = period_of({"period": "today", "zone": "Europe/London"}, NOW).edges()
    assert len(hours) - 1 == 23 and hours[-1] - hours[0] == timedelta(hours=23)


def test_a_range_has_both_its_days_and_a_year_is_parted_into_weeks() -> None:
    days = period_of({"from": "2026-03-01", "to": "2026-03-03", "zone": "Asia/Seoul"}, NOW).edges()
    assert days[0] == datetime(2026, 2, 28, 15, tzinfo=UTC) and len(days) == 4
    year = period_of({"from": "2025-04-01", "to": "2026-03-29"}, NOW)
    assert year.unit == "week" and len(year.edges()) == 53


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"from": "yesterday"}, "date"),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "date"),
        ({"from": "9999-12-30", "to": "9999-12-31"}, "date"),
        ({"from": "2026-03-02", "to": "2026-03-01"}, "order"),
        ({"from": "2020-01-01", "to": "2026-01-01"}, "long"),
    ],
)
def test_what_is_no_period_is_refused_by_its_name(asked: dict[str, str], problem: str) -> None:
    with pytest.raises(PeriodError) as error:
        period_of(asked, NOW)
    assert error.value.problem == problem


@given(
    st.dictionaries(
        st.sampled_from(["period", "from", "to", "zone"]),
        st.one_of(st.text(max_size=12), st.dates().map(str), st.sampled_from(["7", "Asia/Kolkata", "Pacific/Apia"])),
    )
)
def test_any_address_gives_a_period_of_growing_moments_or_a_named_problem(asked: dict[str, str]) -> None:
    try:
        edges = period_of(asked, NOW).edges()
    except PeriodError as error:
        assert error.problem in ("zone", "date", "order", "long")
    else:
        assert edges == sorted(set(edges)) and 2 <= len(edges) <= 100
        assert all(edge.timestamp() % QUARTER == 0 for edge in edges)


# -- traffic ------------------------------------------------------------------------------------------------------


def turn(minutes: float, category: str = "answered", satisfied: bool | None = None, text: str = "Hi") -> dict[str, Any]:
    at = NOW - timedelta(minutes=minutes)
    return {
        "turn_id": new_turn_id(),
        "session_id": "s",
        "text": text,
        "category": category,
        "satisfied": satisfied,
        "served_at": at,
    }


@pytest.fixture
def table(lake: Lake) -> LakeTable:
    return lake.table("acme.faq", "conversations")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows were counted, in each reading of a file."""
    rows: list[int] = []
    count = traffic._counted

    def counting(batches: Any, file: int) -> Any:
        kept = list(batches)
        rows.append(sum(batch.num_rows for batch in kept))
        return count(kept, file)

    monkeypatch.setattr(traffic, "_counted", counting)
    yield rows


@pytest.fixture
def bot(table: LakeTable, tmp_path: Path) -> Traffic:
    return Traffic(table, tmp_path / "cache" / "acme.faq.npy")


HOURS = [NOW - timedelta(hours=2), NOW - timedelta(hours=1), NOW]


def test_a_bot_that_nobody_wrote_to_has_no_turns(bot: Traffic) -> None:
    assert bot.counts().between(HOURS) == [Shares(), Shares()]
    assert Shares().share("failed") is None


def test_turns_fall_into_the_part_they_were_served_in(table: LakeTable, bot: Traffic) -> None:
    Conversations(table).append(
        [turn(70), turn(61, "failed", False), turn(60, "similar"), turn(1, satisfied=True), turn(500), turn(-1)]
    )
    earlier, later = bot.counts().between(HOURS)
    assert earlier == Shares(answered=1, failed=1, dissatisfied=1)
    assert later == Shares(answered=1, similar=1, satisfied=1)


def test_only_new_files_are_read(table: LakeTable, bot: Traffic, counted: list[int]) -> None:
    conversations = Conversations(table)
    for rows in (3, 2, 1):
        conversations.append([turn(5)] * rows)
        bot.counts()
        bot.counts()
    assert counted == [3, 2, 1]
    assert bot.counts().between(HOURS)[1] == Shares(answered=6)


def test_verdicts_that_come_later_and_compaction_are_counted_once(table: LakeTable, bot: Traffic) -> None:
    conversations = Conversations(table)
    turns = [turn(5), turn(6, "failed")]
    conversations.append(turns)
    bot.counts()
    conversations.amend({turns[0]["turn_id"]: {"satisfied": True}})
    Conversations(table).append([turn(7)])
    assert bot.counts().between(HOURS)[1] == Shares(answered=2, failed=1, satisfied=1)
    table.join_files(10**9)
    assert bot.counts().between(HOURS)[1] == Shares(answered=2, failed=1, satisfied=1)


def test_a_service_that_starts_reads_only_what_was_not_counted_before_it(
    table: LakeTable, tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "UNSAVED_FILES", 1)
    kept, conversations = tmp_path / "cache" / "acme.faq.npy", Conversations(table)
    first = [turn(5), turn(6, "failed")]
    conversations.append(first)
    conversations.append([turn(70)] * 3)
    Traffic(table, kept).counts()
    conversations.append([turn(7)])
    conversations.remove([one["turn_id"] for one in first], {"expired": "today"})
    assert counted == [2, 3]
    assert Traffic(table, kept).counts().between(HOURS) == [Shares(answered=3), Shares(answered=1)]
    assert counted == [2, 3, 1]


@pytest.mark.parametrize("damage", [b"", b"no counts", "another release"])
def test_kept_counts_that_cannot_be_used_are_made_again(
    table: LakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes | str
) -> None:
    monkeypatch.setattr(traffic, "UNSAVED_FILES", 1)
    kept = tmp_path / "acme.faq.npy"
    Conversations(table).append([turn(5)])
    Traffic(table, kept).counts()
    if isinstance(damage, bytes):
        kept.write_bytes(damage)
    else:
        np.save(kept, np.zeros(3, np.int64))
    assert Traffic(table, kept).counts().between(HOURS)[1] == Shares(answered=1)


KEY = "acme.faq"


def most_asked(lake: Lake, count: int = 10) -> list[Question]:
    log = DecisionLog.of(lake.table(KEY, "review_decisions"))
    return Unanswered().top(lake, KEY, log, HOURS[0], NOW, count)


def test_questions_that_differ_in_case_or_signs_are_one_and_the_most_frequent_comes_first(
    lake: Lake, table: LakeTable
) -> None:
    asked = ["Where is my bill?", "WHERE is my bill", "where  is my bill!", "Pizza, please", "???"]
    Conversations(table).append([turn(number + 1, "failed", text=text) for number, text in enumerate(asked)])
    Conversations(table).append([turn(1, "answered", text="Understood"), turn(300, "failed", text="Too long ago")])
    found = most_asked(lake)
    assert [(one.text, one.times) for one in found] == [("Where is my bill?", 3), ("Pizza, please", 1), ("???", 1)]
    assert len(most_asked(lake, 2)) == 2 and not any(one.is_queued for one in found)


def test_what_people_decided_is_no_open_question_any_more(lake: Lake, table: LakeTable) -> None:
    turns = [turn(number + 1, "failed", text=text) for number, text in enumerate(["Pizza", "Eels", "Eels"])]
    Conversations(table).append(turns)
    eels = tuple(found["turn_id"] for found in turns[1:])
    (decision,) = write_decisions(lake, KEY, [Decision(eels, "hold", None, None, "kim", None)])
    assert [one.text for one in most_asked(lake)] == ["Pizza"]
    undo_decision(lake, KEY, decision["decision_id"], "kim")
    assert [one.text for one in most_asked(lake)] == ["Eels", "Pizza"]


def queue(lake: Lake, made_from: int, *rows: tuple[dict[str, Any], str]) -> None:
    """Makes the review queue of failed turns, each with its group, from a version of the conversations."""
    table = lake.table(KEY, "review_queue")
    found = [
        {"turn_id": one["turn_id"], "kind": "failed", "group_id": group, "text": one["text"]} for one, group in rows
    ]
    staged = table.stage_arrow(pa.Table.from_pylist(found, table.table.schema))
    change = table.overwrite(staged)
    table.commit(change, Record.of(change, Signature({"conversations": InputVersion(made_from, "x")})), None)


def test_turns_are_grouped_as_the_review_queue_has_them_and_new_ones_join_by_their_words(
    lake: Lake, table: LakeTable
) -> None:
    asked = datetime.now(UTC) - timedelta(hours=1)
    turns = [
        turn(0, "failed", text=text) | {"served_at": asked + timedelta(minutes=number)}
        for number, text in enumerate(["My eels", "Mine eel", "Settled"])
    ]
    Conversations(table).append(turns)
    last = table.last()
    assert last
    queue(lake, last.version, (turns[0], "eels"), (turns[1], "eels"))
    later = last.committed_at + timedelta(seconds=1)
    new = [turn(0, "failed", text=text) | {"served_at": later} for text in ("my EELS!", "Settled", "Pizza")]
    Conversations(table).append(new)
    log = DecisionLog.of(lake.table(KEY, "review_decisions"))
    found = Unanswered().top(lake, KEY, log, asked, later + timedelta(seconds=1))
    assert {(one.text, one.times, one.is_queued) for one in found} == {
        ("Mine eel", 3, True),
        ("Settled", 1, False),
        ("Pizza", 1, False),
    }


@given(st.text())
def test_the_plain_form_of_a_plain_form_is_itself(text: str) -> None:
    assert plain_form(plain_form(text)) == plain_form(text)
    assert plain_form(f" {text}.") == plain_form(text) or not any(map(str.isalnum, text))


# -- plots --------------------------------------------------------------------------------------------------------

shares = st.builds(Shares, *[st.integers(0, 50)] * 5)


@given(st.lists(shares, min_size=1, max_size=40))
def test_the_blocks_of_a_bar_fill_it_and_stay_inside(parts: list[Shares]) -> None:
    bars = outcome_bars(parts)
    assert [bar.place for bar in bars] == [place for place, part in enumerate(parts) if part.turns]
    for bar in bars:
        assert sum(block.height for block in bar.blocks) == pytest.approx(100, abs=0.05)
        assert all(0 <= block.x < block.x + block.width <= 100.01 for block in bar.blocks)
    assert [bar.place for bar in satisfaction_bars(parts)] == [n for n, part in enumerate(parts) if part.judged]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=24))
def test_the_quality_line_stays_inside_and_higher_is_better(values: list[float]) -> None:
    line = quality_line([Quality(NOW + timedelta(days=day), value, 10) for day, value in enumerate(values)])
    assert line is not None and line.foot <= min(values)
    assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in line.points)
    best = values.index(max(values))
    assert line.points[best][1] == min(y for _, y in line.points)


# -- costs --------------------------------------------------------------------------------------------------------


def test_the_steps_of_the_last_whole_update_are_kept_and_a_run_of_the_queue_alone_changes_nothing(lake: Lake) -> None:
    folder = lake.bot_folder("acme.faq")
    folder.mkdir(parents=True)
    meter = Meter()
    meter.stop()
    assert costs.last_cost(folder) is None
    for run, step, rows in (("1", "landing", 9), ("2", "landing", 5), ("2", "landing", 0), ("2", "models", 7)):
        costs.note(folder, run, step, meter, rows, 1)
    costs.note(folder, "3", "review_queue", meter, 1, 1)
    found = costs.last_cost(folder)
    assert found is not None and found.run_id == "2"
    assert Counter({step.step: step.rows_computed for step in found.steps}) == {"landing": 5, "models": 7}
