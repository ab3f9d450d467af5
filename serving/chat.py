"""The chat API: a turn is answered and kept, and users say what they think of it."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from chatbot_assets.bot import KEY
from serving.access import Access
from serving.admission import RETRY_AFTER
from serving.batching import Batcher
from serving.bots import LiveBot, LiveBots
from serving.conversation_log import JUDGED, ConversationLog, NotYetError
from serving.conversations import new_turn_id
from serving.logs import ABOUT
from serving.metrics import Metrics
from serving.responder import FAILED
from serving.tracing import note, part

TEXT_LIMIT = 2_000
logger = logging.getLogger(__name__)
TURN_SECONDS = 5.0
"""A turn that is not answered within this time is given up."""


class ChatRequest(BaseModel):
    """One turn of a user."""

    model_config = ConfigDict(extra="forbid")

    session_id: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=TEXT_LIMIT)
    user_id: str | None = Field(None, max_length=200)


class FeedbackRequest(BaseModel):
    """What a user thinks of a turn: whether the answer helped, and which of the suggestions was meant."""

    model_config = ConfigDict(extra="forbid")

    satisfied: StrictBool | None = None
    chosen_candidate: str | None = Field(None, min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackRequest":
        if self.satisfied is None and self.chosen_candidate is None:
            raise ValueError("send satisfied (true or false), chosen_candidate (a candidate's id) or both")
        return self


class Chat:
    """A tenant's conversations with its bots, for the API and for the pages."""

    def __init__(self, bots: LiveBots, log: ConversationLog, batcher: Batcher, metrics: Metrics) -> None:
        self.bots = bots
        self._log = log
        self._batcher = batcher
        self._metrics = metrics

    def live(self, owner: str, key: str) -> LiveBot:
        """A deployed bot of the tenant.

        Raises:
            HTTPException: 404 when it has none of that name, also when another tenant has.
        """
        bot = self.bots.get(key) if _belongs(key, owner) else None
        if bot is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"tenant {owner} has no deployed bot {key}")
        return bot

    async def answer(self, owner: str, key: str, turn: ChatRequest) -> dict[str, Any]:
        """Answers one turn and keeps it, without personal data, for ``conversations``: it is on the disk then.

        Raises:
            HTTPException: 404 as :meth:`live`; 503 when it took too long, or when the turn cannot be kept: what is not
                kept is not served.
        """
        bot = self.live(owner, key)
        try:
            async with asyncio.timeout(TURN_SECONDS):
                return await self._answer(bot, key, turn)
        except TimeoutError:
            self._count_lost(key, "time")
            detail = f"the turn was not answered within {TURN_SECONDS:.0f} s; send it again"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER) from None
        except HTTPException:
            raise
        except Exception:
            self._count_lost(key, "error")
            raise

    def _count_lost(self, key: str, reason: str) -> None:
        self._metrics.refused.add(reason)
        self._metrics.bot_turns.add(key, reason)

    async def _answer(self, bot: LiveBot, key: str, turn: ChatRequest) -> dict[str, Any]:
        started = time.perf_counter()
        note(bot=key, deployment_id=bot.deployment.deployment_id)
        with part("answer"):
            reply = await self._batcher.respond(bot.responder, turn.text)
        milliseconds = (time.perf_counter() - started) * 1000
        candidates = [dict(vars(candidate)) for candidate in reply.candidates]
        answer = {
            "turn_id": new_turn_id(),
            "answer": reply.answer,
            "intent": reply.intent,
            "score": reply.score,
            "category": reply.category,
            "candidates": [] if reply.category == FAILED else candidates,
            "model_id": bot.deployment.model_id,
            "deployment_id": bot.deployment.deployment_id,
        }
        kept = {
            "session_id": turn.session_id,
            "user_id": turn.user_id,
            "text": bot.mask(turn.text),
            "candidates": json.dumps(candidates, ensure_ascii=False),
            "served_at": datetime.now(UTC),
            "latency_ms": milliseconds,
        }
        try:
            with part("journal"):
                await asyncio.wrap_future(self._log.add(key, answer | kept))
        except OSError as error:
            self._count_lost(key, "disk")
            raise _not_kept(error) from None
        seconds = time.perf_counter() - started
        note(turn_id=answer["turn_id"], category=reply.category)
        self._metrics.turns.add(reply.category)
        self._metrics.bot_turns.add(key, reply.category)
        self._metrics.seconds.add(seconds)
        about = {name: answer[name] for name in ("turn_id", "deployment_id", "category")}
        logger.info("served", extra={ABOUT: {"bot": key, **about, "ms": round(seconds * 1000, 1)}})
        return answer

    def judge(self, owner: str, key: str, turn_id: str, feedback: FeedbackRequest) -> dict[str, Any]:
        """Notes what a user thinks of a turn that the bot served; of several verdicts the last one counts.

        Raises:
            HTTPException: 404 when the tenant's bot never served the turn, 422 when the chosen candidate was not among
                those that the user was shown, 503 when the verdict cannot be kept now.
        """
        turn = self.turn(owner, key, turn_id)
        said = feedback.model_dump(exclude_none=True)
        shown = [] if turn["category"] == FAILED else [found["id"] for found in json.loads(turn["candidates"])]
        if feedback.chosen_candidate not in (None, *shown):
            detail = f"chosen_candidate: {feedback.chosen_candidate!r} was not among the turn's candidates"
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        try:
            self._log.add_feedback(key, turn_id, said).result(TURN_SECONDS)
        except OSError as error:
            raise _not_kept(error) from None
        for kind in said:
            self._metrics.feedback.add(kind)
        return {"turn_id": turn_id, **said}

    def turn(self, owner: str, key: str, turn_id: str, columns: Sequence[str] = JUDGED) -> Mapping[str, Any]:
        """A turn that the tenant's bot served, with at least these columns, where it has them.

        Raises:
            HTTPException: 404 when the tenant's bot never served it, 503 when that cannot be said yet.
        """
        try:
            turn = self._log.find(key, turn_id, columns) if _belongs(key, owner) else None
        except NotYetError:
            detail = "the turn is still on its way into the table; send it again"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER) from None
        if turn is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"tenant {owner} has no bot {key} that served turn {turn_id}")
        return turn

    def describe(self, owner: str) -> list[dict[str, Any]]:
        """The tenant's deployed bots."""
        listed = [(key, self.bots.get(key)) for key in self.bots.names() if _belongs(key, owner)]
        return [_describe(key, bot) for key, bot in listed if bot]


async def chat_of(request: Request) -> Chat:
    """The running application's conversations: a dependency of the routes that need them."""
    found: Chat = request.app.state.chat
    return found


def chat_routes(access: Access) -> APIRouter:
    """The API's routes; the tenant comes from the token or the session, never from the request."""
    router = APIRouter(prefix="/v1/bots")

    @router.get("")
    def bots(
        owner: Annotated[str, Depends(access.tenant)], chat: Annotated[Chat, Depends(chat_of)]
    ) -> dict[str, list[dict[str, Any]]]:
        """The tenant's deployed bots."""
        return {"bots": chat.describe(owner)}

    @router.post("/{key}/chat")
    async def answer(
        key: str,
        turn: ChatRequest,
        owner: Annotated[str, Depends(access.tenant)],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> JSONResponse:
        """Answers one turn."""
        return JSONResponse(await chat.answer(owner, key, turn))

    @router.post("/{key}/turns/{turn_id}/feedback")
    def feedback(
        key: str,
        turn_id: str,
        said: FeedbackRequest,
        owner: Annotated[str, Depends(access.tenant)],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> dict[str, Any]:
        """Takes what a user thinks of a turn."""
        return chat.judge(owner, key, turn_id, said)

    return router


def _not_kept(error: OSError) -> HTTPException:
    detail = f"nothing can be kept: {error.strerror or 'the disk does not answer'}; make room on the service's disk"
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER)


def _belongs(key: str, owner: str) -> bool:
    return bool(KEY.match(key)) and key.partition(".")[0] == owner


def _describe(key: str, bot: LiveBot) -> dict[str, Any]:
    return {
        "bot": key,
        "language": bot.deployment.config["language"],
        "description": bot.deployment.config["description"],
        "model_id": bot.deployment.model_id,
        "deployment_id": bot.deployment.deployment_id,
        "deployed_at": bot.deployment.at.isoformat(),
    }
