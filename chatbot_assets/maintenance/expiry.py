"""Expiry: served turns leave ``conversations`` when the bot's retention is over, and nobody need ask for it."""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.bot import Retention
from chatbot_assets.erasing.history import trim_log
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.sources import amend_decisions
from chatbot_assets.tables import CONVERSATIONS, REVIEW_DECISIONS, SHADOW_ANSWERS
from resources.lakehouse import Lake


def expire(lake: Lake, key: str, retention: Retention, now: datetime) -> int:
    """Removes the turns that were served too long ago, in commits that say so; gives how many.

    What derives from them follows with the next refresh. Old versions of the table lose them when ``retention.days``
    are over; the smallest and largest texts of old files leave the log at once.
    """
    table = lake.table(key, CONVERSATIONS.name)
    if retention.conversations_days is None or table.last() is None:
        return 0
    from serving.conversations import Conversations

    since = now - timedelta(days=retention.conversations_days)
    served = table.arrow(["turn_id", "served_at"])
    old = served.filter(pc.less(served.column("served_at"), pa.scalar(since, served.schema.field("served_at").type)))
    turns = set(old.column("turn_id").to_pylist())
    if turns:
        note = {"expired": {"before": since.isoformat(), "at": now.isoformat()}}
        for name in (CONVERSATIONS.name, SHADOW_ANSWERS.name):
            if (served_in := lake.table(key, name)).last() is not None:
                Conversations(served_in).remove(turns, note)
        if retention.decisions == "leave":
            amend_decisions(lake.table(key, REVIEW_DECISIONS.name), turns, note["expired"])
    trim_log(table, set(table.files()), Markers(frozenset()))
    return len(turns)
