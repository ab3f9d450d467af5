"""Declares ``embeddings``."""

import os

from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.embed.vectors import (
    GROUP_ROWS,
    VECTOR_DDL,
    EncodeTexts,
    distinct_texts,
    encoder_version,
    end_processes,
    leaving,
)
from chatbot_assets.tables import EMBEDDINGS
from resources.lakehouse import Change
from resources.reuse import compute_new


def _compute(stage: Stage) -> Change:
    from pyspark.sql import functions as F

    encoder = stage.bot.embed.encoder
    version = encoder_version(encoder, stage.code("embed.encoder"))
    texts = distinct_texts(stage.inputs["utterances"].frame(), stage.inputs["paraphrase_candidates"].frame())
    earlier = stage.table.frame(stage.engine.session) if stage.last else None
    processes = stage.bot.resources.processes or os.cpu_count() or 1
    with stage.temporary() as temporary:
        texts, rows_in = temporary.keep(texts)
        known = None if earlier is None else earlier.filter(F.col("encoder_version") == version)
        encode = EncodeTexts(encoder, version, processes)
        groups = rows_in // GROUP_ROWS + 1
        try:
            new, computed = compute_new(texts, known, "text_id", encode, VECTOR_DDL, temporary, groups)
        finally:
            end_processes()
        staged = stage.table.stage_frame(new)
        gone = [] if earlier is None else earlier.join(texts, "text_id", "left_anti").select("text_id").collect()
    stage.log(f"{computed} texts encoded, {len(gone)} vectors no longer in use")
    return stage.table.amend(
        staged,
        leaving(sorted(row["text_id"] for row in gone), version),
        ["text_id", "encoder_version"],
        rows_in=rows_in,
        rows_computed=computed,
        rows_reused=rows_in - computed,
    )


embeddings = delta_asset(EMBEDDINGS, _compute, kinds={"spark", "numpy"})
