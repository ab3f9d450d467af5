"""Sends chat requests on schedule, whatever the answers do (an open model), so that the time a request waits counts.

Run as a process of its own, ``python -m bench.load``, with one JSON object on standard input: ``host``, ``port``,
``path``, ``headers``, ``bodies`` (JSON objects, sent in turn), ``rate`` (requests a second), ``seconds`` and ``seed``.
Prints one JSON object. Arrivals are a Poisson process. A latency runs from the moment that the schedule says to the
last byte of the answer, so it holds what the sender itself was late.
"""

import asyncio
import gc
import json
import random
import resource
import sys
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

CONNECTIONS = 1_000
"""Connections at most; a request that finds none free waits for one, and its waiting counts."""
DRAIN_SECONDS = 10.0
"""How long answers are waited for after the last request."""
NO_ANSWER = 0
"""The status of requests that got none: in time, or because the server closed the connection."""


class OpenLoad:
    """One run of requests at one rate."""

    def __init__(self, host: str, port: int, requests: Sequence[bytes]) -> None:
        self._host = host
        self._port = port
        self._requests = requests
        self._idle: list[_Connection] = []
        self._backlog: deque[tuple[float, bytes]] = deque()
        self._connections = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._open = 0
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.finished: list[float] = []

    async def run(self, rate: float, seconds: float, seed: int) -> dict[str, Any]:
        """Sends for ``seconds``, waits for the answers, and tells what came of it; times in milliseconds."""
        gaps = random.Random(seed)
        started = due = time.perf_counter()
        sent, late = 0, []
        while due < started + seconds:
            pause = due - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            late.append(time.perf_counter() - due)
            self._send(due, self._requests[sent % len(self._requests)])
            sent += 1
            due += gaps.expovariate(rate)
        until = time.perf_counter() + DRAIN_SECONDS
        while self._open and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self.statuses[NO_ANSWER] += self._open
        good = sum(1 for moment in self.finished if moment <= started + seconds)
        return {
            "offered_per_s": rate,
            "sent_per_s": round(sent / seconds, 1),
            "answered_per_s": round(good / seconds, 1),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items()) if count},
            **{f"p{share}_ms": milliseconds(self.latencies, share) for share in (50, 95, 99)},
            "sender_late_p99_ms": milliseconds(late, 99),
            "sender_cpu_s": round(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), 2),
            "connections": self._connections,
        }

    def answered(self, connection: "_Connection", due: float, status: int) -> None:
        """Takes a whole answer, and gives the connection to the next request."""
        now = time.perf_counter()
        self._open -= 1
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(now - due)
            self.finished.append(now)
        if self._backlog:
            connection.send(*self._backlog.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: "_Connection", in_flight: bool) -> None:
        """Forgets a connection that the server has closed, and a request that waited on it."""
        if connection in self._idle:
            self._idle.remove(connection)
        self._connections -= 1
        if in_flight:
            self._open -= 1
            self.statuses[NO_ANSWER] += 1

    def _send(self, due: float, request: bytes) -> None:
        self._open += 1
        if self._idle:
            self._idle.pop().send(due, request)
            return
        self._backlog.append((due, request))
        if self._connections < CONNECTIONS:
            self._connections += 1
            task = asyncio.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(lambda: _Connection(self), self._host, self._port)
        except OSError:
            self._connections -= 1
            return
        if self._backlog:
            connection.send(*self._backlog.popleft())
        else:
            self._idle.append(connection)


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that is kept open; answers must tell their length."""

    def __init__(self, load: OpenLoad) -> None:
        self._load = load
        self._received = b""
        self._due: float | None = None
        self._transport: asyncio.Transport | None = None

    def send(self, due: float, request: bytes) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank, body = self._received.partition(b"\r\n\r\n")
        if not blank or self._due is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        due, self._due, self._received = self._due, None, b""
        self._load.answered(self, due, int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(self, self._due is not None)


def milliseconds(seconds: Sequence[float], share: float) -> float | None:
    """A percentile of some seconds, in milliseconds; None of nothing."""
    if not seconds:
        return None
    place = min(len(seconds) - 1, int(len(seconds) * share / 100))
    return round(sorted(seconds)[place] * 1000, 2)


def request_bytes(host: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> bytes:
    """A whole POST request."""
    content = json.dumps(body, ensure_ascii=False).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def main() -> None:
    task = json.load(sys.stdin)
    requests = [request_bytes(task["host"], task["path"], task["headers"], body) for body in task["bodies"]]
    gc.freeze()
    gc.disable()

    async def run() -> dict[str, Any]:
        load = OpenLoad(task["host"], task["port"], requests)
        return await load.run(task["rate"], task["seconds"], task["seed"])

    print(json.dumps(asyncio.run(run())))


if __name__ == "__main__":
    main()
