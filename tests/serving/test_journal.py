"""The write-ahead log: what it says is kept can be read again, whatever happened to the process or to the file."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.journal import Entry, Journal, Segment

SIZE = 4_096


def kept(journal: Journal) -> list[tuple[str, str, dict[str, object]]]:
    """Everything that the process's segments hold, in order."""
    return [
        (entry.key, entry.kind, entry.value())
        for segment in journal.segments()
        for entry in segment.entries(0, segment.end)
    ]


def left_behind(folder: Path, *records: dict[str, object]) -> Path:
    """The segment of a process that has ended."""
    journal = Journal(folder, SIZE)
    for record in records:
        journal.append("acme.faq", "turn", record).result(5)
    (segment,) = journal.segments()
    journal.stop()
    journal.release()
    return segment.path


def test_records_are_on_the_disk_when_their_future_ends_and_are_read_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)
    for number in range(200):
        future = journal.append("acme.faq", "turn", {"text": f"설탕 {number}\n"})
        if number % 7 == 0:
            future.result(5)
    future.result(5)
    assert kept(journal) == [("acme.faq", "turn", {"text": f"설탕 {number}\n"}) for number in range(200)]
    assert len(journal.segments()) > 1, "a full segment is followed by another one"


def test_many_threads_append_and_nothing_is_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)

    def append(name: str) -> None:
        for number in range(50):
            journal.append("acme.faq", "turn", {"turn": f"{name} {number}"}).result(5)

    threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [str(value["turn"]) for _, _, value in kept(journal)]
    assert sorted(found) == sorted(f"{name} {number}" for name in "abcd" for number in range(50))


def test_a_segment_is_adopted_only_when_its_process_has_ended_and_by_one_other(tmp_path: Path) -> None:
    alive = Journal(tmp_path, SIZE)
    alive.append("acme.faq", "turn", {"text": "alive"}).result(5)
    path = left_behind(tmp_path, {"text": "left"})
    one, other = Journal(tmp_path, SIZE), Journal(tmp_path, SIZE)
    assert [segment.path for segment in one.adopt()] == [path]
    assert other.adopt() == []
    assert kept(one) == [("acme.faq", "turn", {"text": "left"})]
    one.remove(one.segments()[0])
    assert one.segments() == [] and not path.exists()


def test_a_record_longer_than_a_segment_is_kept_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)
    journal.append("acme.faq", "turn", {"text": "x" * 3 * SIZE}).result(5)
    assert [len(str(value["text"])) for _, _, value in kept(journal)] == [3 * SIZE]


@given(cut=st.integers(0, 400), garbage=st.binary(max_size=40))
def test_whatever_the_end_of_a_segment_has_become_the_whole_records_before_it_are_read(
    tmp_path_factory: pytest.TempPathFactory, cut: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    path = left_behind(folder, *({"number": number} for number in range(8)))
    content = path.read_bytes().rstrip(b"\0")
    cut = min(cut, len(content))
    path.write_bytes(content[:cut] + garbage + b"\0" * 50)
    segment = Segment.adopt(path)
    assert segment
    numbers = [entry.value()["number"] for entry in segment.entries(0, segment.end)]
    whole = content[:cut].count(b"\n")
    assert numbers[:whole] == list(range(whole))
    assert numbers == list(range(len(numbers)))
    segment.release()


def test_a_disk_that_refuses_fails_what_was_appended_and_nothing_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, SIZE)
    journal.append("acme.faq", "turn", {"text": "before"}).result(5)
    write = os.pwrite

    def half(descriptor: int, data: bytes, place: int) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) - 10], place)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space left"):
        journal.append("acme.faq", "turn", {"text": "refused"}).result(5)
    monkeypatch.undo()
    journal.append("acme.faq", "turn", {"text": "after"}).result(5)
    assert [value["text"] for _, _, value in kept(journal)] == ["before", "after"]


def test_other_processes_records_can_be_looked_for(tmp_path: Path) -> None:
    mine, theirs = Journal(tmp_path, SIZE), Journal(tmp_path, SIZE)
    mine.append("acme.faq", "turn", {"text": "needle, mine"}).result(5)
    theirs.append("acme.faq", "turn", {"text": "needle, theirs"}).result(5)
    theirs.append("acme.faq", "turn", {"text": "hay"}).result(5)
    found: list[Entry] = list(mine.elsewhere(b"needle"))
    assert [entry.value()["text"] for entry in found] == ["needle, theirs"]
