"""Declares ``utterances``."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from chatbot_assets.delta_asset import Stage, delta_asset
from chatbot_assets.process.decisions import COLUMNS, DECIDED_DDL, decided_rows
from chatbot_assets.process.utterances import MODULES, build_utterances, joined_with
from chatbot_assets.tables import UTTERANCES
from resources.lakehouse import Change

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def _compute(stage: Stage) -> Change:
    process, session = stage.bot.process, stage.engine.session
    earlier = stage.table.frame(session) if stage.last else None
    new_files = _new_landing_files(stage)
    dialogues = stage.inputs["dialogues"].frame()
    with stage.temporary() as temporary:
        frame, computed = build_utterances(
            dialogues if new_files is None else session.read.schema(dialogues.schema).parquet(*map(str, new_files)),
            earlier,
            _decided(stage),
            language=stage.bot.language,
            modules={name: getattr(process, name) for name in MODULES},
            code={name: stage.code(f"process.{name}") for name in MODULES},
            test_share=process.test_share,
            only_new=new_files is not None,
            temporary=temporary,
        )
        staged = stage.table.stage_frame(frame if new_files is None or earlier is None else joined_with(frame, earlier))
    stage.log(f"{computed.rows_computed} raw texts normalised, {computed.rows_reused} reused")
    rows = {"rows_in": computed.rows_in, "rows_computed": computed.rows_computed, "rows_reused": computed.rows_reused}
    found = list(stage.table.staged_rows(staged, ["utterance_id", "split", "excluded", "sources"]))
    if new_files is None or earlier is None:
        return stage.table.overwrite(staged, **rows, notes=_notes(found, {}))
    turns = {turn for path in new_files for turn in pq.ParquetFile(path).read(["turn_id"]).column(0).to_pylist()}
    known = [row["utterance_id"] for row in found if not turns.issuperset(row["sources"])]
    ids = pa.array(known, pa.string())
    assert stage.last is not None and stage.last.record is not None
    return stage.table.amend(
        staged,
        (lambda batch: pc.is_in(batch.column("utterance_id"), value_set=ids)) if known else None,
        ["utterance_id"],
        **rows,
        notes=_notes((row for row in found if turns.issuperset(row["sources"])), stage.last.record.notes),
    )


def _new_landing_files(stage: Stage) -> list[Path] | None:
    """The data files of ``dialogues`` to look at, when landing files joined it and nothing else changed; else None.

    A conversation never spans landing files, so the rows of new files can be worked on by themselves. Files of
    ``dialogues`` that hold further rows of a landing file read before cannot.
    """
    added = stage.files_added_to("dialogues")
    if added is None:
        return None
    column = "file_sha256"
    new = {sha for path in added for sha in pc.unique(pq.ParquetFile(path).read([column]).column(0)).to_pylist()}
    assert stage.last is not None and stage.last.record is not None
    version = stage.last.record.signature.inputs["dialogues"].version
    before = stage.inputs["dialogues"].table.arrow([column], version).column(column)
    return None if new & set(pc.unique(before).to_pylist()) else added


def _decided(stage: Stage) -> "DataFrame | None":
    """The review decisions in force; None when nobody has decided anything yet."""
    decisions = stage.inputs["review_decisions"]
    rows = decided_rows(decisions.arrow(*COLUMNS)) if decisions.commit else None
    return stage.engine.session.createDataFrame(rows, DECIDED_DDL) if rows else None


def _notes(rows: Iterable[Mapping[str, Any]], before: Mapping[str, int]) -> dict[str, int]:
    """How many utterances are learnt from, held out and left out: those of ``before`` and these rows."""
    counts = Counter(before)
    counts.update("excluded" if row["excluded"] else row["split"] for row in rows)
    return {name: counts[name] for name in ("train", "test", "excluded")}


utterances = delta_asset(UTTERANCES, _compute, kinds={"spark"})
