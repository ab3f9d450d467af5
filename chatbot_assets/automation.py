"""What of a bot is out of date, and why: compares what each table's last commit recorded with what there is now.

This is level-triggered: it looks at states, not at events, so nothing is missed when an event is. It needs the lake,
the landing folder and the bot's YAML, and neither Dagster nor Spark.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from chatbot_assets.bot import Bot
from chatbot_assets.code_version import code_version
from chatbot_assets.collect.landing import SETTLE_SECONDS, LandingFile, listing
from chatbot_assets.collect.reading import mapping_hash, not_in_ledger, read_ledger
from chatbot_assets.tables import (
    CONVERSATIONS,
    MATERIALISED,
    REVIEW_DECISIONS,
    REVIEW_QUEUE,
    SOURCES,
    TABLES,
    UTTERANCES,
    Table,
)
from resources.attempts import Attempt, Kind, last_attempt
from resources.environment import Home
from resources.lakehouse import Commit, InputVersion, Lake, Signature
from resources.requests import Asked, asked

NOT_WRITTEN_YET = InputVersion(-1, "")
ATTEMPTS = 3
"""Refreshes that may fail for one and the same cause before the bot counts as blocked."""
BACK_OFF = timedelta(seconds=30)
"""Pause after the first failed refresh; it doubles with each further one, up to ``ATTEMPTS``."""
PROBE: dict[Kind, timedelta] = {"passing": timedelta(minutes=10), "unknown": timedelta(days=1)}
"""Pause between attempts of a blocked bot, by what kind of failure it was; a lasting one is not tried again."""
QUIET_SECONDS, GATHER_SECONDS = 5.0, 60.0
"""Files that arrive soon after a refresh are gathered: until none has come for so long, but at most for this long."""

Obstacle = Literal["imported", "no_data", "nothing_to_learn", "failed_verification", "refused", "failed"]
"""What keeps a bot from being brought up to date; 'failed': refreshes that ended badly."""


@dataclass(frozen=True)
class Stale:
    """A table that is behind, and why, in words."""

    table: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class BotState:
    """How a bot stands: its tables' last commits, what is behind, and what keeps it from being brought up to date.

    Attributes:
        stale: the tables that are behind.
        blocked: in words, why a refresh would not help, or did not when it was tried.
        obstacle: which kind of reason that is.
        cause: identifies what makes the bot behind: equal causes are attempts at the same thing.
        unread: landing files that were not read yet.
        attempt: the last refresh, when it did not end well and nothing has changed since.
        retry_at: when to try again; None when there is nothing to wait for, or only a change can help.
        gather_until: files are still arriving, so a refresh waits until then for more of them.
        decide_until: people are still deciding, so a refresh waits until then for more of their decisions.
        queue_is_due: whether the pause between two updates of the review queue is over.
        asked: the refresh that a person wants, whether anything is behind or not.
    """

    key: str
    commits: Mapping[str, Commit | None]
    stale: tuple[Stale, ...]
    blocked: str | None
    cause: str = ""
    unread: tuple[LandingFile, ...] = field(default=())
    attempt: Attempt | None = None
    retry_at: datetime | None = None
    gather_until: datetime | None = None
    decide_until: datetime | None = None
    queue_is_due: bool = True
    asked: Asked | None = None
    obstacle: Obstacle | None = None

    @property
    def needs_refresh(self) -> bool:
        """Whether a refresh would help, now or later. The review queue alone waits its interval."""
        if self.blocked is not None and self.retry_at is None:
            return False
        return self.is_behind and (self.queue_is_due or not self.only_queue_is_stale)

    @property
    def needs_queue(self) -> bool:
        """Whether the review queue is to be brought up to date by itself, since nothing else can be or needs to be."""
        if self.commits[CONVERSATIONS.name] is None:
            return False
        queue_is_stale = any(item.table == REVIEW_QUEUE.name for item in self.stale)
        return queue_is_stale and self.queue_is_due and (self.only_queue_is_stale or not self.needs_refresh)

    @property
    def is_behind(self) -> bool:
        """Whether there is anything that a refresh is wanted for."""
        return bool(self.stale) or self.asked is not None

    @property
    def only_queue_is_stale(self) -> bool:
        return self.asked is None and {item.table for item in self.stale} == {REVIEW_QUEUE.name}

    @property
    def reason(self) -> str:
        """Why a refresh is needed, in words."""
        wish = [f"asked for by {self.asked.by}: {self.asked.reason}"] if self.asked else []
        return "; ".join([*wish, *(f"{item.table}: {', '.join(item.reasons)}" for item in self.stale)])

    def waits_for(self, now: datetime) -> str | None:
        """In words, what a needed refresh still waits for; None when it can start."""
        began = self.attempt.at if self.attempt else now
        if self.retry_at is not None and began <= now < self.retry_at:  # not before: then the clock was set back
            again = f"trying again at {self.retry_at:%H:%M:%S} UTC"
            return f"blocked: {self.blocked}; {again}" if self.blocked else f"{again}; {_failure(self.attempt)}"
        if self.gather_until is not None and now < self.gather_until <= now + timedelta(seconds=GATHER_SECONDS):
            return f"files are arriving; reading them at {self.gather_until:%H:%M:%S} UTC at the latest"
        if self.decide_until is not None and now < self.decide_until:
            return f"people are deciding; learning from it at {self.decide_until:%H:%M:%S} UTC unless they go on"
        return None


CodeVersions = Callable[[Table, Bot], Mapping[str, str]]


def code_versions(table: Table, bot: Bot) -> dict[str, str]:
    """The versions now in force of a table's own code and of each module that the bot's YAML names for it."""
    return {table.stage: code_version(table.code), **bot.module_versions(*table.config)}


def current_signature(
    table: Table,
    bot: Bot,
    inputs: Mapping[str, InputVersion],
    last: Commit | None,
    versions: CodeVersions = code_versions,
) -> Signature:
    """What the table would be made from now; code versions declared equal to an earlier one appear as that one."""
    accepted = last.record.accepted if last and last.record else {}
    code = {name: accepted.get(version, version) for name, version in versions(table, bot).items()}
    return Signature(inputs, code, bot.config_hash(*table.config))


def pinned_inputs(table: Table, commits: Mapping[str, Commit | None]) -> dict[str, InputVersion] | None:
    """The inputs' present versions; None while one that a refresh makes has never been made."""
    pinned = {}
    for name in table.inputs:
        commit = commits.get(name)
        if TABLES[name] in SOURCES:
            pinned[name] = InputVersion(commit.version, commit.data_version) if commit else NOT_WRITTEN_YET
        elif commit is None or commit.record is None:
            return None
        else:
            pinned[name] = InputVersion(commit.version, commit.data_version)
    return pinned


def bot_state(
    home: Home, lake: Lake, bot: Bot, settle: float = SETTLE_SECONDS, versions: CodeVersions = code_versions
) -> BotState:
    """Compares a bot's tables with its landing folder, its configuration and the code, from the logs alone.

    ``versions`` tells the code's versions: for who looks at many bots often, and need not see an edit at once.
    """
    commits = {name: lake.table(bot.key, name).last() for name in TABLES}
    files = listing(home.landing(bot.key), settle)
    unread: list[LandingFile] = []
    if files:
        ledger = read_ledger(lake.table(bot.key, "landing_files"))
        unread = not_in_ledger(files, ledger, mapping_hash(bot.sources))
    stale = []
    causes: list[Any] = [[file.name, file.size, file.modified_ns] for file in unread]
    for table in MATERIALISED:
        reasons, cause = _why_stale(table, bot, commits, unread, versions)
        if reasons:
            stale.append(Stale(table.name, tuple(reasons)))
            causes.append([table.name, reasons, cause])
    wish = asked(lake.bot_folder(bot.key))
    if wish:
        causes.append([wish.by, wish.reason, wish.at.isoformat()])
    if len(causes) > 1:
        # Each served turn changes what the queue is made from; that is no new reason to try anything else.
        causes = [cause for cause in causes if cause[0] != REVIEW_QUEUE.name]
    cause = hashlib.blake2b(json.dumps(causes, sort_keys=True).encode(), digest_size=8).hexdigest()
    attempt = last_attempt(lake.bot_folder(bot.key))
    nothing_to_do = not stale and wish is None
    if attempt and (
        nothing_to_do or attempt.cause != cause or (attempt.kind is None and lake.is_being_written(bot.key))
    ):
        attempt = None  # nothing to do, something else to do, or under way
    obstacle, blocked = _blocked(commits, {item.table for item in stale}, bool(unread)) or (None, None)
    held, retry_at = (None, None) if blocked else _held_by(attempt)
    queue = commits[REVIEW_QUEUE.name]
    age = datetime.now(UTC) - queue.committed_at if queue else None
    # One from the future was made before the clock was set back.
    due = age is None or not timedelta(0) <= age < timedelta(minutes=bot.review.every_minutes)
    return BotState(
        key=bot.key,
        commits=commits,
        stale=tuple(stale),
        blocked=blocked or held,
        cause=cause,
        unread=tuple(unread),
        attempt=attempt,
        retry_at=retry_at,
        gather_until=_gather_until(commits["landing_files"], unread),
        decide_until=None if wish else _decide_until(lake, bot, stale, commits),
        queue_is_due=due,
        asked=wish,
        obstacle=obstacle or ("failed" if held else None),
    )


def _held_by(attempt: Attempt | None) -> tuple[str | None, datetime | None]:
    """What a failed attempt means for the next one: whether the bot is blocked by it, and when to try again."""
    if attempt is None:
        return None, None
    if attempt.kind == "lasting":
        return _failure(attempt), None
    if attempt.count < ATTEMPTS:
        return None, attempt.at + BACK_OFF * 2 ** (attempt.count - 1)
    probe = PROBE[attempt.kind or "passing"]
    return f"{_failure(attempt)} (tried {attempt.count} times)", attempt.at + probe


def _failure(attempt: Attempt | None) -> str:
    if attempt is None:
        return ""
    return f"{attempt.table} failed: {attempt.reason}" if attempt.table else attempt.reason


def _gather_until(ledger: Commit | None, unread: list[LandingFile]) -> datetime | None:
    """Until when to wait for more files; None when the first of them need not wait.

    The first file after a pause is read at once. Those that come soon after a reading wait for each other, so that a
    hundred files in a minute are not dozens of refreshes.
    """
    if not unread or ledger is None:
        return None
    oldest, newest = min(file.arrived for file in unread), max(file.arrived for file in unread)
    if oldest - ledger.committed_at.timestamp() > GATHER_SECONDS:
        return None
    return datetime.fromtimestamp(min(newest + QUIET_SECONDS, oldest + GATHER_SECONDS), UTC)


def _decide_until(
    lake: Lake, bot: Bot, stale: Sequence[Stale], commits: Mapping[str, Commit | None]
) -> datetime | None:
    """Until when to wait for more decisions; None when something else is behind too, or enough of them wait.

    The log of ``review_decisions`` tells how many came since the utterances were made, and when the last one did.
    """
    behind = [item for item in stale if item.table != REVIEW_QUEUE.name]
    if behind != [Stale(UTTERANCES.name, (f"{REVIEW_DECISIONS.name} changed",))]:
        return None
    made, newest = commits[UTTERANCES.name], commits[REVIEW_DECISIONS.name]
    if made is None or made.record is None or newest is None or newest.record is None:
        return None
    seen = made.record.signature.inputs.get(REVIEW_DECISIONS.name, NOT_WRITTEN_YET)
    before = lake.table(bot.key, REVIEW_DECISIONS.name).at(seen.version)
    waiting = newest.record.rows - (before.record.rows if before and before.record else 0)
    after = bot.review.refresh_after
    return None if waiting >= after.decisions else newest.committed_at + timedelta(minutes=after.minutes)


def _why_stale(
    table: Table,
    bot: Bot,
    commits: Mapping[str, Commit | None],
    unread: list[LandingFile],
    versions: CodeVersions,
) -> tuple[list[str], object]:
    last = commits[table.name]
    if not table.inputs:
        if last is None:
            return ["never made"], None
        if unread and table.name == "dialogues":
            names = ", ".join(file.name for file in unread[:3]) + (" …" if len(unread) > 3 else "")
            return [f"{len(unread)} unread landing file{'s' if len(unread) > 1 else ''}: {names}"], None
        return ([], None) if last.record else (["rows were written by something else"], last.version)
    inputs = pinned_inputs(table, commits)
    if last is None:
        read = sorted((name, now.data_version) for name, now in (inputs or {}).items())
        return ["never made"], [read, versions(table, bot), bot.config_hash(*table.config)]
    if last.record is None:
        return ["rows were written by something else"], last.version
    if inputs is None:
        return [], None
    now = current_signature(table, bot, inputs, last, versions)
    read = sorted((name, version.data_version) for name, version in now.inputs.items())
    cause = [last.version, read, dict(now.code), now.config]
    return now.differences(last.record.signature), cause


def _blocked(commits: Mapping[str, Commit | None], stale: set[str], has_unread: bool) -> tuple[Obstacle, str] | None:
    """Why a refresh could not help, and that in words; None when it could or when none is needed."""
    stale = stale - {REVIEW_QUEUE.name}
    if has_unread:
        return None
    if commits["dialogues"] is None:
        models = commits["models"]
        is_imported = models is not None and models.record is not None and "imported" in models.record.notes
        if is_imported:
            return "imported", "it has no data here; its deployments are imported"
        return "no_data", "waiting for data: land a file"
    if stale & {"dialogues", "rejected", "landing_files", "utterances"}:
        return None
    utterances = commits["utterances"]
    if utterances and utterances.record and not utterances.record.notes.get("train"):
        words = "no row that can teach the bot: land rows with an intent or an answer in the bot's language"
        return "nothing_to_learn", words
    deployments = commits["deployments"]
    if not stale and deployments and deployments.record:
        verification = deployments.record.notes.get("verification", {})
        if not verification.get("passed", True):
            return "failed_verification", f"the new model failed its verification: {verification.get('reason')}"
    evaluations = commits["evaluations"]
    if stale <= {"deployments"} and evaluations and evaluations.record:
        gate = evaluations.record.notes.get("gate", {})
        if not gate.get("passed", True):
            return "refused", f"the new model was refused: {gate.get('reason')}"
    return None
