"""The audit log: entries are kept, in one order, and what was changed shows."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from forked import context
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.audit import FIRST, Act, AuditLog


def written(root: Path, count: int = 4) -> AuditLog:
    log = AuditLog(root, "acme")
    for number in range(count):
        log.add(Act("sign_in", f"kim{number}", "password"))
    return log


def add_fifty(root: Path) -> None:
    log = AuditLog(root, "acme")
    for _ in range(50):
        log.add(Act("sign_in", "kim", "password"))


def test_entries_are_kept_in_order_for_their_owner_alone(tmp_path: Path) -> None:
    log = written(tmp_path)
    assert [entry["actor"] for entry in log.entries()] == ["kim0", "kim1", "kim2", "kim3"]
    assert (log.check().entries, log.check().problem) == (4, None)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_a_log_that_was_never_written_is_whole_and_empty(tmp_path: Path) -> None:
    checked = AuditLog(tmp_path, "acme").check()
    assert (checked.entries, checked.head, checked.problem) == (0, FIRST, None)


@pytest.mark.parametrize("damage", ["change", "remove", "swap", "nonsense", "not an object"])
def test_a_changed_or_removed_entry_is_noticed(tmp_path: Path, damage: str) -> None:
    log = written(tmp_path)
    lines = log.path.read_text(encoding="utf-8").splitlines()
    damaged = {
        "change": [lines[0], lines[1].replace("kim1", "eve"), *lines[2:]],
        "remove": [lines[0], *lines[2:]],
        "swap": [lines[1], lines[0], *lines[2:]],
        "nonsense": [lines[0], "{", *lines[2:]],
        "not an object": [lines[0], "[]", *lines[2:]],
    }
    log.path.write_text("".join(f"{line}\n" for line in damaged[damage]), encoding="utf-8")
    assert log.check().problem


def test_a_cut_off_end_is_noticed_by_whoever_kept_the_last_hash(tmp_path: Path) -> None:
    log = written(tmp_path)
    head = log.check().head
    log.add(Act("sign_out", "kim", "password"))
    assert log.check(head).problem is None
    lines = log.path.read_text(encoding="utf-8").splitlines()
    log.path.write_text("".join(f"{line}\n" for line in lines[:2]), encoding="utf-8")
    assert log.check().problem is None
    assert "removed" in str(log.check(head).problem)


def test_what_a_killed_writer_left_is_no_entry_and_the_chain_goes_on(tmp_path: Path) -> None:
    log = written(tmp_path, 2)
    with log.path.open("ab") as file:
        file.write(b'{"number": 3, "half')
    assert log.check().entries == 2
    log.add(Act("sign_out", "kim", "password"))
    assert (log.check().entries, log.check().problem) == (3, None)


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    processes = [context().Process(target=add_fifty, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    checked = AuditLog(tmp_path, "acme").check()
    assert (checked.entries, checked.problem) == (200, None)


def test_what_a_table_tells_is_noted_once(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, "acme")
    told = [(datetime(2026, 1, n, tzinfo=UTC), Act("decision", "kim", "table", row=f"row {n}")) for n in (1, 2, 3)]
    log.add_all(told[:2])
    log.add_all(told)
    assert [entry["row"] for entry in log.entries()] == ["row 1", "row 2", "row 3"]
    assert log.check().problem is None


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=3))
def test_no_name_breaks_the_log_or_makes_a_second_entry(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    log = AuditLog(tmp_path_factory.mktemp("audit"), "acme")
    kept = [name.encode("utf-8", "replace").decode() for name in names]
    for name in kept:
        log.add(Act("sign_in", name, "oidc"))
    assert [entry["actor"] for entry in log.entries()] == kept
    assert (log.check().entries, log.check().problem) == (len(kept), None)
    assert all(json.loads(line) for line in log.path.read_bytes().split(b"\n") if line)


@pytest.mark.parametrize("tenant", ["", "..", "a/b", "A", "a.b", "a\n"])
def test_only_a_tenant_has_a_log(tmp_path: Path, tenant: str) -> None:
    with pytest.raises(ValueError, match="no tenant"):
        AuditLog(tmp_path, tenant)
