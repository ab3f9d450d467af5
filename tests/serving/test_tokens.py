"""Tokens: one a tenant, made once, in a file for its owner alone."""

import json
import os
import stat
from pathlib import Path

from serving.tokens import ensure_tokens, load_tokens, tenant_of


def test_each_tenant_gets_a_long_token_of_its_own(tmp_path: Path) -> None:
    tokens = ensure_tokens(tmp_path / "home" / "tokens.json", ["acme", "globex"])
    assert set(tokens) == {"acme", "globex"}
    assert len(set(tokens.values())) == 2
    assert all(len(token) >= 40 for token in tokens.values())
    assert load_tokens(tmp_path / "home" / "tokens.json") == tokens


def test_the_file_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    before = os.umask(0)
    try:
        ensure_tokens(path, ["acme"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        ensure_tokens(path, ["acme", "globex"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["tokens.json"]


def test_a_new_tenant_changes_no_token_and_no_new_tenant_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    first = ensure_tokens(path, ["acme"])
    second = ensure_tokens(path, ["globex", "acme"])
    assert second["acme"] == first["acme"]
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    assert ensure_tokens(path, ["acme"]) == second, "nor does a tenant that went away"
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_token_that_somebody_wrote_by_hand_stays(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(json.dumps({"acme": "chosen by hand"}), encoding="utf-8")
    assert ensure_tokens(path, ["acme", "globex"])["acme"] == "chosen by hand"


def test_a_token_belongs_to_one_tenant_and_anything_else_to_none(tmp_path: Path) -> None:
    tokens = ensure_tokens(tmp_path / "tokens.json", ["acme", "globex"])
    assert {tenant: tenant_of(token, tokens) for tenant, token in tokens.items()} == {
        "acme": "acme",
        "globex": "globex",
    }
    for wrong in ("", " ", tokens["acme"][:-1], tokens["acme"] + "x", tokens["acme"].swapcase(), "acme", "é"):
        assert tenant_of(wrong, tokens) is None
    assert tenant_of("anything", {}) is None
    assert load_tokens(tmp_path / "absent.json") == {}
