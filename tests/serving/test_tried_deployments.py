"""Canaries and shadows in the chat service: who is answered by what, also across restarts and swaps."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from service import running
from small_bot import KEY, SmallBot, wait_for
from test_pages import send_sign_in

from chatbot_assets.commands.promote import run as promote
from chatbot_assets.deploy.live_check import verify_trial
from chatbot_assets.deploy.record import Deployment, Trial, history
from chatbot_assets.deploy.share import is_chosen
from chatbot_assets.explain.explanation import explain_turn, find_turn
from resources.lakehouse import Lake
from serving.address import announced
from serving.app import create_app
from serving.bots import load_live
from serving.conversation_log import ConversationLog
from serving.conversations import new_turn_id
from serving.metrics import Metrics
from serving.shadows import WAITING, Shadows
from serving.tokens import ensure_tokens
from serving.writer import Writer

CHAT = f"/v1/bots/{KEY}/chat"
NONSENSE = "qzx vvk wjjq 774"
"""No bot understands it, so the answer is the message of the configuration, which tells the deployments apart."""
SESSIONS = [f"session-{number}" for number in range(24)]


@pytest.fixture
def canary(configured: Callable[..., SmallBot]) -> SmallBot:
    """A bot whose canary answers half of the sessions, and says "Pardon?"."""
    return configured(deploy={"policy": "canary", "canary": {"share": 0.5}}, messages={"failed": "Pardon?"})


@pytest.fixture
def shadow(configured: Callable[..., SmallBot]) -> SmallBot:
    """A bot whose shadow says "Pardon?"."""
    return configured(deploy={"policy": "shadow"}, messages={"failed": "Pardon?"})


def tried(bot: SmallBot) -> tuple[Deployment, Trial]:
    past = history(bot.table("deployments"))
    assert past.live and past.trial
    return past.live, past.trial


@contextmanager
def client_of(bot: SmallBot) -> Iterator[TestClient]:
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_app(bot.home), "http://127.0.0.1", headers=headers) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        yield client


def ask(client: TestClient, session: str, text: str = NONSENSE) -> dict[str, Any]:
    response = client.post(CHAT, json={"session_id": session, "text": text})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_each_session_stays_with_its_deployment_also_across_a_restart(canary: SmallBot) -> None:
    live, trial = tried(canary)
    messages = {one.deployment_id: one.config["messages"]["failed"] for one in (live, trial.deployment)}
    seen: dict[str, set[str]] = {session: set() for session in SESSIONS}
    for _ in ("before", "after a restart"):
        with client_of(canary) as client:
            for session in SESSIONS * 2:
                answer = ask(client, session)
                seen[session].add(answer["deployment_id"])
                assert answer["answer"] == messages[answer["deployment_id"]], "no answer mixes two deployments"
    own = trial.deployment.deployment_id
    assert seen == {session: {own if is_chosen(KEY, own, session, 0.5) else live.deployment_id} for session in SESSIONS}
    assert {identity for found in seen.values() for identity in found} == set(messages)


def test_a_turn_of_a_canary_is_explained_as_such(canary: SmallBot) -> None:
    live, trial = tried(canary)
    own = trial.deployment.deployment_id
    session = next(session for session in SESSIONS if is_chosen(KEY, own, session, 0.5))
    with client_of(canary) as client:
        turn_id = ask(client, session, "My parcel is wrong")["turn_id"]
        assert client.get(f"/v1/bots/{KEY}/turns/{turn_id}/explain").status_code == 200
    found = explain_turn(canary.lake, canary.home.cache, KEY, find_turn(canary.lake, KEY, turn_id) or {})
    assert found["deployment"]["live"] is None and found["deployment"]["canary"]["share"] == 0.5
    said = " ".join(found["summary"])
    assert f"Deployment {own[:12]} answered as a canary" in said and "tried on 50 % of the sessions" in said
    assert f"{live.deployment_id[:12]}, which was live, the others" in said


def test_a_canary_goes_live_under_load_without_a_failed_or_mixed_answer(
    canary: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_HOME", str(canary.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(canary.home.bots))
    live, trial = tried(canary)
    own = trial.deployment.deployment_id
    messages = {one.deployment_id: one.config["messages"]["failed"] for one in (live, trial.deployment)}
    token = ensure_tokens(canary.home.root / "tokens.json", {"acme"})["acme"]
    stop, wrong, served = threading.Event(), list[str](), list[tuple[str, str]]()

    def user(number: int) -> None:
        with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            while not stop.is_set():
                session = SESSIONS[(len(served) + number) % len(SESSIONS)]
                response = client.post(f"{address}{CHAT}", json={"session_id": session, "text": NONSENSE})
                found = response.json()
                if response.status_code != 200 or messages[found["deployment_id"]] != found["answer"]:
                    wrong.append(response.text)
                    return
                served.append((session, found["deployment_id"]))

    with running(canary) as address, announced(canary.home, address):
        users = [threading.Thread(target=user, args=(number,)) for number in range(3)]
        for one in users:
            one.start()
        try:
            verified = verify_trial(canary.home, KEY)
            assert verified and verified.agrees and verified.deployment_id == own
            assert verified.asked.startswith("the serv")
            wait_for(lambda: len(served) > 60)
            promote(KEY, reason="good", actor="kim")
            wait_for(lambda: {identity for _, identity in served[-len(SESSIONS) :]} == {own})
        finally:
            stop.set()
            for one in users:
                one.join()
    assert wrong == [] and {identity for _, identity in served} == set(messages)
    before = [pair for pair in served if pair[1] != own]
    assert all(not is_chosen(KEY, own, session, 0.5) for session, _ in before)


def test_the_start_page_tells_of_a_canary(canary: SmallBot) -> None:
    with client_of(canary) as client:
        token = client.headers["Authorization"].removeprefix("Bearer ")
        send_sign_in(client, {"token": token})
        assert "Canary: a new version answers 50\u00a0% of the sessions since" in client.get("/").text


# -- shadows ------------------------------------------------------------------------------------------------------


def test_users_get_the_live_answer_and_what_the_shadow_says_is_kept_once_beside_it(shadow: SmallBot) -> None:
    live, trial = tried(shadow)
    with client_of(shadow) as client:
        answers = [ask(client, "s", text) for text in (NONSENSE, "My parcel is wrong")]
        wait_for(lambda: 'chatbot_shadow_turns_total{outcome="answered"} 2' in client.get("/metrics").text)
    with client_of(shadow):
        pass  # the next process finds nothing that it would write again
    assert {answer["deployment_id"] for answer in answers} == {live.deployment_id}
    assert {row["deployment_id"] for row in shadow.rows("conversations")} == {live.deployment_id}
    rows = {row["turn_id"]: row for row in shadow.rows("shadow_answers")}
    assert len(shadow.rows("shadow_answers")) == 2 and set(rows) == {answer["turn_id"] for answer in answers}
    nonsense, parcel = (rows[answer["turn_id"]] for answer in answers)
    assert (nonsense["answer"], nonsense["differs"]) == ("Pardon?", True)
    assert (parcel["intent"], parcel["differs"]) == ("delivery", False)
    for row in rows.values():
        assert row["deployment_id"] == trial.deployment.deployment_id
        assert row["live_deployment_id"] == live.deployment_id
    served = {row["turn_id"]: row["served_at"] for row in shadow.rows("conversations")}
    assert served == {turn_id: row["served_at"] for turn_id, row in rows.items()}


def test_what_a_shadow_said_comes_into_the_table_once_although_another_table_cannot_be_written(lake: Lake) -> None:
    log = ConversationLog(lake, lake.root.parent / "journal")
    blocked = lake.table(KEY, "shadow_answers").path
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")
    turn_id = new_turn_id()
    log.add(KEY, {"turn_id": turn_id, "text": "hi", "category": "failed", "candidates": "[]"})
    log.add_shadow(KEY, {"turn_id": turn_id, "deployment_id": "d", "differs": True, "served_at": datetime.now(UTC)})
    log.close()
    writer = Writer(lake, lake.root.parent / "journal")
    writer.pass_on()
    writer.pass_on()
    blocked.unlink()
    writer.pass_on()
    assert len(lake.table(KEY, "conversations").arrow(["turn_id"])) == 1
    assert lake.table(KEY, "shadow_answers").arrow(["turn_id", "differs"]).to_pylist() == [
        {"turn_id": turn_id, "differs": True}
    ]


def test_a_shadow_waits_while_users_do_and_what_it_has_no_time_for_is_left_out(shadow: SmallBot, lake: Lake) -> None:
    bot = load_live(shadow.home, KEY)
    assert bot
    metrics, log = Metrics(), ConversationLog(lake, lake.root.parent / "journal")
    shadows = Shadows(log, metrics, is_busy=lambda: True)
    for _ in range(WAITING + 3):
        shadows.offer(KEY, bot, "hello", {})
    shadows.close()
    log.close()
    assert 'outcome="left out"} 3' in metrics.text() and 'outcome="answered"} 0' in metrics.text()
    assert lake.table(KEY, "shadow_answers").last() is None
