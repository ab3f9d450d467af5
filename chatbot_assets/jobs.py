"""Jobs: what can be started for one bot or for many, by the automation, by a schedule or by hand.

A refresh of one bot is one run of the whole graph, in one process; a verification looks at all its tables.
"""

import time
from dataclasses import asdict
from datetime import UTC, datetime

import dagster as dg

from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.checks import MAY_BE_DEPLOYED, VERIFICATIONS, check_specs
from chatbot_assets.maintenance import maintain_bot
from chatbot_assets.maintenance.expiry import expire
from chatbot_assets.partitions import BOTS
from chatbot_assets.tables import MATERIALISED
from resources.environment import Home
from resources.lakehouse import Lake
from resources.requests import ask

REFRESH = "refresh"
VERIFY = "verify"
BOT_TAG = "chatbot/bot"
REASON_TAG = "chatbot/reason"
CAUSE_TAG = "chatbot/cause"
PRIORITY_TAG = "dagster/priority"
AFTER_REFRESHES = "-1"
"""The priority of runs that can wait: the queue starts every refresh before them."""

refresh = dg.define_asset_job(
    REFRESH,
    selection=dg.AssetSelection.assets(*[table.name for table in MATERIALISED]).without_checks()
    | dg.AssetSelection.checks(
        *[spec.key for table in MATERIALISED for spec in check_specs(table)], MAY_BE_DEPLOYED.key
    ),
    executor_def=dg.in_process_executor,
    description="Brings one bot from its landing files to a verified deployment; computes only what has changed.",
)

verify = dg.define_asset_job(
    VERIFY,
    selection=dg.AssetSelection.checks(*[key for audit in VERIFICATIONS for key in audit.check_keys]),
    # A job of checks alone takes no partitions from its assets.
    config=dg.PartitionedConfig(partitions_def=BOTS, run_config_for_partition_key_fn=lambda _: {}),
    executor_def=dg.in_process_executor,
    description="Reads all tables of one bot again and checks them; changes nothing. Meant for every night.",
)


class WhichBots(dg.Config):
    """The bots to refresh (those of one tenant, or all), and why."""

    tenant: str | None = None
    reason: str = "asked for by hand"


@dg.op(
    description="Asks for a refresh of each bot; the sensor starts the runs, as many at a time as there is room for."
)
def ask_for_refreshes(context: dg.OpExecutionContext, home: dg.ResourceParam[Home], config: WhichBots) -> list[str]:
    known = bot_keys(home.bots)
    wanted = [key for key in known if config.tenant in (None, key.partition(".")[0])]
    if not wanted:
        tenants = ", ".join(sorted({key.partition(".")[0] for key in known})) or "none yet"
        raise dg.Failure(f"there is no bot of tenant {config.tenant!r}; tenants: {tenants}", allow_retries=False)
    for key in wanted:
        ask(Lake(home.lake).bot_folder(key), "refresh_all", config.reason)
    context.add_output_metadata({"bots": len(wanted), "keys": wanted, "reason": config.reason})
    return wanted


@dg.job(
    executor_def=dg.in_process_executor,
    description="Refreshes all bots, or those of one tenant: each once, although nothing of it has changed.",
)
def refresh_all() -> None:
    ask_for_refreshes()


@dg.op(description="Joins small files, and removes files of versions beyond the bot's retention and of killed runs.")
def maintain_tables(context: dg.OpExecutionContext, home: dg.ResourceParam[Home]) -> None:
    key, lake, started = context.partition_key, Lake(home.lake), time.monotonic()
    try:
        retention = load_bot(home.bots, key).retention
    except BotError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    with lake.writing(key, lambda: context.log.info(f"{key}: a refresh holds the tables; waiting for it")):
        expired = expire(lake, key, retention, datetime.now(UTC))
        report = maintain_bot(home, lake, key, retention, datetime.now(UTC))
    context.add_output_metadata(
        {
            "turns expired": expired,
            "files removed": report.files_removed,
            "MB freed": round(report.bytes_removed / 1e6, 3),
            "seconds": round(time.monotonic() - started, 3),
            "models removed from the cache": report.models_removed,
            "tables": dg.TableMetadataValue(
                records=[dg.TableRecord(asdict(table)) for table in report.tables],
                schema=dg.TableSchema(
                    [
                        dg.TableColumn("table", "string"),
                        dg.TableColumn("files_before", "int", "data files of the newest version before"),
                        dg.TableColumn("files_after", "int", "data files of the newest version after"),
                        dg.TableColumn("versions_kept", "int", "versions that can still be read"),
                        dg.TableColumn("files_removed", "int"),
                        dg.TableColumn("bytes_removed", "int"),
                        dg.TableColumn("problem", "string", "why the table was left as it is"),
                    ]
                ),
            ),
        }
    )


@dg.job(
    partitions_def=BOTS,
    executor_def=dg.in_process_executor,
    description="Looks after the files of one bot's tables; turns beyond the bot's retention leave, no other row.",
)
def maintain() -> None:
    maintain_tables()
