"""Makes a bot's model of its tables: what the train stage does, and what a rebuild does again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatbot_assets.bot import Bot
from chatbot_assets.train.rows import TrainingRows, read_rows
from chatbot_assets.train.training import train_model

if TYPE_CHECKING:
    from resources.delta_io import PinnedTable


def training_rows(bot: Bot, inputs: Mapping[str, "PinnedTable"]) -> TrainingRows:
    """What the bot's model learns from; ``inputs`` are the tables that ``models`` is made from."""
    return read_rows(
        inputs["utterances"],
        inputs["embeddings"],
        "train",
        inputs["labels"] if bot.denoise.policy == "automatic" else None,
        inputs["paraphrases"],
        bot.augment.weight,
    )


def rows_digest(rows: TrainingRows) -> str:
    """SHA-256 of all that a training reads, to the last bit of each vector."""
    digest = hashlib.sha256()
    for columns in zip(rows.ids, rows.texts, rows.tokens, rows.intents, rows.answers, rows.parents, strict=True):
        digest.update(json.dumps(columns, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    digest.update(rows.vectors.tobytes())
    digest.update(rows.weights.tobytes())
    return digest.hexdigest()


def train_bot(folder: Path, bot: Bot, rows: TrainingRows, progress: Callable[[str], None]) -> dict[str, Any]:
    """Trains as the bot's configuration says, into an empty folder; gives the manifest.

    Raises:
        ValueError: when no row has an intent or an answer, or a module cannot be loaded.
    """
    return train_model(
        folder,
        rows,
        bot=bot.key,
        language=bot.language,
        classifier=bot.train.classifier,
        index=bot.train.index,
        answer_precision=bot.train.answer_precision,
        suggest_precision=bot.train.suggest_precision,
        progress=progress,
    )
