"""The bots that a service process answers for: follows each bot's live deployment and swaps it without a pause."""

import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chatbot_assets.deploy.record import Deployment, live_deployment
from resources.environment import Home
from resources.lakehouse import Lake
from resources.model_store import unpack
from resources.pseudonyms import pseudonym
from serving.agreement import next_to_answer
from serving.privacy import Mask, hides_users, load_mask
from serving.responder import Responder

WATCH_SECONDS = 0.5
RETRY_SECONDS = 30.0
"""Pause before a deployment that could not be loaded is tried again."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveBot:
    """A deployment, loaded.

    ``mask`` hides personal data in what is kept of its turns, and ``known_as`` gives the name under which a user is
    kept.
    """

    deployment: Deployment
    responder: Responder
    mask: Mask
    known_as: Callable[[str], str] = str


def load_live(home: Home, key: str) -> LiveBot | None:
    """Loads a bot's live deployment from the lake; None when it has none."""
    deployment = live_deployment(Lake(home.lake).table(key, "deployments"))
    return load(home, key, deployment) if deployment else None


def load(home: Home, key: str, deployment: Deployment) -> LiveBot:
    """Loads a deployment from the lake, whether it is live or was."""
    folder = unpack(Lake(home.lake).table(key, "models"), deployment.model_id, home.cache)
    named = partial(pseudonym, home.root, key.partition(".")[0]) if hides_users(deployment.config) else str
    return LiveBot(deployment, Responder(folder, deployment.config), load_mask(deployment.config), named)


class LiveBots:
    """All bots with a live deployment, kept current by a thread of its own.

    A request uses one :class:`LiveBot` from beginning to end, so no answer mixes two deployments.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lake = Lake(home.lake)
        self._live: dict[str, LiveBot] = {}
        self._seen: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._stopping = threading.Event()
        self._first_look = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live-bots", daemon=True)
        self._thread.start()

    def get(self, key: str) -> LiveBot | None:
        """The bot as it is deployed now."""
        return self._live.get(key)

    def names(self) -> list[str]:
        """The keys of the bots that are loaded."""
        return sorted(self._live)

    @property
    def ready(self) -> bool:
        """Whether every deployment found at the start is loaded, and there is one."""
        return self._first_look.is_set() and bool(self._live)

    def wait(self, seconds: float) -> None:
        """Waits, at most so long, until what is deployed at the start is loaded."""
        self._first_look.wait(seconds)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Loads what has been deployed since the last look."""
        for path in sorted(self._lake.root.glob("*/*/deployments/_delta_log")):
            key = _key_of(path)
            if time.monotonic() < self._retry_at.get(key, 0.0):
                continue
            try:
                last = self._lake.table(key, "deployments").last()
                if last is None or self._seen.get(key) == last.version:
                    continue
                current, live = self._live.get(key), None
                deployment = live_deployment(self._lake.table(key, "deployments"))
                if deployment and not (current and current.deployment == deployment):
                    live = next_to_answer(self._lake, key, deployment, current, partial(load, self._home, key))
                if live:
                    live.responder.respond(["?"])  # loads what modules leave for their first text
            except Exception:
                self._retry_at[key] = time.monotonic() + RETRY_SECONDS
                logger.exception("the live deployment of %s cannot be loaded; the one before it goes on", key)
                continue
            if live:
                self._live[key] = live
                # A collection that looks through all models would stop every answer for a tenth of a second.
                gc.freeze()
                logger.info("%s answers with deployment %s", key, live.deployment.deployment_id)
            self._seen[key] = last.version

    def _watch(self) -> None:
        while True:
            self.look()
            self._first_look.set()
            if self._stopping.wait(WATCH_SECONDS):
                return


def _key_of(log: Path) -> str:
    bot = log.parent.parent
    return f"{bot.parent.name}.{bot.name}"
