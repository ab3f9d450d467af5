"""Traces turns with OpenTelemetry, where its standard variables name a collector for OTLP over HTTP.

A turn is a span, the child of the caller's span if the request carries one (W3C Trace Context, ``traceparent``). It
says which bot and deployment answered and what came of it, and never what was said.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.admission import CHAT_PATH

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE = "chatbot"
"""The service's name where no variable gives another one."""
_turn: "ContextVar[tuple[Tracer, Span] | None]" = ContextVar("turn", default=None)


def tracer_provider() -> "TracerProvider | None":
    """What makes spans and sends them, as the standard ``OTEL_*`` variables say; None when they name no collector."""
    if not any(os.environ.get(name) for name in ENDPOINTS) or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return None
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traced:
    """Makes a span of each turn that the application inside is given."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._app = app
        self._tracer = provider.get_tracer("serving")
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not CHAT_PATH.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, StatusCode

        caller = self._propagator.extract(Headers(scope=scope))
        # An error's message may hold what was said: its kind is enough, and the log has the rest.
        with self._tracer.start_as_current_span(
            "turn", caller, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            token = _turn.set((self._tracer, span))
            try:
                await self._app(scope, receive, send_and_note)
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise
            finally:
                _turn.reset(token)


def part(name: str) -> AbstractContextManager[None]:
    """A part of the turn under way: a span inside the turn's, if turns are traced."""
    turn = _turn.get()
    return _part(turn[0], name) if turn else nullcontext()


def note(**about: Any) -> None:
    """Says something about the turn under way, if turns are traced."""
    turn = _turn.get()
    if turn:
        turn[1].set_attributes({f"chatbot.{name}": value for name, value in about.items()})


@contextmanager
def _part(tracer: "Tracer", name: str) -> Iterator[None]:
    with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
        yield
