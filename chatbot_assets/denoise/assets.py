"""Declares ``labels``. The computing code is imported when it runs: loading the graph stays light."""

from collections import Counter

import pyarrow as pa

from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.tables import LABELS
from resources.lakehouse import Change


def _compute(stage: Stage) -> Change:
    from chatbot_assets.denoise.verdicts import UTTERANCE_COLUMNS, judge_labels

    found = judge_labels(
        stage.inputs["utterances"].arrow(*UTTERANCE_COLUMNS),
        stage.inputs["embeddings"].arrow("text_id", "vector"),
        stage.bot.denoise.judge.load(),
    )
    verdicts = Counter(row["verdict"] for row in found)
    stage.log(f"verdicts: {dict(sorted(verdicts.items()))}")
    return stage.table.overwrite(
        stage.table.stage_arrow(pa.Table.from_pylist(found, stage.table.table.schema)),
        rows_in=len(found),
        rows_computed=len(found),
        notes=dict(sorted(verdicts.items())),
    )


labels = delta_asset(LABELS, _compute, kinds={"cleanlab"})
