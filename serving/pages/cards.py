"""What the start page says about each bot of a tenant: what answers now, and how its data stands in the lake."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chatbot_assets.automation import bot_state
from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.code_version import one_look
from chatbot_assets.deploy.record import Deployment, Trial
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home
from resources.tenancy import TenantLake, owns
from serving.bots import LiveBots
from serving.languages import language_name
from serving.overview.trouble import Trouble, due, obstacle
from serving.review.desk import Desk

KEPT_SECONDS, RESTS = 2.0, 10
"""How long the lake's state is shown before it is looked at again, in seconds, and at least so many times as long as a
look takes: a tenant may have hundreds of bots."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """How a bot's data stands: tables that were made, tables that are behind and why, and what keeps it from going on.

    ``due`` says why it is behind as a planner knows it. A blocked bot is tried again at ``retry_at``, or else only when
    something changes. ``waiting`` turns are for somebody to decide on.
    ``language`` and ``description`` are those of the bot's file; None when the file cannot be used.
    """

    made: int = 0
    behind: Mapping[str, tuple[str, ...]] | None = None
    due: tuple[Trouble, ...] = ()
    blocked: Trouble | None = None
    retry_at: datetime | None = None
    waiting: int = 0
    language: str | None = None
    description: str = ""


@dataclass(frozen=True)
class Card:
    """One bot on the page. It answers when it has a ``deployment``."""

    key: str
    language: str | None
    description: str
    deployment: Deployment | None
    standing: Standing
    trial: Trial | None = None
    tables: int = len(MATERIALISED)

    @property
    def language_name(self) -> str | None:
        """The language's name in itself."""
        return language_name(self.language)

    @property
    def state(self) -> str:
        """'live', 'blocked' (has no deployment and waits for somebody) or 'making'."""
        if self.deployment:
            return "live"
        return "blocked" if self.standing.blocked else "making"

    @property
    def accuracy(self) -> float | None:
        """The share of held-out rows whose intent the deployed model recognised."""
        return self.deployment.metrics.get("accuracy") if self.deployment else None


class Cards:
    """The cards of each tenant. What the lake says is looked at once in a while, however many people look."""

    def __init__(self, home: Home, desk: Desk) -> None:
        self._home = home
        self._desk = desk
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[str, Standing]]] = {}

    def of(self, tenant: str, bots: LiveBots) -> list[Card]:
        """The tenant's bots by key: those with a file, and those that answer although their file is gone."""
        standings = self._standings(tenant)
        live = {key: bots.deployment(key) for key in bots.names() if owns(tenant, key)}
        cards = []
        for key in sorted(standings.keys() | live.keys()):
            deployment, standing = live.get(key), standings.get(key, Standing())
            config: dict[str, Any] = deployment.config if deployment else {}
            language = config.get("language", standing.language)
            description = config.get("description", standing.description)
            cards.append(Card(key, language, description, deployment, standing, bots.trial(key)))
        return cards

    def _standings(self, tenant: str) -> dict[str, Standing]:
        with self._lock:
            until, standings = self._kept.get(tenant, (0.0, {}))
            if (started := time.monotonic()) >= until:
                keys = [key for key in bot_keys(self._home.bots) if owns(tenant, key)]
                lake = TenantLake(self._home.lake, tenant)
                with one_look():
                    standings = {key: self._standing(lake, key) for key in keys}
                ended = time.monotonic()
                self._kept[tenant] = (ended + max(KEPT_SECONDS, RESTS * (ended - started)), standings)
            return standings

    def _standing(self, lake: TenantLake, key: str) -> Standing:
        try:
            bot = load_bot(self._home.bots, key)
            state = bot_state(self._home, lake, bot)
        except BotError as error:
            return Standing(blocked=Trouble.of("file_mistake", str(error)))
        except Exception:
            logger.exception("the tables of %s cannot be read", key)
            words = "its tables cannot be read; the service's log says why"
            return Standing(blocked=Trouble.of("unreadable", words))
        return Standing(
            made=sum(state.commits[table.name] is not None for table in MATERIALISED),
            behind={item.table: item.reasons for item in state.stale} if state.needs_refresh else None,
            due=tuple(due(state, datetime.now(UTC))),
            blocked=obstacle(state),
            retry_at=state.retry_at,
            waiting=self._desk.waiting(key),
            language=bot.language,
            description=bot.description,
        )
