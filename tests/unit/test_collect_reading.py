"""Reading the landing folder into the lake: nothing is lost, nothing is doubled, and bad files say what to do."""

import gzip
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from chatbot_assets.collect.landing import listing
from chatbot_assets.collect.reading import mapping_hash, not_in_ledger, read_landing, read_ledger, unread_files
from chatbot_assets.collect.sources import Sources
from resources.lakehouse import Commit, Lake, LakeTable
from resources.reuse import scratch
from resources.spark import SparkEngine

KOREAN = "안녕하세요, 조명을 켜 주세요"
NAMES = ("dialogues", "rejected", "landing_files")


class Collect:
    """A bot's landing folder and its three tables."""

    def __init__(self, folder: Path, engine: SparkEngine, save: Callable[..., Commit | None]) -> None:
        self.landing = folder / "landing"
        self.landing.mkdir()
        self.scratch = folder / "scratch"
        self.engine = engine
        self.save = save
        self.tables = {name: Lake(folder / "lake").table("acme.faq", name) for name in NAMES}

    def land(self, name: str, *rows: object) -> Path:
        """Lands a JSONL file; rows that are bytes are written as they are."""
        lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
        return self.land_bytes(name, b"".join(line + b"\n" for line in lines))

    def land_bytes(self, name: str, data: bytes) -> Path:
        path = self.landing / name
        path.write_bytes(data)
        return path

    def refresh(self, sources: Sources | None = None, commits: Sequence[str] = NAMES) -> list[str]:
        """Reads what is unread and commits the given tables only, as if the run died then; gives the files read."""
        sources = sources or Sources()
        unread = unread_files(listing(self.landing, 0), read_ledger(self.ledger), mapping_hash(sources))
        if unread:
            with scratch(self.engine.session, self.scratch) as temporary:
                changes = read_landing(self.engine.session, unread, sources, **self.tables, temporary=temporary)
                for name, change in changes:
                    self.save(self.tables[name], change)
                    if name == commits[-1]:
                        break
        return [file.file.name for file in unread if not file.duplicate]

    @property
    def ledger(self) -> LakeTable:
        return self.tables["landing_files"]

    def texts(self) -> list[str]:
        return sorted(self.tables["dialogues"].arrow(["text"]).column("text").to_pylist())

    def refused(self) -> list[tuple[str, int, str]]:
        rows = self.tables["rejected"].arrow(["source_file", "source_line", "reason"]).to_pylist()
        return sorted((row["source_file"], row["source_line"], row["reason"]) for row in rows)

    def statuses(self) -> list[tuple[str, str, int, int]]:
        rows = self.ledger.arrow().to_pylist()
        return sorted((row["source_file"], row["status"], row["rows"], row["rejected"]) for row in rows)

    def versions(self) -> list[int]:
        commits = [self.tables[name].last() for name in NAMES]
        return [commit.version for commit in commits if commit]


@pytest.fixture
def collect(tmp_path: Path, engine: SparkEngine, save: Callable[..., Commit | None]) -> Collect:
    return Collect(tmp_path, engine, save)


def test_rows_keep_the_file_and_line_that_they_came_from(collect: Collect) -> None:
    collect.land("a.jsonl", {"text": "one", "intent": "x"}, b"", {"text": "two", "answer": "yes"})
    collect.refresh()
    rows = collect.tables["dialogues"].arrow().sort_by("source_line").to_pylist()
    assert [(row["text"], row["source_file"], row["source_line"]) for row in rows] == [
        ("one", "a.jsonl", 1),
        ("two", "a.jsonl", 3),
    ]
    assert len(rows[0]["file_sha256"]) == 64 and rows[0]["arrived_at"].tzinfo is not None
    assert collect.statuses() == [("a.jsonl", "read", 2, 0)]


def test_a_file_is_read_once_and_new_files_are_appended(collect: Collect) -> None:
    collect.land("a.jsonl", {"text": "one"}, b"bad")
    assert collect.refresh() == ["a.jsonl"]
    assert collect.refresh() == [] and collect.versions() == [0, 0, 0]
    collect.land("b.jsonl", {"text": "two"}, b"worse")
    assert collect.refresh() == ["b.jsonl"]
    assert collect.texts() == ["one", "two"]
    assert [(file, line) for file, line, _ in collect.refused()] == [("a.jsonl", 2), ("b.jsonl", 2)]


def test_a_byte_equal_file_is_noted_as_a_duplicate_and_not_read_again(collect: Collect) -> None:
    collect.land("a.jsonl", {"text": "one"}, b"bad")
    collect.refresh()
    collect.land("copy.jsonl", {"text": "one"}, b"bad")
    assert collect.refresh() == []
    assert collect.texts() == ["one"] and len(collect.refused()) == 1
    assert collect.statuses() == [("a.jsonl", "read", 1, 1), ("copy.jsonl", "duplicate", 0, 0)]
    commit = collect.ledger.last()
    assert commit is not None and commit.record is not None
    assert commit.record.notes["duplicates"] == ["copy.jsonl"]
    assert collect.refresh() == [] and len(collect.statuses()) == 2, "a duplicate is noted once"


def test_of_byte_equal_files_that_arrive_together_one_is_read(collect: Collect) -> None:
    collect.land("a.jsonl", {"text": "one"})
    collect.land("b.jsonl", {"text": "one"})
    collect.refresh()
    assert collect.texts() == ["one"]
    assert collect.statuses() == [("a.jsonl", "read", 1, 0), ("b.jsonl", "duplicate", 0, 0)]


def test_a_file_that_was_only_touched_is_not_read_again(collect: Collect) -> None:
    path = collect.land("a.jsonl", {"text": "one"})
    collect.refresh()
    os.utime(path, (time.time() - 500,) * 2)
    assert collect.refresh() == [] and collect.texts() == ["one"]


def test_a_file_that_was_refused_for_its_name_is_read_under_a_better_one(collect: Collect) -> None:
    collect.land("a.txt", {"text": "one"})
    collect.refresh()
    assert [(file, line) for file, line, _ in collect.refused()] == [("a.txt", 0)]
    (collect.landing / "a.txt").rename(collect.landing / "a.jsonl")
    assert collect.refresh() == ["a.jsonl"]
    assert (collect.texts(), collect.refused()) == (["one"], [])


def test_a_file_that_grew_is_read_again_as_another_file(collect: Collect) -> None:
    collect.land("a.jsonl", {"text": "one"})
    collect.refresh()
    collect.land("a.jsonl", {"text": "one"}, {"text": "two"})
    assert collect.refresh() == ["a.jsonl"]
    assert set(collect.texts()) == {"one", "two"}


def test_a_file_that_is_taken_away_or_still_changes_waits_for_the_next_refresh(collect: Collect) -> None:
    gone, growing = collect.land("gone.jsonl", {"text": "one"}), collect.land("growing.jsonl", {"text": "two"})
    files = listing(collect.landing, 0)
    gone.unlink()
    with growing.open("ab") as stream:
        stream.write(b'{"text": "three"}\n')
    assert unread_files(files, read_ledger(collect.ledger), "mapping") == []


# -- another column mapping -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copies", [0, 1])
def test_rejected_rows_are_read_again_under_a_new_mapping_without_doubling_the_good_ones(
    collect: Collect, copies: int
) -> None:
    rows = {"text": "good", "utt": "other"}, {"utt": "bad"}
    collect.land("a.jsonl", *rows)
    collect.refresh()
    if copies:
        collect.land("copy.jsonl", *rows)
        collect.refresh()
    assert collect.texts() == ["good"] and [line for _, line, _ in collect.refused()] == [2]

    assert collect.refresh(Sources(text="utt")) == ["a.jsonl"]
    assert collect.texts() == ["bad", "good"], "the accepted row stays as it was read"
    assert collect.refused() == []
    assert collect.refresh(Sources(text="utt")) == []


def test_a_copy_is_read_under_a_new_mapping_when_the_first_file_is_gone(collect: Collect) -> None:
    first = collect.land("a.jsonl", {"utt": "bad"})
    collect.land("copy.jsonl", {"utt": "bad"})
    collect.refresh()
    first.unlink()
    assert collect.refresh(Sources(text="utt")) == ["copy.jsonl"]
    assert collect.texts() == ["bad"]


def test_files_without_a_rejected_row_are_left_alone_by_a_new_mapping(collect: Collect) -> None:
    collect.land("a.jsonl", {"text": "good", "utt": "other"})
    collect.refresh()
    ledger = read_ledger(collect.ledger)
    assert not_in_ledger(listing(collect.landing, 0), ledger, mapping_hash(Sources(text="utt"))) == []
    assert collect.refresh(Sources(text="utt")) == []


def test_rows_that_stay_rejected_are_not_doubled_and_say_what_is_wrong_now(collect: Collect) -> None:
    collect.land("a.jsonl", {"utt": "hi", "n": "-"})
    collect.refresh()
    collect.refresh(Sources(text="utt", turn="n"))
    [(_, _, reason)] = collect.refused()
    assert "'n' is '-', not a whole number" in reason


def test_the_mapping_s_hash_changes_with_the_mapping_alone() -> None:
    assert mapping_hash(Sources()) == mapping_hash(Sources(text="text")) != mapping_hash(Sources(text="utt"))


# -- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("committed", [("dialogues",), ("dialogues", "rejected")])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_crash_between_the_commits_loses_and_doubles_no_row(
    collect: Collect, committed: Sequence[str], earlier: bool
) -> None:
    if earlier:
        collect.land("0.jsonl", {"text": "zero"}, b"bad")
        collect.refresh()
    collect.land("a.jsonl", {"text": "one"}, b"bad", {"text": "two"})
    collect.refresh(commits=committed)
    assert not [row for row in read_ledger(collect.ledger).rows if row["source_file"] == "a.jsonl"]

    collect.land("b.jsonl", {"text": "three"})
    assert collect.refresh() == ["a.jsonl", "b.jsonl"]
    assert collect.texts() == sorted([*(["zero"] if earlier else []), "one", "two", "three"])
    assert len(collect.refused()) == (2 if earlier else 1)
    assert collect.statuses()[-2:] == [("a.jsonl", "read", 2, 1), ("b.jsonl", "read", 1, 0)]
    assert collect.refresh() == []


# -- bad files --------------------------------------------------------------------------------------------------------


def test_bad_files_do_not_stop_the_good_rows_and_say_what_to_do(collect: Collect) -> None:
    good = json.dumps({"text": KOREAN}, ensure_ascii=False).encode()
    zipped = gzip.compress(
        b"".join(b'{"text": "row %d %s"}\n' % (n, os.urandom(20).hex().encode()) for n in range(500))
    )
    collect.land_bytes("01-empty.jsonl", b"")
    collect.land_bytes("02-truncated.jsonl.gz", zipped[:-100])
    collect.land_bytes("03-cp949.csv", f"text,intent\nfine,x\n{KOREAN}x,y\n".encode("cp949"))
    collect.land_bytes("04-missing-column.csv", b"utterance,intent\nhi,greet\n")
    collect.land("05-mixed.jsonl", {"text": "05"}, {"text": 5}, {"text": 5.5}, {"text": ["x"]}, [1], b"{", "text")
    collect.land("06-long.jsonl", {"text": "06"}, {"text": "x" * 20_000_000}, {"text": "06 after"})
    collect.land_bytes("07-nul.csv", b"text,intent\n\0\0\0,x\nbe\0tween,x\n07,x\n")
    collect.land_bytes("08-nul.jsonl", b"\0\0\0\0\n" + good + b"\n")
    collect.land_bytes("09-again.jsonl", b"\0\0\0\0\n" + good + b"\n")
    collect.land_bytes("10-bom-crlf.csv", "\ufefftext,intent\r\n10 첫째,x\r\n10 둘째,y\r\n".encode())
    collect.land_bytes("11-extension.docx", b"PK\x03\x04 whatever")
    collect.land_bytes("12-lines.jsonl", b"\n" * 100_000 + b'{"text": "12"}\n' + b"\r\n" * 10)
    collect.land_bytes("13-utf-16.csv", "text,intent\nhi,greet\n".encode("utf-16"))
    collect.land_bytes("14-not-parquet.parquet", b"PAR1" + b"x" * 50)
    Path(os.fsdecode(os.fsencode(collect.landing) + b"/15-" + "한.jsonl".encode("cp949"))).write_bytes(
        b'{"text": "15"}'
    )
    (collect.landing / "16-folder.jsonl").mkdir()

    collect.refresh()

    whole = [text for text in collect.texts() if not text.startswith("row ")]
    expected = ["fine", "05", "5", "06", "06 after", "07", KOREAN, "10 첫째", "10 둘째", "12", "15"]
    assert set(expected) <= set(whole)
    assert set(whole) - set(expected) <= {"be\0tween", "\0\0\0"}
    reasons: dict[str, list[tuple[int, str]]] = {}
    for file, line, reason in collect.refused():
        reasons.setdefault(file[:2], []).append((line, reason))
    assert reasons["01"] == [(0, "the file holds no rows")]
    [(line, reason)] = reasons["02"]
    assert line > 300 and "cannot be read on from here" in reason and "land a complete copy" in reason
    assert reasons["03"] == [(3, "not UTF-8; save the file as UTF-8")]
    assert [(line, "'sources' in the bot's YAML" in reason) for line, reason in reasons["04"]] == [(2, True)]
    assert [line for line, _ in reasons["05"]] == [3, 4, 5, 6, 7]
    assert [(line, "is longer than 1,000,000" in reason) for line, reason in reasons["06"]] == [(2, True)]
    assert [line for line, _ in reasons["08"]] == [1]
    assert "11" in reasons and "allowed: .jsonl, .csv, .tsv, .parquet" in reasons["11"][0][1]
    assert {reason for _, reason in reasons["13"]} == {"the names of the columns are not UTF-8; save the file as UTF-8"}
    assert "land a complete copy" in reasons["14"][0][1]
    assert [(line, "is a folder" in reason) for line, reason in reasons["16"]] == [(0, True)]
    assert not {"09", "10", "12", "15"} & set(reasons)
    assert {name[:2] for name, status, *_ in collect.statuses() if status == "duplicate"} == {"09"}
    rows: list[dict[str, Any]] = collect.tables["rejected"].arrow(["raw"]).to_pylist()
    assert max(len(row["raw"]) for row in rows) <= 2000
    assert collect.refresh() == [], "bad files are not read again and again"


def test_the_same_bytes_under_two_kinds_of_name_in_one_go_are_read_one_after_the_other(collect: Collect) -> None:
    content = b"text\nhello\ngood morning\n"
    collect.land_bytes("a.csv", content)
    collect.land_bytes("a.tsv", content)
    assert collect.refresh() == ["a.csv"]
    assert collect.refresh() == ["a.tsv"]
    assert collect.refresh() == []
    turns = collect.tables["dialogues"].arrow(["turn_id"]).column(0).to_pylist()
    assert len(turns) == len(set(turns)) == 2, "their rows have the same ids"
