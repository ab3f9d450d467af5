"""What of a bot is out of date, and why: compares what each table's last commit recorded with what there is now.

This is level-triggered: it looks at states, not at events, so nothing is missed when an event is. It needs the lake,
the landing folder and the bot's YAML, and neither Dagster nor Spark.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chatbot_assets.bot import Bot
from chatbot_assets.code_version import code_version
from chatbot_assets.collect.landing import SETTLE_SECONDS, LandingFile, listing
from chatbot_assets.collect.reading import ledger_rows, mapping_hash, not_in_ledger
from chatbot_assets.tables import MATERIALISED, REVIEW_QUEUE, SOURCES, TABLES, Table
from resources.environment import Home
from resources.lakehouse import Commit, InputVersion, Lake, Signature

NOT_WRITTEN_YET = InputVersion(-1, "")


@dataclass(frozen=True)
class Stale:
    """A table that is behind, and why, in words."""

    table: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class BotState:
    """How a bot stands: its tables' last commits, what is behind, and what keeps it from being brought up to date.

    ``cause`` identifies what makes the bot behind: equal causes need no second attempt.
    """

    key: str
    commits: Mapping[str, Commit | None]
    stale: tuple[Stale, ...]
    blocked: str | None
    cause: str = ""
    unread: tuple[LandingFile, ...] = field(default=())
    queue_is_due: bool = True

    @property
    def needs_refresh(self) -> bool:
        """Whether a refresh would help. The review queue alone, which each served turn changes, waits its interval."""
        only_queue = {item.table for item in self.stale} == {REVIEW_QUEUE.name}
        return bool(self.stale) and self.blocked is None and (self.queue_is_due or not only_queue)


def code_versions(table: Table, bot: Bot) -> dict[str, str]:
    """The versions now in force of a table's own code and of each module that the bot's YAML names for it."""
    return {table.stage: code_version(table.code), **bot.module_versions(*table.config)}


def current_signature(table: Table, bot: Bot, inputs: Mapping[str, InputVersion], last: Commit | None) -> Signature:
    """What the table would be made from now; code versions declared equal to an earlier one appear as that one."""
    accepted = last.record.accepted if last and last.record else {}
    code = {name: accepted.get(version, version) for name, version in code_versions(table, bot).items()}
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


def bot_state(home: Home, lake: Lake, bot: Bot, settle: float = SETTLE_SECONDS) -> BotState:
    """Compares a bot's tables with its landing folder, its configuration and the code, from the logs alone."""
    commits = {name: lake.table(bot.key, name).last() for name in TABLES}
    files = listing(home.landing(bot.key), settle)
    unread: list[LandingFile] = []
    if files:
        ledger = ledger_rows(lake.table(bot.key, "landing_files"))
        unread = not_in_ledger(files, ledger, mapping_hash(bot.sources))
    stale = []
    causes: list[Any] = [[file.name, file.size, file.modified_ns] for file in unread]
    for table in MATERIALISED:
        reasons, cause = _why_stale(table, bot, commits, unread)
        if reasons:
            stale.append(Stale(table.name, tuple(reasons)))
            causes.append([table.name, reasons, cause])
    blocked = _blocked(commits, {item.table for item in stale}, bool(unread))
    digest = hashlib.blake2b(json.dumps(causes, sort_keys=True).encode(), digest_size=8).hexdigest()
    queue = commits[REVIEW_QUEUE.name]
    due = queue is None or datetime.now(UTC) - queue.committed_at >= timedelta(minutes=bot.review.every_minutes)
    return BotState(bot.key, commits, tuple(stale), blocked, digest, tuple(unread), due)


def _why_stale(
    table: Table, bot: Bot, commits: Mapping[str, Commit | None], unread: list[LandingFile]
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
        return ["never made"], sorted((name, now.data_version) for name, now in (inputs or {}).items())
    if last.record is None:
        return ["rows were written by something else"], last.version
    if inputs is None:
        return [], None
    now = current_signature(table, bot, inputs, last)
    versions = sorted((name, version.data_version) for name, version in now.inputs.items())
    cause = [last.version, versions, dict(now.code), now.config]
    return now.differences(last.record.signature), cause


def _blocked(commits: Mapping[str, Commit | None], stale: set[str], has_unread: bool) -> str | None:
    """Why a refresh could not help, in words; None when it could or when none is needed."""
    stale = stale - {REVIEW_QUEUE.name}
    if has_unread:
        return None
    if commits["dialogues"] is None:
        return "waiting for data: land a file"
    if stale & {"dialogues", "rejected", "landing_files", "utterances"}:
        return None
    utterances = commits["utterances"]
    if utterances and utterances.record and not utterances.record.notes.get("train"):
        return "no row that can teach the bot: land rows with an intent or an answer in the bot's language"
    deployments = commits["deployments"]
    if not stale and deployments and deployments.record:
        verification = deployments.record.notes.get("verification", {})
        if not verification.get("passed", True):
            return f"the new model failed its verification: {verification.get('reason')}"
    evaluations = commits["evaluations"]
    if stale <= {"deployments"} and evaluations and evaluations.record:
        gate = evaluations.record.notes.get("gate", {})
        if not gate.get("passed", True):
            return f"the new model was refused: {gate.get('reason')}"
    return None
