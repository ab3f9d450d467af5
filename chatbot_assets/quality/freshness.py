"""Whether a bot is kept up to date, as its landing folder, its YAML and its tables tell it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatbot_assets.automation import BotState, Stale
from chatbot_assets.bot import bot_file
from chatbot_assets.quality.findings import Finding, shortened
from chatbot_assets.tables import REVIEW_QUEUE, TABLES
from resources.environment import PROJECT, Home

NAME = "up_to_date"
LATEST = timedelta(hours=1)
"""The running platform looks every few seconds; what it has not done after this long, it does not do."""


def data_read(state: BotState, now: datetime) -> Finding:
    """Of ``dialogues``: no landing file waits for longer than :data:`LATEST`."""
    waiting = [file for file in state.unread if _at(file.modified_ns / 1e9) < now - LATEST]
    if not waiting:
        return Finding(NAME, True, "warns", "no landing file waits to be read")
    names = [file.name for file in waiting]
    oldest = min(_at(file.modified_ns / 1e9) for file in waiting)
    words = f"{len(waiting):,} landing files wait since {oldest:%Y-%m-%d %H:%M} UTC or later: {shortened(names)}"
    return Finding(NAME, False, "warns", _with_reason(words, state), tuple(names[:20]))


def deployment_current(home: Home, state: BotState, now: datetime) -> Finding:
    """Of ``deployments``: no table that they are made from is out of date for longer than :data:`LATEST`.

    A table is out of date since the first change after its last commit, of its inputs, the bot's YAML, the landing
    folder or the platform's code.
    """
    behind = [item for item in state.stale if item.table != REVIEW_QUEUE.name]
    since = {item.table: at for item in behind if (at := _since(home, state, item)) is not None}
    late = [item for item in behind if item.table in since and since[item.table] < now - LATEST]
    if not late:
        return Finding(NAME, True, "warns", "what answers was made from what there is" if not behind else "just behind")
    reasons = [f"{item.table} ({', '.join(item.reasons)})" for item in late]
    first = min(since[item.table] for item in late)
    words = f"out of date since {first:%Y-%m-%d %H:%M} UTC: {shortened(reasons, shown=3)}"
    return Finding(NAME, False, "warns", _with_reason(words, state), tuple(item.table for item in late))


def _since(home: Home, state: BotState, item: Stale) -> datetime | None:
    """When the table went out of date; None when it waits for a first landing file."""
    made = state.commits[item.table]
    changes = [_at(file.modified_ns / 1e9) for file in state.unread]
    changes += [commit.committed_at for name in TABLES[item.table].inputs if (commit := state.commits[name])]
    changes += [_at(bot_file(home.bots, state.key).stat().st_mtime), _code_changed_at()]
    if made is not None:
        return min((at for at in changes if at > made.committed_at), default=made.committed_at)
    return None if state.commits["dialogues"] is None and not state.unread else max(changes)


def _code_changed_at() -> datetime:
    packages: Iterable[Path] = (PROJECT / name for name in ("chatbot_assets", "resources", "serving"))
    return _at(max(path.stat().st_mtime for package in packages for path in package.rglob("*.py")))


def _at(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)


def _with_reason(words: str, state: BotState) -> str:
    return f"{words}; blocked: {state.blocked}" if state.blocked else words
