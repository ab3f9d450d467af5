"""``ask``: one answer from the deployed model."""

import time
from typing import Any

from chatbot_assets.bot_key import check_key
from chatbot_assets.commands import UserError
from resources.environment import Home
from serving.bots import LiveBot, load_live


def deployed(key: str) -> LiveBot:
    """The bot's live deployment, loaded.

    Raises:
        UserError: when there is none yet.
    """
    live = load_live(Home.from_environment(), check_key(key))
    if live is None:
        raise UserError(f"{key} has no live deployment; run: ./chatbot refresh {key}")
    return live


def run(key: str, text: str) -> dict[str, Any]:
    """The reply to a text, with the deployment that gave it."""
    live = deployed(key)
    started = time.perf_counter()
    reply = live.responder.respond([text])[0]
    milliseconds = (time.perf_counter() - started) * 1000
    deployment = live.deployment
    identity = {"bot": key, "model_id": deployment.model_id, "deployment_id": deployment.deployment_id}
    return {**reply.as_dict(), "latency_ms": round(milliseconds, 3), **identity}


def describe(report: dict[str, Any]) -> str:
    lines = [
        report["answer"] or "(this bot has intents, but no answers)",
        f"  {report['category']}, intent {report['intent'] or '-'}, score {report['score']:.2f}",
    ]
    if report["category"] == "similar":
        lines += [f"  - {c['text'] or c['intent']} → {c['answer'] or c['intent']}" for c in report["candidates"][:3]]
    return "\n".join(lines)
