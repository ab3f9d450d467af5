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

from chatbot_assets.deploy.record import Deployment
from resources.tenancy import owns
from serving.access import Access
from serving.admission import RETRY_AFTER
from serving.batching import Batcher
from serving.bots import LiveBot, LiveBots, Loaded, NotLoadedError
from serving.conversation_log import JUDGED, ConversationLog
from serving.conversations import new_turn_id
from serving.logs import ABOUT
from serving.metrics import Metrics
from serving.people.roles import Permission, Person
from serving.responder import FAILED, Reply
from serving.shadows import Shadows
from serving.tracing import note, part

TEXT_LIMIT = 2_000
logger = logging.getLogger(__name__)
TURN_SECONDS = 5.0
"""A turn that is not answered within this time is given up."""
ERROR = "error"
"""The category of a turn that could not be answered."""
NOTE_SECONDS = 1.0
"""How long the refusal of such a turn waits until it is kept."""


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

    def __init__(
        self, bots: LiveBots, log: ConversationLog, batcher: Batcher, shadows: Shadows, metrics: Metrics
    ) -> None:
        self.bots = bots
        self._log = log
        self._batcher = batcher
        self._shadows = shadows
        self._metrics = metrics

    def live(self, owner: str, key: str) -> Deployment:
        """What is live of a bot of the tenant, loaded or not.

        Raises:
            HTTPException: 404 when it has none of that name, also when another tenant has.
        """
        deployment = self.bots.deployment(key) if owns(owner, key) else None
        if deployment is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"tenant {owner} has no deployed bot {key}")
        return deployment

    def loaded(self, owner: str, key: str) -> Loaded:
        """A bot of the tenant, loaded if need be; waits for that.

        Raises:
            HTTPException: 404 as :meth:`live`; 503 when it cannot be loaded, or not in time.
        """
        self.live(owner, key)
        try:
            return self.bots.loaded(key) or self.bots.load(key).result(TURN_SECONDS)
        except NotLoadedError:
            raise _not_loaded(key) from None
        except TimeoutError:
            raise self._too_late(key) from None

    async def answer(self, owner: str, key: str, turn: ChatRequest) -> dict[str, Any]:
        """Answers one turn and keeps it, without personal data, for ``conversations``: it is on the disk then.

        A turn that the bot could not answer, or not in time, is kept as such.

        Raises:
            HTTPException: 404 as :meth:`live`; 503 when it took too long, when the bot cannot be loaded, or when the
                turn cannot be kept: what is not kept is not served.
        """
        self.live(owner, key)
        started = time.perf_counter()
        bot: LiveBot | None = None
        reply: Reply | None = None
        try:
            async with asyncio.timeout(TURN_SECONDS):
                # Others wait for the same loading, so a turn that is given up must not end it.
                loaded = self.bots.loaded(key)
                if loaded is None:
                    loaded = await asyncio.shield(asyncio.wrap_future(self.bots.load(key)))
                bot = loaded.for_session(turn.session_id)
                note(bot=key, deployment_id=bot.deployment.deployment_id)
                with part("answer"):
                    reply = await self._batcher.respond(bot.responder, turn.text)
                return await self._keep_and_answer(loaded, bot, turn, reply, started)
        except HTTPException:
            raise
        except NotLoadedError:
            self._count_lost(key, "loading")
            raise _not_loaded(key) from None
        except Exception as error:
            if bot and reply is None:
                await self._keep_unanswered(bot, key, turn, started)
            if isinstance(error, TimeoutError):
                raise self._too_late(key) from None
            self._count_lost(key, "error")
            raise

    def _count_lost(self, key: str, reason: str) -> None:
        self._metrics.refused.add(reason)
        self._metrics.bot_turns.add(key, reason)

    def _too_late(self, key: str) -> HTTPException:
        self._count_lost(key, "time")
        detail = f"the turn was not answered within {TURN_SECONDS:.0f} s; send it again"
        return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER)

    async def _keep_and_answer(
        self, loaded: Loaded, bot: LiveBot, turn: ChatRequest, reply: Reply, started: float
    ) -> dict[str, Any]:
        key = loaded.key
        milliseconds = (time.perf_counter() - started) * 1000
        candidates = [dict(vars(candidate)) for candidate in reply.candidates]
        turn_id = new_turn_id()
        answer = {
            "turn_id": turn_id,
            "answer": reply.answer,
            "intent": reply.intent,
            "score": reply.score,
            "category": reply.category,
            "candidates": [] if reply.category == FAILED else candidates,
            "model_id": bot.deployment.model_id,
            "deployment_id": bot.deployment.deployment_id,
        }
        kept = _asked(bot, turn) | {
            "candidates": json.dumps(candidates, ensure_ascii=False),
            "latency_ms": milliseconds,
        }
        try:
            with part("journal"):
                await asyncio.wrap_future(self._log.add(key, answer | kept))
        except OSError as error:
            self._count_lost(key, "disk")
            raise _not_kept(error) from None
        if shadow := loaded.shadow_of(turn_id):
            self._shadows.offer(key, shadow, turn.text, answer | kept)
        seconds = time.perf_counter() - started
        note(turn_id=answer["turn_id"], category=reply.category)
        self._metrics.turns.add(reply.category)
        self._metrics.bot_turns.add(key, reply.category)
        self._metrics.seconds.add(seconds)
        about = {name: answer[name] for name in ("turn_id", "deployment_id", "category")}
        logger.info("served", extra={ABOUT: {"bot": key, **about, "ms": round(seconds * 1000, 1)}})
        return answer

    async def _keep_unanswered(self, bot: LiveBot, key: str, turn: ChatRequest, started: float) -> None:
        """Keeps a turn that the bot could not answer, for the watch; the refusal waits but a moment for the disk."""
        row = _asked(bot, turn) | {
            "turn_id": new_turn_id(),
            "score": 0.0,
            "category": ERROR,
            "candidates": "[]",
            "latency_ms": (time.perf_counter() - started) * 1000,
        }
        kept = asyncio.wrap_future(self._log.add(key, row))
        kept.add_done_callback(lambda done: done.cancelled() or done.exception())  # the journal has logged it
        await asyncio.wait([kept], timeout=NOTE_SECONDS)

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
            HTTPException: 404 when the tenant's bot never served it.
        """
        turn = self._log.find(key, turn_id, columns) if owns(owner, key) else None
        if turn is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"tenant {owner} has no bot {key} that served turn {turn_id}")
        return turn

    def describe(self, owner: str) -> list[dict[str, Any]]:
        """The tenant's deployed bots."""
        listed = [(key, self.bots.deployment(key)) for key in self.bots.names() if owns(owner, key)]
        return [_describe(key, deployment) for key, deployment in listed if deployment]


async def chat_of(request: Request) -> Chat:
    """The running application's conversations: a dependency of the routes that need them."""
    found: Chat = request.app.state.chat
    return found


def chat_routes(access: Access) -> APIRouter:
    """The API's routes; the tenant comes from the token or the session, never from the request."""
    router = APIRouter(prefix="/v1/bots")

    @router.get("")
    def bots(
        asks: Annotated[Person, Depends(access.may(Permission.READ))], chat: Annotated[Chat, Depends(chat_of)]
    ) -> dict[str, list[dict[str, Any]]]:
        """The tenant's deployed bots."""
        return {"bots": chat.describe(asks.tenant)}

    @router.post("/{key}/chat")
    async def answer(
        key: str,
        turn: ChatRequest,
        asks: Annotated[Person, Depends(access.may(Permission.CHAT))],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> JSONResponse:
        """Answers one turn."""
        return JSONResponse(await chat.answer(asks.tenant, key, turn))

    @router.post("/{key}/turns/{turn_id}/feedback")
    def feedback(
        key: str,
        turn_id: str,
        said: FeedbackRequest,
        asks: Annotated[Person, Depends(access.may(Permission.FEEDBACK))],
        chat: Annotated[Chat, Depends(chat_of)],
    ) -> dict[str, Any]:
        """Takes what a user thinks of a turn."""
        return chat.judge(asks.tenant, key, turn_id, said)

    return router


def _not_kept(error: OSError) -> HTTPException:
    detail = f"nothing can be kept: {error.strerror or 'the disk does not answer'}; make room on the service's disk"
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER)


def _not_loaded(key: str) -> HTTPException:
    detail = f"{key} cannot be loaded now; send it again, and see the service's log"
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, RETRY_AFTER)


def _asked(bot: LiveBot, turn: ChatRequest) -> dict[str, Any]:
    """What is kept of every turn: who asked which deployment what, without personal data, and when."""
    return {
        "session_id": turn.session_id,
        "user_id": turn.user_id and bot.known_as(turn.user_id),
        "text": bot.mask(turn.text),
        "model_id": bot.deployment.model_id,
        "deployment_id": bot.deployment.deployment_id,
        "served_at": datetime.now(UTC),
    }


def _describe(key: str, deployment: Deployment) -> dict[str, Any]:
    return {
        "bot": key,
        "language": deployment.config["language"],
        "description": deployment.config["description"],
        "model_id": deployment.model_id,
        "deployment_id": deployment.deployment_id,
        "deployed_at": deployment.at.isoformat(),
    }
