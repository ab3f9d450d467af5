"""The review queue: served turns and labels that a person should look at, the most valuable decision first.

The engine triages all served turns; what is left of them is grouped and ordered in memory.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from chatbot_assets.embed.vectors import pack_vectors, unpack_vectors
from chatbot_assets.feedback.grouping import groups_of
from chatbot_assets.feedback.ordering import Floats, Known, Order, Waiting
from chatbot_assets.feedback.triage import Triage
from chatbot_assets.modules import ModuleRef
from chatbot_assets.process.decisions import SERVED, Decided
from resources.metering import timed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from serving.responder import Reply

TRIAGED_DDL = "turn_id string, kind string, urgency double"
TRIAGED_SCHEMA = pa.schema([("turn_id", pa.string()), ("kind", pa.string()), ("urgency", pa.float64())])
SHOWN = (
    "session_id",
    "deployment_id",
    "text",
    "answer",
    "intent",
    "score",
    "candidates",
    "chosen_candidate",
    "served_at",
)
"""The columns of ``conversations`` that a queued turn keeps."""
ERROR = "error"
"""The category of turns that were not answered for a technical reason: nothing can be learnt from them."""
DISSATISFIED = "dissatisfied"
UNKNOWN = 1.0
"""The doubt about a turn for which the bot knew no candidate at all."""

Row = dict[str, Any]
Ask = Callable[[Sequence[str], Floats], "Sequence[Reply]"]
"""The live model's replies to normalised texts with their vectors (:func:`chatbot_assets.feedback.asking.asking`)."""


class TriageTurns:
    """For ``mapInArrow``: served turns become rows of ``TRIAGED_SCHEMA``, without those that nobody needs to see."""

    def __init__(self, triage: ModuleRef) -> None:
        self.triage = triage

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        triage: Triage = self.triage.load()
        for batch in batches:
            with timed("review.triage", batch.num_rows):
                judged = [(row["turn_id"], triage(row)) for row in batch.to_pylist() if row["category"] != ERROR]
            rows = [
                {"turn_id": turn_id, "kind": found.kind, "urgency": found.urgency} for turn_id, found in judged if found
            ]
            yield pa.RecordBatch.from_pylist(rows, schema=TRIAGED_SCHEMA)


def triaged_turns(conversations: "DataFrame", triage: ModuleRef) -> "DataFrame":
    """The served turns that a person should see: ``turn_id``, ``kind``, ``urgency`` and the columns of ``SHOWN``."""
    seen = conversations.select(
        "turn_id", "text", "category", "satisfied", "score", "chosen_candidate", "candidates", "intent"
    )
    triaged = seen.mapInArrow(TriageTurns(triage), TRIAGED_DDL)
    return conversations.select("turn_id", *SHOWN).join(triaged, "turn_id")


def queue_rows(
    turns: Sequence[Row],
    decided: Mapping[str, Decided],
    *,
    normalise: Callable[[str], str],
    encode: Callable[[Sequence[str]], Floats],
    order: Order,
    ask: Ask | None = None,
    learnt: Known | None = None,
) -> list[Row]:
    """Rows of ``review_queue`` by their ids, of the triaged turns that no decision settles.

    A turn that says the same as one that was decided on is settled with it, unless its user was dissatisfied: then the
    decision may have been wrong. All turns of a group have the vector of one text, and one priority.

    Args:
        turns: rows of :func:`triaged_turns`.
        decided: the decisions in force, by turn.
        normalise: gives texts the form in which they are grouped and encoded.
        encode: the sentence vectors of normalised texts.
        order: what a decision on each group is worth.
        ask: the live model, which may have learnt since; without one the doubt is that of the model that served.
        learnt: what the live model has learnt.
    """
    settled = {turn_id: one for turn_id, one in decided.items() if one.source == SERVED and one.is_settled}
    waiting = sorted((turn for turn in turns if turn["turn_id"] not in settled), key=lambda turn: str(turn["turn_id"]))
    texts = [normalise(turn["text"]) for turn in waiting]
    known = sorted({normalise(one.raw) for one in settled.values()})
    with timed("review.groups", len(texts)):
        leaders = groups_of([*texts, *known]).tolist()
    answered = set(leaders[len(texts) :])
    kept = [
        place for place, turn in enumerate(waiting) if leaders[place] not in answered or turn["kind"] == DISSATISFIED
    ]
    if not kept:
        return []
    named = [(texts + known)[leader] for leader in leaders]
    names, group_of, counts = np.unique([named[place] for place in kept], return_inverse=True, return_counts=True)
    held = {turn_id for turn_id, one in decided.items() if one.source == SERVED and not one.is_settled}
    doubts, urgencies = np.zeros(len(names), np.float32), np.zeros(len(names), np.float32)
    np.maximum.at(urgencies, group_of, np.array([waiting[place]["urgency"] for place in kept], np.float32))
    vectors = encode(names.tolist())
    if ask is None:
        np.maximum.at(doubts, group_of, np.array([doubt(_candidates(waiting[place])) for place in kept], np.float32))
    else:
        replies = ask(names.tolist(), vectors)
        doubts = np.array([doubt([asdict(one) for one in reply.candidates]) for reply in replies], np.float32)
    with timed("review.order", len(names)):
        priorities = order(Waiting(names.tolist(), vectors, doubts, counts.astype(np.float32), urgencies, learnt))
    cells = pack_vectors(vectors).to_pylist()
    return [
        {
            **{name: waiting[place][name] for name in ("turn_id", "kind", *SHOWN)},
            **preset(waiting[place]),
            "on_hold": waiting[place]["turn_id"] in held,
            "group_id": hashlib.sha256(str(names[group]).encode()).hexdigest()[:32],
            "group_text": str(names[group]),
            "group_size": int(counts[group]),
            "priority": float(priorities[group]),
            "vector": cells[group],
        }
        for place, group in zip(kept, group_of.tolist(), strict=True)
    ]


def encoding(encoder: ModuleRef, earlier: pa.Table | None) -> Callable[[Sequence[str]], Floats]:
    """Encodes normalised texts, but for those whose vectors ``earlier`` (group_text, vector) holds."""
    known: dict[str, bytes] = {}
    if earlier is not None:
        pairs = (earlier.column(name).to_pylist() for name in ("group_text", "vector"))
        known = {text: cell for text, cell in zip(*pairs, strict=True) if text and cell}

    def encode(texts: Sequence[str]) -> Floats:
        new = [text for text in texts if text not in known]
        if new:
            with timed("embed.encoder", len(new)):
                known.update(zip(new, pack_vectors(encoder.load().encode(new)).to_pylist(), strict=True))
        return unpack_vectors(pa.array([known[text] for text in texts], pa.binary()))

    return encode


def preset(turn: Row) -> Row:
    """``preset_intent`` and ``preset_answer``: what the user picked of the suggestions, so what a person need only
    confirm."""
    chosen = next((one for one in _candidates(turn) if one["id"] == turn["chosen_candidate"]), {})
    intent = chosen.get("intent")
    return {"preset_intent": intent, "preset_answer": None if intent else chosen.get("answer")}


def doubt(candidates: Sequence[Row]) -> float:
    """How unsure the bot was of a turn, 0 to 1, by the candidates that it considered."""
    shares = sorted((float(one["score"]) for one in candidates), reverse=True)
    if not shares or shares[0] <= 0:
        return UNKNOWN
    if len(shares) == 1:
        return 1.0 - min(shares[0], 1.0)
    return float(doubt_of(np.array([shares[:2]], np.float32))[0])


def doubt_of(shares: Floats) -> Floats:
    """How unsure a classifier is, (n) from 0 to 1, by its probabilities (n, k): the second highest over the highest."""
    two = np.sort(shares, 1)[:, -2:]
    return np.asarray(two[:, 0] / np.maximum(two[:, -1], np.float32(1e-9)), np.float32)


def _candidates(turn: Row) -> list[Row]:
    found: list[Row] = json.loads(turn["candidates"] or "[]")
    return found
