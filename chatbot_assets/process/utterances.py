"""Turns dialogues into utterances, normalising only raw texts that were not normalised before."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from chatbot_assets.modules import ModuleRef
from resources.reuse import Computed, Scratch, compute_reusing

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

NORMALISED_DDL = "text_key string, text string, tokens array<string>, excluded string"
NORMALISED_SCHEMA = pa.schema(
    [
        ("text_key", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.list_(pa.string())),
        ("excluded", pa.string()),
    ]
)
EMPTY = "nothing is left after normalisation"
FOREIGN = "not in the bot's language"
SEPARATOR = "\u001f"
"""Unit separator: normalised texts cannot contain it, so joined fields stay distinct."""
HASH_DIGITS = 32


class NormaliseTexts:
    """For ``mapInArrow``: rows (text_key, raw) become rows of ``NORMALISED_SCHEMA``.

    The modules are made once per worker process, on the worker.
    """

    def __init__(self, normaliser: ModuleRef, segmenter: ModuleRef, language_check: ModuleRef) -> None:
        self.normaliser = normaliser
        self.segmenter = segmenter
        self.language_check = language_check

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        normalise, segment, check = self.normaliser.load(), self.segmenter.load(), self.language_check.load()
        for batch in batches:
            texts = [normalise(raw) for raw in batch.column("raw").to_pylist()]
            excluded = [EMPTY if not text else None if check(text) else FOREIGN for text in texts]
            columns = [batch.column("text_key"), texts, segment(texts), excluded]
            arrays = [
                pa.array(column, field.type) if isinstance(column, list) else column.cast(field.type)
                for column, field in zip(columns, NORMALISED_SCHEMA, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=NORMALISED_SCHEMA)


def candidates(dialogues: "DataFrame", module_key: str) -> "DataFrame":
    """Rows (text_key, raw, intent, answer, turn_id) of user turns that carry a label.

    A user turn that is directly followed by a bot turn in the same conversation has that turn as its answer.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    conversation = Window.partitionBy("dialogue_id", "file_sha256").orderBy("turn", "source_line")
    reply = F.when(F.lead("speaker").over(conversation) == "bot", F.lead("text").over(conversation))
    turns = dialogues.filter(F.col("dialogue_id").isNotNull()).withColumn("answer", F.coalesce("answer", reply))
    return (
        dialogues.filter(F.col("dialogue_id").isNull())
        .unionByName(turns)
        .filter((F.col("speaker") == "user") & (F.col("intent").isNotNull() | F.col("answer").isNotNull()))
        .select(
            _hash(F.lit(module_key), F.col("text")).alias("text_key"),
            F.col("text").alias("raw"),
            "intent",
            "answer",
            "turn_id",
        )
    )


def known_texts(utterances: "DataFrame") -> "DataFrame":
    """What earlier refreshes normalised, by key."""
    from pyspark.sql import functions as F

    exploded = utterances.select(F.explode("text_keys").alias("text_key"), "text", "tokens", "excluded")
    return exploded.dropDuplicates(["text_key"])


def build_utterances(
    dialogues: "DataFrame",
    earlier: "DataFrame | None",
    *,
    language: str,
    normaliser: ModuleRef,
    segmenter: ModuleRef,
    language_check: ModuleRef,
    code: dict[str, str],
    test_share: float,
    temporary: Scratch,
) -> tuple["DataFrame", Computed]:
    """The utterances of a bot, and how many of its raw texts had to be normalised.

    Args:
        dialogues: the table's rows.
        earlier: the rows of ``utterances`` as of the last refresh, if any.
        language: the bot's language, written into each row.
        normaliser: module that gives a text its normal form.
        segmenter: module that cuts texts into tokens.
        language_check: module that says whether a text can be of the bot's language.
        code: the code version of each of the three modules, by its name here.
        test_share: share of the texts that are held out. A text's split depends on the text alone.
        temporary: where intermediate results are kept.
    """
    from pyspark.sql import functions as F

    modules = {"normaliser": normaliser, "segmenter": segmenter, "language_check": language_check}
    module_key = json.dumps({name: module.key(code[name]) for name, module in modules.items()}, sort_keys=True)
    rows = candidates(dialogues, module_key)
    computed = compute_reusing(
        rows.select("text_key", "raw").dropDuplicates(["text_key"]),
        None if earlier is None else known_texts(earlier),
        "text_key",
        NormaliseTexts(normaliser, segmenter, language_check),
        NORMALISED_DDL,
        temporary,
    )
    utterances = (
        rows.join(computed.rows, "text_key")
        .groupBy("text", "intent", "answer")
        .agg(
            F.first("tokens").alias("tokens"),
            F.first("excluded").alias("excluded"),
            F.sort_array(F.collect_set("turn_id")).alias("sources"),
            F.sort_array(F.collect_set("text_key")).alias("text_keys"),
        )
        .withColumn("utterance_id", _hash(F.col("text"), F.col("intent"), F.col("answer")))
        .withColumn("language", F.lit(language))
        .withColumn("split", F.when(_share(F.col("text")) < test_share, "test").otherwise("train"))
    )
    return utterances, computed


def _hash(*fields: "Column") -> "Column":
    from pyspark.sql import functions as F

    present = [F.coalesce(field, F.lit("\u0000")) for field in fields]
    return F.substring(F.sha2(F.concat_ws(SEPARATOR, *present), 256), 1, HASH_DIGITS)


def _share(text: "Column") -> "Column":
    """A number in [0, 1) that depends on the text alone and is spread evenly."""
    from pyspark.sql import functions as F

    digits = F.substring(F.sha2(F.concat(F.lit("split" + SEPARATOR), text), 256), 1, 8)
    return F.conv(digits, 16, 10).cast("double") / float(2**32)
