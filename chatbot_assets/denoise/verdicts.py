"""From utterances with their vectors to one verdict each."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.denoise.judge import Judge, LabelledRows
from chatbot_assets.embed.vectors import vectors_of
from resources.metering import timed

KEEP, RELABEL, DROP, REVIEW = VERDICTS = ("keep", "relabel", "drop", "review")
UTTERANCE_COLUMNS = ("utterance_id", "text", "tokens", "intent", "split", "excluded", "reviewed")


def judge_labels(utterances: pa.Table, embeddings: pa.Table, judge: Judge) -> list[dict[str, Any]]:
    """Rows of ``labels``, one for each utterance in use, in the order of their ids.

    Utterances without an intent are kept. Held-out ones are never relabelled or dropped, only shown: what is measured
    must not be chosen by a model.

    Args:
        utterances: rows with ``UTTERANCE_COLUMNS``.
        embeddings: rows (text_id, vector) that hold their texts.
        judge: the module that judges labels.
    """
    used = utterances.filter(pc.is_null(utterances.column("excluded"))).sort_by("utterance_id")
    labelled = used.filter(pc.is_valid(used.column("intent")))
    texts = labelled.column("text").to_pylist()
    rows = LabelledRows(
        ids=labelled.column("utterance_id").to_pylist(),
        texts=texts,
        tokens=labelled.column("tokens").to_pylist(),
        vectors=vectors_of(texts, embeddings),
        intents=labelled.column("intent").to_pylist(),
        reviewed=labelled.column("reviewed").to_pylist(),
    )
    with timed("denoise.judge", len(texts)):
        verdicts = dict(zip(rows.ids, judge(rows), strict=True)) if texts else {}
    found = []
    for row in used.select(["utterance_id", "intent", "split"]).to_pylist():
        verdict = verdicts.get(row["utterance_id"])
        only_shown = verdict is not None and row["split"] == "test" and verdict.verdict in (RELABEL, DROP)
        found.append(
            {
                "utterance_id": row["utterance_id"],
                "intent": row["intent"],
                "quality": verdict.quality if verdict else None,
                "verdict": REVIEW if only_shown else verdict.verdict if verdict else KEEP,
                "suggested_intent": verdict.suggested_intent if verdict else None,
            }
        )
    return found
