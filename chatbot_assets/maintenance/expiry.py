"""Expiry: served turns leave the lake when the bot's retention is over, and nobody need ask for it.

They leave the newest version of their tables at once. Old versions would hold them for ``retention.days`` more: where
turns expire, old versions of these tables go after hours (:func:`readable_since`).
"""

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.bot import Retention
from chatbot_assets.erasing.history import renew_checkpoint, trim_log
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.sources import amend_decisions
from chatbot_assets.tables import CONVERSATIONS, REVIEW_DECISIONS, REVIEW_QUEUE, SHADOW_ANSWERS, Table
from resources.lakehouse import Lake, LakeTable

TURN_TABLES = (CONVERSATIONS, SHADOW_ANSWERS, REVIEW_QUEUE)
OLD_VERSIONS = timedelta(hours=12)
"""How long their old versions can be read where turns expire: until whoever reads one now has ended, and so short that
the next night removes what this night has put behind."""


def readable_since(table: Table, retention: Retention, now: datetime) -> datetime:
    """Every version of a table that was the newest at some moment since then stays readable."""
    if retention.conversations_days is not None and table in TURN_TABLES:
        return now - OLD_VERSIONS
    return now - timedelta(days=retention.days)


def expire(lake: Lake, key: str, retention: Retention, now: datetime) -> int:
    """Removes the turns that were served too long ago, in commits that say so; gives how many.

    What derives from them follows with the next refresh. The smallest and largest texts of old files leave the log at
    once, whether they expire now or their file was replaced before. ``conversations`` comes last: as long as it holds
    the turns, a run that takes the place of one that was killed knows of them.
    """
    if retention.conversations_days is None:
        return 0
    from serving.conversations import Conversations

    since = now - timedelta(days=retention.conversations_days)
    note = {"expired": {"before": since.isoformat(), "at": now.isoformat()}}
    turns = _served_before(lake.table(key, CONVERSATIONS.name), since)
    if turns and retention.decisions == "leave":
        amend_decisions(lake.table(key, REVIEW_DECISIONS.name), turns, note["expired"])
    for name in (SHADOW_ANSWERS.name, CONVERSATIONS.name):
        table = lake.table(key, name)
        if _served_before(table, since):
            Conversations(table).remove_before(since, note)
        if table.last() and trim_log(table, set(table.files()), Markers(frozenset())):
            renew_checkpoint(table)
    return len(turns)


def _served_before(table: LakeTable, since: datetime) -> set[str]:
    """The turns of a table that were served before a moment."""
    rows = table.arrow(["turn_id", "served_at"])
    old = pc.less(rows.column("served_at"), pa.scalar(since, rows.schema.field("served_at").type))
    return set(rows.column("turn_id").filter(old).to_pylist())
