"""Jobs: a refresh of one bot is one run of the whole graph, in one process."""

import dagster as dg

from chatbot_assets.tables import MATERIALISED

REFRESH = "refresh"
BOT_TAG = "chatbot/bot"
REASON_TAG = "chatbot/reason"
CAUSE_TAG = "chatbot/cause"

refresh = dg.define_asset_job(
    REFRESH,
    selection=dg.AssetSelection.assets(*[table.name for table in MATERIALISED]),
    executor_def=dg.in_process_executor,
    description="Brings one bot from its landing files to a verified deployment; computes only what has changed.",
)
