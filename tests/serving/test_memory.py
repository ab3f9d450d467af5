"""One process answers for more bots than fit into its memory: those that nobody asks are unloaded."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from small_bot import KEY, Refreshed, SmallBot, wait_for

from chatbot_assets.train.answer_index import FaissIndex
from chatbot_assets.train.known_texts import KnownTexts
from chatbot_assets.train.rows import TrainingRows
from resources.environment import PROJECT
from serving import bots as serving_bots
from serving.app import create_app
from serving.bots import LiveBots, NotLoadedError, load_live
from serving.memory import BASE_BYTES, MEMORY_MB, budget, half_of_the_machine, weight
from serving.tokens import ensure_tokens

BOTS = [f"acme.bot-{number:02}" for number in range(12)]
FIT = 3


@pytest.fixture(scope="module")
def many(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """A home with twelve bots, which are copies of one."""
    copy = first[0].copy(tmp_path_factory.mktemp("many"))
    for key in BOTS:
        shutil.copytree(copy.lake.bot_folder(KEY), copy.lake.bot_folder(key))
    shutil.rmtree(copy.lake.bot_folder(KEY))
    return copy


@pytest.fixture(scope="module")
def one(many: SmallBot) -> int:
    """What one of them takes, in bytes."""
    live = load_live(many.home, BOTS[0])
    assert live and live.bytes > 0
    return live.bytes


@pytest.fixture
def client(many: SmallBot, one: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv(MEMORY_MB, str((FIT + 0.5) * one / 1e6))
    token = ensure_tokens(many.home.root / "tokens.json", {"acme"})["acme"]
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_app(many.home), "http://127.0.0.1", headers=headers) as found:
        wait_for(lambda: found.get("/readyz").status_code == 200)
        yield found


def not_loaded(client: TestClient) -> str:
    """One of the bots that wait to be asked; those with the latest users are loaded at the start."""
    bots = client.app.state.chat.bots  # type: ignore[attr-defined]
    return next(key for key in BOTS if bots.get(key) is None)


def loaded(client: TestClient) -> int:
    lines = client.get("/metrics").text.splitlines()
    return int(next(line for line in lines if line.startswith("chatbot_bots ")).split()[1])


def test_all_bots_answer_while_only_those_that_fit_are_loaded(client: TestClient) -> None:
    assert loaded(client) == FIT
    assert [bot["bot"] for bot in client.get("/v1/bots").json()["bots"]] == BOTS
    for key in [*BOTS, *BOTS[::-1]]:
        response = client.post(f"/v1/bots/{key}/chat", json={"session_id": "s", "text": "My parcel is wrong"})
        assert response.status_code == 200 and response.json()["intent"] == "delivery"
        assert loaded(client) <= FIT
    text = client.get("/metrics").text
    assert 'chatbot_bot_loads_total{why="start"} 3' in text and "chatbot_bots_deployed 12" in text
    # 9 were not there the first time; on the way back the last 3 were, and the other 9 were not.
    assert 'chatbot_bot_loads_total{why="turn"} 18' in text and 'chatbot_bot_unloads_total{why="memory"} 18' in text


def test_the_bot_that_was_asked_longest_ago_is_unloaded_first(many: SmallBot, one: int) -> None:
    bots = LiveBots(many.home, memory=int((FIT + 0.5) * one))
    try:
        bots.wait(120)
        a, b, c = [key for key in BOTS if bots.loaded(key)]
        bots.loaded(a)
        further = next(key for key in BOTS if key not in (a, b, c))
        bots.load(further).result(120)
        assert [key for key in (a, b, c, further) if bots.get(key)] == [a, c, further]
        assert bots.deployment(b) is not None and bots.count == FIT and bots.bytes <= (FIT + 0.5) * one
    finally:
        bots.close()


def test_turns_that_wait_for_one_bot_load_it_once(many: SmallBot, one: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bots = LiveBots(many.home, memory=int(1.5 * one))
    try:
        bots.wait(120)
        go, calls, load = threading.Event(), list[str](), serving_bots.load

        def slow(*arguments: object) -> object:
            calls.append(str(arguments[1]))
            go.wait(60)
            return load(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(serving_bots, "load", slow)
        futures = {bots.load(BOTS[7]) for _ in range(5)}
        go.set()
        assert {found.result(120).key for found in futures} == {BOTS[7]} and calls == [BOTS[7]]
    finally:
        bots.close()


def test_a_bot_that_cannot_be_loaded_is_told_with_when_to_ask_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = not_loaded(client)

    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(serving_bots, "load", broken)
    for _ in range(2):  # at first because of the disk, then because that was a moment ago
        response = client.post(f"/v1/bots/{key}/chat", json={"session_id": "s", "text": "hi"})
        assert response.status_code == 503 and response.headers["retry-after"]
        assert response.json()["detail"].startswith(f"{key} cannot be loaded now")


def test_a_turn_whose_bot_takes_too_long_to_load_is_given_up_and_the_loading_goes_on(
    many: SmallBot, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, go, load = not_loaded(client), threading.Event(), serving_bots.load

    def slow(*arguments: object) -> object:
        go.wait(60)
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(serving_bots, "load", slow)
    monkeypatch.setattr("serving.chat.TURN_SECONDS", 0.2)
    turn = {"session_id": "s", "text": "hi"}
    response = client.post(f"/v1/bots/{key}/chat", json=turn)
    assert response.status_code == 503 and response.headers["retry-after"]
    go.set()
    monkeypatch.setattr("serving.chat.TURN_SECONDS", 60.0)
    assert client.post(f"/v1/bots/{key}/chat", json=turn).status_code == 200


def test_a_bot_that_is_larger_than_the_budget_is_loaded_alone(many: SmallBot) -> None:
    bots = LiveBots(many.home, memory=1)
    try:
        bots.wait(120)
        assert bots.ready and bots.count == 1
        bots.load(BOTS[5]).result(120)
        assert bots.get(BOTS[5]) and bots.count == 1
        with pytest.raises(NotLoadedError):
            bots.load("acme.nobody").result(120)
    finally:
        bots.close()


LOADING = """
import ctypes, resource, sys
from pathlib import Path
import numpy
from chatbot_assets.train.answer_index import FaissIndex
from chatbot_assets.train.known_texts import KnownTexts

def resident():
    ctypes.CDLL(None).malloc_trim(0)  # what was freed and is kept for later is nobody's
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def load(folder):
    known = KnownTexts.load(Path(folder) / "known", FaissIndex())
    known.nearest_questions(numpy.ones((1, 512), numpy.float32), 1)
    return known, list(known.texts), list(known.ids)

first = load(sys.argv[1])
before = resident()
others = [load(folder)[0] for folder in sys.argv[2:]]
print((resident() - before) / len(others))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks /proc")
@pytest.mark.parametrize("intent", ["hours", None], ids=["labelled", "questions"])
def test_what_a_model_is_said_to_take_is_what_it_takes(tmp_path: Path, intent: str | None) -> None:
    count = 4000
    vectors = np.random.default_rng(0).standard_normal((count, 512)).astype(np.float32)
    names = [f"text {number}" for number in range(count)]
    rows = TrainingRows(
        ids=names,
        texts=names,
        tokens=[()] * count,
        intents=[intent] * count,
        answers=names,
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        parents=[None] * count,
        weights=np.ones(count, np.float32),
    )
    KnownTexts.of(rows, FaissIndex()).save(tmp_path / "0" / "known")
    for copy in "123":
        shutil.copytree(tmp_path / "0", tmp_path / copy)
    folders = [str(tmp_path / name) for name in "0123"]
    done = subprocess.run(
        [sys.executable, "-c", LOADING, *folders], capture_output=True, text=True, check=True, cwd=PROJECT
    )
    assert 0.85 < (weight(tmp_path / "0") - BASE_BYTES) / float(done.stdout) < 1.15


@pytest.mark.parametrize("said", ["0", "-5", "much", "nan", "inf"])
def test_a_budget_that_is_no_number_above_zero_is_told(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(MEMORY_MB, said)
    with pytest.raises(ValueError, match="give a number of megabytes above 0"):
        budget()


def test_without_a_setting_bots_may_take_half_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(MEMORY_MB, raising=False)
    assert budget() == half_of_the_machine() > 0
    monkeypatch.setenv(MEMORY_MB, "1500")
    assert budget() == 1_500_000_000
