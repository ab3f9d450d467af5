"""What a decision would do: a bot's forecast, made of its tables as they are now, and asked by the names of turns."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.bot import Bot
from chatbot_assets.embed.vectors import unpack_vectors, vectors_of
from chatbot_assets.feedback.effect import Asked, Change, Effect, Forecast
from chatbot_assets.feedback.ordering import Floats
from resources.lakehouse import Lake, LakeTable

GOLDEN = "golden: "
"""Begins the names of golden dialogues among the texts that a forecast is about; those of turns are their ids."""
ASKED_GROUPS = 2_000
"""Groups of waiting turns, the most valuable ones, that a forecast is about: more would take too long to compare."""
KEPT = 4
"""Forecasts that a process keeps, each of some ten megabytes for ten thousand rows: those that were used last."""


@dataclass(frozen=True)
class Desk:
    """A forecast with what it needs to be asked about turns.

    It is about groups of the queue, each named by one of its turns: ``turns`` gives all turns of each, and ``places``
    the place of each turn's group among what is asked. ``known`` are the places of the rows that a landed row is in.
    """

    forecast: Forecast
    turns: Mapping[str, Sequence[str]]
    known: Mapping[str, Sequence[int]]
    queue: LakeTable
    version: int | None

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {turn: place for place, turns in enumerate(self.turns.values()) for turn in turns}

    def effect(self, turn_ids: Sequence[str], intent: str) -> Effect:
        """What it would do to give waiting turns, or landed rows, an intent; names it does not know are passed over.

        Turns that say the same are learnt once, as the bot does.
        """
        replaced = sorted({place for turn_id in turn_ids for place in self.known.get(turn_id, ())})
        asked = sorted({self.places[turn_id] for turn_id in turn_ids if turn_id in self.places})
        rest = [turn_id for turn_id in turn_ids if turn_id not in self.places and turn_id not in self.known]
        taught = [self.forecast.asked.vectors[asked], self.forecast.vectors[replaced], self._read(rest)]
        effect = self.forecast.of(np.concatenate(taught), intent, replaced)
        return Effect(self._turns(effect.fixed), self._turns(effect.broken), self._turns(effect.moved))

    def _read(self, turn_ids: Sequence[str]) -> Floats:
        """The distinct vectors of turns that are among the less valuable."""
        rows = self.queue.rows_with("turn_id", turn_ids, ["vector"], self.version)
        cells = sorted({row["vector"] for row in rows})
        return unpack_vectors(pa.array(cells, pa.binary())) if cells else self.forecast.vectors[:0]

    def _turns(self, changes: Sequence[Change]) -> tuple[Change, ...]:
        return tuple(replace(one, name=turn) for one in changes for turn in self.turns.get(one.name, (one.name,)))


class Desks:
    """The desks of bots; each is made once for the versions of the tables that it is made of, which takes a second."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[tuple[Any, ...], Future[Desk]]] = OrderedDict()

    def of(self, bot: Bot) -> Desk:
        """A bot's desk as its tables are now; one that is being made already is waited for."""
        return self._begun(bot).result()

    def make_ahead(self, bot: Bot) -> None:
        """Begins to make a bot's desk, beside other work: somebody will probably ask for it."""
        threading.Thread(target=self._begun, args=(bot,), daemon=True).start()

    def _begun(self, bot: Bot) -> "Future[Desk]":
        commits = [self._lake.table(bot.key, name).last() for name in ("review_queue", "utterances", "embeddings")]
        versions = [commit.version if commit else None for commit in commits]
        mark = (*versions, bot.config_hash("golden", "process", "embed"))
        with self._lock:
            made_of, future = self._kept.get(bot.key, (None, Future[Desk]()))
            is_mine = made_of != mark
            if is_mine:
                future = Future()
                self._kept[bot.key] = mark, future
            self._kept.move_to_end(bot.key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        if is_mine:
            try:
                future.set_result(_make(self._lake, bot, *versions))
            except BaseException as error:
                with self._lock:
                    self._kept.pop(bot.key, None)
                future.set_exception(error)
        return future


def _make(lake: Lake, bot: Bot, queue_version: int | None, utterances: int | None, embeddings: int | None) -> Desk:
    rows = lake.table(bot.key, "utterances").arrow(["text", "intent", "split", "excluded", "sources"], utterances)
    used = pc.and_(pc.is_null(rows.column("excluded")), pc.is_valid(rows.column("intent")))
    rows = rows.filter(pc.and_(used, pc.equal(rows.column("split"), "train")))
    vectors = vectors_of(
        rows.column("text").to_pylist(), lake.table(bot.key, "embeddings").arrow(["text_id", "vector"], embeddings)
    )
    known: dict[str, list[int]] = {}
    for place, sources in enumerate(rows.column("sources").to_pylist()):
        for turn_id in sources:
            known.setdefault(turn_id, []).append(place)
    queue = lake.table(bot.key, "review_queue")
    turns, asked = _groups(queue.arrow(["turn_id", "group_id", "priority", "vector"], queue_version))
    names = list(turns)
    golden = [one for one in bot.golden if one.intent is not None]
    if golden:
        normalise, encoder = bot.process.normaliser.load(), bot.embed.encoder.load()
        encoded = encoder.encode([normalise(one.text) for one in golden])
        asked = np.concatenate([asked.reshape(len(names), encoded.shape[1]), encoded])
    width = max(asked.shape[1], vectors.shape[1])
    texts = Asked(
        [*names, *(GOLDEN + one.text for one in golden)],
        asked.reshape(-1, width),
        [*(None for _ in names), *(one.intent for one in golden)],
    )
    forecast = Forecast(vectors.reshape(-1, width), rows.column("intent").to_pylist(), texts)
    return Desk(forecast, turns, known, queue, queue_version)


def _groups(queue: pa.Table) -> tuple[dict[str, list[str]], Floats]:
    """The most valuable groups: by the id of a turn of each the ids of all, and the groups' vectors."""
    groups = pc.dictionary_encode(queue.column("group_id").combine_chunks()).indices.to_numpy(zero_copy_only=False)
    order = np.argsort(-queue.column("priority").to_numpy(), kind="stable")
    _, firsts = np.unique(groups[order], return_index=True)
    firsts = order[np.sort(firsts)[:ASKED_GROUPS]]
    ids = queue.column("turn_id").to_pylist()
    turns: dict[int, list[str]] = {int(group): [] for group in groups[firsts]}
    for place in np.flatnonzero(np.isin(groups, groups[firsts])):
        turns[int(groups[place])].append(ids[place])
    vectors = unpack_vectors(queue.column("vector").take(pa.array(firsts)).combine_chunks())
    return {ids[first]: turns[int(groups[first])] for first in firsts}, vectors
