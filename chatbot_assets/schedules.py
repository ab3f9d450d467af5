"""Schedules: what is done for each bot at night, when few people use them. A schedule asks for one run a bot.

These runs can wait: the queue starts every refresh before them.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.jobs import AFTER_REFRESHES, BOT_TAG, PRIORITY_TAG, REASON_TAG, maintain, verify
from chatbot_assets.partitions import BOTS
from resources.environment import Home


def nightly_verification(verify_job: Any = verify) -> dg.ScheduleDefinition:
    """Lets a job that verifies a bot's tables run each night for each bot."""
    return for_each_bot("nightly_verification", verify_job, "0 2 * * *", timedelta(days=1), "verifies the tables")


def weekly_maintenance(maintain_job: Any = maintain) -> dg.ScheduleDefinition:
    """Compacts and vacuums each bot's tables in the night to Sunday."""
    return for_each_bot("weekly_maintenance", maintain_job, "0 4 * * 0", timedelta(days=7), "looks after the files")


def nightly_expiry(maintain_job: Any = maintain) -> dg.ScheduleDefinition:
    """The same in every other night, for the bots whose served turns expire: those must not wait for a week."""
    return for_each_bot(
        "nightly_expiry", maintain_job, "0 4 * * 1-6", timedelta(days=1), "removes served turns that expire",
        wanted=lambda home, key, since: _turns_expire(home, key),
    )  # fmt: skip


def _turns_expire(home: Home, key: str) -> bool:
    try:
        return load_bot(home.bots, key).retention.conversations_days is not None
    except BotError:
        return True  # the run says what is wrong with the file, which may have asked for it


def for_each_bot(
    name: str,
    job: Any,
    cron: str,
    period: timedelta,
    does: str,
    *,
    wanted: Callable[[Home, str, datetime], bool] = lambda home, key, since: True,
    run_key: str = "%Y-%m-%d",
) -> dg.ScheduleDefinition:
    """A schedule that starts one run for each bot that is ``wanted``, given the moment one ``period`` ago.

    ``run_key`` is the form of the time that tells the evaluations apart.
    """

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=os.environ.get("CHATBOT_TIMEZONE") or "UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Starts one run for each bot, which {does} ({cron}, in the time zone CHATBOT_TIMEZONE).",
    )
    def ask(context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[Home]) -> Any:
        due = context.scheduled_execution_time
        if datetime.now(UTC) - due > period:
            # Dagster makes up for the last few evaluations that nobody was there for; the newest one is enough.
            return dg.SkipReason(f"was due at {due:%Y-%m-%d %H:%M} and is due again")
        known = set(context.instance.get_dynamic_partitions(BOTS.name or ""))
        keys = [key for key in bot_keys(home.bots) if key in known]
        if not keys:
            return dg.SkipReason("there is no bot yet")
        keys = [key for key in keys if wanted(home, key, due - period)]
        if not keys:
            return dg.SkipReason("no bot needs it")
        return [
            dg.RunRequest(
                run_key=f"{key}:{due:{run_key}}",
                partition_key=key,
                tags={BOT_TAG: key, REASON_TAG: name, PRIORITY_TAG: AFTER_REFRESHES},
            )
            for key in keys
        ]

    return ask
