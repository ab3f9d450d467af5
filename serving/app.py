"""The chat service's HTTP routes, for loopback; all but the health ones need a tenant's bearer token."""

import json
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from resources.environment import Home
from resources.lakehouse import Lake
from serving.bots import LiveBot, LiveBots
from serving.conversation_log import ConversationLog
from serving.responder import FAILED
from serving.tokens import TOKENS_FILE, load_tokens, tenant_of

TEXT_LIMIT = 2_000
PROBLEM = "application/problem+json"


class ChatRequest(BaseModel):
    """One turn of a user."""

    model_config = ConfigDict(extra="forbid")

    session_id: str = Field(min_length=1, max_length=200)
    text: str = Field(min_length=1, max_length=TEXT_LIMIT)
    user_id: str | None = Field(None, max_length=200)


def create_app(home: Home) -> FastAPI:
    """The service over a home's lake and tokens."""
    security = HTTPBearer(auto_error=False)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.bots = LiveBots(home)
        app.state.log = ConversationLog(Lake(home.lake))
        yield
        app.state.bots.close()
        app.state.log.close()

    app = FastAPI(title="Chatbot service", lifespan=lifespan, openapi_url=None)
    for kind in (StarletteHTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _problem)

    def tenant(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(security)]) -> str:
        found = credentials and tenant_of(credentials.credentials, load_tokens(home.root / TOKENS_FILE))
        if not found:
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "send 'Authorization: Bearer <token>' with a tenant's token; 'chatbot up' prints them",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return found

    def live(key: str, owner: Annotated[str, Depends(tenant)], request: Request) -> LiveBot:
        bot = request.app.state.bots.get(key) if key.partition(".")[0] == owner else None
        if bot is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"tenant {owner} has no deployed bot {key}")
        return bot  # type: ignore[no-any-return]

    @app.post("/v1/bots/{key}/chat")
    def chat(key: str, turn: ChatRequest, bot: Annotated[LiveBot, Depends(live)], request: Request) -> dict[str, Any]:
        """Answers one turn and notes it in ``conversations``."""
        started = time.perf_counter()
        reply = bot.responder.respond([turn.text])[0]
        milliseconds = (time.perf_counter() - started) * 1000
        candidates = [candidate.__dict__ for candidate in reply.candidates]
        answer = {
            "turn_id": uuid.uuid4().hex,
            "answer": reply.answer,
            "intent": reply.intent,
            "score": reply.score,
            "category": reply.category,
            "candidates": [] if reply.category == FAILED else candidates,
            "model_id": bot.deployment.model_id,
            "deployment_id": bot.deployment.deployment_id,
        }
        served = {
            "session_id": turn.session_id,
            "user_id": turn.user_id,
            "text": turn.text,
            "served_at": datetime.now(UTC),
            "latency_ms": milliseconds,
            "satisfied": None,
        }
        request.app.state.log.add(key, {**answer, **served, "candidates": json.dumps(candidates, ensure_ascii=False)})
        return answer

    @app.get("/v1/bots")
    def bots(owner: Annotated[str, Depends(tenant)], request: Request) -> dict[str, Any]:
        """The tenant's deployed bots."""
        found: LiveBots = request.app.state.bots
        listed = [(key, found.get(key)) for key in found.names() if key.partition(".")[0] == owner]
        return {"bots": [_describe(key, bot) for key, bot in listed if bot]}

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz(request: Request) -> JSONResponse:
        """At least one verified model is loaded."""
        ready = request.app.state.bots.ready
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "ready" if ready else "no deployed bot is loaded yet"}, status)

    return app


def _describe(key: str, bot: LiveBot) -> dict[str, Any]:
    return {
        "bot": key,
        "language": bot.deployment.config["language"],
        "description": bot.deployment.config["description"],
        "model_id": bot.deployment.model_id,
        "deployment_id": bot.deployment.deployment_id,
        "deployed_at": bot.deployment.at.isoformat(),
    }


def _problem(request: Request, error: Exception) -> JSONResponse:
    """RFC 9457 problem details for whatever went wrong."""
    status, detail, headers = HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log says why", None
    if isinstance(error, StarletteHTTPException):
        status, detail, headers = HTTPStatus(error.status_code), str(error.detail), error.headers
    elif isinstance(error, RequestValidationError):
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        detail = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or 'body'}: {e['msg']}" for e in error.errors())
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(body, status.value, _as_dict(headers), media_type=PROBLEM)


def _as_dict(headers: Mapping[str, str] | None) -> dict[str, str] | None:
    return dict(headers) if headers else None
