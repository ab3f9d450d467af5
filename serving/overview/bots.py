"""How each bot of a tenant stands and fares, put together from the lake; what has not changed is not looked at again.

Whether something has changed is told by the times of the Delta logs, the landing folder and the bot's files, so that
looking at some hundred quiet bots costs some thousand looks at a folder's time and no reading.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chatbot_assets.automation import bot_state, code_versions
from chatbot_assets.bot import Bot, BotError, bot_file, bot_keys, golden_file, load_bot, tenant_file
from chatbot_assets.code_version import one_look
from chatbot_assets.collect.landing import listing
from chatbot_assets.collect.reading import mapping_hash
from chatbot_assets.deploy.record import Deployment, History, Trial, history
from chatbot_assets.feedback.decision_log import DecisionLog
from chatbot_assets.tables import CONVERSATIONS, MATERIALISED, REVIEW_DECISIONS, REVIEW_QUEUE, Table
from resources import attempts, requests, verifications
from resources.costs import RefreshCost, last_cost
from resources.environment import Home
from resources.lakehouse import Lake
from resources.remembered import RACY_NS, Remembered
from resources.tenancy import owns
from serving.languages import language_name
from serving.overview.events import Event, newest_events
from serving.overview.traffic import FOLDER, Counts, Traffic
from serving.overview.trouble import Trouble, troubles
from serving.overview.unanswered import Question, Unanswered

LOOK_AGAIN_SECONDS = 60
"""After so long a bot is looked at anew although no file seems to have changed; not all of them at once."""
EVENTS = 10
DECISIONS = 2_000
"""So many decisions, the newest, are looked at for the events: those of one person are told as one."""
QUALITIES = 24
"""So many measured deployments are shown of a bot's history."""
WARM_SECONDS, LONGEST_REST = 120.0, 1.0
"""How long all bots are looked at after a start at most, and the longest rest between two of them."""
WATCHED = (*(table.name for table in MATERIALISED if table is not REVIEW_QUEUE), REVIEW_DECISIONS.name)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Quality:
    """How good a deployment was on held-out texts when it went live; ``accuracy`` is between 0 and 1."""

    at: datetime
    accuracy: float
    rows: int | None


@dataclass(frozen=True)
class BotOverview:
    """How one bot stands: what answers, since when and how well, and what there is to know.

    Attributes:
        trial: the deployment that is tried beside the live one.
        made_at: when something that answers was made last.
        read_at: when landing files were read last.
    """

    key: str
    language: str | None = None
    description: str = ""
    live: Deployment | None = None
    trial: Trial | None = None
    qualities: tuple[Quality, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    read_at: datetime | None = None
    made_at: datetime | None = None

    @property
    def language_name(self) -> str | None:
        """The language's name in itself."""
        return language_name(self.language)

    @property
    def accuracy(self) -> float | None:
        """The share of held-out rows whose intent the deployed model recognised."""
        return self.live.metrics.get("accuracy") if self.live else None

    @property
    def needs_somebody(self) -> bool:
        """Whether it stays as it is until somebody acts."""
        return any(one.weight == "act" for one in self.troubles)

    @property
    def state(self) -> str:
        """In one word: 'live', 'behind', 'blocked', 'stopped' or 'making'.

        Of those that answer, 'behind' is to be brought up to date and 'blocked' waits for somebody; of those that do
        not, 'stopped' does.
        """
        if self.live is None:
            return "stopped" if self.needs_somebody else "making"
        if self.needs_somebody:
            return "blocked"
        return "behind" if any(one.weight == "wait" for one in self.troubles) else "live"


@dataclass(frozen=True)
class BotDetails:
    """What is shown of one bot alone."""

    events: tuple[Event, ...]
    cost: RefreshCost | None
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class _Look:
    """A look at a bot, and what it depended on.

    Attributes:
        files: the times of the bot's files; None when they cannot tell whether it still stands so.
        turn: which stretch of ``LOOK_AGAIN_SECONDS`` it was made in.
        basis: the bot's file as it was read, and what else the look depended on (see :meth:`Bots._beyond`); None when
            something is wrong with the file.
    """

    files: tuple[int, ...] | None
    is_refreshing: bool
    turn: int
    overview: BotOverview
    basis: tuple[Bot, Any] | None


class Bots:
    """The overviews of all bots, for several threads."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lake = Lake(home.lake)
        self._looks: dict[str, _Look] = {}
        self._histories: Remembered[History] = Remembered()
        self._traffic: dict[str, Traffic] = {}
        self._unanswered = Unanswered()
        self._watched: dict[str, tuple[str, ...]] = {}
        self._code: Remembered[Mapping[str, str]] = Remembered()
        self._locks: dict[str, threading.Lock] = {}

    def keys(self, tenant: str) -> list[str]:
        """The tenant's bots: those with a file, and those with a deployment although their file is gone."""
        folders = (path.parent for path in (self._home.lake / tenant).glob("*/deployments"))
        served = {f"{tenant}.{folder.name}" for folder in folders}
        return sorted(served | {key for key in bot_keys(self._home.bots) if owns(tenant, key)})

    def warm(self, stop: threading.Event) -> None:
        """Looks at all bots once, so that nobody waits for the first look after a start.

        For a thread of its own. It rests as long as it has worked, since others want the processor and the lock, and
        ends after ``WARM_SECONDS`` at the latest: what it has not come to is looked at when somebody asks.
        """
        began = time.monotonic()
        folders = (folder for folder in self._home.lake.glob("*") if folder.is_dir())
        tenants = {key.partition(".")[0] for key in bot_keys(self._home.bots)} | {folder.name for folder in folders}
        for key in (key for tenant in sorted(tenants) for key in self.keys(tenant)):
            started = time.monotonic()
            if stop.is_set() or started - began > WARM_SECONDS:
                return
            self.overview(key)
            self.counts(key)
            stop.wait(min(time.monotonic() - started, LONGEST_REST))

    def overviews(self, tenant: str) -> list[BotOverview]:
        """How each of a tenant's bots stands now."""
        with one_look():
            return [self.overview(key) for key in self.keys(tenant)]

    def overview(self, key: str) -> BotOverview:
        """How a bot stands now. Whatever is wrong with its files is part of the answer."""
        with self._lock_of(key):
            is_refreshing = self._lake.is_being_written(key)
            files, turn = self._files(key), _turn(key)
            last = self._looks.get(key)
            if last and files and (last.files, last.is_refreshing) == (files, is_refreshing):
                if last.turn == turn:
                    return last.overview
                if self._holds(last):
                    self._looks[key] = replace(last, turn=turn)
                    return last.overview
            overview, basis = self._look(key, is_refreshing)
            self._looks[key] = _Look(files, is_refreshing, turn, overview, basis)
            return overview

    def counts(self, key: str) -> Counts:
        """How its turns fared."""
        with self._lock_of(key):
            traffic = self._traffic.get(key)
            if traffic is None:
                kept = self._home.cache / FOLDER / f"{key}.npy"
                traffic = self._traffic[key] = Traffic(self._lake.table(key, CONVERSATIONS.name), kept)
            try:
                return traffic.counts()
            except Exception:
                logger.exception("the conversations of %s cannot be read", key)
                del self._traffic[key]
                return Counts()

    def details(self, key: str, start: datetime, end: datetime) -> BotDetails:
        """The newest events of a bot, its last refresh's cost, and what was asked in vain in a period."""
        folder = self._lake.bot_folder(key)
        cost = last_cost(folder)
        failed = attempts.failures(folder, is_refreshing=self._lake.is_being_written(key))
        try:
            with self._lock_of(key):
                past = self._history(key)
            log = DecisionLog.of(self._lake.table(key, REVIEW_DECISIONS.name))
            events = newest_events(past, self._files_read(key), failed, log.newest(DECISIONS))
            questions = self._unanswered.top(self._lake, key, log, start, end)
            return BotDetails(tuple(events[:EVENTS]), cost, tuple(questions))
        except Exception:
            logger.exception("the tables of %s cannot be read", key)  # the overview says so
            return BotDetails((), cost, ())

    def _code_versions(self, table: Table, bot: Bot) -> Mapping[str, str]:
        """The code's versions; its files are looked at again as seldom as a quiet bot."""
        turn = int(time.monotonic()) // LOOK_AGAIN_SECONDS
        return self._code.get((table.name, bot.config_hash(*table.config)), turn, lambda: code_versions(table, bot))

    def _lock_of(self, key: str) -> threading.Lock:
        return self._locks.setdefault(key, threading.Lock())

    def _holds(self, look: _Look) -> bool:
        """Whether a bot whose files are as they were is also otherwise as it was at an earlier look."""
        if look.basis is None or look.overview.troubles:
            return False  # what troubles it may pass with time alone, or with a change of what is not watched
        bot, beyond = look.basis
        try:
            return bool(self._beyond(bot) == beyond)
        except (BotError, ValueError):  # a module is gone
            return False

    def _beyond(self, bot: Bot) -> Any:
        """What a bot's standing depends on besides the files that are watched: the code, and what its files landed."""
        code = [self._code_versions(table, bot) for table in MATERIALISED]
        return mapping_hash(bot.sources), code, listing(self._home.landing(bot.key))

    def _look(self, key: str, is_refreshing: bool) -> tuple[BotOverview, tuple[Bot, Any] | None]:
        """How a bot stands, and the basis of that (see :class:`_Look`)."""
        past = History(-1, ())
        try:
            past = self._history(key)
            found = self._of_live(key, past)
            bot = load_bot(self._home.bots, key)
            beyond = self._beyond(bot)
            state = bot_state(self._home, self._lake, bot, versions=self._code_versions)
        except BotError as error:
            return replace(self._of_live(key, past), troubles=(Trouble.of("file_mistake", str(error)),)), None
        except Exception:
            logger.exception("the tables of %s cannot be read", key)
            words = "its tables cannot be read; the service's log says why"
            return replace(self._of_live(key, past), troubles=(Trouble.of("unreadable", words),)), None
        damaged = verifications.found_wrong(self._lake.bot_folder(key))
        read, made = state.commits["landing_files"], state.commits["evaluations"]
        overview = replace(
            found,
            language=bot.language,
            description=bot.description,
            troubles=troubles(state, past, damaged, is_refreshing),
            read_at=read.committed_at if read else None,
            made_at=made.committed_at if made else None,
        )
        return overview, (bot, beyond)

    def _of_live(self, key: str, past: History) -> BotOverview:
        live = past.live
        config = live.config if live else {}
        measured = tuple(qualities(past)[-QUALITIES:])
        return BotOverview(key, config.get("language"), config.get("description", ""), live, past.trial, measured)

    def _history(self, key: str) -> History:
        table = self._lake.table(key, "deployments")
        last = table.last()
        return self._histories.get(key, last and last.version, lambda: history(table))

    def _files_read(self, key: str) -> list[dict[str, Any]]:
        columns = ("source_file", "status", "rows", "rejected", "read_at")
        return [dict(row) for row in self._lake.table(key, "landing_files").arrow(columns).to_pylist()]

    def _files(self, key: str) -> tuple[int, ...] | None:
        """The times of the files that tell how the bot stands; None while they cannot tell that."""
        if key not in self._watched:
            self._watched[key] = self._watched_paths(key)
        attempt, *paths = self._watched[key]
        if os.path.exists(attempt):
            return None  # whether it is under way, or when it is tried again, changes without a file's changing
        return _times(paths)

    def _watched_paths(self, key: str) -> tuple[str, ...]:
        """The file of a failed attempt, and whatever a bot's standing depends on besides."""
        folder = self._lake.bot_folder(key)
        paths = (
            *(folder / name for name in (attempts.FILE, requests.FILE, verifications.FILE)),
            *(folder / name / "_delta_log" for name in WATCHED),
            self._home.landing(key),
            bot_file(self._home.bots, key),
            golden_file(self._home.bots, key),
            tenant_file(self._home.bots, key),
        )
        return tuple(map(str, paths))


def qualities(past: History) -> list[Quality]:
    """What was measured of each deployment that went live, the oldest first."""
    found = []
    for event in past.events:
        if event["event"] == "live":
            metrics = Deployment.of(event).metrics
            if metrics.get("accuracy") is not None:
                found.append(Quality(event["at"], float(metrics["accuracy"]), metrics.get("rows")))
    return found


def _turn(key: str) -> int:
    """Which stretch of ``LOOK_AGAIN_SECONDS`` it is; each bot's begins at another moment."""
    offset = hashlib.blake2b(key.encode(), digest_size=2).digest()
    return (int(time.time()) + int.from_bytes(offset, "big")) // LOOK_AGAIN_SECONDS


def _times(paths: Iterable[str]) -> tuple[int, ...] | None:
    """When each was changed (0: it is not there); None after a change so recent that a further one might not show."""
    newest = time.time_ns() - RACY_NS
    found = []
    for path in paths:
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError:
            changed = 0
        if changed > newest:
            return None
        found.append(changed)
    return tuple(found)
