"""Lets a shadow answer turns that users have got their answer to, when there is time, and keeps what it says.

A shadow must never cost a user anything: it computes only while no turn waits, on a thread of low priority, and what
there is no time for is left out, and counted.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.bots import LiveBot
from serving.conversation_log import ConversationLog
from serving.metrics import Metrics
from serving.priority import give_way
from serving.responder import FAILED

WAITING = 256
"""Turns that wait for a shadow at most; further ones are left out."""
PAUSE_SECONDS = 0.002
"""How long a shadow waits before it looks again whether users' turns are under way."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Turn:
    key: str
    shadow: LiveBot
    text: str
    served: Mapping[str, Any]


class Shadows:
    """The turns that shadows are to answer, and the thread that lets them."""

    def __init__(self, log: ConversationLog, metrics: Metrics, is_busy: Callable[[], bool]) -> None:
        """``is_busy`` says whether users' turns are under way."""
        self._log = log
        self._counted = metrics.shadows
        self._is_busy = is_busy
        self._turns: deque[_Turn] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="shadows", daemon=True)
        self._thread.start()

    def offer(self, key: str, shadow: LiveBot, text: str, served: Mapping[str, Any]) -> None:
        """Takes a turn that was ``served``, a row of ``conversations``; or leaves it out when many wait."""
        with self._wake:
            if len(self._turns) >= WAITING:
                self._counted.add("left out")
                return
            self._turns.append(_Turn(key, shadow, text, served))
            self._wake.notify()

    def close(self) -> None:
        """Ends the thread; turns that still wait are left out."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        give_way()
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._turns or self._closing)
                if self._closing:
                    return
            while self._is_busy() and not self._closing:
                time.sleep(PAUSE_SECONDS)
            with self._wake:
                turn = self._turns.popleft()
            try:
                self._log.add_shadow(turn.key, _answered(turn))
            except Exception:
                self._counted.add("failed")
                logger.exception("%s: the shadow fails at a turn", turn.key)
            else:
                self._counted.add("answered")


def _answered(turn: _Turn) -> dict[str, Any]:
    """A row of ``shadow_answers``."""
    started = time.perf_counter()
    reply = turn.shadow.responder.respond([turn.text])[0]
    milliseconds = (time.perf_counter() - started) * 1000
    candidates = [dict(vars(candidate)) for candidate in reply.candidates]
    seen = ("category", "intent", "answer")
    return {
        "turn_id": turn.served["turn_id"],
        "deployment_id": turn.shadow.deployment.deployment_id,
        "model_id": turn.shadow.deployment.model_id,
        "answer": reply.answer,
        "intent": reply.intent,
        "score": reply.score,
        "category": reply.category,
        "candidates": json.dumps([] if reply.category == FAILED else candidates, ensure_ascii=False),
        "live_deployment_id": turn.served["deployment_id"],
        "differs": any(getattr(reply, name) != turn.served[name] for name in seen),
        "served_at": turn.served["served_at"],
        "latency_ms": milliseconds,
    }
