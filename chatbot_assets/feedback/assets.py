"""Declares ``review_queue``, and the tables that the chat service and reviewers write and Dagster only observes."""

from collections import Counter
from typing import Any

import dagster as dg
import pyarrow as pa

from chatbot_assets.delta_asset import Stage, asset_properties, delta_asset
from chatbot_assets.deploy.record import live_deployment
from chatbot_assets.feedback.asking import asking, known_to
from chatbot_assets.feedback.queue import encoding, queue_rows, triaged_turns
from chatbot_assets.process.decisions import COLUMNS, in_force
from chatbot_assets.tables import CONVERSATIONS, REVIEW_DECISIONS, REVIEW_QUEUE, SHADOW_ANSWERS, Table
from chatbot_assets.train.manifest import ModelFormatError
from resources.environment import Home
from resources.lakehouse import Change, Lake, LakeError
from resources.model_store import unpack


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
    review, encoder = stage.bot.review, stage.bot.embed.encoder
    turns = triaged_turns(conversations.frame(), review.triage).toArrow().to_pylist()
    rows = queue_rows(
        turns,
        in_force(decisions.arrow(*COLUMNS)),
        normalise=stage.bot.process.normaliser.load(),
        encode=encoding(encoder, _encoded_before(stage)),
        order=review.order.load(),
        **_live(stage),
    )
    staged = stage.table.stage_arrow(pa.Table.from_pylist(rows, stage.table.table.schema)) if rows else ()
    kinds = Counter(row["kind"] for row in rows)
    return stage.table.overwrite(
        staged,
        rows_in=len(conversations.arrow("turn_id")),
        rows_computed=len(rows),
        notes=dict(sorted(kinds.items())),
    )


def _live(stage: Stage) -> dict[str, Any]:
    """The live model as ``queue_rows`` takes it; nothing when there is none, or this release cannot read it.

    It is no input of the queue: which turns wait does not depend on it, but in which order.
    """
    from serving.responder import Responder

    live = live_deployment(stage.lake.table(stage.bot.key, "deployments"))
    if live is None:
        return {}
    try:
        folder = unpack(stage.lake.table(stage.bot.key, "models"), live.model_id, stage.home.cache)
        responder = Responder(folder, live.served_config)
        return {
            "ask": asking(responder, live.config, stage.bot),
            "learnt": known_to(responder, live.config, stage.bot),
        }
    except (LakeError, ModelFormatError, ValueError) as error:
        stage.warn(f"the queue is ordered by what the bot knew when it served the turns: {error}")
        return {}


def _encoded_before(stage: Stage) -> pa.Table | None:
    """The texts that the queue held before, with the vectors that the encoder now in force gave them."""
    last = stage.last
    if last is None or last.record is None or last.record.rows == 0:
        return None
    made = last.record.signature.code
    same = all(made.get(place) == stage.code(place) for place in ("feedback", "embed.encoder"))
    return stage.table.arrow(["group_text", "vector"], last.version) if same else None


conversations = _observed(CONVERSATIONS)
shadow_answers = _observed(SHADOW_ANSWERS)
review_decisions = _observed(REVIEW_DECISIONS)
review_queue = delta_asset(REVIEW_QUEUE, _compute, kinds={"spark"})
