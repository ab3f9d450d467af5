"""Labels that a person should look at: those that the judge doubts, and texts that stand under several intents."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.denoise.verdicts import KEEP

LABEL, CONFLICT = KINDS = ("label", "conflict")
UTTERANCE_COLUMNS = ("utterance_id", "text", "intent", "excluded", "reviewed", "sources")
LABEL_COLUMNS = ("utterance_id", "quality", "verdict", "suggested_intent")


def suspects(utterances: pa.Table, labels: pa.Table) -> list[dict[str, Any]]:
    """Rows with columns of ``review_queue``, the most doubtful first, to be decided on like served turns.

    ``turn_id`` is the landed row that a decision is about, ``intent`` its label, ``score`` the label's quality (0 to 1)
    and ``preset_intent`` the intent that fits better, if there is one. Labels that a person decided on are left out.

    Args:
        utterances: rows with ``UTTERANCE_COLUMNS``.
        labels: rows with ``LABEL_COLUMNS``.
    """
    used = utterances.filter(
        pc.and_(pc.is_null(utterances.column("excluded")), pc.is_valid(utterances.column("intent")))
    )
    verdicts = {row["utterance_id"]: row for row in labels.select(list(LABEL_COLUMNS)).to_pylist()}
    rows = used.select(list(UTTERANCE_COLUMNS)).to_pylist()
    intents_of: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        intents_of[row["text"]].add(row["intent"])
    found = [
        _row(row, verdicts.get(row["utterance_id"], {}), len(intents_of[row["text"]]) > 1)
        for row in rows
        if not row["reviewed"]
    ]
    return sorted((row for row in found if row), key=lambda row: (-row["priority"], row["turn_id"]))


def _row(utterance: Mapping[str, Any], verdict: Mapping[str, Any], conflicts: bool) -> dict[str, Any] | None:
    if not conflicts and verdict.get("verdict", KEEP) == KEEP:
        return None
    quality = verdict.get("quality")
    return {
        "turn_id": utterance["sources"][0],
        "kind": CONFLICT if conflicts else LABEL,
        "on_hold": False,
        "group_id": utterance["utterance_id"],
        "group_text": utterance["text"],
        "group_size": len(utterance["sources"]),
        "priority": 1.0 - (quality or 0.0),
        "text": utterance["text"],
        "intent": utterance["intent"],
        "score": quality,
        "preset_intent": verdict.get("suggested_intent"),
    }
