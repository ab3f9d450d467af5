"""The log of served turns, and who brings it into the tables: none lost and none doubled, whatever happens."""

import dataclasses
import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from deltalake import DeltaTable
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_bot import KEY, OTHER, wait_for

from chatbot_assets.erasing.sources import empty_journal
from chatbot_assets.tables import CONVERSATIONS
from resources.lakehouse import Lake, LakeTable
from serving import writer
from serving.conversation_log import ConversationLog
from serving.conversations import TURN_ID, Conversations, new_turn_id
from serving.journal import Entry, Journal, ask_to_retire, entries, segments_in
from serving.writer import FLUSH_SECONDS, Writer, alone


def turn(text: str = "hi") -> dict[str, Any]:
    return {"turn_id": new_turn_id(), "text": text, "category": "similar", "candidates": "[]"}


class WrittenLog(ConversationLog):
    """A log that is passed on when a test says so."""

    def __init__(self, lake: Lake) -> None:
        self._folder = lake.root.parent / "journal"
        super().__init__(lake, self._folder)
        self.writer = Writer(lake, self._folder)

    def flush(self) -> None:
        self._journal.wait()
        self.writer.pass_on()

    def serve_at(self, moment: float, key: str = KEY) -> None:
        """A turn, and a flush at a moment."""
        self.add(key, turn(f"{moment}")).result(60)
        self.writer.pass_on(moment)

    def close(self) -> None:
        super().close()
        self.writer.pass_on()


def log_of(lake: Lake) -> WrittenLog:
    return WrittenLog(lake)


@contextmanager
def writing(lake: Lake) -> Iterator[None]:
    """A writer that runs until the end of the block, and then writes what is left."""
    stop = threading.Event()
    thread = threading.Thread(target=Writer(lake, lake.root.parent / "journal").run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(120)
        assert not thread.is_alive()


def verdicts(lake: Lake, key: str = KEY) -> dict[str, tuple[bool | None, str | None]]:
    """``satisfied`` and ``chosen_candidate`` of every turn, by its text."""
    rows = DeltaTable(str(lake.table(key, "conversations").path)).to_pyarrow_table().to_pylist()
    assert len({row["turn_id"] for row in rows}) == len(rows)
    return {row["text"]: (row["satisfied"], row["chosen_candidate"]) for row in rows}


def texts(lake: Lake, key: str = KEY) -> list[str]:
    return sorted(lake.table(key, "conversations").arrow(["text"]).column("text").to_pylist())


def test_turns_are_written_together_a_moment_later(lake: Lake) -> None:
    log = ConversationLog(lake, lake.root.parent / "journal")
    kept = [log.add(KEY, turn(f"{number:02}")) for number in range(20)]
    assert [one.result(60) for one in kept] == [None] * 20
    with writing(lake):
        wait_for(lambda: len(texts(lake)) == 20)
        last = lake.table(KEY, "conversations").last()
        assert last and last.version == 1, "the table's creation and one append"
        log.close()
    assert list((lake.root.parent / "journal").iterdir()) == []


def test_of_two_writers_one_waits_until_the_other_has_ended(lake: Lake) -> None:
    log = ConversationLog(lake, lake.root.parent / "journal")
    stop = threading.Event()
    with alone(lake.root.parent / "journal", stop) as first:
        assert first
        with writing(lake):
            log.add(KEY, turn("waits")).result(60)
            time.sleep(FLUSH_SECONDS + 0.2)
            assert lake.table(KEY, "conversations").last() is None
    log.close()
    with writing(lake):
        wait_for(lambda: texts(lake) == ["waits"])


def test_closing_writes_what_is_waiting(lake: Lake) -> None:
    log = log_of(lake)
    log.add(KEY, turn("the last words"))
    log.close()
    assert texts(lake) == ["the last words"]


def test_each_bot_s_turns_go_to_its_own_table(lake: Lake) -> None:
    log = log_of(lake)
    log.add(KEY, turn("ours"))
    log.add(OTHER, turn("theirs"))
    log.close()
    assert (texts(lake), texts(lake, OTHER)) == (["ours"], ["theirs"])


def test_turns_whose_table_cannot_be_written_wait_and_hold_up_nobody_else(lake: Lake) -> None:
    obstacle = lake.table(KEY, "conversations").path
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("a file where the table belongs", encoding="utf-8")
    log = log_of(lake)
    log.add(KEY, turn("patient"))
    log.add(OTHER, turn("swift"))
    log.flush()
    assert texts(lake, OTHER) == ["swift"]
    assert log.writer.waiting_bytes() > 0
    obstacle.unlink()
    log.add(KEY, turn("later"))
    log.close()
    assert texts(lake) == ["later", "patient"]


def test_turns_from_many_threads_and_two_services_are_all_there_once(lake: Lake) -> None:
    logs = [ConversationLog(lake, lake.root.parent / "journal") for _ in range(2)]

    def serve(log: ConversationLog, name: str) -> None:
        for number in range(50):
            log.add(KEY, turn(f"{name} {number}"))

    threads = [
        threading.Thread(target=serve, args=(log, f"{place} {thread}"))
        for place, log in enumerate(logs)
        for thread in range(4)
    ]
    with writing(lake):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for log in logs:
            log.close()
    assert len(texts(lake)) == len(set(texts(lake))) == 400


# -- how often ----------------------------------------------------------------------------------------------------


@pytest.fixture
def steady(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[WrittenLog]:
    """A log of a bot that has just used up the writes that it had saved."""
    monkeypatch.setattr(writer, "SAVED_WRITES", 2)
    log = log_of(lake)
    for moment in (0.0, FLUSH_SECONDS):
        log.serve_at(moment)
    yield log
    log.close()


def test_a_bot_that_is_asked_all_the_time_is_written_to_each_half_minute(lake: Lake, steady: WrittenLog) -> None:
    written_at = [1]
    for half_second in range(2, 150):
        before = len(texts(lake))
        steady.serve_at(half_second * FLUSH_SECONDS)
        if len(texts(lake)) > before:
            assert len(texts(lake)) == half_second + 1, "all that was served"
            written_at.append(half_second)
    assert [after - one for one, after in pairwise(written_at)] == [59, 60], "the first of them was saved for later"


def test_a_bot_that_was_quiet_is_written_to_at_the_next_flush_and_others_never_wait_for_a_busy_one(
    lake: Lake, steady: WrittenLog
) -> None:
    steady.serve_at(1.0, OTHER)
    steady.serve_at(1.0)
    assert (len(texts(lake)), len(texts(lake, OTHER))) == (2, 1)
    for moment in (100.0, 100.5):
        steady.serve_at(moment)
    assert len(texts(lake)) == 5


def test_where_more_bots_are_due_than_there_is_time_for_the_one_that_was_quiet_comes_first(
    lake: Lake, steady: WrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.0)
    steady.add(KEY, turn("of a busy one")).result(60)
    steady.serve_at(100.0, OTHER)
    assert (len(texts(lake)), len(texts(lake, OTHER))) == (2, 1)
    steady.writer.pass_on(100.5)
    assert len(texts(lake)) == 3


def test_writes_that_were_saved_up_wait_where_they_would_take_more_than_their_share(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "SAVED_SHARE", 0.0)
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 60.0)
    log = log_of(lake)

    def written_at(moment: float) -> int:
        log.add(KEY, turn(f"{moment}")).result(60)
        before = len(texts(lake)) + len(texts(lake, OTHER))
        log.serve_at(moment, OTHER)
        return len(texts(lake)) + len(texts(lake, OTHER)) - before

    log.serve_at(0.0)
    log.serve_at(0.0, OTHER)
    assert written_at(1.0) == 1, "one bot at least"
    assert written_at(100.0) == 3, "the others' turns of before too, for the pace has come so far"
    log.close()


def test_a_bot_of_which_much_waits_is_written_to_at_once(
    lake: Lake, steady: WrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MANY_RECORDS", 3)
    for moment, there in ((1.0, 2), (1.5, 2), (2.0, 5), (2.5, 5), (3.0, 5), (3.5, 8)):
        steady.serve_at(moment)
        assert len(texts(lake)) == there


def test_what_somebody_wants_out_of_the_journal_is_written_at_once(lake: Lake, steady: WrittenLog) -> None:
    steady.serve_at(1.0)
    assert len(texts(lake)) == 2
    ask_to_retire(lake.root.parent / "journal")
    steady.writer.pass_on(1.5)
    assert len(texts(lake)) == 3


def test_turns_and_verdicts_of_several_processes_are_written_in_one_commit(lake: Lake) -> None:
    logs = [ConversationLog(lake, lake.root.parent / "journal") for _ in range(3)]
    turns = [turn(str(number)) for number in range(3)]
    for log, one in zip(logs, turns, strict=True):
        log.add(KEY, one).result(60)
    for log, one in zip(reversed(logs), turns, strict=True):
        log.add_feedback(KEY, one["turn_id"], {"satisfied": True}).result(60)
    Writer(lake, lake.root.parent / "journal").pass_on()
    last = lake.table(KEY, "conversations").last()
    assert last and last.version == 1, "the table's creation and one append"
    assert verdicts(lake) == {str(number): (True, None) for number in range(3)}
    for log in logs:
        log.close()


class Traffic:
    """Two processes that serve a bot, and writers that follow each other, under whatever happens to them."""

    def __init__(self, root: Path) -> None:
        self.lake, self.folder = Lake(root / "lake"), root / "journal"
        self.logs = [ConversationLog(self.lake, self.folder) for _ in range(2)]
        self.writer = Writer(self.lake, self.folder)
        self.now = 0.0
        self.served: list[dict[str, Any]] = []
        self.told: dict[str, str] = {}

    def serve(self, process: int) -> None:
        """A turn, and what a shadow made of it."""
        self.served.append(turn(f"turn {len(self.served)}"))
        self.logs[process].add(KEY, self.served[-1])
        self.logs[process].add_shadow(KEY, {"turn_id": self.served[-1]["turn_id"], "answer": "moo"}).result(60)

    def judge(self, process: int) -> None:
        for one in self.served[-1:]:
            assert self.logs[process].find(KEY, one["turn_id"])
            self.told[one["text"]] = f"{len(self.told)} {self.told.get(one['text'], '')}"
            self.logs[process].add_feedback(
                KEY, one["turn_id"], {"satisfied": True, "chosen_candidate": self.told[one["text"]]}
            ).result(60)

    def flush(self, seconds: int) -> None:
        self.now += seconds
        with suppress(OSError):
            self.writer.pass_on(self.now)

    def flush_while_more_comes(self, process: int) -> None:
        """A turn and a verdict come between the reading of one segment and that of the next one, each time."""

        def then_more(path: Path, start: int = 0) -> Iterator[Entry]:
            yield from entries(path, start)
            self.serve(process)
            self.judge(1 - process)

        self._flush_with(then_more)

    def flush_while_the_disk_fails(self, choice: int) -> None:
        def some(path: Path, start: int = 0) -> Iterator[Entry]:
            yield from islice(entries(path, start), 3 * choice)
            raise OSError(5, "Input/output error")

        self._flush_with(some)

    def flush_while_the_table_is_away(self, _: int) -> None:
        path = self.lake.table(KEY, "conversations").path
        path.mkdir(parents=True, exist_ok=True)
        away = path.rename(path.with_name("away"))
        path.write_text("a file where the table belongs", encoding="utf-8")
        self.flush(1)
        path.unlink()
        away.rename(path)
        self.writer._retry_at = dict.fromkeys(self.writer._retry_at, self.now + 1)

    def kill(self, _: int) -> None:
        self.writer = Writer(self.lake, self.folder)

    def _flush_with(self, reading: Callable[..., Iterator[Entry]]) -> None:
        writer.entries = reading  # type: ignore[attr-defined]
        self.flush(1)
        writer.entries = entries  # type: ignore[attr-defined]

    def end(self) -> None:
        for log in self.logs:
            log.close()
        self.writer.pass_on()


HAPPENINGS = (
    *(Traffic.serve, Traffic.judge, Traffic.flush, Traffic.kill),
    *(Traffic.flush_while_more_comes, Traffic.flush_while_the_disk_fails, Traffic.flush_while_the_table_is_away),
)


@settings(max_examples=8, deadline=None)
@example(happened=[(Traffic.flush_while_more_comes, choice) for choice in (0, 1)])
@example(
    happened=[(Traffic.flush_while_the_table_is_away, 0), (Traffic.flush_while_the_disk_fails, 1), (Traffic.flush, 1)]
)
@example(happened=[(Traffic.judge, 1), (Traffic.judge, 0), (Traffic.flush, 40)])
@given(happened=st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 1)), min_size=4, max_size=16))
def test_whatever_happens_each_turn_comes_once_and_with_its_last_verdict(
    happened: list[tuple[Callable[[Traffic, int], None], int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    traffic = Traffic(tmp_path_factory.mktemp("traffic"))
    traffic.serve(0)
    with patch.object(writer, "SAVED_WRITES", 2):
        for happening, choice in happened:
            happening(traffic, choice)
        traffic.end()
    assert verdicts(traffic.lake) == {
        one["text"]: (True if one["text"] in traffic.told else None, traffic.told.get(one["text"]))
        for one in traffic.served
    }
    shadows = traffic.lake.table(KEY, "shadow_answers").arrow(["turn_id"]).column("turn_id").to_pylist()
    assert sorted(shadows) == sorted(one["turn_id"] for one in traffic.served)
    assert list(traffic.folder.iterdir()) == []


# -- feedback -----------------------------------------------------------------------------------------------------


def test_feedback_on_a_turn_that_waits_to_be_written_is_written_with_it(lake: Lake) -> None:
    log = log_of(lake)
    waiting = turn()
    log.add(KEY, waiting)
    log.add_feedback(KEY, waiting["turn_id"], {"satisfied": True})
    log.close()
    last = lake.table(KEY, "conversations").last()
    assert last and last.version == 1, "the table's creation and one append"
    assert verdicts(lake) == {"hi": (True, None)}


def test_feedback_on_written_turns_is_in_the_table_a_moment_later_in_one_commit(lake: Lake) -> None:
    turns = [turn(f"{number:02}") for number in range(30)]
    Conversations(lake.table(KEY, "conversations")).append(turns)
    log = log_of(lake)
    for number, one in enumerate(turns[:20]):
        log.add_feedback(KEY, one["turn_id"], {"satisfied": number % 2 == 0, "chosen_candidate": f"it's {number}"})
    log.close()
    told = {f"{number:02}": (number % 2 == 0, f"it's {number}") for number in range(20)}
    assert verdicts(lake) == told | {f"{number:02}": (None, None) for number in range(20, 30)}
    last = lake.table(KEY, "conversations").last()
    assert last and last.version <= 3, "many verdicts are few commits"


def test_of_several_verdicts_the_last_one_counts_and_what_it_does_not_mention_stays(lake: Lake) -> None:
    one, other = turn("one"), turn("other")
    log = log_of(lake)
    log.add(KEY, one)
    log.add(KEY, other)
    for flushed in (False, True):
        for said in ({"satisfied": True}, {"chosen_candidate": "a"}, {"satisfied": False}, {"satisfied": False}):
            log.add_feedback(KEY, one["turn_id"], said)
            if flushed:
                log.flush()
        log.flush()
        assert verdicts(lake) == {"one": (False, "a"), "other": (None, None)}
        log.add_feedback(KEY, one["turn_id"], {"satisfied": True, "chosen_candidate": "b"})
        log.flush()
        assert verdicts(lake)["one"] == (True, "b")
    log.close()


@pytest.mark.parametrize("text", ["'", "''; --", "\\'", "a\nb", "설탕 '둘'", "CASE WHEN", '"', "\x00", "%_"])
def test_what_was_chosen_is_kept_to_the_letter(lake: Lake, text: str) -> None:
    log = log_of(lake)
    chosen, left = turn("chosen"), turn("left")
    log.add(KEY, chosen)
    log.add(KEY, left)
    log.flush()
    log.add_feedback(KEY, chosen["turn_id"], {"chosen_candidate": text})
    log.close()
    assert verdicts(lake) == {"chosen": (None, text), "left": (None, None)}


def test_feedback_whose_table_cannot_be_written_waits_and_the_newer_verdict_wins(lake: Lake) -> None:
    one, other = turn("one"), turn("other")
    table = lake.table(KEY, "conversations")
    Conversations(table).append([one, other])
    log = log_of(lake)
    away = table.path.rename(table.path.with_name("away"))
    table.path.write_text("a file where the table belongs", encoding="utf-8")
    log.add_feedback(KEY, one["turn_id"], {"satisfied": True, "chosen_candidate": "a"})
    log.add_feedback(KEY, other["turn_id"], {"satisfied": True})
    log.flush()
    log.add_feedback(KEY, one["turn_id"], {"satisfied": False})
    log.flush()
    table.path.unlink()
    away.rename(table.path)
    log.close()
    assert verdicts(lake) == {"one": (False, "a"), "other": (True, None)}


def test_a_turn_is_found_while_it_waits_after_it_was_written_and_amended_and_by_another_service(lake: Lake) -> None:
    log = log_of(lake)
    one = turn() | {"category": "answered", "candidates": '[{"id": "x"}]'}
    log.add(KEY, one).result(60)
    for _ in ("waiting", "written", "amended"):  # each flush does the next one
        found = log.find(KEY, one["turn_id"])
        assert found and (found["category"], found["candidates"]) == ("answered", '[{"id": "x"}]')
        assert log.find(OTHER, one["turn_id"]) is None
        assert log.find(KEY, new_turn_id()) is None
        assert log.find(KEY, "no id, but '; DROP TABLE") is None
        log.flush()
        log.add_feedback(KEY, one["turn_id"], {"satisfied": True})
    log.close()
    later = log_of(lake)
    assert later.find(KEY, one["turn_id"]) == {name: one[name] for name in ("turn_id", "category", "candidates")}
    later.close()


# -- the table ----------------------------------------------------------------------------------------------------


def test_a_table_of_an_earlier_release_gets_the_new_column_and_keeps_its_rows(lake: Lake) -> None:
    path = lake.table(KEY, "conversations").path
    columns = tuple(column for column in CONVERSATIONS.columns if column.name != "chosen_candidate")
    old = turn("old") | {"turn_id": uuid.uuid4().hex}
    LakeTable(path, dataclasses.replace(CONVERSATIONS, columns=columns)).append_rows([old])

    log = log_of(lake)
    assert log.find(KEY, old["turn_id"])
    log.add_feedback(KEY, old["turn_id"], {"chosen_candidate": "a"})
    log.flush()
    log.add(KEY, turn("new"))
    log.close()
    assert verdicts(lake) == {"old": (None, "a"), "new": (None, None)}


def test_looking_up_and_amending_a_turn_touch_no_other_file_than_its_own(lake: Lake) -> None:
    table = lake.table(KEY, "conversations")
    conversations = Conversations(table)
    moments = []
    for number in range(12):
        moments.append([turn(f"{number} {place}") for place in range(3)])
        conversations.append(moments[-1])
        time.sleep(0.002)  # the next file's turns are of a later millisecond
    chosen = [moments[4][1], moments[9][0]]
    kept = {path for one in chosen for path in conversations._files_with(one["turn_id"])}
    assert len(kept) == 2
    others = [path for path in table.path.glob("*.parquet") if path.name not in kept]
    assert len(others) == 10
    for path in others:
        path.rename(path.with_suffix(".hidden"))
    assert all(conversations.find(one["turn_id"], ["turn_id"]) for one in chosen)
    conversations.amend({one["turn_id"]: {"satisfied": True} for one in chosen})
    for path in others:
        path.with_suffix(".hidden").rename(path)
    told = verdicts(lake)
    assert len(told) == 36
    assert {text for text, said in told.items() if said != (None, None)} == {"4 1", "9 0"}


def _serve(root: Path, name: str, start: Any) -> None:
    log = ConversationLog(Lake(root), root.parent / "journal")
    start.wait()
    for number in range(40):
        one = turn(f"{name} {number}")
        log.add(KEY, one).result(60)
        assert log.find(KEY, one["turn_id"])
        log.add_feedback(KEY, one["turn_id"], {"satisfied": True, "chosen_candidate": one["text"]})
        time.sleep(0.01)
    log.close()


def test_two_processes_that_serve_at_once_lose_and_double_nothing(lake: Lake) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    processes = [context.Process(target=_serve, args=(lake.root, name, start)) for name in ("a", "b")]
    with writing(lake):
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    expected = [f"{name} {number}" for name in ("a", "b") for number in range(40)]
    assert verdicts(lake) == {text: (True, text) for text in expected}


# -- identifiers --------------------------------------------------------------------------------------------------


@given(st.integers(1, 50))
def test_identifiers_are_uuids_that_begin_with_the_time(count: int) -> None:
    before = time.time_ns() // 1_000_000
    made = [new_turn_id() for _ in range(count)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == count
    for one in made:
        assert TURN_ID.match(one)
        assert before <= int(one[:12], 16) <= after
        assert (uuid.UUID(one).version, uuid.UUID(one).variant) == (7, uuid.RFC_4122)
    assert [one[:12] for one in made] == sorted(one[:12] for one in made)


@pytest.fixture
def an_hour_back(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Sets the clock that names segments back, by an hour."""

    def jump() -> None:
        before = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: before() - 3_600_000_000_000)

    return jump


def left_in_the_journal(lake: Lake, *records: tuple[str, dict[str, Any]]) -> None:
    """What a process that has been killed had kept."""
    journal = Journal(lake.root.parent / "journal")
    for kind, record in records:
        journal.append(KEY, kind, record).result(60)
    journal.close()


def test_the_last_verdict_counts_though_the_clock_was_set_back_before_it(
    lake: Lake, an_hour_back: Callable[[], None]
) -> None:
    served = turn("judged twice")
    left_in_the_journal(lake, ("turn", served))
    passing = Writer(lake, lake.root.parent / "journal")
    passing.pass_on()
    left_in_the_journal(lake, ("feedback", {"turn_id": served["turn_id"], "satisfied": False}))
    an_hour_back()
    left_in_the_journal(lake, ("feedback", {"turn_id": served["turn_id"], "satisfied": True}))
    passing.pass_on()
    assert verdicts(lake) == {"judged twice": (True, None)}


def test_a_process_that_gets_an_ended_one_s_number_and_moment_loses_no_turn(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)
    for text in ("before the machine was reset", "after it"):
        left_in_the_journal(lake, ("turn", turn(text)))
        Writer(lake, lake.root.parent / "journal").pass_on()
    assert texts(lake) == ["after it", "before the machine was reset"]


def test_the_journal_is_emptied_though_the_clock_was_set_back_since_its_segments_were_made(
    lake: Lake, an_hour_back: Callable[[], None]
) -> None:
    folder = lake.root.parent / "journal"
    log = ConversationLog(lake, folder)
    log.add(KEY, turn("of a person who is to be forgotten")).result(60)
    (segment,) = segments_in(folder)
    an_hour_back()
    empty_journal(lake, folder, 60)
    assert not segment.exists() and texts(lake) == ["of a person who is to be forgotten"]
    log.close()


def test_after_the_clock_was_set_back_a_wish_for_an_empty_journal_does_not_end_every_segment(
    lake: Lake, an_hour_back: Callable[[], None]
) -> None:
    folder = lake.root.parent / "journal"
    ask_to_retire(folder)
    an_hour_back()
    log = ConversationLog(lake, folder)
    for number in range(5):
        log.add(KEY, turn(str(number))).result(60)
    assert len(segments_in(folder)) == 1
    log.close()
