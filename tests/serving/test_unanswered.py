"""Turns that a deployment cannot answer are kept as such, and a deployment that fails more often is taken back."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from service import running
from small_bot import KEY, SmallBot, wait_for
from test_agreement import put_live_with

from chatbot_assets.bot import Watch
from chatbot_assets.deploy.record import Deployment, history
from chatbot_assets.deploy.watch import watch
from chatbot_assets.explain.explanation import explain_turn
from chatbot_assets.feedback.triage import FailedAndDissatisfied
from serving import chat
from serving.batching import Batcher
from serving.conversations import new_turn_id
from serving.tokens import ensure_tokens

TOUCHY = """
from chatbot_assets.modules import ModuleRef


class Touchy:
    def __init__(self):
        self.normalise = ModuleRef(use={use!r}).load()

    def __call__(self, text):
        if "boom" in text:
            raise RuntimeError("this module does not like the text")
        return self.normalise(text)
"""


@pytest.fixture
def touchy(bot: SmallBot, write_module: Callable[[str, str], str]) -> Deployment:
    """Puts a deployment live that answers as evaluated, but for texts that its module does not like."""
    assert bot.live
    use = bot.live.config["process"]["normaliser"]["use"]
    put_live_with(bot, write_module("touchy", TOUCHY.format(use=use)) + ":Touchy")
    assert bot.live
    return bot.live


def ask(address: str, headers: dict[str, str], text: str) -> httpx.Response:
    body = {"session_id": "s", "text": text}
    return httpx.post(f"{address}/v1/bots/{KEY}/chat", json=body, headers=headers, timeout=60)


def test_a_deployment_that_cannot_answer_some_texts_is_taken_back_for_its_errors(
    bot: SmallBot, touchy: Deployment
) -> None:
    before = history(bot.table("deployments")).before
    assert before
    common = {"session_id": "s", "text": "hi", "category": "answered", "latency_ms": 3.0}
    common |= {"model_id": before.model_id, "deployment_id": before.deployment_id}
    common |= {"served_at": touchy.at - timedelta(minutes=1)}
    bot.table("conversations").append_rows([common | {"turn_id": new_turn_id()} for _ in range(20)])
    headers = {"Authorization": f"Bearer {ensure_tokens(bot.home.root / 'tokens.json', {'acme'})['acme']}"}
    with running(bot) as address:
        texts = ["Where is my parcel", "boom, and mail me: kim@example.com"] * 10
        statuses = [ask(address, headers, text).status_code for text in texts]
        assert statuses == [200, 500] * 10
        wait_for(lambda: len(bot.rows("conversations")) == 40)
        assert 'chatbot_turns_refused_total{reason="error"} 10' in httpx.get(f"{address}/metrics").text
    unanswered = [row for row in bot.rows("conversations") if row["category"] == "error"]
    assert len(unanswered) == 10
    assert {row["deployment_id"] for row in unanswered} == {touchy.deployment_id}
    assert {row["answer"] for row in unanswered} == {None} and "kim@example.com" not in unanswered[0]["text"]
    assert FailedAndDissatisfied()(unanswered[0]) is None, "nobody is asked to review it"
    said = explain_turn(bot.lake, bot.home.cache, KEY, unanswered[0])["summary"]
    assert "the bot could not answer" in said[0]
    found = watch(bot.lake, KEY, Watch(turns=20), actor="watch")
    assert found.back_to == before.deployment_id
    assert found.said == "50% of 20 turns could not be answered, before it was 0% of 20"


def test_a_turn_that_takes_too_long_is_kept_as_unanswered(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(Batcher, "respond", sleep)
    monkeypatch.setattr(chat, "TURN_SECONDS", 0.05)
    headers = {"Authorization": f"Bearer {ensure_tokens(bot.home.root / 'tokens.json', {'acme'})['acme']}"}
    with running(bot) as address:
        assert ask(address, headers, "Where is my parcel").status_code == 503
        wait_for(lambda: bot.rows("conversations"))
        (row,) = bot.rows("conversations")
    assert (row["category"], row["text"], json.loads(row["candidates"])) == ("error", "Where is my parcel", [])
    assert row["served_at"] <= datetime.now(UTC)
