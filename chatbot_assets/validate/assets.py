"""Declares ``evaluations``. The computing code is imported when it runs: loading the graph stays light."""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from chatbot_assets.checks import MAY_BE_DEPLOYED, may_be_deployed
from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.deploy.record import live_deployment
from chatbot_assets.tables import EVALUATIONS
from chatbot_assets.train.manifest import ModelFormatError
from resources.lakehouse import Change
from resources.metering import timed
from resources.model_store import unpack

if TYPE_CHECKING:
    from chatbot_assets.train.rows import TrainingRows
    from serving.responder import Reply


def _compute(stage: Stage) -> Change:
    from chatbot_assets.train.rows import read_rows
    from chatbot_assets.validate.evaluation import (
        confusion,
        evaluate_rows,
        measure_latency,
        metric_rows,
        reply_to,
        sample_replies,
    )
    from chatbot_assets.validate.gate import Gate
    from serving.responder import Responder

    models = stage.inputs["models"]
    model_id = models.record.data_version
    rows = read_rows(stage.inputs["utterances"], stage.inputs["embeddings"], "test")
    responder = Responder(unpack(models.table, model_id, stage.home.cache), stage.bot.effective())
    replies = reply_to(responder, rows)
    metrics = evaluate_rows(rows, replies) | measure_latency(responder, rows)
    champion_id, champion = _champion(stage, model_id, rows)
    with timed("validate.gate", len(rows.ids)):
        gate: Gate = stage.bot.validate_.gate.load()(
            rows,
            replies,
            champion,
            minimum_accuracy=stage.bot.validate_.minimum_accuracy,
            maximum_drop=stage.bot.validate_.maximum_drop,
        )
    stage.log(gate.reason)
    data = stage.signature.inputs["utterances"].data_version
    measured = metric_rows(metrics, evaluate_rows(rows, champion) if champion else None, champion_id)
    common = {"model_id": model_id, "data": data, "evaluated_at": datetime.now(UTC)}
    staged = stage.table.stage_arrow(pa.Table.from_pylist([common | row for row in measured], stage.table.table.schema))
    verdict = json.dumps([model_id, data, stage.signature.config, gate.passed])
    return stage.table.append(
        staged,
        data_version=hashlib.blake2b(verdict.encode(), digest_size=16).hexdigest(),
        rows_in=len(rows.ids),
        rows_computed=len(rows.ids),
        notes={
            "gate": asdict(gate),
            "overall": {name: value for name, value in metrics.items() if name != "per_intent"},
            "sample": sample_replies(rows, replies),
            "champion": champion_id,
            "confusion": confusion(rows, replies),
        },
    )


def _champion(stage: Stage, model_id: str, rows: "TrainingRows") -> tuple[str | None, "list[Reply] | None"]:
    """The live model's id and its replies to the same rows; none without one, or when it is this one or unreadable."""
    from chatbot_assets.validate.evaluation import reply_to
    from serving.responder import Responder

    live = live_deployment(stage.lake.table(stage.bot.key, "deployments"))
    if live is None or live.model_id == model_id:
        return None, None
    folder = unpack(stage.lake.table(stage.bot.key, "models"), live.model_id, stage.home.cache)
    try:
        champion = Responder(folder, live.config)
    except (ModelFormatError, ValueError) as error:
        stage.log(f"the champion cannot be compared with: {error}")
        return None, None
    now = stage.bot.effective()
    prepared_alike = live.config["process"] == now["process"] and live.config["embed"] == now["embed"]
    return live.model_id, reply_to(champion, rows) if prepared_alike else champion.respond(list(rows.texts))


evaluations = delta_asset(EVALUATIONS, _compute, kinds={"numpy"}, check_specs=[MAY_BE_DEPLOYED], checks=may_be_deployed)
