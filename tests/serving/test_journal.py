"""The write-ahead log: what it says is kept can be read again, whatever happened to the process or to the file."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.journal import Journal, entries, remove_if_passed_on, segments_in

SIZE = 4_096


def kept(journal: Journal) -> list[tuple[str, str, dict[str, object]]]:
    """Everything that the segments in the journal's folder hold, in order."""
    return [(entry.key, entry.kind, entry.value()) for path in segments_in(journal._folder) for entry in entries(path)]


def left_behind(folder: Path, *records: dict[str, object]) -> Path:
    """The segment of a process that has ended."""
    journal = Journal(folder, SIZE)
    for record in records:
        journal.append("acme.faq", "turn", record).result(60)
    (path,) = segments_in(folder)
    journal.close()
    return path


def test_records_are_on_the_disk_when_their_future_ends_and_are_read_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)
    for number in range(200):
        future = journal.append("acme.faq", "turn", {"text": f"설탕 {number}\n"})
        if number % 7 == 0:
            future.result(60)
    future.result(60)
    assert kept(journal) == [("acme.faq", "turn", {"text": f"설탕 {number}\n"}) for number in range(200)]
    assert len(segments_in(tmp_path)) > 1, "a full segment is followed by another one"


def test_many_threads_append_and_nothing_is_lost(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)

    def append(name: str) -> None:
        for number in range(50):
            journal.append("acme.faq", "turn", {"turn": f"{name} {number}"}).result(60)

    threads = [threading.Thread(target=append, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [str(value["turn"]) for _, _, value in kept(journal)]
    assert sorted(found) == sorted(f"{name} {number}" for name in "abcd" for number in range(50))


def test_a_segment_is_removed_only_when_its_process_has_ended_and_all_of_it_was_passed_on(tmp_path: Path) -> None:
    ended = left_behind(tmp_path, {"text": "left"}, {"text": "behind"})
    first, last = entries(ended)
    assert not remove_if_passed_on(ended, first.end)
    assert remove_if_passed_on(ended, last.end) and not ended.exists()

    alive = Journal(tmp_path, SIZE)
    alive.append("acme.faq", "turn", {"text": "alive"}).result(60)
    (path,) = segments_in(tmp_path)
    (one,) = entries(path)
    assert not remove_if_passed_on(path, one.end)
    alive.append("acme.faq", "turn", {"text": "x" * SIZE}).result(60)
    assert remove_if_passed_on(path, one.end), "a full segment is left at once"
    alive.close()


def test_a_segment_can_be_read_while_it_grows(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)
    place = 0
    for number in range(5):
        journal.append("acme.faq", "turn", {"number": number}).result(60)
        (path,) = segments_in(tmp_path)
        (entry,) = entries(path, place)
        assert entry.value() == {"number": number}
        place = entry.end
    journal.close()


def test_a_record_longer_than_a_segment_is_kept_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path, SIZE)
    journal.append("acme.faq", "turn", {"text": "x" * 3 * SIZE}).result(60)
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
    numbers = [entry.value()["number"] for entry in entries(path)]
    whole = content[:cut].count(b"\n")
    assert numbers[:whole] == list(range(whole))
    assert numbers == list(range(len(numbers)))


def test_a_disk_that_refuses_fails_what_was_appended_and_nothing_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, SIZE)
    journal.append("acme.faq", "turn", {"text": "before"}).result(60)
    write = os.pwrite

    def half(descriptor: int, data: bytes, place: int) -> int:
        if len(data) < 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) - 10], place)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match="No space left"):
        journal.append("acme.faq", "turn", {"text": "refused"}).result(60)
    monkeypatch.undo()
    journal.append("acme.faq", "turn", {"text": "after"}).result(60)
    assert [value["text"] for _, _, value in kept(journal)] == ["before", "after"]


def test_records_of_all_processes_can_be_looked_for(tmp_path: Path) -> None:
    mine, theirs = Journal(tmp_path, SIZE), Journal(tmp_path, SIZE)
    mine.append("acme.faq", "turn", {"text": "needle, mine"}).result(60)
    theirs.append("acme.faq", "turn", {"text": "needle, theirs"}).result(60)
    theirs.append("acme.faq", "turn", {"text": "hay"}).result(60)
    assert [entry.value()["text"] for entry in mine.holding(b"needle")] == ["needle, theirs", "needle, mine"]
