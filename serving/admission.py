"""Refuses turns at the door while a process has as many as it can answer in time: before anything of them is read.

A service that is asked for more than it can do must spend next to nothing on what it refuses, or it answers less the
more it is asked.
"""

import re
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.metrics import Metrics
from serving.problems import problem

CHAT_PATH = re.compile(r"^/(?:v1/)?bots/[^/]+/chat\Z")
IN_FLIGHT = 256
"""Turns of a process that are under way at most: what it answers in about half a second."""
RETRY_AFTER = {"Retry-After": "1"}
"""Tells a client to send a turn again that could not be taken: by then the turns before it have been answered."""


class Admission:
    """Counts the turns under way, and refuses those beyond ``most`` with 429."""

    def __init__(self, app: ASGIApp, metrics: Metrics, most: int = IN_FLIGHT) -> None:
        self._app = app
        self._most = most
        self._refused = metrics.refused
        self._under_way = 0
        metrics.watch("chatbot_turns_under_way", "Turns that were taken and are not answered yet.", self.under_way)

    def under_way(self) -> int:
        """Turns that were taken and are not answered yet."""
        return self._under_way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not CHAT_PATH.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            self._refused.add("queue")
            detail = "too many turns wait; send it again in a second"
            await problem(HTTPStatus.TOO_MANY_REQUESTS, detail, RETRY_AFTER)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
