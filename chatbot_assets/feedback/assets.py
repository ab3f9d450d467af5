"""Declares ``review_queue``, and the tables that the chat service and reviewers write and Dagster only observes."""

from collections import Counter

import dagster as dg

from chatbot_assets.delta_asset import Stage, asset_properties, delta_asset
from chatbot_assets.feedback.queue import build_queue
from chatbot_assets.process.decisions import COLUMNS, DECIDED_DDL, decided_rows
from chatbot_assets.tables import CONVERSATIONS, REVIEW_DECISIONS, REVIEW_QUEUE, SHADOW_ANSWERS, Table
from resources.environment import Home
from resources.lakehouse import Change, Lake


def _observed(table: Table) -> dg.SourceAsset:
    shown = asset_properties(table, set())

    def versions(home: dg.ResourceParam[Home]) -> dg.DataVersionsByPartition:
        lake = Lake(home.lake)
        found = {}
        for path in sorted(lake.root.glob(f"*/*/{table.name}")):
            key = f"{path.parent.parent.name}.{path.parent.name}"
            last = lake.table(key, table.name).last()
            if last is not None:
                found[key] = last.data_version
        return dg.DataVersionsByPartition(found)

    asset: dg.SourceAsset = dg.observable_source_asset(
        name=table.name,
        # An observed asset takes kinds as tags, and no owners.
        tags={f"dagster/kind/{kind}": "" for kind in shown["kinds"]} | shown["tags"],
        **{name: shown[name] for name in ("group_name", "description", "metadata", "partitions_def")},
    )(versions)
    return asset


def _compute(stage: Stage) -> Change:
    conversations, decisions = stage.inputs["conversations"], stage.inputs["review_decisions"]
    if conversations.commit is None:
        return stage.table.overwrite((), notes={})
    decided = decided_rows(decisions.arrow(*COLUMNS)) if decisions.commit else None
    session = stage.engine.session
    frame = build_queue(
        conversations.frame(),
        session.createDataFrame(decided, DECIDED_DDL) if decided else None,
        stage.bot.review.triage,
    )
    staged = stage.table.stage_frame(frame)
    kinds = Counter(row["kind"] for row in stage.table.staged_rows(staged, ["kind"]))
    return stage.table.overwrite(
        staged,
        rows_in=len(conversations.arrow("turn_id")),
        rows_computed=kinds.total(),
        notes=dict(sorted(kinds.items())),
    )


conversations = _observed(CONVERSATIONS)
shadow_answers = _observed(SHADOW_ANSWERS)
review_decisions = _observed(REVIEW_DECISIONS)
review_queue = delta_asset(REVIEW_QUEUE, _compute, kinds={"spark"})
