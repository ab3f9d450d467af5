"""One level-triggered sensor: keeps the partitions equal to the bot files and refreshes the bots that are behind."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import dagster as dg

from chatbot_assets.automation import ATTEMPTS, BACK_OFF, BotState, bot_state
from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.code_version import one_look
from chatbot_assets.jobs import AFTER_REFRESHES, BOT_TAG, CAUSE_TAG, PRIORITY_TAG, REASON_TAG, refresh
from chatbot_assets.partitions import BOTS
from chatbot_assets.tables import REVIEW_QUEUE
from resources.attempts import last_attempt
from resources.environment import Home
from resources.lakehouse import Lake
from resources.metering import free_memory

EVERY_SECONDS = 4
"""Dagster looks every 5 s which sensors are due; with 5 here a tick that is a millisecond early waits for the next."""
RUN_BYTES = 1_500_000_000
"""Memory that must be free for another refresh beside those that are under way."""

LOOK_SECONDS = 4.0
"""A tick that has looked at bots for so long leaves the others to the next one. Only a process's first ticks over about
a thousand bots or more need it: what was read once is remembered as long as it does not change."""

SILENT_SECONDS = 120
"""A started run that has never taken hold of its bot's tables counts as dead after this long."""

_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]


@dg.sensor(job=refresh, minimum_interval_seconds=EVERY_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
def reconcile(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.SensorResult:
    """Starts one run for each bot whose tables are behind its landing files, its YAML, people's decisions or the code.

    It compares states, not events, so a change that lands while a run is under way starts another run after it. A bot
    that is being refreshed is left alone. A refresh that failed is repeated with growing pauses when its cause can pass
    by itself; otherwise the bot is blocked until something changes. At most twice as many runs are requested as the run
    queue takes at once, those bots first that were brought up to date longest ago: who is left out is found again.

    The cursor holds the runs that seem to be dead, since one that still does at the next tick is reported as failed,
    and the first bot that this tick had no time to look at.
    """
    instance, lake, keys = context.instance, Lake(home.lake), bot_keys(home.bots)
    cursor = json.loads(context.cursor or "{}")
    cursor = cursor if isinstance(cursor, dict) else {"silent": cursor}  # as earlier versions wrote it
    said: list[str] = []
    behind, left_from = _behind(home, lake, keys, cursor.get("left_from", ""), said)
    active = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(statuses=_ACTIVE))}
    silent = _silent_runs(instance, lake, active.values())
    for run_id in silent & set(cursor.get("silent", ())):
        instance.report_run_failed(active.pop(run_id), "its process is gone: killed, or the machine was stopped")
    requests = _requests(instance, lake, behind, list(active.values()), said)
    for line in (*(f"{request.partition_key}: {request.tags[REASON_TAG]}" for request in requests), *said):
        context.log.info(line)
    known = set(instance.get_dynamic_partitions(BOTS.name or ""))
    changes: Sequence[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = [
        *([BOTS.build_add_request(sorted(set(keys) - known))] if set(keys) - known else []),
        *([BOTS.build_delete_request(sorted(known - set(keys)))] if known - set(keys) else []),
    ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=changes,
        cursor=json.dumps({"silent": sorted(silent & active.keys()), "left_from": left_from}),
        skip_reason=None if requests else "; ".join(said) or f"all {len(keys)} bots are up to date or waiting",
    )


def _behind(home: Home, lake: Lake, keys: Sequence[str], first: str, said: list[str]) -> tuple[list[BotState], str]:
    """The bots that a run would help, and the first key that there was no time for ("" when all were looked at).

    It begins at the key ``first``, and says of the bots that no run would help what keeps them.
    """
    behind: list[BotState] = []
    until = time.monotonic() + LOOK_SECONDS
    ordered = [*(key for key in keys if key >= first), *(key for key in keys if key < first)]
    with one_look():
        for place, key in enumerate(ordered):
            if place and time.monotonic() > until:
                said.append(f"{len(ordered) - place} bots are looked at in the next tick")
                return behind, key
            try:
                state = bot_state(home, lake, load_bot(home.bots, key))
            except BotError as error:
                said.append(str(error))
                continue
            except Exception as error:  # one bot's broken tables must not stop the others
                said.append(f"{key}: its tables cannot be read: {type(error).__name__}: {error}")
                continue
            if state.needs_refresh or state.needs_queue:
                behind.append(state)
            elif state.blocked and state.is_behind:
                said.append(f"{key}: blocked: {state.blocked}")
    return behind, ""


def _requests(
    instance: dg.DagsterInstance,
    lake: Lake,
    behind: Sequence[BotState],
    active: Sequence[dg.DagsterRun],
    said: list[str],
) -> list[dg.RunRequest]:
    """Runs for the bots that are behind, as many as there is room for; says of each other one why it waits."""
    active = [run for run in active if not _lets_pass(run)]
    busy = {run.tags.get("dagster/partition") for run in active}
    running = [run for run in active if run.status != dg.DagsterRunStatus.QUEUED]
    most = instance.get_concurrency_config().run_queue_config
    room = 2 * (most.max_concurrent_runs if most else os.cpu_count() or 1) - len(active)
    if running and free_memory() < RUN_BYTES:
        room = 0
    requests: list[dg.RunRequest] = []
    left: list[str] = []
    for state in sorted(behind, key=lambda state: (_last_refreshed(state), state.key)):
        if state.key in busy or lake.is_being_written(state.key):
            said.append(f"{state.key}: a run is under way")
            continue
        if len(requests) >= room:
            left.append(state.key)  # asking Dagster about each of a thousand would take longer than the tick may
            continue
        ended = _ended(instance, state)
        if wait := _waits_for(state, ended):
            said.append(f"{state.key}: {wait}")
        else:
            requests.append(_request(state, ended))
    if left:
        names = ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else "")
        said.append(f"{names}: waits for its turn: other bots are being refreshed")
    return requests


def _lets_pass(run: dg.DagsterRun) -> bool:
    """Whether the queue will start a refresh before this run, as it does with the runs of the night."""
    return run.status == dg.DagsterRunStatus.QUEUED and run.tags.get(PRIORITY_TAG) == AFTER_REFRESHES


def _silent_runs(instance: dg.DagsterInstance, lake: Lake, active: Iterable[dg.DagsterRun]) -> set[str]:
    """Ids of the runs that count as started although nothing of them seems to be alive.

    A run holds its bot's tables as long as it lives, so one that does not hold them and never said how it ended is
    dead, or is ending at this moment. Dagster notices dead runs itself only while the code server that started them
    lives.
    """
    silent = set()
    for run in active:
        key = run.tags.get("dagster/partition")
        if run.job_name != refresh.name or run.status != dg.DagsterRunStatus.STARTED or key is None:
            continue
        attempt = last_attempt(lake.bot_folder(key))
        mine = attempt is not None and attempt.run_id == run.run_id
        if lake.is_being_written(key) or (mine and attempt is not None and attempt.kind is not None):
            continue
        record = None if mine else instance.get_run_record_by_id(run.run_id)
        if mine or (record and record.start_time and time.time() - record.start_time > SILENT_SECONDS):
            silent.add(run.run_id)
    return silent


def _last_refreshed(state: BotState) -> datetime:
    """When a table of the bot was committed last."""
    moments = [commit.committed_at for commit in state.commits.values() if commit]
    return max(moments, default=datetime.fromtimestamp(0, UTC))


def _waits_for(state: BotState, ended: Sequence[dg.RunRecord]) -> str | None:
    """In words, why no run is started for a bot that is behind; None when one is.

    ``ended`` are the runs that were started for the same cause.
    """
    now = datetime.now(UTC)
    if not state.needs_refresh:  # but its review queue
        last = max((record.end_time or 0.0 for record in ended), default=0.0)
        return None if now.timestamp() > last + BACK_OFF.total_seconds() else "its review queue follows soon"
    if state.attempt is None and ended:
        # Runs that never came so far as to say how they went.
        count = len(ended)
        failed = sum(record.dagster_run.status == dg.DagsterRunStatus.FAILURE for record in ended)
        if failed >= ATTEMPTS:
            return f"blocked after {failed} failed runs; see the last one"
        last = max(record.end_time or 0.0 for record in ended)
        if now.timestamp() < last + (BACK_OFF * 2 ** (count - 1)).total_seconds():
            return "the last run failed or changed nothing; trying again soon"
    return state.waits_for(now)


def _request(state: BotState, ended: Sequence[dg.RunRecord]) -> dg.RunRequest:
    tags = {BOT_TAG: state.key, CAUSE_TAG: state.cause, REASON_TAG: state.reason[:500], "dagster/max_retries": "0"}
    number = max(len(ended), state.attempt.count if state.attempt else 0)
    if state.needs_queue:
        return dg.RunRequest(
            run_key=f"{state.key}:{REVIEW_QUEUE.name}:{state.cause}:{number}",
            partition_key=state.key,
            asset_selection=[dg.AssetKey(REVIEW_QUEUE.name)],
            tags=tags,
        )
    return dg.RunRequest(run_key=f"{state.key}:{state.cause}:{number}", partition_key=state.key, tags=tags)


def _ended(instance: dg.DagsterInstance, state: BotState) -> Sequence[dg.RunRecord]:
    tags = {"dagster/partition": state.key, CAUSE_TAG: state.cause}
    return instance.get_run_records(dg.RunsFilter(tags=tags, statuses=_ENDED))
