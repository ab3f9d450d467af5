"""The chat service over a real lake: answers, problems, tenants, and new deployments under load."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from service import running
from small_bot import KEY, OTHER, SECRET, SmallBot, row, wait_for

from serving.app import create_app
from serving.chat import TEXT_LIMIT
from serving.guard import BODY_LIMIT
from serving.tokens import ensure_tokens

CHAT = f"/v1/bots/{KEY}/chat"
LOOPBACK = "http://127.0.0.1"


def ask(text: str, session: str = "s1") -> dict[str, str]:
    return {"session_id": session, "text": text}


def assert_is_problem(response: httpx.Response, status: int) -> str:
    """Checks RFC 9457's form and gives the detail."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail"}
    assert body["status"] == status and body["title"] and body["detail"]
    assert "\n" not in body["detail"] and "Traceback" not in body["detail"]
    return str(body["detail"])


# -- answers ------------------------------------------------------------------------------------------------------


def test_a_question_that_the_bot_knows_is_answered(
    client: TestClient, headers: dict[str, str], served: SmallBot
) -> None:
    response = client.post(CHAT, json=ask("My parcel is wrong"), headers=headers)
    assert response.status_code == 200
    answer = response.json()
    assert set(answer) == {
        *("turn_id", "answer", "intent", "score", "category", "candidates", "model_id", "deployment_id"),
    }
    assert (answer["intent"], answer["category"]) == ("delivery", "answered")
    assert answer["answer"] == "This is what we know about delivery."
    assert 0 <= answer["score"] <= 1
    assert answer["candidates"][0]["intent"] == "delivery"
    assert served.live and answer["deployment_id"] == served.live.deployment_id
    assert answer["model_id"] == served.live.model_id


@pytest.mark.parametrize("text", ["   ", "\u200b", "qzx vvk wjjq 774"])
def test_what_the_bot_does_not_understand_gets_its_message_and_no_suggestion(
    client: TestClient, headers: dict[str, str], served: SmallBot, text: str
) -> None:
    answer = client.post(CHAT, json=ask(text), headers=headers).json()
    assert answer["category"] == "failed"
    assert answer["answer"] == served.bot.messages.failed
    assert (answer["intent"], answer["candidates"]) == (None, [])


def test_every_turn_has_an_identity_of_its_own(client: TestClient, headers: dict[str, str]) -> None:
    turns = [client.post(CHAT, json=ask("Tell me about bill"), headers=headers).json() for _ in range(2)]
    assert turns[0]["turn_id"] != turns[1]["turn_id"]
    assert turns[0]["answer"] == turns[1]["answer"]


def test_an_answered_turn_is_in_the_conversations_a_moment_later(
    client: TestClient, headers: dict[str, str], served: SmallBot
) -> None:
    sent = ask("When is my forecast available?", session="one") | {"user_id": "kim"}
    before = time.time()
    answer = client.post(CHAT, json=sent, headers=headers).json()
    after = time.time()

    def found() -> list[dict[str, Any]]:
        return [turn for turn in served.rows("conversations") if turn["turn_id"] == answer["turn_id"]]

    wait_for(found)
    (turn,) = found()
    assert {name: turn[name] for name in sent} == sent
    same = ("answer", "intent", "score", "category", "model_id", "deployment_id")
    assert {name: turn[name] for name in same} == {name: answer[name] for name in same}
    assert json.loads(turn["candidates"])[0]["score"] > 0
    assert turn["latency_ms"] > 0 and turn["satisfied"] is None
    assert before <= turn["served_at"].timestamp() <= after


def test_personal_data_in_a_question_is_answered_but_not_kept(
    client: TestClient, headers: dict[str, str], served: SmallBot
) -> None:
    text = "My parcel is wrong, write to kim.minsu@example.com"
    answer = client.post(CHAT, json=ask(text, session="private"), headers=headers).json()

    def kept() -> list[str]:
        turns = served.rows("conversations", "turn_id", "text")
        return [turn["text"] for turn in turns if turn["turn_id"] == answer["turn_id"]]

    wait_for(kept)
    assert "kim.minsu" not in kept()[0] and kept()[0].startswith("My parcel is wrong, write to <")


# -- problems -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        {"Authorization": b"Bearer \xff\xfe"},
    ],
    ids=["none", "wrong", "empty", "basic", "not-ascii"],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/bots"])
def test_without_a_tenant_s_token_nothing_is_answered(
    client: TestClient, sent: dict[str, str | bytes], path: str
) -> None:
    response = client.request("POST" if path == CHAT else "GET", path, json={}, headers=sent)  # type: ignore[arg-type]
    assert "Authorization: Bearer <token>" in assert_is_problem(response, 401)
    assert response.headers["www-authenticate"] == "Bearer"


def test_an_unknown_bot_is_said_to_be_unknown(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/v1/bots/acme.nothing/chat", json=ask("Hi"), headers=headers)
    assert assert_is_problem(response, 404) == "tenant acme has no deployed bot acme.nothing"


def test_another_tenant_s_bot_looks_like_one_that_does_not_exist(
    client: TestClient, headers: dict[str, str], tokens: dict[str, str], served: SmallBot
) -> None:
    theirs = {"Authorization": f"Bearer {tokens['globex']}"}
    question = ask("My parcel is wrong")
    answer = client.post(f"/v1/bots/{OTHER}/chat", json=question, headers=theirs)
    assert answer.json()["answer"] == SECRET, "its own tenant is answered"

    refused = client.post(f"/v1/bots/{OTHER}/chat", json=question, headers=headers)
    absent = client.post("/v1/bots/globex.absent/chat", json=question, headers=headers)
    assert assert_is_problem(refused, 404) == f"tenant acme has no deployed bot {OTHER}"
    assert assert_is_problem(absent, 404).replace("globex.absent", OTHER) == refused.json()["detail"]
    assert SECRET not in refused.text

    wait_for(lambda: served.lake.table(OTHER, "conversations").arrow(["turn_id"]).num_rows)
    turns = served.lake.table(OTHER, "conversations").arrow(["turn_id"]).column("turn_id").to_pylist()
    assert turns == [answer.json()["turn_id"]], "the refused turn is written nowhere"


def test_a_tenant_sees_its_own_bots_only(
    client: TestClient, headers: dict[str, str], tokens: dict[str, str], served: SmallBot
) -> None:
    (bot,) = client.get("/v1/bots", headers=headers).json()["bots"]
    assert served.live
    assert bot == {
        "bot": KEY,
        "language": "en",
        "description": "",
        "model_id": served.live.model_id,
        "deployment_id": served.live.deployment_id,
        "deployed_at": served.live.at.isoformat(),
    }
    theirs = client.get("/v1/bots", headers={"Authorization": f"Bearer {tokens['globex']}"}).json()["bots"]
    assert [found["bot"] for found in theirs] == [OTHER]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"session_id": "s"}, "text: Field required"),
        ({"text": "hi"}, "session_id: Field required"),
        (ask(""), "text: String should have at least 1 character"),
        (ask("x" * (TEXT_LIMIT + 1)), f"text: String should have at most {TEXT_LIMIT} characters"),
        (ask("hi", session="s" * 201), "session_id: String should have at most 200 characters"),
        (ask("hi") | {"tenant": "globex"}, "tenant: Extra inputs are not permitted"),
        ({"session_id": "s", "text": 7}, "text: Input should be a valid string"),
        ([], "body: "),
        ("hi", "body: "),
    ],
    ids=["no-text", "no-session", "empty", "too-long", "long-session", "unknown-field", "number", "list", "string"],
)
def test_a_request_that_is_not_as_agreed_is_refused_with_the_field_and_why(
    client: TestClient, headers: dict[str, str], body: Any, detail: str
) -> None:
    response = client.post(CHAT, json=body, headers=headers)
    assert assert_is_problem(response, 422).startswith(detail)
    assert "xxxxxxxx" not in response.text, "the request is not sent back"


@pytest.mark.parametrize("body", [b"", b"{", b'{"session_id": "s", "text": "\\ud800"}', b"\xff\xfe"])
def test_a_body_that_is_no_json_or_no_text_is_refused(client: TestClient, headers: dict[str, str], body: bytes) -> None:
    response = client.post(CHAT, content=body, headers=headers | {"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert_is_problem(response, response.status_code)


def test_a_text_of_the_greatest_length_is_answered(client: TestClient, headers: dict[str, str]) -> None:
    text = ("parcel " * TEXT_LIMIT)[:TEXT_LIMIT]
    assert client.post(CHAT, json=ask(text), headers=headers).status_code == 200


def test_unknown_routes_and_methods_are_problems_too(client: TestClient, headers: dict[str, str]) -> None:
    assert_is_problem(client.get("/v1/nothing", headers=headers), 404)
    assert_is_problem(client.get(CHAT, headers=headers), 405)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.7", ""])
@pytest.mark.parametrize("path", ["/", "/v1/bots", "/healthz", "/static/pages.js"])
def test_a_request_for_another_name_than_this_machine_s_is_refused(
    client: TestClient, headers: dict[str, str], path: str, host: str
) -> None:
    response = client.get(path, headers=headers | {"Host": host})
    assert "http://127.0.0.1" in assert_is_problem(response, 421)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "[::1]"])
def test_this_machine_s_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_body_that_is_too_long_is_refused_whether_its_length_is_announced_or_not(
    client: TestClient, headers: dict[str, str]
) -> None:
    sent = headers | {"Content-Type": "application/json"}
    assert_is_problem(client.post(CHAT, content=b" " * (BODY_LIMIT + 1), headers=sent), 413)
    assert_is_problem(client.post(CHAT, content=iter([b" " * 1024] * 65), headers=sent), 413)
    padded = json.dumps(ask("My parcel is wrong")).encode().ljust(BODY_LIMIT)
    assert client.post(CHAT, content=iter([padded[:100], padded[100:]]), headers=sent).status_code == 200


def test_a_body_of_brackets_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    nested = b"[" * (BODY_LIMIT // 2) + b"]" * (BODY_LIMIT // 2)
    response = client.post(CHAT, content=nested, headers=headers | {"Content-Type": "application/json"})
    assert response.status_code in (400, 422)
    assert_is_problem(response, response.status_code)


# -- health -------------------------------------------------------------------------------------------------------


def test_health_needs_no_token_and_an_empty_home_is_alive_but_not_ready(
    client: TestClient, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    empty = SmallBot(tmp_path_factory.mktemp("empty"))
    with TestClient(create_app(empty.home), LOOPBACK) as alone:
        assert alone.get("/healthz").status_code == 200
        ready = alone.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"status": "no deployed bot is loaded yet"})


def test_a_bot_whose_tables_are_damaged_does_not_keep_the_others_from_being_served(bot: SmallBot) -> None:
    log = bot.lake.table("aaa.damaged", "deployments").path / "_delta_log" / f"{0:020d}.json"
    log.parent.mkdir(parents=True)
    log.write_text("{ not a log", encoding="utf-8")
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        wait_for(lambda: alone.get("/readyz").status_code == 200)
        response = alone.post(CHAT, json=ask("My parcel is wrong"), headers={"Authorization": f"Bearer {token}"})
        assert response.json()["intent"] == "delivery"


# -- a real server ------------------------------------------------------------------------------------------------


def steadily(work: Callable[[], None], stop: threading.Event) -> threading.Thread:
    def run() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_new_deployment_answers_without_a_restart_or_a_failed_request_and_no_turn_is_lost(bot: SmallBot) -> None:
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    old = bot.live
    assert old
    answers: list[dict[str, Any]] = []
    failures: list[str] = []
    stop = threading.Event()
    with running(bot) as address, httpx.Client(headers={"Authorization": f"Bearer {token}"}) as asking:

        def work() -> None:
            response = asking.post(address + CHAT, json=ask("My parcel is wrong"), timeout=60)
            if response.status_code == 200:
                answers.append(response.json())
            else:
                failures.append(response.text)

        threads = [steadily(work, stop) for _ in range(2)]
        try:
            wait_for(lambda: len(answers) >= 5)
            bot.land("more.jsonl", [row("My parcel is wrong", "delivery", "A new answer.")])
            bot.configure(messages={"failed": "Pardon?"})
            assert bot.refresh().success
            new = bot.live
            assert new and new.model_id != old.model_id
            wait_for(lambda: answers[-1]["deployment_id"] == new.deployment_id)
            wait_for(lambda: [found["deployment_id"] for found in answers].count(new.deployment_id) >= 5)
        finally:
            stop.set()
            for thread in threads:
                thread.join(120)
    assert failures == []
    models = {found["deployment_id"]: {other["model_id"] for other in answers
              if other["deployment_id"] == found["deployment_id"]} for found in answers}  # fmt: skip
    assert models == {old.deployment_id: {old.model_id}, new.deployment_id: {new.model_id}}
    order = [found["deployment_id"] for found in answers]
    late = order[order.index(new.deployment_id) :].count(old.deployment_id)
    assert late < len(threads), "only a request under way may still get the old one"
    turns = {found["turn_id"] for found in bot.rows("conversations", "turn_id")}
    assert turns == {found["turn_id"] for found in answers}
