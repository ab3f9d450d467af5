"""Archives of a home: complete or not there, taken while others write, and refused when anything differs."""

import io
import json
import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_bot import wait_for

from chatbot_assets.backup.archive import MANIFEST, ArchiveError, Writer, create, extract
from chatbot_assets.backup.snapshot import copy_home
from chatbot_assets.tables import CONVERSATIONS
from resources.environment import Home
from resources.lakehouse import Commit, Lake, LakeTable

KEY = "acme.faq"
TOPS = frozenset({"home", "bots"})
ROWS = [{"turn_id": str(number), "text": f"text {number}"} for number in range(3)]


def pack(home: Home, target: Path, *, with_tokens: bool = False) -> dict[str, int]:
    with create(target, {}) as writer:
        return copy_home(home, writer, with_tokens=with_tokens)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def write(path: Path, data: bytes, modified_ns: int = 1_700_000_000_123_456_789) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(modified_ns, modified_ns))
    return path


@pytest.fixture
def table(lake: Lake, save: Callable[..., Commit | None]) -> LakeTable:
    """Dialogues of two versions, the first of which holds a row that the second has not."""
    dialogues = lake.table(KEY, "dialogues")
    for rows in (ROWS, ROWS[:1]):
        staged = dialogues.stage_arrow(pa.Table.from_pylist(rows, dialogues.table.schema))
        save(dialogues, dialogues.overwrite(staged))
    return dialogues


@pytest.mark.parametrize("suffix", [".tar.zst", ".tar.gz"])
def test_a_home_comes_back_with_all_versions_of_its_tables_and_the_times_of_its_files(
    home: Home, table: LakeTable, tmp_path: Path, suffix: str
) -> None:
    landed = write(home.landing(KEY) / "a.jsonl", b'{"text": "hi"}\n')
    write(home.landing(KEY) / ".withdrawn" / "b.jsonl", b"{}\n")
    write(home.bots / "acme" / "faq.yaml", b"language: en\n")
    versions = pack(home, tmp_path / f"b{suffix}")
    manifest = extract(tmp_path / f"b{suffix}", tmp_path / "out", TOPS)
    back = contents(tmp_path / "out")
    assert versions == {"acme/faq/dialogues": 1}
    assert set(manifest["files"]) == set(back)
    assert back["home/landing/acme.faq/a.jsonl"] == (landed.read_bytes(), landed.stat().st_mtime_ns)
    assert {"home/landing/acme.faq/.withdrawn/b.jsonl", "bots/acme/faq.yaml"} < set(back)
    again = Lake(tmp_path / "out" / "home" / "lake").table(KEY, "dialogues")
    assert [len(again.arrow(version=version)) for version in (0, 1)] == [3, 1]
    assert again.last() == table.last()


def test_secrets_come_only_when_asked_for_and_what_comes_back_by_itself_never(home: Home, tmp_path: Path) -> None:
    for name in ("tokens.json", "cache/models/x", "logs/dagster.log", "up.lock", "landing/acme.faq/.x.tmp", "own.txt"):
        write(home.root / name, b"x")
    pack(home, tmp_path / "without.tar.zst")
    pack(home, tmp_path / "with.tar.zst", with_tokens=True)
    assert set(extract(tmp_path / "without.tar.zst", tmp_path / "a", TOPS)["files"]) == {"home/own.txt"}
    assert set(extract(tmp_path / "with.tar.zst", tmp_path / "b", TOPS)["files"]) == {
        "home/own.txt",
        "home/tokens.json",
    }
    assert (tmp_path / "with.tar.zst").stat().st_mode & 0o077 == 0


def test_a_table_that_is_written_at_the_same_time_is_whole(home: Home, lake: Lake, tmp_path: Path) -> None:
    served = lake.table(KEY, "conversations")
    turn: dict[str, Any] = dict.fromkeys(CONVERSATIONS.schema.names) | {"turn_id": "1"}
    stop = threading.Event()

    def serve() -> None:
        while not stop.wait(0.01):  # else each copy would take longer than the one before
            served.append_rows([turn])

    writing = threading.Thread(target=serve)
    writing.start()
    try:
        for number in range(5):
            written = 2 * number + 1
            wait_for(lambda written=written: (last := served.last()) and last.version >= written, seconds=60)
            pinned = pack(home, tmp_path / f"{number}.tar.zst")["acme/faq/conversations"]
            extract(tmp_path / f"{number}.tar.zst", tmp_path / str(number), TOPS)
            copy = Lake(tmp_path / str(number) / "home" / "lake").table(KEY, "conversations")
            last = copy.last()
            assert last is not None and last.version == pinned
            assert len(copy.arrow()) == len(served.arrow(version=pinned))
    finally:
        stop.set()
        writing.join()


def test_a_refresh_of_a_bot_and_the_copy_of_its_tables_wait_for_each_other(
    home: Home, lake: Lake, table: LakeTable, tmp_path: Path
) -> None:
    with lake.writing(KEY):
        packing = threading.Thread(target=pack, args=(home, tmp_path / "b.tar.zst"))
        packing.start()
        packing.join(0.3)
        assert packing.is_alive() and not (tmp_path / "b.tar.zst").exists()
    packing.join()
    assert (tmp_path / "b.tar.zst").exists()


def test_a_database_with_an_open_transaction_is_copied_as_of_its_last_commit(home: Home, tmp_path: Path) -> None:
    path = write(home.dagster / "history" / "runs.db", b"")
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode=wal")
    database.execute("create table runs (id)")
    database.execute("insert into runs values (1)")
    database.commit()
    database.execute("insert into runs values (2)")
    (home.dagster / "dagster.yaml").symlink_to(tmp_path / "nowhere")
    pack(home, tmp_path / "b.tar.zst")
    database.close()
    files = extract(tmp_path / "b.tar.zst", tmp_path / "out", TOPS)["files"]
    assert set(files) == {"home/dagster/history/runs.db"}
    assert sqlite3.connect(tmp_path / "out" / "home/dagster/history/runs.db").execute(
        "select * from runs"
    ).fetchall() == [(1,)]


def test_a_table_without_one_of_its_files_is_not_backed_up(home: Home, table: LakeTable, tmp_path: Path) -> None:
    for path in table.path.glob("data/*/*.parquet"):
        path.unlink()
    with pytest.raises(ArchiveError, match=r"dialogues: its file data/.* is missing"):
        pack(home, tmp_path / "b.tar.zst")
    assert list(tmp_path.glob("*b.tar*")) == [], "nothing half-made is left"


def test_a_landing_file_that_grows_meanwhile_stops_the_backup(home: Home, tmp_path: Path) -> None:
    path = write(home.landing(KEY) / "a.jsonl", b"x" * 100)

    class Growing:
        """Stands in for the archive's stream: whenever something is written to it, the landing file grows."""

        def write(self, data: bytes) -> int:
            with path.open("ab") as stream:
                stream.write(b"y")
            return len(data)

    with (
        pytest.raises(ArchiveError, match=r"a\.jsonl was written while it was copied; try again"),
        tarfile.open(fileobj=Growing(), mode="w|", bufsize=1) as tar,  # type: ignore[call-overload]
    ):
        Writer(tar).add(path, "home/landing/a.jsonl")


def test_an_archive_is_never_overwritten_and_its_name_says_how_it_is_compressed(home: Home, tmp_path: Path) -> None:
    there = write(tmp_path / "b.tar.gz", b"mine")
    with pytest.raises(ArchiveError, match="exists already"), create(there, {}):
        pass
    with pytest.raises(ArchiveError, match=r"name the archive \.tar\.zst or \.tar\.gz"), create(tmp_path / "b.zip", {}):
        pass
    assert there.read_bytes() == b"mine"


# -- archives that are not as they should be -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound archive of some files."""
    root = tmp_path_factory.mktemp("good")
    for number in range(5):
        write(root / "home" / "landing" / KEY / f"{number}.jsonl", os.urandom(50))
    pack(Home(root / "home", root / "bots"), root / "b.tar.gz")
    return (root / "b.tar.gz").read_bytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_archive_is_refused_or_comes_back_as_it_was(
    good: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    damaged = bytearray(good)
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        damaged[at] ^= data.draw(st.integers(1, 255))
    else:
        del damaged[at:]
    folder = tmp_path_factory.mktemp("damaged")
    path, sound = write(folder / "b.tar.gz", bytes(damaged)), write(folder / "good.tar.gz", good)
    extract(sound, folder / "sound", TOPS)
    try:
        extract(path, folder / "out", TOPS)
    except ArchiveError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
    else:
        assert contents(folder / "out") == contents(folder / "sound")


def test_each_byte_of_a_file_in_the_archive_counts(tmp_path: Path, good: bytes) -> None:
    with pa.CompressedInputStream(pa.BufferReader(good), "gzip") as stream:
        plain = bytearray(stream.read())
    with tarfile.open(fileobj=io.BytesIO(bytes(plain))) as tar:
        members = tar.getmembers()
    plain[members[2].offset_data + 7] ^= 1
    with pa.CompressedOutputStream(str(tmp_path / "b.tar.gz"), "gzip") as stream:
        stream.write(bytes(plain))
    with pytest.raises(ArchiveError, match=rf"is damaged: {members[2].name} differ"):
        extract(tmp_path / "b.tar.gz", tmp_path / "out", TOPS)


def archive_of(path: Path, *members: tarfile.TarInfo) -> Path:
    """An archive that somebody else made, with a manifest that fits its plain files."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 1 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "bad",
    [
        member("home/../../evil"),
        member("../evil"),
        member("/evil"),
        member("home"),
        member("evil/x"),
        member("home//x"),
        member("home/x/", tarfile.DIRTYPE),
        member("home/link", tarfile.SYMTYPE, "/etc"),
        member("home/hard", tarfile.LNKTYPE, "home/good"),
        member("home/fifo", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type!r}",
)
def test_nothing_is_written_outside_of_the_folder_nor_anything_but_plain_files(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    archive = archive_of(tmp_path / "b.tar.gz", member("home/good"), bad, member("home/after"))
    with pytest.raises(ArchiveError, match="this is no backup"):
        extract(archive, tmp_path / "deep" / "out", TOPS)
    assert {path.name for path in tmp_path.rglob("*") if not path.is_dir()} == {"b.tar.gz", "good"}


def test_a_file_that_is_no_archive_or_of_another_program_is_refused(tmp_path: Path) -> None:
    for data, why in [
        (b"PK\x03\x04 zip", "is no backup: it is neither"),
        (b"", "is no backup: it is neither"),
        (archive_of(tmp_path / "foreign.tar.gz", member("home/x")).read_bytes(), "has no manifest"),
    ]:
        with pytest.raises(ArchiveError, match=why):
            extract(write(tmp_path / "f.tar.gz", data), tmp_path / f"out{len(data)}", TOPS)


def test_an_archive_of_a_later_format_names_what_to_do(tmp_path: Path) -> None:
    data = json.dumps({"format": 99, "files": {}}).encode()
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo(MANIFEST)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    with pytest.raises(ArchiveError, match="restore it with the release that made it"):
        extract(tmp_path / "b.tar.gz", tmp_path / "out", TOPS)
