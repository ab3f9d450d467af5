"""One refresh of one bot from beginning to end: its lock, its configuration, and the record of how it went."""

import shutil
from collections.abc import Iterator
from functools import cached_property

import dagster as dg
from dagster._core.events import DagsterEventType

from chatbot_assets.automation import bot_state
from chatbot_assets.bot import Bot, BotError, load_bot
from chatbot_assets.tables import MATERIALISED
from resources import attempts
from resources.attempts import Kind
from resources.environment import Home
from resources.lakehouse import Lake
from resources.requests import answered, asked

KIND = "chatbot/failure_kind"
"""The metadata of a ``dg.Failure`` that tells whether its cause can pass: an ``attempts.Kind``, or ``SUPERSEDED``."""
SUPERSEDED = "superseded"
"""The kind of a failure that is none: what the refresh was made for has changed meanwhile, so another one follows."""
PASSING_ERRORS = {
    *("OSError", "BlockingIOError", "ConnectionError", "TimeoutError", "MemoryError", "PermissionError"),
    *("ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "FileNotFoundError"),
    *("ConflictError", "CommitFailedError", "DagsterExecutionInterruptedError"),
}
"""Names of the exceptions whose cause lies outside of data, code and configuration."""
LASTING_ERRORS = {"DagsterAssetCheckFailedError"}
LOW_DISK_BYTES = 200_000_000


class Refresh:
    """What the stages of one refresh share.

    The configuration is read once, so a YAML that is changed meanwhile cannot give half a deployment of each kind.
    """

    def __init__(self, home: Home, key: str, run_id: str) -> None:
        self.home = home
        self.key = key
        self.run_id = run_id
        self.lake = Lake(home.lake)

    @cached_property
    def bot(self) -> Bot:
        """The bot as its YAML was when the refresh began.

        Raises:
            BotError: when the YAML cannot be used.
        """
        return load_bot(self.home.bots, self.key)

    def cause(self) -> str | None:
        """Identifies what the bot is behind with, now; None without a usable YAML or when it is behind with nothing."""
        try:
            state = bot_state(self.home, self.lake, load_bot(self.home.bots, self.key), settle=0.0)
        except BotError:
            return None
        return state.cause if state.is_behind else None


@dg.resource(required_resource_keys={"home"})
def refreshing(context: dg.InitResourceContext) -> Iterator[Refresh]:
    """Holds the bot's tables for the length of a run, so that no two runs write them, and records how it ended."""
    run, instance = context.run, context.instance
    assert run is not None and instance is not None
    key = run.tags["dagster/partition"]
    refresh = Refresh(context.resources.home, key, run.run_id)
    folder = refresh.lake.bot_folder(key)

    def waiting() -> None:
        if context.log:
            context.log.info(f"{key}: another refresh holds the tables; waiting for it")

    with refresh.lake.writing(key, waiting):
        before = attempts.last_attempt(folder)
        wish = asked(folder) if _is_whole(run) else None
        cause = refresh.cause()
        attempt = attempts.begin(folder, cause or "", run.run_id)
        yield refresh
        failure = _failure(instance, run.run_id, refresh)
        if failure is None and wish is not None:
            answered(folder, wish)
        if failure is not None:
            kind, reason, table = failure
            attempts.fail(folder, attempt, refresh.cause() or "", kind, reason, table)
        elif before is not None and before.cause == refresh.cause():
            attempts.restore(folder, before)  # a run of some tables that left the others as they were
        else:
            attempts.end(folder)


def _is_whole(run: dg.DagsterRun) -> bool:
    """Whether a run is a refresh of all tables."""
    selected = run.asset_selection
    return not selected or selected >= {dg.AssetKey(table.name) for table in MATERIALISED}


def _failure(instance: dg.DagsterInstance, run_id: str, refresh: Refresh) -> tuple[Kind, str, str | None] | None:
    """Kind, reason and table of a run's first failed step; None when none failed, or only for having been overtaken."""
    for record in instance.all_logs(run_id, of_type=DagsterEventType.STEP_FAILURE):
        event = record.dagster_event
        assert event is not None
        failed = event.step_failure_data
        said = failed.user_failure_data
        declared = said.metadata[KIND].value if said is not None and KIND in said.metadata else None
        if declared == SUPERSEDED:
            continue
        chain = []
        error = failed.error
        while error is not None:
            chain.append(error)
            error = error.cause
        message = said.description if said is not None and said.description else chain[-1].message
        reason = _one_line(message)
        free = shutil.disk_usage(refresh.lake.root).free
        if free < LOW_DISK_BYTES:
            reason = f"the disk is full ({free // 1_000_000} MB are free); make room ({reason})"
            return "passing", reason, event.step_key
        return _kind(declared, {(one.cls_name or "").rpartition(".")[2] for one in chain}), reason, event.step_key
    return None


def _kind(declared: object, errors: set[str]) -> Kind:
    if declared == "lasting" or errors & LASTING_ERRORS:
        return "lasting"
    return "passing" if declared == "passing" or errors & PASSING_ERRORS else "unknown"


def _one_line(message: str) -> str:
    """What a message says; of a traceback in it (as engines pass on from their workers) the error itself."""
    before, mark, traceback = message.partition("Traceback (most recent call last)")
    lines = [line for line in (traceback if mark else before).splitlines() if line.strip()]
    errors = [line for line in lines if mark and line[0] not in " :"]
    return " ".join((errors[-1] if errors else " ".join(lines)).split())[:300]
