"""Turns are traced to a collector where one is configured, without what was said."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from small_bot import KEY, SmallBot

from resources.environment import PROJECT
from serving.app import create_app
from serving.tracing import ENDPOINTS, tracer_provider

SAID = "My very secret bill"


class Collector(HTTPServer):
    """An OTLP/HTTP receiver on loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.received: list[bytes] = []

    @property
    def spans(self) -> dict[str, Span]:
        """What was received, by the spans' names."""
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.received]
        scopes = [scope for one in requests for resource in one.resource_spans for scope in resource.scope_spans]
        return {span.name: span for scope in scopes for span in scope.spans}

    @property
    def services(self) -> set[str]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.received]
        return {
            attribute.value.string_value
            for one in requests
            for found in one.resource_spans
            for attribute in found.resource.attributes
            if attribute.key == "service.name"
        }


class _Receive(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        assert self.path == "/v1/traces"
        self.server.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def values(span: Span) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def test_a_turn_is_a_span_of_the_caller_s_trace_with_its_parts_and_without_what_was_said(
    served: SmallBot, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    body = {"session_id": "s", "text": SAID}
    with collecting(monkeypatch) as collector:
        with TestClient(create_app(served.home), "http://127.0.0.1") as client:
            reply = client.post(f"/v1/bots/{KEY}/chat", json=body, headers=headers | caller).json()
        spans = collector.spans
    assert spans.keys() == {"turn", "answer", "journal"}
    turn = spans["turn"]
    assert turn.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert turn.parent_span_id.hex() == "b7ad6b7169203331"
    assert {spans[name].parent_span_id for name in ("answer", "journal")} == {turn.span_id}
    assert values(turn) == {
        "chatbot.bot": KEY,
        "chatbot.deployment_id": reply["deployment_id"],
        "chatbot.turn_id": reply["turn_id"],
        "chatbot.category": reply["category"],
        "http.response.status_code": 200,
    }
    assert collector.services == {"chatbot"}
    assert not any(SAID.encode() in one for one in collector.received)


def test_a_turn_that_fails_is_an_error_without_its_message(
    served: SmallBot, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: object, responder: object, text: str) -> None:
        raise RuntimeError(f"cannot read {text}")

    monkeypatch.setattr("serving.batching.Batcher.respond", broken)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-bots")
    with collecting(monkeypatch) as collector:
        with TestClient(create_app(served.home), "http://127.0.0.1", raise_server_exceptions=False) as client:
            body = {"session_id": "s", "text": SAID}
            assert client.post(f"/v1/bots/{KEY}/chat", json=body, headers=headers).status_code == 500
        turn = collector.spans["turn"]
    assert turn.status.code == Status.StatusCode.STATUS_CODE_ERROR
    assert values(turn)["error.type"] == "RuntimeError"
    assert collector.services == {"our-bots"}
    assert not any(SAID.encode() in one for one in collector.received)


def test_nothing_is_traced_unless_a_collector_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert tracer_provider() is None
    look = "import sys, serving.app; print({'opentelemetry.sdk', 'opentelemetry.exporter'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    for name, value in (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert tracer_provider() is None
