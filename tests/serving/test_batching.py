"""Turns that wait together are answered in one go, and none of them harms another."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from small_bot import KEY, Refreshed, SmallBot
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving import chat
from serving.admission import Admission
from serving.batching import Batcher
from serving.bots import load_live
from serving.metrics import Metrics
from serving.responder import FAILED, Reply, Responder


class Held(Responder):
    """A responder that says back what it is asked, and works only while it is let; keeps the batches it was given."""

    def __init__(self, *, works: bool = False) -> None:
        self.let = threading.Event()
        self.batches: list[list[str]] = []
        if works:
            self.let.set()

    def respond(self, texts: Sequence[str]) -> list[Reply]:
        self.batches.append(list(texts))
        assert self.let.wait(60)
        if "bad" in texts:
            raise RuntimeError("this text breaks a module")
        return [Reply(text, None, 0.0, FAILED, ()) for text in texts]


async def begun(batcher: Batcher, held: Held, texts: Sequence[str]) -> "list[asyncio.Task[Reply]]":
    """Turns on their way, the first of them being computed."""
    tasks = []
    for text in texts:
        tasks.append(asyncio.create_task(batcher.respond(held, text)))
        await asyncio.sleep(0)
    while not held.batches:
        await asyncio.sleep(0.001)
    return tasks


def test_what_arrives_while_one_turn_is_computed_is_answered_together() -> None:
    async def scenario() -> None:
        batcher, held = Batcher(Metrics(), batch=3), Held()
        tasks = await begun(batcher, held, ["a", "b", "c", "d", "e"])
        assert held.batches == [["a"]], "a lone turn waits for nobody"
        held.let.set()
        assert [(await task).answer for task in tasks] == ["a", "b", "c", "d", "e"]
        assert held.batches == [["a"], ["b", "c", "d"], ["e"]]
        batcher.close()

    asyncio.run(scenario())


def test_turns_of_different_deployments_are_never_computed_together_and_the_oldest_comes_first() -> None:
    async def scenario() -> None:
        batcher, old, new = Batcher(Metrics()), Held(), Held(works=True)
        first = await begun(batcher, old, ["a"])
        others = [asyncio.create_task(batcher.respond(one, text)) for one, text in ((new, "b"), (old, "c"), (new, "d"))]
        await asyncio.sleep(0)
        old.let.set()
        assert [(await task).answer for task in first + others] == ["a", "b", "c", "d"]
        assert (old.batches, new.batches) == ([["a"], ["c"]], [["b", "d"]])
        batcher.close()

    asyncio.run(scenario())


def test_a_text_that_breaks_a_module_fails_alone() -> None:
    async def scenario() -> None:
        batcher, held = Batcher(Metrics()), Held()
        tasks = await begun(batcher, held, ["a", "b", "bad", "c"])
        held.let.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one.answer if isinstance(one, Reply) else str(one) for one in found] == [
            "a",
            "b",
            "this text breaks a module",
            "c",
        ]
        batcher.close()

    asyncio.run(scenario())


def test_a_turn_that_was_given_up_is_not_computed() -> None:
    async def scenario() -> None:
        batcher, held = Batcher(Metrics()), Held()
        tasks = await begun(batcher, held, ["a", "b", "c"])
        tasks[1].cancel()
        await asyncio.sleep(0)
        held.let.set()
        assert [(await task).answer for task in (tasks[0], tasks[2])] == ["a", "c"]
        assert held.batches == [["a"], ["c"]]
        batcher.close()

    asyncio.run(scenario())


def test_a_batch_is_answered_as_its_turns_would_be_alone(first: tuple[SmallBot, Refreshed]) -> None:
    live = load_live(first[0].home, KEY)
    assert live
    texts = ["My parcel is wrong", "bill", "qzx vvk", "", "Where can I find opening hours", "forecast for Rome"]
    together = live.responder.respond(texts)
    for text, reply in zip(texts, together, strict=True):
        (alone,) = live.responder.respond([text])
        assert (reply.answer, reply.intent, reply.category) == (alone.answer, alone.intent, alone.category)
        assert reply.score == pytest.approx(alone.score, abs=1e-3)


# -- over HTTP ----------------------------------------------------------------------------------------------------


def ask(client: TestClient, headers: dict[str, str]) -> Any:
    return client.post(f"/v1/bots/{KEY}/chat", json={"session_id": "s", "text": "My bill"}, headers=headers)


def test_a_client_is_told_when_to_come_again_while_too_many_turns_are_under_way() -> None:
    async def scenario() -> None:
        let, metrics = asyncio.Event(), Metrics()

        async def answers(scope: Scope, receive: Receive, send: Send) -> None:
            await let.wait()
            await Response("answered")(scope, receive, send)

        admission = Admission(answers, metrics, most=2)
        transport = httpx.ASGITransport(admission)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            taken = [asyncio.create_task(client.post(f"/v1/bots/{KEY}/chat")) for _ in range(2)]
            while admission.under_way() < 2:
                await asyncio.sleep(0)
            refused = await client.post(f"/v1/bots/{KEY}/chat")
            let.set()
            assert [(await task).text for task in taken] == ["answered", "answered"]
            assert (await client.post(f"/v1/bots/{KEY}/chat")).text == "answered", "there is room again"
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.json()["detail"] == "too many turns wait; send it again in a second"
        assert refused.headers["content-type"] == "application/problem+json"
        assert 'chatbot_turns_refused_total{reason="queue"} 1' in metrics.text()

    asyncio.run(scenario())


def test_metrics_count_what_was_served_and_name_no_bot(client: TestClient, headers: dict[str, str]) -> None:
    def value(sample: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(float(line.removeprefix(sample)) for line in lines if line.startswith(f"{sample} "))

    served, took = value('chatbot_turns_total{category="answered"}'), value("chatbot_turn_seconds_count")
    assert ask(client, headers).status_code == 200
    assert value('chatbot_turns_total{category="answered"}') == served + 1
    assert value("chatbot_turn_seconds_count") == value('chatbot_turn_seconds_bucket{le="+Inf"}') == took + 1
    assert value("chatbot_bots") == 2
    assert KEY not in client.get("/metrics").text
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_a_turn_that_takes_too_long_is_given_up(
    client: TestClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "TURN_SECONDS", 0.0)
    response = ask(client, headers)
    assert response.status_code == 503, response.text
    assert response.headers["retry-after"] == "1"
    assert "send it again" in response.json()["detail"]
