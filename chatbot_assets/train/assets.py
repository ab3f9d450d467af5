"""Declares ``models``."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.delta_asset import Stage, StageError, delta_asset
from chatbot_assets.embed.vectors import text_id, unpack_vectors
from chatbot_assets.tables import MODELS
from chatbot_assets.train.intent_model import IntentModelConfig
from chatbot_assets.train.training import TrainingRows, train_model
from resources.delta_io import PinnedTable
from resources.lakehouse import Change
from resources.model_store import file_hashes, model_id, pack


def read_rows(utterances: PinnedTable, embeddings: PinnedTable, split: str) -> TrainingRows:
    """The utterances in use of one split, in the order of their ids, with their vectors."""
    table = utterances.arrow("utterance_id", "text", "tokens", "intent", "answer", "split", "excluded")
    used = pc.and_(pc.equal(table.column("split"), split), pc.is_null(table.column("excluded")))
    table = table.filter(used).sort_by("utterance_id")
    texts = table.column("text").to_pylist()
    vectors = embeddings.arrow("text_id", "vector")
    places = pc.index_in(pa.array([text_id(text) for text in texts], pa.string()), vectors.column("text_id"))
    found = unpack_vectors(vectors.column("vector").take(places)) if texts else np.zeros((0, 0), np.float32)
    return TrainingRows(
        ids=table.column("utterance_id").to_pylist(),
        texts=texts,
        tokens=table.column("tokens").to_pylist(),
        intents=table.column("intent").to_pylist(),
        answers=table.column("answer").to_pylist(),
        vectors=found,
    )


def _compute(stage: Stage) -> Change:
    rows = read_rows(stage.inputs["utterances"], stage.inputs["embeddings"], "train")
    if not rows.ids:
        raise StageError(
            f"{stage.bot.key} has no row to learn from: land rows with an intent or an answer in the bot's language"
        )
    train = stage.bot.train
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        manifest = train_model(
            folder,
            rows,
            bot=stage.bot.key,
            language=stage.bot.language,
            config=IntentModelConfig.from_json(train.model),
            answer_precision=train.answer_precision,
            suggest_precision=train.suggest_precision,
            progress=stage.log,
        )
        hashes = file_hashes(folder)
        identity = model_id(hashes)
        known = stage.last is not None and identity in stage.table.arrow(["model_id"]).column("model_id").to_pylist()
        staged = () if known else stage.table.stage_arrow(pack(folder, datetime.now(UTC), stage.table.table.schema))
    return stage.table.append(
        staged,
        data_version=identity,
        rows_in=len(rows.ids),
        rows_computed=len(rows.ids),
        notes={"model_id": identity, "files": hashes, "manifest": manifest},
    )


models = delta_asset(MODELS, _compute, kinds={"pytorch"})
