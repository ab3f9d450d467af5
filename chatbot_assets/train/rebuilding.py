"""Trains a recorded model again from what the lake recorded of it, and says whether its files are bit for bit the same.

Nothing is written to the lake. What a model was made from stands in the record of its commit in ``models``; the
configuration, whole, in the events of its deployments.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from chatbot_assets.automation import current_signature
from chatbot_assets.bot import Bot, load_bot
from chatbot_assets.deploy.record import history, live_deployment
from chatbot_assets.tables import DEPLOYMENTS, MODELS
from resources.environment import Home
from resources.lakehouse import Lake, LakeTable, Record, RowHash
from resources.model_store import file_hashes
from resources.surroundings import surroundings

if TYPE_CHECKING:
    from chatbot_assets.train.rows import TrainingRows
    from resources.delta_io import PinnedTable


class RebuildError(RuntimeError):
    """A model that cannot be rebuilt; its text says why, and what to do."""


@dataclass(frozen=True)
class Recipe:
    """What a model was made from: ``record`` is that of its commit, ``files`` are the SHA-256 of its files by name.

    ``deployment_id`` is None for a model that was never deployed.
    """

    model_id: str
    deployment_id: str | None
    bot: Bot
    record: Record
    files: Mapping[str, str]

    def changes_of_code(self, lake: Lake) -> list[str]:
        """In words, which modules' code is no longer what made the model, unless it was accepted as the same.

        Raises:
            BotError: when a module that the configuration names cannot be found.
        """
        made = self.record.signature
        now = current_signature(MODELS, self.bot, made.inputs, lake.table(self.bot.key, MODELS.name).last())
        return [
            f"{name}: {made.code.get(name, 'not there')} then, {now.code.get(name, 'not there')} now"
            for name in sorted(made.code.keys() | now.code.keys())
            if made.code.get(name) != now.code.get(name)
        ]


@dataclass(frozen=True)
class Rebuilt:
    """How a rebuild went: the SHA-256 of the new files, and what differs, in words; nothing when all files are equal.

    ``seconds`` is what reading and training took.
    """

    files: Mapping[str, str]
    rows: int
    differences: Sequence[str]
    seconds: float


def find_recipe(home: Home, lake: Lake, key: str, identity: str | None) -> Recipe:
    """What a model (by default the one that is live) was made from.

    Raises:
        RebuildError: when the lake does not know the model, or its configuration was never recorded.
    """
    deployments, models = lake.table(key, DEPLOYMENTS.name), lake.table(key, MODELS.name)
    if identity is None:
        live = live_deployment(deployments)
        if live is None:
            raise RebuildError(f"{key} has no live deployment; run: ./chatbot refresh {key}")
        identity = live.model_id
    if erased := history(deployments).erased(identity):
        raise RebuildError(
            f"model {identity} cannot be rebuilt: erased on {erased['at']:%Y-%m-%d} ({erased['reason']})"
        )
    events = _events_of(deployments, identity)
    state = models.at(_version(events[-1])) if events else None
    record = state.record if state else None
    if record is None or record.notes.get("model_id") != identity:
        record = next((found for _, found in models.records() if found.notes.get("model_id") == identity), None)
    files = {row["file"]: row["sha256"] for row in models.rows_with("model_id", [identity], ["file", "sha256"])}
    if record is None or not files:
        raise RebuildError(f"{key} has no model {identity}; the table deployments names them")
    return Recipe(
        identity, events[-1]["deployment_id"] if events else None, _bot(home, key, events, record), record, files
    )


def rebuild(lake: Lake, recipe: Recipe, progress: Callable[[str], None]) -> Rebuilt:
    """Trains the model anew into a temporary folder, on the recorded versions of its tables, and compares.

    Raises:
        RebuildError: when the lake does not hold these versions, or data files of them have been removed.
    """
    from chatbot_assets.train.model import train_bot, training_rows

    started = time.monotonic()
    pinned = _pinned(lake, recipe)
    try:
        rows = training_rows(recipe.bot, pinned)
    except FileNotFoundError as error:
        raise RebuildError(
            f"model {recipe.model_id} cannot be rebuilt: files of the versions that it learnt from have been removed; "
            "a longer retention.days keeps those of later models"
        ) from error
    with tempfile.TemporaryDirectory() as temporary:
        train_bot(Path(temporary), recipe.bot, rows, progress)
        files = file_hashes(Path(temporary))
    seconds = time.monotonic() - started
    differences = [] if files == recipe.files else _differences(lake, recipe, pinned, rows)
    return Rebuilt(files, len(rows.ids), differences, seconds)


def _events_of(deployments: LakeTable, identity: str) -> list[dict[str, Any]]:
    """The events of a model's deployments, the oldest first."""
    columns = ["deployment_id", "at", "config", "data_versions", "model_id"]
    return sorted(deployments.rows_with("model_id", [identity], columns), key=lambda event: event["at"])


def _version(event: Mapping[str, Any]) -> int:
    version: int = json.loads(event["data_versions"])[MODELS.name]["version"]
    return version


def _bot(home: Home, key: str, events: Sequence[Mapping[str, Any]], record: Record) -> Bot:
    """The bot as it was configured; a model that was never deployed may have been made as the bot's file says now."""
    if events:
        config = json.loads(events[-1]["config"])
        try:
            return Bot.model_validate(config)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, problem["loc"])) for problem in error.errors())
            raise RebuildError(f"this release cannot read the recorded configuration of {key} ({places})") from None
    bot = load_bot(home.bots, key)
    if bot.config_hash(*MODELS.config) != record.signature.config:
        raise RebuildError(f"this model of {key} was never deployed, and the bot's file has changed since it was made")
    return bot


def _pinned(lake: Lake, recipe: Recipe) -> "dict[str, PinnedTable]":
    from resources.delta_io import PinnedTable
    from resources.spark import SparkEngine

    pinned = {}
    for name, read in recipe.record.signature.inputs.items():
        table = lake.table(recipe.bot.key, name)
        state = table.at(read.version)
        if state is None or state.data_version != read.data_version:
            raise RebuildError(
                f"model {recipe.model_id} cannot be rebuilt here: this lake does not hold version {read.version} of "
                f"{name} that it learnt from; rebuild it in the lake that it was made in"
            )
        pinned[name] = PinnedTable(table, state, SparkEngine())
    return pinned


def _differences(lake: Lake, recipe: Recipe, pinned: "Mapping[str, PinnedTable]", rows: "TrainingRows") -> list[str]:
    """Why the files are others: all that is known to differ between then and now."""
    found = _differences_of_data(recipe, pinned, rows)
    made = recipe.record.signature
    if recipe.bot.config_hash(*MODELS.config) != made.config:
        found.append("configuration: this release reads the recorded one in another way")
    found += [f"code of {change}" for change in recipe.changes_of_code(lake)]
    then, now = recipe.record.notes.get("surroundings"), surroundings()
    if then is None:
        found.append("libraries and hardware: not recorded with this model")
    else:
        for kind, word in (("libraries", "library"), ("hardware", "hardware")):
            found += [
                f"{word} {name}: {then[kind].get(name, 'unknown')} then, {now[kind].get(name, 'unknown')} now"
                for name in sorted(then[kind].keys() | now[kind].keys())
                if then[kind].get(name) != now[kind].get(name)
            ]
    return found or ["nothing that was recorded differs, so a module of the bot does not give equal bytes twice"]


def _differences_of_data(recipe: Recipe, pinned: "Mapping[str, PinnedTable]", rows: "TrainingRows") -> list[str]:
    from chatbot_assets.train.model import rows_digest

    then = recipe.record.notes.get("learnt_from")
    if then == rows_digest(rows):
        return []
    found = []
    for name, table in pinned.items():
        content = RowHash(table.table.table.content)
        for batch in table.table.batches(content.columns, table.commit.version if table.commit else None):
            content.add(batch)
        recorded = table.commit.record.content_hash if table.commit and table.commit.record else None
        if recorded != content.hexdigest():
            found.append(f"data: {name} does not hold the rows of its record; restore the table")
    if then is not None and not found:
        found.append("data: the rows are the recorded ones, but vectors or other values beside them are not")
    return found
