"""Declares ``evaluations``. The computing code is imported when it runs: loading the graph stays light."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from chatbot_assets.checks import MAY_BE_DEPLOYED, may_be_deployed
from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.deploy.record import Deployment, live_deployment, served_config
from chatbot_assets.tables import EVALUATIONS
from chatbot_assets.train.manifest import ModelFormatError
from resources.lakehouse import Change
from resources.metering import timed
from resources.model_store import unpack

if TYPE_CHECKING:
    from chatbot_assets.train.rows import TrainingRows
    from serving.responder import Reply, Responder


def _compute(stage: Stage) -> Change:
    from chatbot_assets.deploy.agreement import tolerance_of
    from chatbot_assets.embed.variants import serving_encoder
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
    from chatbot_assets.validate.golden_gate import corrected_turns, judge_golden
    from chatbot_assets.validate.limits import megabytes, together, within_limits
    from chatbot_assets.validate.variant_choice import ROWS, choose_variant
    from serving.responder import Responder

    models, rules, golden = stage.inputs["models"], stage.bot.validate_, stage.bot.golden
    model_id = models.record.data_version
    rows = read_rows(stage.inputs["utterances"], stage.inputs["embeddings"], "test")
    corrected, corrected_rows = corrected_turns(stage.inputs["utterances"], stage.inputs["embeddings"], golden)
    folder = unpack(models.table, model_id, stage.home.cache)
    responder = Responder(folder, served_config(stage.bot.effective(), {}))
    replies = reply_to(responder, rows)
    sample = sample_replies(rows, replies)
    encoder, config = stage.bot.embed.encoder, stage.bot.effective()
    with timed("validate.variant", min(len(rows.ids), ROWS)):
        choice = choose_variant(
            responder, encoder, stage.bot.serve.variant, rows, replies, sample, tolerance_of(config)
        )
    stage.log(f"encoder variant {choice.variant}: {choice.reason}")
    responder = responder.encoded_by(serving_encoder(encoder, choice.variant))
    metrics = evaluate_rows(rows, replies) | measure_latency(responder, rows) | {"megabytes": megabytes(folder)}
    live = live_deployment(stage.lake.table(stage.bot.key, "deployments"))
    champion = _champion(stage, live) if live else None
    before = champion.reply_to(rows) if champion else None
    texts = [dialogue.text for dialogue in golden]
    with timed("validate.golden", len(golden) + len(corrected)):
        judged = judge_golden(
            [*golden, *corrected],
            [*responder.respond(texts), *reply_to(responder, corrected_rows)],
            [*champion.responder.respond(texts), *champion.reply_to(corrected_rows)] if champion else None,
            all_needed=rules.golden == "all" or live is None,
            minimum_out_of_scope_recall=rules.minimum_out_of_scope_recall,
        )
    with timed("validate.gate", len(rows.ids)):
        held_out: Gate = rules.gate.load()(
            rows, replies, before, minimum_accuracy=rules.minimum_accuracy, maximum_drop=rules.maximum_drop
        )
    limits = within_limits(
        metrics["p50_ms"],
        metrics["megabytes"],
        maximum_p50_ms=rules.maximum_p50_ms,
        maximum_megabytes=rules.maximum_megabytes,
    )
    gate = together([held_out, judged.gate, limits])
    stage.log(gate.reason)
    data = stage.signature.inputs["utterances"].data_version
    champion_id = champion.model_id if champion else None
    measured = metric_rows(metrics, evaluate_rows(rows, before) if before else None, champion_id)
    common = {"model_id": model_id, "data": data, "evaluated_at": datetime.now(UTC)}
    found = [common | row for row in (*measured, *judged.metric_rows())]
    staged = stage.table.stage_arrow(pa.Table.from_pylist(found, stage.table.table.schema))
    verdict = json.dumps([model_id, data, stage.signature.config, gate.passed])
    return stage.table.append(
        staged,
        data_version=hashlib.blake2b(verdict.encode(), digest_size=16).hexdigest(),
        rows_in=len(rows.ids),
        rows_computed=len(rows.ids),
        notes={
            "gate": asdict(gate),
            "golden": judged.notes(),
            "overall": {name: value for name, value in metrics.items() if name != "per_intent"},
            "sample": sample,
            "serving": choice.as_dict(),
            "champion": champion_id,
            "confusion": confusion(rows, replies),
        },
    )


@dataclass(frozen=True)
class _Champion:
    """The model that is live; ``prepared_alike`` says whether it is asked texts as this configuration prepares them."""

    model_id: str
    responder: "Responder"
    prepared_alike: bool

    def reply_to(self, rows: "TrainingRows") -> "list[Reply]":
        from chatbot_assets.validate.evaluation import reply_to

        return reply_to(self.responder, rows) if self.prepared_alike else self.responder.respond(list(rows.texts))


def _champion(stage: Stage, live: Deployment) -> _Champion | None:
    """The live model, also when it is the one that is judged; None when this release cannot read it."""
    from serving.responder import Responder

    folder = unpack(stage.lake.table(stage.bot.key, "models"), live.model_id, stage.home.cache)
    try:
        responder = Responder(folder, live.served_config)
    except (ModelFormatError, ValueError) as error:
        stage.log(f"the champion cannot be compared with: {error}")
        return None
    now = stage.bot.effective()
    prepared_alike = live.config["process"] == now["process"] and live.config["embed"] == now["embed"]
    return _Champion(live.model_id, responder, prepared_alike)


evaluations = delta_asset(EVALUATIONS, _compute, kinds={"numpy"}, check_specs=[MAY_BE_DEPLOYED], checks=may_be_deployed)
