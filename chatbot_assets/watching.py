"""Watches what is live: each hour, for each bot that had users, it is verified again, and taken back when worse."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from chatbot_assets.bot import BotError, load_bot
from chatbot_assets.checks import check_spec
from chatbot_assets.partitions import BOTS
from chatbot_assets.schedules import for_each_bot
from chatbot_assets.tables import CONVERSATIONS, DEPLOYMENTS
from resources import verifications
from resources.environment import Home
from resources.lakehouse import Lake

WATCH = "watch"
WHAT_ANSWERS = "what answers"
"""How the record of verifications names what no table holds."""
ANSWERS_AS_RECORDED, NO_WORSE_THAN_BEFORE = "answers_as_recorded", "no_worse_than_before"
TRIAL_NO_WORSE = "trial_no_worse"


@dg.multi_asset_check(
    name="watch_deployments",
    specs=[
        check_spec(
            ANSWERS_AS_RECORDED,
            DEPLOYMENTS.name,
            "What answers users is the live deployment, and it answers its recorded sample as it was evaluated. If it "
            "answers otherwise, and the one before does not, that one is live again.",
        ),
        check_spec(
            NO_WORSE_THAN_BEFORE,
            DEPLOYMENTS.name,
            "With users the live deployment fares no worse than the one before it, within the limits of deploy.watch. "
            "If it fails, the one before is live again.",
        ),
        check_spec(
            TRIAL_NO_WORSE,
            DEPLOYMENTS.name,
            "A canary or a shadow answers its recorded sample as it was evaluated, and fares no worse than the live "
            "deployment over the same time. If it fails, its trial is over.",
        ),
    ],
)
def watch_deployments(
    context: dg.AssetCheckExecutionContext, home: dg.ResourceParam[Home]
) -> Iterator[dg.AssetCheckResult]:
    from chatbot_assets.auditing import note_events
    from chatbot_assets.deploy.live_check import (
        NotVerifiableError,
        end_trial_if_wrong,
        take_back_if_wrong,
        verify_live,
    )
    from chatbot_assets.deploy.trial import judge
    from chatbot_assets.deploy.watch import watch

    key = context.partition_key
    try:
        limits = load_bot(home.bots, key).deploy
    except BotError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    actor = f"watch, run {context.op_execution_context.run_id}"
    back_to = None
    try:
        verified = verify_live(home, key)
        agrees, said = verified.agrees, "; ".join(verified.differences) or f"{verified.asked} agrees with the record"
        back_to = take_back_if_wrong(home, key, verified, actor)
        still_wrong = None if agrees or back_to else said
        verifications.note(Lake(home.lake).bot_folder(key), WHAT_ANSWERS, still_wrong)
    except NotVerifiableError as error:
        agrees, said = False, str(error)
    yield dg.AssetCheckResult(
        asset_key=DEPLOYMENTS.name,
        check_name=ANSWERS_AS_RECORDED,
        passed=agrees,
        description=said,
        metadata=_live_again(back_to),
    )
    watched = watch(Lake(home.lake), key, limits.watch, actor)
    note_events(home, *key.split("."))
    yield dg.AssetCheckResult(
        asset_key=DEPLOYMENTS.name,
        check_name=NO_WORSE_THAN_BEFORE,
        passed=watched.well,
        description=watched.said,
        metadata=_live_again(watched.back_to),
    )
    wrong = end_trial_if_wrong(home, key, actor)
    judged = None if wrong else judge(Lake(home.lake), key, limits, actor)
    yield dg.AssetCheckResult(
        asset_key=DEPLOYMENTS.name,
        check_name=TRIAL_NO_WORSE,
        passed=wrong is None and (judged is None or judged.is_good),
        description=wrong or (judged.said if judged else "no deployment is being tried"),
        metadata={"tried": judged.deployment_id} if judged else {},
    )


def _live_again(deployment: str | None) -> dict[str, str]:
    return {"live again": deployment} if deployment else {}


watch_job = dg.define_asset_job(
    WATCH,
    selection=dg.AssetSelection.checks(*watch_deployments.check_keys),
    # A job of checks alone takes no partitions from its assets.
    config=dg.PartitionedConfig(partitions_def=BOTS, run_config_for_partition_key_fn=lambda _: {}),
    executor_def=dg.in_process_executor,
    description="Verifies what is live of one bot again, and takes it back when it fares worse than what was before.",
)


def _had_users(home: Home, key: str, since: datetime) -> bool:
    """Whether turns were served, or something happened to a deployment, since then."""
    lake = Lake(home.lake)
    commits = [lake.table(key, table.name).last() for table in (CONVERSATIONS, DEPLOYMENTS)]
    return any(commit is not None and commit.committed_at >= since for commit in commits)


def hourly_watch(job: Any = watch_job) -> dg.ScheduleDefinition:
    """Lets the job that watches a bot run each hour for each bot that had users in it."""
    return for_each_bot(
        "hourly_watch",
        job,
        "17 * * * *",
        timedelta(hours=1),
        "verifies and watches what is live, if the bot had users",
        wanted=_had_users,
        run_key="%Y-%m-%dT%H",
    )
