"""The chat service: its parts put together into one application, for loopback."""

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from resources.environment import Home
from resources.lakehouse import Lake
from serving.access import Access
from serving.admission import Admission
from serving.batching import Batcher
from serving.bots import LiveBots
from serving.chat import Chat, chat_routes
from serving.conversation_log import ConversationLog
from serving.explaining import Explaining, explain_routes
from serving.guard import Guard
from serving.logs import log_as_json
from serving.metrics import MEDIA_TYPE, Metrics, shared_folder
from serving.origin import Origin, require_this_machine
from serving.overview.bots import Bots
from serving.pages.site import add_pages
from serving.people.directory import Directory
from serving.people.oidc import Settings, SingleSignOn
from serving.priority import give_way
from serving.shadows import Shadows
from serving.tracing import Traced, tracer_provider
from serving.verification import verification_routes
from serving.writer import WAITING, Writer

DAGSTER_URL = "CHATBOT_DAGSTER_URL"
"""The environment variable that tells the service's processes where Dagster's UI is."""

LOAD_SECONDS = 60.0
"""How long a process waits for the bots' models before it takes requests anyway."""


def service() -> FastAPI:
    """The application of a process of the service, made from the environment."""
    log_as_json()
    # A batch's matrices are small: a second thread would cost more than it gains, and a core that requests need.
    threadpool_limits(1, "blas")
    home = Home.from_environment()
    return create_app(
        home,
        os.environ.get(DAGSTER_URL),
        Origin.from_environment(),
        Settings.from_environment(home.root),
        writes=False,
    )


def create_app(
    home: Home,
    dagster: str | None = None,
    origin: Origin | None = None,
    oidc: Settings | None = None,
    *,
    writes: bool = True,
) -> FastAPI:
    """The service over a home's lake and people.

    Args:
        home: where everything is.
        dagster: the address of Dagster's UI, for the pages' links.
        origin: where browsers reach the service; this machine by default.
        oidc: single sign-on, where it is configured.
        writes: whether this process also brings turns into the tables, by a thread; otherwise a process beside it does.
    """
    origin = origin or Origin()
    metrics, provider = Metrics(), tracer_provider()
    overview = Bots(home)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        bots, log, batcher = LiveBots(home, metrics), ConversationLog(Lake(home.lake), home.journal), Batcher(metrics)
        stop = threading.Event()
        writer = Writer(Lake(home.lake), home.journal)
        writing = threading.Thread(target=writer.run, args=(stop,), name="writer")
        if writes:
            writing.start()
            metrics.watch(*WAITING, writer.waiting_bytes)
        warming = threading.Thread(target=_warm, args=(overview, stop), name="warming")
        shadows = Shadows(log, metrics, lambda: batcher.is_busy)
        app.state.chat = Chat(bots, log, batcher, shadows, metrics)
        metrics.watch("chatbot_bots", "Live deployments that are loaded, by each worker.", lambda: bots.count)
        metrics.watch("chatbot_bots_deployed", "Bots that have a live deployment.", lambda: len(bots.names()))
        metrics.watch("chatbot_bots_bytes", "What the loaded bots take, as estimated.", lambda: bots.bytes)
        # No request comes before this is over: a worker that starts beside others must not deny bots that they serve.
        await run_in_threadpool(bots.wait, LOAD_SECONDS)
        warming.start()
        with metrics.published(shared_folder()):
            yield
        stop.set()
        bots.close()
        batcher.close()
        shadows.close()
        log.close()
        warming.join()
        if writes:
            writing.join()
        if provider:
            provider.shutdown()

    app = FastAPI(title="Chatbot service", lifespan=lifespan, openapi_url=None)
    if provider:
        app.add_middleware(Traced, provider=provider)
    app.add_middleware(Admission, metrics=metrics)
    app.add_middleware(Guard, origin=origin)
    directory = Directory(home)
    access = Access(directory, origin)
    app.include_router(chat_routes(access))
    app.include_router(verification_routes(access))
    explaining = Explaining(home)
    app.include_router(explain_routes(access, explaining))
    sign_on = SingleSignOn(oidc, directory.store) if oidc else None
    add_pages(app, home, access, explaining, overview, dagster, sign_on)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @app.get("/metrics", dependencies=[Depends(require_this_machine)])
    async def counted(request: Request) -> Response:
        """What all processes of the service count, for Prometheus; with a tenant's token, also by its bots."""
        tenant = (await access.person(request)).tenant if "authorization" in request.headers else None
        return Response(metrics.text(tenant, shared_folder()), media_type=MEDIA_TYPE)

    @app.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        """At least one verified model is loaded."""
        ready = request.app.state.chat.bots.ready
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse({"status": "ready" if ready else "no deployed bot is loaded yet"}, status)

    return app


def _warm(overview: Bots, stop: threading.Event) -> None:
    give_way()
    overview.warm(stop)
