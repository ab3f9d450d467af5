"""Alerts: tells a webhook when a bot is blocked or healed, fails its verification, or what answers for it changes.

Level-triggered like the refreshes: what is so now is compared with what was announced last, so a change that nobody saw
happen, or that could not be delivered, is announced later. Needs neither Dagster nor Spark.
"""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from chatbot_assets.automation import BotState, bot_state
from chatbot_assets.bot import BotError, load_bot
from chatbot_assets.deploy.record import Deployment, History, history
from chatbot_assets.tables import REVIEW_QUEUE
from resources.environment import Home
from resources.lakehouse import Lake
from resources.remembered import Remembered, fingerprint
from resources.verifications import found_wrong

Event = Literal["blocked", "healed", "deployed", "rolled back", "rejected", "verification failed"]
WEBHOOK = "CHATBOT_ALERT_WEBHOOK"
"""The environment variable with the address that alerts are sent to. The address is a secret: nothing logs it."""
TIMEOUT_SECONDS = 3.0
ID_DIGITS = 12


class AlertError(RuntimeError):
    """An alert that could not be delivered; its text does not hold the webhook's address."""


@dataclass(frozen=True)
class Alert:
    """One change of one bot, as it is sent.

    Attributes:
        text: the whole message in one line, as Slack and what imitates it show it.
        reason: why the bot is blocked, its deployment was taken back or rejected, or what its verification found.
        deployment_id: the deployment that answers now.
        at: when it went live or, of other events, when it was seen; ISO 8601 in UTC.
    """

    event: Event
    bot: str
    text: str
    reason: str | None
    deployment_id: str | None
    at: str


class Announced(NamedTuple):
    """What was announced last of a bot: what blocks it, its deployment, damage, a rejection; shortened, "" for none."""

    obstacle: str = ""
    deployment: str = ""
    damage: str = ""
    rejected: str = ""


@dataclass(frozen=True)
class Standing:
    """How a bot stands.

    Attributes:
        reason: what blocks it, in words.
        obstacle: identifies what blocks it; unlike the words it stays the same while nothing but attempts are made.
        is_settled: whether it is known to be blocked or not: not while a refresh is under way, or needed.
        wrong: what the last verification found wrong with its tables, in words, by table.
        rollback: the event that took back what was live before, when that is how ``live`` came to answer.
        rejection: the event that rejected the deployment that was made last, when it was.
    """

    key: str
    reason: str | None
    obstacle: str
    is_settled: bool
    live: Deployment | None
    wrong: Mapping[str, str] = field(default_factory=dict)
    rollback: Mapping[str, Any] | None = None
    rejection: Mapping[str, Any] | None = None

    @property
    def damage(self) -> str:
        return _digest(", ".join(self.wrong)) if self.wrong else ""

    @property
    def deployment(self) -> str:
        return self.live.deployment_id[:ID_DIGITS] if self.live else ""

    @property
    def rejected(self) -> str:
        return self.rejection["event_id"][:ID_DIGITS] if self.rejection else ""

    def news(self, announced: Announced) -> Iterator[tuple[Alert, Announced]]:
        """Alerts for what has not been announced yet, each with what counts as announced once it is delivered."""
        if self.live and self.deployment != announced.deployment:
            accuracy = self.live.metrics.get("accuracy")
            quality = f", accuracy {accuracy:.3f}" if accuracy is not None else ""
            announced = announced._replace(deployment=self.deployment)
            said = f"answers with deployment {self.deployment}{quality}"
            if self.rollback:
                taken, reason = self.rollback["deployment_id"][:ID_DIGITS], self.rollback["reason"]
                yield self._alert("rolled back", f"{said}; {taken} was taken back: {reason}", reason), announced
            else:
                yield self._alert("deployed", said), announced
        if self.rejected != announced.rejected:
            announced = announced._replace(rejected=self.rejected)
            if self.rejection:
                refused, reason = self.rejection["deployment_id"][:ID_DIGITS], self.rejection["reason"]
                if self.reason and reason in self.reason:
                    announced = announced._replace(obstacle=self.obstacle)  # that blocks it, and is said herewith
                yield self._alert("rejected", f"deployment {refused} was rejected: {reason}", reason), announced
        if self.damage != announced.damage:
            announced = announced._replace(damage=self.damage)
            if self.wrong:
                reason = "; ".join(f"{table}: {words}" for table, words in self.wrong.items())
                yield self._alert("verification failed", f"failed its verification: {reason}", reason), announced
            else:
                yield self._alert("healed", "passes its verification again"), announced
        if self.is_settled and self.obstacle != announced.obstacle:
            announced = announced._replace(obstacle=self.obstacle)
            if self.reason is not None:
                yield self._alert("blocked", f"is blocked: {self.reason}", self.reason), announced
            else:
                yield self._alert("healed", "is healed: nothing blocks it any more"), announced

    def _alert(self, event: Event, said: str, reason: str | None = None) -> Alert:
        return Alert(
            event=event,
            bot=self.key,
            text=_escaped(f"{self.key} {said}"),
            reason=reason,
            deployment_id=self.live.deployment_id if self.live else None,
            at=(self.live.at if self.live and event in ("deployed", "rolled back") else datetime.now(UTC)).isoformat(),
        )


_histories: Remembered[History] = Remembered()


def standing(home: Home, lake: Lake, key: str) -> Standing:
    """How a bot stands now; a mistake in its YAML, or tables that cannot be read, block it too."""
    past = History(-1, ())
    wrong = found_wrong(lake.bot_folder(key))
    try:
        table = lake.table(key, "deployments")
        past = _histories.get(table.path, fingerprint(table.path / "_delta_log"), lambda: history(table))
        state = bot_state(home, lake, load_bot(home.bots, key))
    except BotError as error:
        return Standing(key, str(error), _digest(str(error)), True, past.live, wrong)
    except Exception as error:  # one bot's broken tables must not silence the others
        unreadable = f"its tables cannot be read: {type(error).__name__}: {error}"
        return Standing(key, unreadable, _digest(unreadable), True, past.live, wrong)
    reason = None if _waits_for_first_data(state) else state.blocked
    obstacle = _digest(state.cause if state.attempt else reason) if reason else ""
    behind = {item.table for item in state.stale} - {REVIEW_QUEUE.name}
    at_rest = bool(state.blocked) or not behind
    return Standing(
        key=key,
        reason=reason,
        obstacle=obstacle,
        is_settled=at_rest and not lake.is_being_written(key),
        live=past.live,
        wrong=wrong,
        rollback=past.rollback,
        rejection=past.rejection,
    )


def deliver(url: str, alert: Alert) -> None:
    """Posts an alert as one JSON object.

    Raises:
        AlertError: when the webhook did not take it, with its host and why.
    """
    body = json.dumps(asdict(alert), ensure_ascii=False).encode()
    host = host_of(url)
    try:
        request = urllib.request.Request(
            url,
            body,
            {"Content-Type": "application/json; charset=utf-8", "User-Agent": "chatbot-assets"},
            method="POST",
        )
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        raise AlertError(f"{host} answered with status {error.code}") from None
    except urllib.error.URLError as error:
        raise AlertError(f"{host} cannot be reached: {type(error.reason).__name__}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise AlertError(f"{host} cannot be reached: {type(error).__name__}") from None


def host_of(url: str) -> str:
    """The part of a webhook's address that may be shown.

    Raises:
        AlertError: when it is no address of the web.
    """
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.scheme in ("http", "https"):
            return parts.hostname
    except ValueError:
        pass
    raise AlertError(f"{WEBHOOK} holds no address that begins with http:// or https://")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and count as delivered."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _waits_for_first_data(state: BotState) -> bool:
    return state.commits["dialogues"] is None and not state.unread


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=ID_DIGITS // 2).hexdigest()


def _escaped(text: str) -> str:
    """Slack takes what stands in angle brackets for links and mentions, so these three are escaped, as it demands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
