"""The review queue: served turns that a person should look at, the most valuable first."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from chatbot_assets.feedback.triage import Triage
from chatbot_assets.modules import ModuleRef
from chatbot_assets.process.decisions import EXCLUDE, HOLD, MODIFY, SERVED
from resources.metering import timed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

TRIAGED_DDL = "turn_id string, kind string, urgency double"
TRIAGED_SCHEMA = pa.schema([("turn_id", pa.string()), ("kind", pa.string()), ("urgency", pa.float64())])


class TriageTurns:
    """For ``mapInArrow``: served turns become rows of ``TRIAGED_SCHEMA``, without those that nobody needs to see."""

    def __init__(self, triage: ModuleRef) -> None:
        self.triage = triage

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        triage: Triage = self.triage.load()
        for batch in batches:
            with timed("review.triage", batch.num_rows):
                judged = [(row["turn_id"], triage(row)) for row in batch.to_pylist()]
            rows = [
                {"turn_id": turn_id, "kind": found.kind, "urgency": found.urgency} for turn_id, found in judged if found
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=TRIAGED_SCHEMA)


def build_queue(conversations: "DataFrame", decided: "DataFrame | None", triage: ModuleRef) -> "DataFrame":
    """The queue's rows, of turns that no decision in force (``decisions.DECIDED_DDL``) has settled.

    A turn's priority is its urgency times the square root of the number of queued turns that say the same: what many
    ask is worth more, but not in proportion.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    seen = conversations.select(
        "turn_id", "text", "category", "satisfied", "score", "chosen_candidate", "candidates", "intent"
    )
    rows = conversations.join(seen.mapInArrow(TriageTurns(triage), TRIAGED_DDL), "turn_id")
    if decided is None:
        rows = rows.withColumn("on_hold", F.lit(False))
    else:
        ours = decided.filter(F.col("source") == SERVED).select("turn_id", "action")
        rows = (
            rows.join(ours, "turn_id", "left")
            .filter(F.col("action").isNull() | ~F.col("action").isin(MODIFY, EXCLUDE))
            .withColumn("on_hold", F.coalesce(F.col("action") == HOLD, F.lit(False)))
        )
    said = F.lower(F.trim(F.regexp_replace("text", r"[\s\p{P}]+", " ")))
    alike = Window.partitionBy("kind", "group_id")
    return (
        rows.withColumn("group_id", F.substring(F.sha2(said, 256), 1, 32))
        .withColumn("group_size", F.count("*").over(alike))
        .withColumn("priority", F.col("urgency") * F.sqrt("group_size"))
    )
