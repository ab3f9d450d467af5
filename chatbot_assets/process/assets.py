"""Declares ``utterances``."""

from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.process.utterances import build_utterances
from chatbot_assets.tables import UTTERANCES
from resources.lakehouse import Change


def _compute(stage: Stage) -> Change:
    process = stage.bot.process
    with stage.temporary() as temporary:
        frame, computed = build_utterances(
            stage.inputs["dialogues"].frame(),
            stage.table.frame(stage.engine.session) if stage.last else None,
            language=stage.bot.language,
            normaliser=process.normaliser,
            segmenter=process.segmenter,
            language_check=process.language_check,
            code={name: stage.code(f"process.{name}") for name in ("normaliser", "segmenter", "language_check")},
            test_share=process.test_share,
            temporary=temporary,
        )
        staged = stage.table.stage_frame(frame)
    notes: dict[str, int] = {"train": 0, "test": 0, "excluded": 0}
    for row in stage.table.staged_rows(staged, ["split", "excluded"]):
        notes["excluded" if row["excluded"] else row["split"]] += 1
    stage.log(f"{computed.rows_computed} raw texts normalised, {computed.rows_reused} reused; {notes}")
    return stage.table.overwrite(
        staged,
        rows_in=computed.rows_in,
        rows_computed=computed.rows_computed,
        rows_reused=computed.rows_reused,
        notes=notes,
    )


utterances = delta_asset(UTTERANCES, _compute, kinds={"spark"})
