"""Withdrawing a landed file: its rows leave, nothing else does, and a withdrawal that was killed can be finished."""

import json
from pathlib import Path
from typing import Any

import pytest
from test_collect_reading import Collect, collect

from chatbot_assets.collect import withdrawal
from chatbot_assets.collect.withdrawal import UnknownFileError, Withdrawal, withdraw

__all__ = ["collect"]


def take_out(collect: Collect, name: str) -> Withdrawal:
    note = {"actor": "kim", "reason": "wrong customer"}
    return withdraw(name, collect.landing, **collect.tables, note=note, code_revision="r1")


def landed(collect: Collect) -> list[str]:
    return sorted(path.name for path in collect.landing.iterdir() if path.is_file())


def kept(collect: Collect) -> list[str]:
    return sorted(path.name for path in (collect.landing / ".withdrawn").iterdir())


@pytest.fixture
def two_files(collect: Collect) -> Collect:
    collect.land("right.jsonl", {"text": "stays"}, b"bad stays")
    collect.land("wrong.jsonl", {"text": "leaves"}, {"text": "leaves too"}, b"bad leaves")
    collect.refresh()
    return collect


def test_the_rows_of_the_file_leave_and_those_of_others_stay(two_files: Collect) -> None:
    done = take_out(two_files, "wrong.jsonl")
    assert done == Withdrawal("wrong.jsonl", {"dialogues": 2, "rejected": 1}, ("wrong.jsonl",), (), None)
    assert two_files.texts() == ["stays"]
    assert [file for file, *_ in two_files.refused()] == ["right.jsonl"]
    assert two_files.statuses() == [("right.jsonl", "read", 1, 1), ("wrong.jsonl", "withdrawn", 2, 1)]
    assert (landed(two_files), kept(two_files)) == (["right.jsonl"], ["wrong.jsonl"])
    assert two_files.refresh() == [], "it is not read again"


def test_a_withdrawal_is_a_commit_that_says_who_and_why_and_erases_no_history(two_files: Collect) -> None:
    take_out(two_files, "wrong.jsonl")
    assert two_files.versions() == [1, 1, 1]
    for table in two_files.tables.values():
        last = table.last()
        assert last is not None and last.record is not None and last.record.code_revision == "r1"
        assert last.record.notes["withdrawn"] == {"files": ["wrong.jsonl"], "actor": "kim", "reason": "wrong customer"}
        assert last.record.rows == table.arrow().num_rows
    assert len(two_files.tables["dialogues"].arrow(version=0)) == 3


def test_what_a_table_says_of_its_rows_is_as_if_the_file_had_never_been_landed(two_files: Collect) -> None:
    take_out(two_files, "wrong.jsonl")
    before = two_files.tables["dialogues"].last()
    two_files.land("more.jsonl", {"text": "more"})
    two_files.refresh()
    take_out(two_files, "more.jsonl")
    after = two_files.tables["dialogues"].last()
    assert before and after and before.record and after.record
    assert before.record.data_version == after.record.data_version


def test_the_same_bytes_can_be_landed_again_and_bring_their_rows_back(two_files: Collect) -> None:
    first = two_files.tables["dialogues"].last()
    take_out(two_files, "wrong.jsonl")
    (two_files.landing / ".withdrawn" / "wrong.jsonl").rename(two_files.landing / "wrong.jsonl")
    assert two_files.refresh() == ["wrong.jsonl"]
    assert two_files.texts() == ["leaves", "leaves too", "stays"]
    assert two_files.statuses() == [("right.jsonl", "read", 1, 1), ("wrong.jsonl", "read", 2, 1)]
    again = two_files.tables["dialogues"].last()
    assert first and again and first.record and again.record
    assert first.record.data_version == again.record.data_version
    assert take_out(two_files, "wrong.jsonl").rows == {"dialogues": 2, "rejected": 1}


def test_the_only_file_can_be_withdrawn_and_another_landed(collect: Collect) -> None:
    collect.land("wrong.jsonl", {"text": "leaves"})
    collect.refresh()
    take_out(collect, "wrong.jsonl")
    assert collect.texts() == []
    collect.land("right.jsonl", {"text": "stays"})
    assert collect.refresh() == ["right.jsonl"]
    assert collect.texts() == ["stays"]


def test_a_second_withdrawal_finds_nothing_left(two_files: Collect) -> None:
    take_out(two_files, "wrong.jsonl")
    done = take_out(two_files, "wrong.jsonl")
    assert (set(done.rows.values()), done.files, two_files.versions()) == ({0}, (), [1, 1, 1])


def test_an_unknown_file_is_answered_with_the_names_that_there_are(two_files: Collect) -> None:
    with pytest.raises(UnknownFileError, match=r"'wrng.jsonl'; there are: right\.jsonl, wrong\.jsonl$"):
        take_out(two_files, "wrng.jsonl")
    assert two_files.versions() == [0, 0, 0]


def test_a_file_that_was_not_read_yet_is_put_away_unread(two_files: Collect) -> None:
    two_files.land("unread.jsonl", {"text": "unread"})
    assert take_out(two_files, "unread.jsonl").files == ("unread.jsonl",)
    assert two_files.refresh() == [] and "unread" not in two_files.texts()


# -- byte-equal files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy_was_read", [True, False])
def test_byte_equal_copies_go_with_the_file_whose_rows_leave(two_files: Collect, copy_was_read: bool) -> None:
    data = (two_files.landing / "wrong.jsonl").read_bytes()
    two_files.land_bytes("copy.jsonl", data)
    if copy_was_read:
        two_files.refresh()
    done = take_out(two_files, "wrong.jsonl")
    assert (done.copies, set(done.files)) == (("copy.jsonl",), {"copy.jsonl", "wrong.jsonl"})
    assert two_files.refresh() == [] and two_files.texts() == ["stays"]


def test_a_copy_is_withdrawn_alone(two_files: Collect) -> None:
    two_files.land_bytes("copy.jsonl", (two_files.landing / "wrong.jsonl").read_bytes())
    two_files.refresh()
    done = take_out(two_files, "copy.jsonl")
    assert (done.copy_of, done.files, set(done.rows.values())) == ("wrong.jsonl", ("copy.jsonl",), {0})
    assert two_files.texts() == ["leaves", "leaves too", "stays"] and landed(two_files) == [
        "right.jsonl",
        "wrong.jsonl",
    ]
    assert ("copy.jsonl", "withdrawn", 0, 0) in two_files.statuses()
    assert two_files.refresh() == []


def test_a_file_refused_for_its_name_can_be_withdrawn_after_it_was_read_under_a_better_one(collect: Collect) -> None:
    collect.land("a.txt", {"text": "one"})
    collect.refresh()
    collect.land("a.jsonl", {"text": "one"})
    collect.refresh()
    take_out(collect, "a.txt")
    assert (collect.texts(), landed(collect), collect.refresh()) == (["one"], ["a.jsonl"], [])


def test_all_contents_that_a_name_ever_had_are_withdrawn(collect: Collect) -> None:
    collect.land("log.jsonl", {"text": "one"})
    collect.refresh()
    collect.land("log.jsonl", {"text": "one"}, {"text": "two"})
    collect.refresh()
    take_out(collect, "log.jsonl")
    assert collect.texts() == [] and {status for _, status, *_ in collect.statuses()} == {"withdrawn"}


# -- killed in between ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Ends a withdrawal as a killed process would: nothing cleans up after it."""


@pytest.mark.parametrize("commits", range(3))
@pytest.mark.parametrize("copies", [0, 1])
@pytest.mark.parametrize("refreshed", [False, True])
def test_a_withdrawal_that_was_killed_is_finished_by_asking_again(
    two_files: Collect, monkeypatch: pytest.MonkeyPatch, commits: int, copies: int, refreshed: bool
) -> None:
    for _ in range(copies):
        two_files.land_bytes("copy.jsonl", (two_files.landing / "wrong.jsonl").read_bytes())
    whole, left = withdrawal._commit, commits

    def commit(*arguments: Any) -> int:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return whole(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(withdrawal, "_commit", commit)
        take_out(two_files, "wrong.jsonl")
    if refreshed:
        assert two_files.refresh() == [], "a refresh in between brings nothing back"
    take_out(two_files, "wrong.jsonl")
    assert two_files.texts() == ["stays"] and len(two_files.refused()) == 1
    assert ("wrong.jsonl", "withdrawn", 2, 1) in two_files.statuses()
    assert landed(two_files) == ["right.jsonl"] and two_files.refresh() == []


@pytest.mark.parametrize("committed", [("dialogues",), ("dialogues", "rejected")])
def test_rows_of_a_refresh_that_died_before_it_wrote_the_ledger_can_be_withdrawn(
    two_files: Collect, committed: tuple[str, ...]
) -> None:
    path: Path = two_files.land("late.jsonl", {"text": "late"}, b"bad late")
    two_files.refresh(commits=committed)
    assert take_out(two_files, "late.jsonl").rows["dialogues"] == 1
    assert "late" not in two_files.texts() and len(two_files.refused()) == 2 and not path.exists()


def test_a_name_that_was_withdrawn_before_does_not_overwrite_what_is_kept(two_files: Collect) -> None:
    take_out(two_files, "wrong.jsonl")
    two_files.land("wrong.jsonl", {"text": "wrong again"})
    two_files.refresh()
    take_out(two_files, "wrong.jsonl")
    assert len(kept(two_files)) == 2 and two_files.texts() == ["stays"]
    texts = [
        json.loads(path.read_text().splitlines()[0])["text"] for path in (two_files.landing / ".withdrawn").iterdir()
    ]
    assert set(texts) == {"leaves", "wrong again"}
