"""Declares ``paraphrase_candidates`` and ``paraphrases``. The gate is imported when it runs."""

import hashlib
import json
from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.augment.candidates import CANDIDATES_DDL, MakeCandidates, texts_of_small_intents
from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.modules import load_ahead
from chatbot_assets.tables import PARAPHRASE_CANDIDATES, PARAPHRASES
from resources.lakehouse import Change
from resources.reuse import compute_new


def _propose(stage: Stage) -> Change:
    augment, process = stage.bot.augment, stage.bot.process
    load_ahead(stage.bot.embed.encoder)  # the stage after this one needs it, and loading takes a second or two
    keys = [rule.key(stage.code(f"augment.rules.{place}")) for place, rule in enumerate(augment.rules)]
    keys += [getattr(process, name).key(stage.code(f"process.{name}")) for name in ("normaliser", "segmenter")]
    rules_key = hashlib.sha256(json.dumps([keys, augment.flows, augment.limit]).encode()).hexdigest()
    earlier = stage.table.frame(stage.engine.session) if stage.last else None
    make = MakeCandidates(augment.rules, augment.flows, augment.limit, process.normaliser, process.segmenter)
    up_to = augment.up_to if augment.rules else 0
    with stage.temporary() as temporary:
        texts, rows_in = temporary.keep(texts_of_small_intents(stage.inputs["utterances"].frame(), up_to, rules_key))
        new, computed = compute_new(texts, earlier, "text_key", make, CANDIDATES_DDL, temporary)
        staged = stage.table.stage_frame(new)
        gone = [] if earlier is None else earlier.join(texts, "text_key", "left_anti").select("text_key").collect()
    leaving = pa.array(sorted(row["text_key"] for row in gone), pa.string())
    stage.log(f"{computed} texts paraphrased, {len(leaving)} no longer in need of it")
    return stage.table.amend(
        staged,
        (lambda batch: pc.is_in(batch.column("text_key"), value_set=leaving)) if gone else None,
        ["text_key"],
        rows_in=rows_in,
        rows_computed=computed,
        rows_reused=rows_in - computed,
    )


def _judge(stage: Stage) -> Change:
    from chatbot_assets.augment.paraphrases import Parent, judge_candidates
    from chatbot_assets.train.rows import read_rows

    inputs, augment = stage.inputs, stage.bot.augment
    candidates = inputs["paraphrase_candidates"].arrow("text_id", "rules", "candidates", "candidate_tokens")
    labels = inputs["labels"] if stage.bot.denoise.policy == "automatic" else None
    rows = read_rows(inputs["utterances"], inputs["embeddings"], "train", labels)
    utterances = inputs["utterances"].arrow("text", "split", "excluded")
    used = utterances.filter(pc.is_null(utterances.column("excluded")))
    found = judge_candidates(
        [Parent(*row) for row in zip(rows.ids, rows.texts, rows.tokens, rows.intents, rows.answers, strict=True)],
        candidates,
        inputs["embeddings"].arrow("text_id", "vector"),
        augment.gate.load(),
        augment.up_to,
        held_out=set(used.filter(pc.equal(used.column("split"), "test")).column("text").to_pylist()),
    )
    fates = Counter("kept" if row["kept"] else row["reason"] for row in found)
    stage.log(f"{fates['kept']} of {len(found)} candidates kept")
    return stage.table.overwrite(
        stage.table.stage_arrow(pa.Table.from_pylist(found, stage.table.table.schema)),
        rows_in=len(found),
        rows_computed=len(found),
        notes=dict(sorted(fates.items())),
    )


paraphrase_candidates = delta_asset(PARAPHRASE_CANDIDATES, _propose, kinds={"spark"})
paraphrases = delta_asset(PARAPHRASES, _judge, kinds={"numpy"})
