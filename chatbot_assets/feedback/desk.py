"""What a reviewer's desk holds: what waits now, what a decision would do, and what became of those that were made.

Each answer is kept for as long as the tables that it was made of stay at their versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.bot import Bot
from chatbot_assets.embed.vectors import unpack_vectors, vectors_of
from chatbot_assets.feedback.asking import Outcome, outcomes
from chatbot_assets.feedback.decision_log import DecisionLog
from chatbot_assets.feedback.effect import Asked, Effect, Forecast
from chatbot_assets.feedback.suspects import LABEL_COLUMNS, UTTERANCE_COLUMNS, suspects
from chatbot_assets.process.decisions import MODIFY, SERVED
from chatbot_assets.tables import REVIEW_QUEUE
from resources.environment import Home
from resources.lakehouse import Lake
from resources.remembered import Remembered

SHOWN = tuple(name for name in REVIEW_QUEUE.schema.names if name != "vector")
GOLDEN = "golden: "
"""Begins the names of golden dialogues among the texts that a forecast is about; those of turns are their ids."""


def waiting(lake: Lake, key: str) -> pa.Table:
    """All that waits for a person, served turns and doubtful labels, the most valuable first: columns ``SHOWN``.

    What was decided on since the queue was made is gone already, and what was put off is marked so.
    """
    rows = _queued.get(
        (lake.root, key), _versions(lake, key, "review_queue", "utterances", "labels"), lambda: _read_queued(lake, key)
    )
    decided = DecisionLog.of(lake.table(key, "review_decisions")).in_force()
    settled = pa.array([name for name, one in decided.items() if one.is_settled], pa.string())
    held = pa.array([name for name, one in decided.items() if not one.is_settled], pa.string())
    rows = rows.filter(pc.invert(pc.is_in(rows.column("turn_id"), value_set=settled)))
    marks = pc.is_in(rows.column("turn_id"), value_set=held)
    return rows.set_column(rows.schema.get_field_index("on_hold"), "on_hold", marks)


def _read_queued(lake: Lake, key: str) -> pa.Table:
    queue = lake.table(key, "review_queue").arrow(SHOWN)
    doubtful = suspects(
        lake.table(key, "utterances").arrow(UTTERANCE_COLUMNS), lake.table(key, "labels").arrow(LABEL_COLUMNS)
    )
    rows = pa.concat_tables([queue, pa.Table.from_pylist(doubtful, queue.schema)])
    return rows.sort_by([("priority", "descending"), ("turn_id", "ascending")])


@dataclass(frozen=True)
class Desk:
    """A forecast with what it needs to be asked about turns."""

    forecast: Forecast
    places: dict[str, int]
    known: dict[str, list[int]]

    def effect(self, turn_ids: Sequence[str], intent: str) -> Effect:
        """What it would do to give waiting turns, or landed rows, an intent; names it does not know are passed over."""
        asked = [self.places[turn_id] for turn_id in turn_ids if turn_id in self.places]
        replaced = sorted({place for turn_id in turn_ids for place in self.known.get(turn_id, ())})
        taught = [self.forecast.asked.vectors[asked], self.forecast.vectors[replaced]]
        return self.forecast.of(np.concatenate(taught), intent, replaced)


def desk(lake: Lake, bot: Bot) -> Desk:
    """The forecast of a bot as its tables are now. Making it takes seconds for ten thousand rows."""
    versions = _versions(lake, bot.key, "review_queue", "utterances", "embeddings")
    mark = (*versions, bot.config_hash("golden", "process", "embed"))
    return _desks.get((lake.root, bot.key), mark, lambda: _make_desk(lake, bot))


def _make_desk(lake: Lake, bot: Bot) -> Desk:
    rows = lake.table(bot.key, "utterances").arrow(["text", "intent", "split", "excluded", "sources"])
    used = pc.and_(pc.is_null(rows.column("excluded")), pc.is_valid(rows.column("intent")))
    rows = rows.filter(pc.and_(used, pc.equal(rows.column("split"), "train")))
    vectors = vectors_of(
        rows.column("text").to_pylist(), lake.table(bot.key, "embeddings").arrow(["text_id", "vector"])
    )
    queue = lake.table(bot.key, "review_queue").arrow(["turn_id", "vector"])
    names, wanted = queue.column("turn_id").to_pylist(), [None] * len(queue)
    asked = unpack_vectors(queue.column("vector"))
    golden = [one for one in bot.golden if one.intent is not None]
    if golden:
        normalise, encoder = bot.process.normaliser.load(), bot.embed.encoder.load()
        encoded = encoder.encode([normalise(one.text) for one in golden])
        asked = np.concatenate([asked.reshape(len(names), encoded.shape[1]), encoded])
    known: dict[str, list[int]] = {}
    for place, sources in enumerate(rows.column("sources").to_pylist()):
        for turn_id in sources:
            known.setdefault(turn_id, []).append(place)
    width = max(asked.shape[1], vectors.shape[1])
    texts = Asked(
        [*names, *(GOLDEN + one.text for one in golden)],
        asked.reshape(-1, width),
        [*wanted, *(one.intent for one in golden)],
    )
    forecast = Forecast(vectors.reshape(-1, width), rows.column("intent").to_pylist(), texts)
    return Desk(forecast, {name: place for place, name in enumerate(names)}, known)


def mended(home: Home, bot: Bot, most: int = 200) -> list[Outcome]:
    """Whether the live model is right now about the turns that people corrected, the newest decisions first.

    At most so many turns are asked; nothing without a live model.
    """
    lake = Lake(home.lake)
    mark = _versions(lake, bot.key, "review_decisions", "deployments")
    return _mended.get((lake.root, bot.key, most), mark, lambda: _ask_again(home, lake, bot, most))


def _ask_again(home: Home, lake: Lake, bot: Bot, most: int) -> list[Outcome]:
    from serving.bots import load_live

    live = load_live(home, bot.key)
    decided = DecisionLog.of(lake.table(bot.key, "review_decisions")).in_force().values()
    corrected = sorted(
        (one for one in decided if one.action == MODIFY and one.source == SERVED),
        key=lambda one: (one.decided_at, one.turn_id),
        reverse=True,
    )[:most]
    return outcomes(corrected, live.responder.respond([one.raw for one in corrected])) if live and corrected else []


def _versions(lake: Lake, key: str, *names: str) -> tuple[Any, ...]:
    """The tables' versions, -1 for one that does not exist yet."""
    commits = [lake.table(key, name).last() for name in names]
    return tuple(commit.version if commit else -1 for commit in commits)


_queued: Remembered[pa.Table] = Remembered()
_desks: Remembered[Desk] = Remembered()
_mended: Remembered[list[Outcome]] = Remembered()
