"""Turns dialogues into utterances, normalising only raw texts that were not normalised before.

A text that people decided on has the label that they gave it: other labels of the same text are left out.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from chatbot_assets.modules import ModuleRef
from chatbot_assets.process.decisions import EXCLUDE, LANDED, MODIFY, SERVED
from resources.metering import timed
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
MODULES = ("normaliser", "segmenter", "language_check", "privacy", "answer_privacy")
"""The modules of this stage, by their names below ``process`` in a bot's YAML."""
EMPTY = "nothing is left after normalisation"
FOREIGN = "not in the bot's language"
TAKEN_OUT = "a review excluded it"
OVERRULED = "a review decided on another label"
SEPARATOR = "\u001f"
"""Unit separator: normalised texts cannot contain it, so joined fields stay distinct."""
HASH_DIGITS = 32


class NormaliseTexts:
    """For ``mapInArrow``: rows (text_key, raw) become rows of ``NORMALISED_SCHEMA``.

    The modules are made once per worker process, on the worker.
    """

    def __init__(
        self, normaliser: ModuleRef, segmenter: ModuleRef, language_check: ModuleRef, privacy: ModuleRef
    ) -> None:
        self.normaliser = normaliser
        self.segmenter = segmenter
        self.language_check = language_check
        self.privacy = privacy

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        normalise, segment, check = self.normaliser.load(), self.segmenter.load(), self.language_check.load()
        mask = self.privacy.load()
        for batch in batches:
            raws, rows = batch.column("raw").to_pylist(), batch.num_rows
            with timed("process.privacy", rows):
                masked = [mask(raw) for raw in raws]
            with timed("process.normaliser", rows):
                normalised = [normalise(text) for text in masked]
            with timed("process.privacy", 0):
                # Masked again: a normaliser of the user's own may bring digits together that stood apart.
                texts = [mask(text) for text in normalised]
            with timed("process.language_check", rows):
                excluded = [EMPTY if not text else None if check(text) else FOREIGN for text in texts]
            with timed("process.segmenter", rows):
                tokens = segment(texts)
            columns = [batch.column("text_key"), texts, tokens, excluded]
            arrays = [
                pa.array(column, field.type) if isinstance(column, list) else column.cast(field.type)
                for column, field in zip(columns, NORMALISED_SCHEMA, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=NORMALISED_SCHEMA)


class MaskAnswers:
    """For ``mapInArrow``: masks the column ``answer``; ``inferred`` tells answers that conversations gave."""

    def __init__(self, privacy: ModuleRef, answer_privacy: ModuleRef) -> None:
        self.privacy = privacy
        self.answer_privacy = answer_privacy

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        mask, mask_own = self.privacy.load(), self.answer_privacy.load()
        for batch in batches:
            found = zip(batch.column("answer").to_pylist(), batch.column("inferred").to_pylist(), strict=True)
            with timed("process.answer_privacy", batch.num_rows):
                answers = [answer and (mask if inferred else mask_own)(answer) for answer, inferred in found]
            place = batch.schema.get_field_index("answer")
            yield batch.set_column(place, "answer", pa.array(answers, pa.string()))


CANDIDATE_DDL = (
    "text_key string, raw string, intent string, answer string, turn_id string, taken_out boolean, "
    "reviewed boolean, inferred boolean"
)


def candidates(
    dialogues: "DataFrame", decided: "DataFrame | None", module_key: str, only_new: bool = False
) -> "DataFrame":
    """Rows of ``CANDIDATE_DDL``: user turns that carry a label, theirs or the one that a review gave them.

    A user turn that is directly followed by a bot turn in the same conversation has that turn as its answer.
    ``decided`` has the columns of ``decisions.DECIDED_DDL``; its modified served turns are rows too, unless
    ``only_new`` says that they have been before.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    conversation = Window.partitionBy("dialogue_id", "file_sha256").orderBy("turn", "source_line")
    reply = F.when(F.lead("speaker").over(conversation) == "bot", F.lead("raw").over(conversation))
    columns = ["turn_id", "raw", "intent", "answer", "inferred", "speaker"]
    dialogues = dialogues.withColumnRenamed("text", "raw")
    turns = (
        dialogues.filter(F.col("dialogue_id").isNotNull())
        .withColumn("inferred", F.col("answer").isNull())
        .withColumn("answer", F.coalesce("answer", reply))
    )
    rows = (
        dialogues.filter(F.col("dialogue_id").isNull())
        .withColumn("inferred", F.lit(False))
        .select(*columns)
        .unionByName(turns.select(*columns))
        .filter(F.col("speaker") == "user")
        .drop("speaker")
    )
    if decided is None:
        rows = rows.withColumn("taken_out", F.lit(False)).withColumn("reviewed", F.lit(False))
    else:
        landed = decided.filter(F.col("source") == LANDED).select("turn_id", "action", "new_intent", "new_answer")
        modified = F.coalesce(F.col("action") == MODIFY, F.lit(False))
        given = modified & F.col("new_answer").isNotNull()
        rows = rows.join(landed, "turn_id", "left").select(
            "turn_id",
            "raw",
            F.when(modified, F.coalesce("new_intent", "intent")).otherwise(F.col("intent")).alias("intent"),
            F.when(given, F.col("new_answer")).otherwise(F.col("answer")).alias("answer"),
            (F.col("inferred") & ~given).alias("inferred"),
            F.coalesce(F.col("action") == EXCLUDE, F.lit(False)).alias("taken_out"),
            modified.alias("reviewed"),
        )
        taught = decided.filter((F.col("source") == SERVED) & (F.col("action") == MODIFY)).select(
            "turn_id",
            "raw",
            F.col("new_intent").alias("intent"),
            F.col("new_answer").alias("answer"),
            F.lit(False).alias("inferred"),
            F.lit(False).alias("taken_out"),
            F.lit(True).alias("reviewed"),
        )
        rows = rows if only_new else rows.unionByName(taught)
    return rows.filter(F.col("intent").isNotNull() | F.col("answer").isNotNull()).select(
        _hash(F.lit(module_key), F.col("raw")).alias("text_key"),
        "raw",
        "intent",
        "answer",
        "turn_id",
        "taken_out",
        "reviewed",
        "inferred",
    )


def known_texts(utterances: "DataFrame") -> "DataFrame":
    """What earlier refreshes normalised, by key."""
    from pyspark.sql import functions as F

    by_module = F.when(~F.col("excluded").isin(TAKEN_OUT, OVERRULED), F.col("excluded"))
    return utterances.select(F.explode("text_keys").alias("text_key"), "text", "tokens", by_module.alias("excluded"))


def build_utterances(
    dialogues: "DataFrame",
    earlier: "DataFrame | None",
    decided: "DataFrame | None" = None,
    *,
    language: str,
    modules: Mapping[str, ModuleRef],
    code: Mapping[str, str],
    test_share: float,
    only_new: bool = False,
    temporary: Scratch,
) -> tuple["DataFrame", Computed]:
    """The utterances of a bot, and how many of its raw texts had to be normalised.

    Args:
        dialogues: the table's rows, or those of whole landing files.
        earlier: the rows of ``utterances`` as of the last refresh, if any.
        decided: the decisions in force (``decisions.DECIDED_DDL``), if any.
        language: the bot's language, written into each row.
        modules: the modules of this stage, by their names in ``MODULES``.
        code: the code version of each of them.
        test_share: share of the texts that are held out. A text's split depends on the text alone, save that one that
            a review taught the bot from a served turn is always learnt from.
        only_new: whether ``dialogues`` are new landing files, to be joined with ``earlier`` (:func:`joined_with`).
        temporary: where intermediate results are kept.
    """
    from pyspark.sql import functions as F

    shaping = [name for name in MODULES if name != "answer_privacy"]
    module_key = json.dumps({name: modules[name].key(code[name]) for name in shaping}, sort_keys=True)
    masked = MaskAnswers(modules["privacy"], modules["answer_privacy"])
    rows, _ = temporary.keep(candidates(dialogues, decided, module_key, only_new).mapInArrow(masked, CANDIDATE_DDL))
    raws = rows.select("text_key", "raw")
    corrections = None
    if decided is not None:
        modified = decided.filter(F.col("action") == MODIFY)
        corrections = modified.withColumn("text_key", _hash(F.lit(module_key), F.col("raw")))
        raws = raws.unionByName(corrections.select("text_key", "raw"))
    computed = compute_reusing(
        raws.dropDuplicates(["text_key"]),
        None if earlier is None else known_texts(earlier),
        "text_key",
        NormaliseTexts(*(modules[name] for name in shaping)),
        NORMALISED_DDL,
        temporary,
    )
    rows = rows.join(computed.rows, "text_key")
    if corrections is None:
        rows = rows.withColumn("excluded_by_review", F.lit(None).cast("string")).withColumn("taught", F.lit(False))
    else:
        rows = _overruled(rows, corrections.join(computed.rows.select("text_key", "text"), "text_key"))
    utterances = (
        rows.groupBy("text", "intent", "answer")
        .agg(
            F.first("tokens").alias("tokens"),
            F.coalesce(F.first("excluded"), F.max("excluded_by_review")).alias("excluded"),
            F.max("reviewed").alias("reviewed"),
            F.max("taught").alias("taught"),
            F.sort_array(F.collect_set("turn_id")).alias("sources"),
            F.sort_array(F.collect_set("text_key")).alias("text_keys"),
        )
        .withColumn("utterance_id", _hash(F.col("text"), F.col("intent"), F.col("answer")))
        .withColumn("language", F.lit(language))
        .withColumn("split", F.when(~F.col("taught") & (_share(F.col("text")) < test_share), "test").otherwise("train"))
        .drop("taught")
    )
    return utterances, computed


def joined_with(utterances: "DataFrame", earlier: "DataFrame") -> "DataFrame":
    """Utterances of new landing files, joined with what those of them that are there ``earlier`` came from.

    What reviews decided about their earlier sources goes on to count.
    """
    from pyspark.sql import functions as F

    carried = ("sources", "text_keys", "excluded", "reviewed")
    before = earlier.select("utterance_id", *(F.col(name).alias(f"old_{name}") for name in carried))
    joined = utterances.join(before, "utterance_id", "left")
    for name in ("sources", "text_keys"):
        both = F.array_union(F.col(name), F.coalesce(F.col(f"old_{name}"), F.array().cast("array<string>")))
        joined = joined.withColumn(name, F.sort_array(both))
    return (
        joined.withColumn("excluded", F.coalesce("excluded", "old_excluded"))
        .withColumn("reviewed", F.col("reviewed") | F.coalesce("old_reviewed", F.lit(False)))
        .drop(*(f"old_{name}" for name in carried))
    )


def _overruled(rows: "DataFrame", corrections: "DataFrame") -> "DataFrame":
    """Adds what corrections mean for all rows of the same text: ``excluded_by_review`` and ``taught``."""
    from pyspark.sql import functions as F

    by_text = corrections.groupBy("text").agg(
        F.collect_set("new_intent").alias("right_intents"),
        F.collect_set("new_answer").alias("right_answers"),
        F.max(F.col("source") == SERVED).alias("taught"),
    )
    wrong_intent = (F.size("right_intents") > 0) & ~F.coalesce(
        F.array_contains("right_intents", F.col("intent")), F.lit(False)
    )
    wrong_answer = (
        (F.size("right_answers") > 0)
        & F.col("answer").isNotNull()
        & ~F.coalesce(F.array_contains("right_answers", F.col("answer")), F.lit(False))
    )
    overruled = ~F.col("reviewed") & (F.coalesce(wrong_intent, F.lit(False)) | F.coalesce(wrong_answer, F.lit(False)))
    return (
        rows.join(by_text, "text", "left")
        .withColumn(
            "excluded_by_review",
            F.when(F.col("taken_out"), F.lit(TAKEN_OUT)).when(overruled, F.lit(OVERRULED)),
        )
        .withColumn("taught", F.coalesce("taught", F.lit(False)))
    )


def _hash(*fields: "Column") -> "Column":
    from pyspark.sql import functions as F

    present = [F.coalesce(field, F.lit("\u0000")) for field in fields]
    return F.substring(F.sha2(F.concat_ws(SEPARATOR, *present), 256), 1, HASH_DIGITS)


def _share(text: "Column") -> "Column":
    """A number in [0, 1) that depends on the text alone and is spread evenly."""
    from pyspark.sql import functions as F

    digits = F.substring(F.sha2(F.concat(F.lit("split" + SEPARATOR), text), 256), 1, 8)
    return F.conv(digits, 16, 10).cast("double") / float(2**32)
