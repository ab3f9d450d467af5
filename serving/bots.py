"""The bots that a service process answers for: follows each bot's deployments and swaps them without a pause.

As many bots are loaded as the memory budget allows. Of the others a process knows what is deployed; the next turn of
one loads it, and unloads those that nobody has asked for longest.
"""

import gc
import logging
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from chatbot_assets.deploy.record import Deployment, Trial, history, live_deployment
from chatbot_assets.deploy.share import CANARY, SHADOW, is_chosen
from chatbot_assets.tables import CONVERSATIONS
from resources.environment import Home
from resources.lakehouse import Lake
from resources.model_store import unpack
from resources.pseudonyms import pseudonym
from serving.agreement import next_to_answer, next_to_try
from serving.memory import budget, weight
from serving.metrics import Metrics
from serving.privacy import Mask, hides_users, load_mask
from serving.responder import Responder

WATCH_SECONDS = 0.5
RETRY_SECONDS = 30.0
"""Pause before a deployment that could not be loaded is tried again."""
LOADERS = 2
"""Threads that load bots for the turns that wait for them; a further bot waits for one."""
logger = logging.getLogger(__name__)


class NotLoadedError(RuntimeError):
    """A deployed bot cannot be loaded at the moment; the log says why."""


@dataclass(frozen=True)
class LiveBot:
    """A deployment, loaded.

    ``mask`` hides personal data in what is kept of its turns, ``known_as`` gives the name under which a user is kept,
    and ``bytes`` is what it takes.
    """

    deployment: Deployment
    responder: Responder
    mask: Mask
    bytes: int = 0
    known_as: Callable[[str], str] = str


@dataclass(frozen=True)
class Loaded:
    """A bot as it answers: its live deployment and, beside it, the one that is tried.

    ``version`` is that of the history of deployments that this follows from.
    """

    key: str
    live: LiveBot
    trial: Trial | None
    tried: LiveBot | None
    version: int

    @property
    def bytes(self) -> int:
        """What all of it takes."""
        return self.live.bytes + (self.tried.bytes if self.tried else 0)

    def for_session(self, session_id: str) -> LiveBot:
        """What answers a session: the canary, if the session belongs to its share, else what is live."""
        return self._tried(CANARY, session_id) or self.live

    def shadow_of(self, turn_id: str) -> LiveBot | None:
        """What answers a turn beside the live deployment, unseen, if the turn belongs to its share."""
        return self._tried(SHADOW, turn_id)

    def _tried(self, kind: str, place: str) -> LiveBot | None:
        trial = self.trial
        if self.tried is None or trial is None or trial.kind != kind:
            return None
        chosen = is_chosen(self.key, trial.deployment.deployment_id, place, trial.share)
        return self.tried if chosen else None


@dataclass(frozen=True)
class _Standing:
    """What the history of a bot's deployments says at a version."""

    version: int
    live: Deployment
    trial: Trial | None


def load_live(home: Home, key: str) -> LiveBot | None:
    """Loads a bot's live deployment from the lake; None when it has none."""
    deployment = live_deployment(Lake(home.lake).table(key, "deployments"))
    return load(home, key, deployment) if deployment else None


def load(home: Home, key: str, deployment: Deployment) -> LiveBot:
    """Loads a deployment from the lake, whether it is live or was."""
    folder = unpack(Lake(home.lake).table(key, "models"), deployment.model_id, home.cache)
    responder = Responder(folder, deployment.served_config)
    named = partial(pseudonym, home.root, key.partition(".")[0]) if hides_users(deployment.config) else str
    return LiveBot(deployment, responder, load_mask(deployment.config), weight(folder), named)


class LiveBots:
    """All bots with a live deployment, kept current by a thread of its own.

    A request uses one :class:`LiveBot` from beginning to end, so no answer mixes two deployments.
    """

    def __init__(self, home: Home, metrics: Metrics | None = None, memory: int | None = None) -> None:
        """``memory`` is what all loaded bots may take together, in bytes; by default what the environment says."""
        self._home = home
        self._lake = Lake(home.lake)
        self._metrics = metrics or Metrics()
        self._memory = budget() if memory is None else memory
        self._standing: dict[str, _Standing] = {}
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()  # the one that was asked longest ago comes first
        self._loading: dict[str, Future[Loaded]] = {}
        self._lock = threading.Lock()
        self._one_by_one: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._seen: dict[str, int] = {}
        self._retry_at: dict[str, float] = {}
        self._loaders = ThreadPoolExecutor(LOADERS, "loading")
        self._stopping = threading.Event()
        self._first_look = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live-bots", daemon=True)
        self._thread.start()

    def get(self, key: str) -> LiveBot | None:
        """What is live of a bot, if it is loaded."""
        loaded = self._loaded.get(key)
        return loaded.live if loaded else None

    def loaded(self, key: str) -> Loaded | None:
        """A bot for a turn, if it is loaded; it counts as asked now."""
        with self._lock:
            found = self._loaded.get(key)
            if found:
                self._loaded.move_to_end(key)
            return found

    def load(self, key: str) -> "Future[Loaded]":
        """Loads a deployed bot; turns that wait for the same one share its future. Do not cancel it.

        The future ends with a :class:`NotLoadedError` when it cannot be loaded now.
        """
        with self._lock:
            under_way = self._loading.get(key)
            if under_way is None:
                under_way = self._loading[key] = self._loaders.submit(self._load_for_a_turn, key)
            return under_way

    def deployment(self, key: str) -> Deployment | None:
        """What is live of a bot, loaded or not."""
        live, standing = self.get(key), self._standing.get(key)
        return live.deployment if live else standing.live if standing else None

    def trial(self, key: str) -> Trial | None:
        """What is tried beside the live deployment of a bot, loaded or not."""
        standing = self._standing.get(key)
        return standing.trial if standing else None

    def names(self) -> list[str]:
        """The keys of the bots that have a live deployment."""
        return sorted(self._standing)

    @property
    def count(self) -> int:
        """How many bots are loaded."""
        return len(self._loaded)

    @property
    def bytes(self) -> int:
        """What the loaded bots take together."""
        with self._lock:
            return self._bytes()

    @property
    def ready(self) -> bool:
        """Whether every deployment found at the start that fits into the memory is loaded, and there is one."""
        return self._first_look.is_set() and bool(self._loaded)

    def wait(self, seconds: float) -> None:
        """Waits, at most so long, until what is deployed at the start is loaded."""
        self._first_look.wait(seconds)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._loaders.shutdown(cancel_futures=True)

    def look(self) -> None:
        """Takes up what has happened to deployments since the last look."""
        for key in self._keys():
            if time.monotonic() < self._retry_at.get(key, 0.0):
                continue
            try:
                last = self._lake.table(key, "deployments").last()
                if last is None or self._seen.get(key) == last.version:
                    continue
                past = history(self._lake.table(key, "deployments"))
                if past.live:
                    self._standing[key] = _Standing(past.version, past.live, past.trial)
                    self._bring_up(key, "deployed" if self._first_look.is_set() else "start")
            except Exception:
                self._retry_at[key] = time.monotonic() + RETRY_SECONDS
                logger.exception("the deployments of %s cannot be loaded; those before them go on", key)
                continue
            self._seen[key] = last.version

    def _keys(self) -> list[str]:
        """All bots that have deployments; at the start those first that had users last."""
        logs = sorted(self._lake.root.glob("*/*/deployments/_delta_log"))
        if not self._first_look.is_set():
            logs.sort(key=_had_users, reverse=True)
        return [_key_of(log) for log in logs]

    def _load_for_a_turn(self, key: str) -> Loaded:
        try:
            if time.monotonic() < self._retry_at.get(key, 0.0):
                raise NotLoadedError(key)
            found = self._bring_up(key, "turn")
            if found is None:
                raise NotLoadedError(key)
            return found
        except NotLoadedError:
            raise
        except Exception as error:
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
            logger.exception("%s cannot be loaded", key)
            raise NotLoadedError(key) from error
        finally:
            with self._lock:
                self._loading.pop(key, None)

    def _bring_up(self, key: str, why: str) -> Loaded | None:
        """Brings what is loaded of a bot to what is deployed. None when it is left unloaded for lack of room.

        Only a turn unloads other bots for one that is not loaded. A first bot is loaded in any case.
        """
        with self._one_by_one[key]:
            standing, now = self._standing.get(key), self._loaded.get(key)
            if standing is None or (now and now.version == standing.version):
                return now
            if now is None:
                needed = self._weight(key, standing)
                with self._lock:
                    if why != "turn" and self._loaded and self._bytes() + needed > self._memory:
                        return None
                    self._unload_until(self._memory - needed, key)
            loaded = self._load(key, standing, now)
            with self._lock:
                self._loaded[key] = loaded
                if now is None:
                    self._metrics.loads.add(why)
                    self._loaded.move_to_end(key)
                self._unload_until(self._memory, key)
            # A collection that looks through all models would stop every answer for a tenth of a second.
            gc.collect()
            gc.freeze()
            logger.info("%s answers with deployment %s", key, loaded.live.deployment.deployment_id)
            return loaded

    def _load(self, key: str, standing: _Standing, now: Loaded | None) -> Loaded:
        """The live deployment and the one that is tried; those that are loaded already are not loaded again."""
        known = {bot.deployment.deployment_id: bot for bot in (now.live, now.tried) if bot} if now else {}

        def have(deployment: Deployment) -> LiveBot:
            found = known.get(deployment.deployment_id)
            return replace(found, deployment=deployment) if found else load(self._home, key, deployment)

        live = next_to_answer(self._lake, key, standing.live, now.live if now else None, have)
        live.responder.respond(["?"])  # loads what modules leave for their first text
        tried, version = None, standing.version
        if standing.trial:
            try:
                tried = next_to_try(self._lake, key, standing.trial, have)
            except (OSError, MemoryError):
                logger.exception("%s: the deployment that is tried cannot be loaded; trying again", key)
                self._retry_at[key] = time.monotonic() + RETRY_SECONDS
                version = -1
        return Loaded(key, live, standing.trial, tried, version)

    def _weight(self, key: str, standing: _Standing) -> int:
        models = self._lake.table(key, "models")
        deployments = [standing.live, *([standing.trial.deployment] if standing.trial else [])]
        return sum(weight(unpack(models, one.model_id, self._home.cache)) for one in deployments)

    def _bytes(self) -> int:
        return sum(loaded.bytes for loaded in self._loaded.values())

    def _unload_until(self, most: int, but: str) -> None:
        """Unloads the bots that were asked longest ago until the others take no more than that."""
        others = [key for key in self._loaded if key != but]
        while others and self._bytes() > most:
            key = others.pop(0)
            del self._loaded[key]
            self._metrics.unloads.add("memory")
            logger.info("%s is unloaded until somebody asks it: others need the memory", key)

    def _watch(self) -> None:
        while True:
            self.look()
            self._first_look.set()
            if self._stopping.wait(WATCH_SECONDS):
                return


def _key_of(log: Path) -> str:
    bot = log.parent.parent
    return f"{bot.parent.name}.{bot.name}"


def _had_users(log: Path) -> float:
    """When the bot's last turns were written; 0 when it never had users, or nobody can tell."""
    try:
        return (log.parent.parent / CONVERSATIONS.name / "_delta_log").stat().st_mtime
    except OSError:
        return 0.0
