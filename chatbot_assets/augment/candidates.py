"""Candidates for paraphrases: what the rules make of the texts of small intents, computed once per text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from chatbot_assets.augment.paraphraser import Paraphraser
from chatbot_assets.modules import ModuleRef
from resources.metering import timed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

CANDIDATES_DDL = (
    "text_id string, text string, text_key string, rules array<string>, candidates array<string>, "
    "candidate_tokens array<string>"
)
CANDIDATES_SCHEMA = pa.schema(
    [
        ("text_id", pa.string()),
        ("text", pa.string()),
        ("text_key", pa.string()),
        ("rules", pa.list_(pa.string())),
        ("candidates", pa.list_(pa.string())),
        ("candidate_tokens", pa.list_(pa.string())),
    ]
)
FEW_QUESTIONS = 1_000
"""A bot with more questions without an intent than this has no small data: none of them is paraphrased."""


class MakeCandidates:
    """For ``mapInArrow``: rows (text_id, text, text_key) become rows of ``CANDIDATES_SCHEMA``.

    A text of which no rule makes anything has empty lists, so that it is not tried again.
    """

    def __init__(
        self,
        rules: Sequence[ModuleRef],
        flows: Sequence[Sequence[str]],
        limit: int,
        normaliser: ModuleRef,
        segmenter: ModuleRef,
    ) -> None:
        self.rules = tuple(rules)
        self.flows = tuple(flows)
        self.limit = limit
        self.normaliser = normaliser
        self.segmenter = segmenter

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        paraphrase: Paraphraser | None = None
        for batch in batches:
            if not batch.num_rows:
                continue
            # Made with the first text: loading rules takes seconds, and most refreshes have no new text for them.
            paraphrase = paraphrase or Paraphraser(self.rules, self.flows, self.limit)
            normalise, segment = self.normaliser.load(), self.segmenter.load()
            found_rows = batch.select(["text_id", "text", "text_key"]).to_pylist()
            with timed("augment.rules", len(found_rows)):
                proposed = [paraphrase(row["text"]) for row in found_rows]
            rows = []
            for row, paraphrases in zip(found_rows, proposed, strict=True):
                found = {normalise(one.text): one.rule for one in reversed(paraphrases)}
                kept = [(text, rule) for text, rule in reversed(found.items()) if text and text != row["text"]]
                texts = [text for text, _ in kept]
                tokens = [json.dumps(one, ensure_ascii=False) for one in segment(texts)]
                rows.append(
                    row | {"rules": [rule for _, rule in kept], "candidates": texts, "candidate_tokens": tokens}
                )
            yield pa.RecordBatch.from_pylist(rows, schema=CANDIDATES_SCHEMA)


def texts_of_small_intents(utterances: "DataFrame", up_to: int, rules_key: str) -> "DataFrame":
    """Rows (text_id, text, text_key): distinct texts to learn from whose intent has fewer than ``up_to`` of them.

    Questions without an intent count as small data as long as the bot has at most ``FEW_QUESTIONS``.
    """
    from pyspark.sql import functions as F

    used = utterances.filter(F.col("excluded").isNull() & (F.col("split") == "train"))
    sizes = used.groupBy(F.col("intent").alias("sized")).agg(F.countDistinct("text").alias("size"))
    few = F.when(F.col("sized").isNull(), F.lit(FEW_QUESTIONS if up_to else -1)).otherwise(F.lit(up_to - 1))
    text_key = F.sha2(F.concat(F.lit(rules_key), F.lit("\u001f"), F.col("text")), 256)
    small = sizes.filter(F.col("size") <= few).select("sized")
    return (
        used.join(small, F.col("intent").eqNullSafe(F.col("sized")), "left_semi")
        .select("text")
        .distinct()
        .select(
            F.substring(F.sha2("text", 256), 1, 32).alias("text_id"),
            "text",
            F.substring(text_key, 1, 32).alias("text_key"),
        )
    )
