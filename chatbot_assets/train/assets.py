"""Declares ``models``. The computing code is imported when it runs: loading the graph stays light."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from chatbot_assets.delta_asset import Stage, StageError, delta_asset
from chatbot_assets.tables import MODELS
from resources.lakehouse import Change
from resources.model_store import file_hashes, model_id, pack
from resources.surroundings import surroundings


def _compute(stage: Stage) -> Change:
    from chatbot_assets.train.model import rows_digest, train_bot, training_rows

    rows = training_rows(stage.bot, stage.inputs)
    if not rows.ids:
        raise StageError(
            f"{stage.bot.key} has no row to learn from: land rows with an intent or an answer in the bot's language"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifest = train_bot(folder, stage.bot, rows, stage.log)
        hashes = file_hashes(folder)
        identity = model_id(hashes)
        known = stage.last is not None and identity in stage.table.arrow(["model_id"]).column("model_id").to_pylist()
        staged = () if known else stage.table.stage_arrow(pack(folder, datetime.now(UTC), stage.table.table.schema))
    return stage.table.append(
        staged,
        data_version=identity,
        rows_in=len(rows.ids),
        rows_computed=len(rows.ids),
        notes={
            "model_id": identity,
            "files": hashes,
            "manifest": manifest,
            "learnt_from": rows_digest(rows),
            "surroundings": surroundings(),
        },
    )


models = delta_asset(MODELS, _compute, kinds={"pytorch"})
