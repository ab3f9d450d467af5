"""Jobs: a refresh of one bot is one run of the whole graph, in one process; a verification looks at all its tables."""

import dagster as dg

from chatbot_assets.checks import MAY_BE_DEPLOYED, VERIFICATIONS, check_specs
from chatbot_assets.partitions import BOTS
from chatbot_assets.tables import MATERIALISED

REFRESH = "refresh"
VERIFY = "verify"
BOT_TAG = "chatbot/bot"
REASON_TAG = "chatbot/reason"
CAUSE_TAG = "chatbot/cause"

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
