"""What the service counts: of all its processes, whichever is asked, and of a bot for its tenant alone."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from small_bot import KEY, OTHER

from serving import metrics as counting
from serving.metrics import ALIVE_SECONDS, Histogram, Metrics


def values(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {sample: float(value) for sample, _, value in lines}


def beside(folder: Path, metrics: Metrics) -> Path:
    """The snapshot of another process."""
    path = folder / "1.json"
    path.write_text(json.dumps(metrics.snapshot()), encoding="utf-8")
    return path


@pytest.fixture
def nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a shared machine a process may be too busy for its next snapshot."""
    monkeypatch.setattr(counting, "ALIVE_SECONDS", 600.0)


def test_whichever_process_is_asked_answers_for_all_of_them(tmp_path: Path, nobody_ends: None) -> None:
    mine, theirs = Metrics(), Metrics()
    for one, waiting in ((mine, 2), (theirs, 3)):
        one.turns.add("answered")
        one.bot_turns.add(KEY, "answered")
        one.seconds.add(0.003)
        one.watch("chatbot_waiting", "What waits.", lambda waiting=waiting: waiting)  # type: ignore[misc]
    theirs.bot_turns.add(OTHER, "error")
    beside(tmp_path, theirs)
    with mine.published(tmp_path):
        found = values(mine.text("acme", tmp_path))
    assert (tmp_path / f"{os.getpid()}.json").exists()
    assert values(mine.text("acme", tmp_path)) == found, "a process does not count itself twice"
    assert found['chatbot_turns_total{category="answered"}'] == 2
    assert found[f'chatbot_bot_turns_total{{bot="{KEY}",outcome="answered"}}'] == 2
    assert found['chatbot_turn_seconds_bucket{le="0.005"}'] == found["chatbot_turn_seconds_count"] == 2
    assert found["chatbot_turn_seconds_sum"] == pytest.approx(0.006)
    assert found["chatbot_waiting"] == 5
    assert OTHER not in mine.text("acme", tmp_path)


def test_what_an_ended_process_counted_still_counts_and_what_it_held_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = Metrics(), Metrics()
    theirs.turns.add("failed")
    theirs.watch("chatbot_waiting", "What waits.", lambda: 7)
    path, now = beside(tmp_path, theirs), time.time()
    os.utime(path, (now, now))
    monkeypatch.setattr(time, "time", lambda: now + ALIVE_SECONDS - 1)
    assert values(mine.text(folder=tmp_path))["chatbot_waiting"] == 7
    monkeypatch.setattr(time, "time", lambda: now + ALIVE_SECONDS + 1)
    found = values(mine.text(folder=tmp_path))
    assert found['chatbot_turns_total{category="failed"}'] == 1
    assert "chatbot_waiting" not in found


@given(st.lists(st.floats(0, 10), max_size=40))
def test_a_histogram_says_how_many_values_were_at_most_a_bound(found: list[float]) -> None:
    histogram = Histogram("h", "about", (0.5, 1.0, 5.0))
    for value in found:
        histogram.add(value)
    samples = histogram.samples()
    for bound in (0.5, 1.0, 5.0):
        assert samples[f'h_bucket{{le="{bound}"}}'] == sum(value <= bound for value in found)
    assert samples['h_bucket{le="+Inf"}'] == samples["h_count"] == len(found)
    assert samples["h_sum"] == pytest.approx(sum(found), abs=1e-5)


def test_only_a_tenant_s_token_shows_what_came_of_each_of_its_bots(
    client: TestClient, headers: dict[str, str], tokens: dict[str, str]
) -> None:
    others = {"Authorization": f"Bearer {tokens['globex']}"}
    ask(client, KEY, headers)
    ask(client, OTHER, others)
    assert KEY not in client.get("/metrics").text and OTHER not in client.get("/metrics").text
    assert (
        KEY in client.get("/metrics", headers=headers).text
        and OTHER not in client.get("/metrics", headers=headers).text
    )
    assert OTHER in client.get("/metrics", headers=others).text
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_a_turn_that_fails_is_counted_for_its_bot(
    client: TestClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("a module failed")

    def failed() -> tuple[float, float]:
        found = values(client.get("/metrics", headers=headers).text)
        of_bot = found.get(f'chatbot_bot_turns_total{{bot="{KEY}",outcome="error"}}', 0)
        return found['chatbot_turns_refused_total{reason="error"}'], of_bot

    before = failed()
    monkeypatch.setattr("serving.batching.Batcher.respond", broken)
    assert ask(client, KEY, headers) == 500
    assert failed() == (before[0] + 1, before[1] + 1)


def ask(client: TestClient, key: str, headers: dict[str, str]) -> int:
    body = {"session_id": "s", "text": "My bill"}
    return client.post(f"/v1/bots/{key}/chat", json=body, headers=headers).status_code
