"""The chat service: its parts put together into one application, for loopback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from resources.environment import Home
from resources.lakehouse import Lake
from serving.access import Access
from serving.bots import LiveBots
from serving.chat import Chat, chat_routes
from serving.conversation_log import ConversationLog
from serving.explaining import Explaining, explain_routes
from serving.guard import Guard
from serving.pages import add_pages
from serving.problems import answer_with_problems
from serving.tokens import TOKENS_FILE
from serving.verification import verification_routes


def create_app(home: Home, dagster: str | None = None) -> FastAPI:
    """The service over a home's lake and tokens; ``dagster`` is the address of Dagster's UI for the pages' links."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        bots, log = LiveBots(home), ConversationLog(Lake(home.lake))
        app.state.chat = Chat(bots, log)
        yield
        bots.close()
        log.close()

    app = FastAPI(title="Chatbot service", lifespan=lifespan, openapi_url=None)
    app.add_middleware(Guard)
    answer_with_problems(app)
    access = Access(home.root / TOKENS_FILE)
    app.include_router(chat_routes(access))
    app.include_router(verification_routes(access))
    explaining = Explaining(home)
    app.include_router(explain_routes(access, explaining))
    add_pages(app, home, access, explaining, dagster)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @app.get("/readyz")
    def readyz(request: Request) -> JSONResponse:
        """At least one verified model is loaded."""
        ready = request.app.state.chat.bots.ready
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "ready" if ready else "no deployed bot is loaded yet"}, status)

    return app
