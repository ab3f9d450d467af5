"""One level-triggered sensor: keeps the partitions equal to the bot files and refreshes the bots that are behind."""

import time
from collections.abc import Sequence

import dagster as dg

from chatbot_assets.automation import BotState, bot_state
from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.jobs import BOT_TAG, CAUSE_TAG, REASON_TAG, refresh
from chatbot_assets.partitions import BOTS
from resources.environment import Home
from resources.lakehouse import Lake

EVERY_SECONDS = 5
ATTEMPTS = 3
"""Runs that are started for one and the same cause before the bot waits for something to change."""
BACK_OFF_SECONDS = 30
"""Pause after the first failed run; it doubles with each further one."""

_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS]


@dg.sensor(job=refresh, minimum_interval_seconds=EVERY_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING)
def reconcile(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Home]) -> dg.SensorResult | dg.SkipReason:
    """Starts one run for each bot whose tables are behind its landing files, its YAML or the code.

    It compares states, not events, so a change that lands while a run is under way starts another run after it. A bot
    with a run queued or started is left alone; a failed run is repeated with growing pauses, at most twice.
    """
    keys = bot_keys(home.bots)
    lake = Lake(home.lake)
    known = set(context.instance.get_dynamic_partitions(BOTS.name or ""))
    problems: list[str] = []
    requests: list[dg.RunRequest] = []
    for key in keys:
        try:
            state = bot_state(home, lake, load_bot(home.bots, key))
        except BotError as error:
            problems.append(str(error))
            continue
        if state.needs_refresh:
            request = _request(context.instance, state)
            if isinstance(request, dg.RunRequest):
                requests.append(request)
            else:
                problems.append(request)
    changes: Sequence[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = [
        *([BOTS.build_add_request(sorted(set(keys) - known))] if set(keys) - known else []),
        *([BOTS.build_delete_request(sorted(known - set(keys)))] if known - set(keys) else []),
    ]
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=changes,
        skip_reason=None if requests else "; ".join(problems) or f"all {len(keys)} bots are up to date or waiting",
    )


def _request(instance: dg.DagsterInstance, state: BotState) -> dg.RunRequest | str:
    """A run for a bot that is behind, or why none is started now."""
    tag = {BOT_TAG: state.key}
    if instance.get_runs(dg.RunsFilter(tags=tag, statuses=_ACTIVE), limit=1):
        return f"{state.key}: a run is under way"
    # Also a run that was cancelled, or one that succeeded before the tables were lost: each was an attempt.
    ended = instance.get_run_records(dg.RunsFilter(tags=tag | {CAUSE_TAG: state.cause}, statuses=_ENDED))
    failed = [record for record in ended if record.dagster_run.status == dg.DagsterRunStatus.FAILURE]
    if len(failed) >= ATTEMPTS:
        return f"{state.key}: blocked after {len(failed)} failed runs; see the last one"
    last = max((record.end_time or 0.0 for record in ended), default=0.0)
    if ended and time.time() < last + BACK_OFF_SECONDS * 2 ** (len(ended) - 1):
        return f"{state.key}: the last run failed or changed nothing; trying again soon"
    reason = "; ".join(f"{item.table}: {', '.join(item.reasons)}" for item in state.stale)
    return dg.RunRequest(
        run_key=f"{state.key}:{state.cause}:{len(ended)}",
        partition_key=state.key,
        tags={BOT_TAG: state.key, CAUSE_TAG: state.cause, REASON_TAG: reason[:500]},
    )
