"""What the tables of the stages must hold beyond their columns and keys; one function a check, in the data's order."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.deploy.record import ERASED
from chatbot_assets.embed.vectors import text_id
from chatbot_assets.process.decisions import COLUMNS, EXCLUDE, MODIFY, SERVED, in_force
from chatbot_assets.quality.common import marked_rows, rows_that
from chatbot_assets.quality.findings import Found, judged, shortened
from chatbot_assets.quality.rules import (
    broken_files,
    lengths_differ,
    on_both_sides,
    outside_of,
    unknown,
    unsound_vectors,
)
from chatbot_assets.quality.view import View
from resources.model_store import model_id

REJECTED_SHARE = 0.1
"""A landing of which more is refused has probably a wrong mapping or encoding."""
EXCLUDED_SHARE = 0.2
"""With more than this left out, the bot's language or its privacy rules deserve a look."""
FEW_TEXTS = 5
"""An intent with fewer texts to learn from is hardly learnt, and its labels are not judged (``denoise``)."""
FLAGGED_SHARE = 0.2
"""With more labels than this suspected, it is rather the intents that overlap than single labels that are wrong."""
WEAK_F1 = 0.5
"""An intent below is misunderstood more often than not."""
WEAK_SUPPORT = 3
"""Held-out rows from which on an intent's F1 says anything."""
SIGNED = ("mcc",)
"""Metrics from -1 to 1."""
UNBOUNDED = ("p50_ms", "p99_ms", "megabytes")
"""Metrics of 0 and more; all others are shares."""


# -- collect --------------------------------------------------------------------------------------------------------


def ledger_agrees(view: View) -> Found:
    """A file read twice, under another mapping, holds at least the rows of each reading and at most those of both."""
    entries = [row for batch in view.written("status", "rows") for row in batch.to_pylist() if row["status"] == "read"]
    shas = pa.array(sorted({row["file_sha256"] for row in entries}), pa.string())
    column = view.other("dialogues", "file_sha256").column(0)
    counts = column.filter(pc.is_in(column, value_set=shas)).value_counts().to_pylist()
    there = {count["values"]: count["counts"] for count in counts}
    readings: dict[str, list[int]] = {}
    for row in view.rows("file_sha256", "status", "rows").to_pylist():
        if row["status"] == "read":
            readings.setdefault(row["file_sha256"], []).append(row["rows"])
    broken = []
    for row in entries:
        rows, found = readings[row["file_sha256"]], there.get(row["file_sha256"], 0)
        if not max(rows) <= found <= sum(rows):
            broken.append(f"{row['source_file']}: {row['rows']:,} rows accepted, {found:,} in dialogues")
    return judged(
        len(broken), "dialogues holds the accepted rows of each file", "files that differ from dialogues", broken
    )


def mostly_accepted(view: View) -> Found:
    """The files read last."""
    rows = view.rows("read_at", "source_file", "status", "rows", "rejected").to_pylist()
    read = [row for row in rows if row["status"] == "read"]
    last = max((row["read_at"] for row in read), default=None)
    newest = [row for row in read if row["read_at"] == last]
    rejected, total = sum(row["rejected"] for row in newest), sum(row["rows"] + row["rejected"] for row in newest)
    named = sorted(f"{row['source_file']} ({row['rejected']:,})" for row in newest if row["rejected"])
    held = f"{rejected:,} of the {total:,} rows read last were rejected"
    if rejected <= REJECTED_SHARE * total:
        return Found(True, held)
    return Found(False, f"{held}, from {shortened(named)}; the table rejected says why", tuple(named[:20]))


# -- process --------------------------------------------------------------------------------------------------------


def known_sources(view: View) -> Found:
    rows = view.rows("utterance_id", "sources")
    sources, parents = _flattened(rows, "sources")
    decided = pc.list_flatten(view.other("review_decisions", "turn_ids").column(0)).combine_chunks()
    missing = unknown(sources, view.other("dialogues", "turn_id").column(0))
    missing = pc.and_(missing, unknown(sources, decided))
    return marked_rows(
        missing,
        pa.table({"utterance_id": rows.column("utterance_id").take(parents), "source": sources}),
        "every utterance came from turns that were landed or decided on",
        "sources that are no landed or decided turn, by their utterance",
    )


def one_split(view: View) -> Found:
    """A model must not be measured on what it has learnt."""
    used = _used(view, "utterance_id", "text", "split")
    return marked_rows(
        on_both_sides(used.column("text"), used.column("split"), "test"),
        used,
        "no text is both learnt from and held out",
        "utterances to learn from whose text is held out too",
    )


def tokens_in_use(view: View) -> Found:
    return rows_that(
        view,
        ("excluded", "tokens"),
        lambda batch: pc.and_(
            pc.is_null(batch.column("excluded")), pc.equal(pc.list_value_length(batch.column("tokens")), 0)
        ),
        "each new utterance in use has tokens",
        "new utterances in use without a token, which the classifier does not see",
    )


def mostly_used(view: View) -> Found:
    reasons = _tally(view.rows("excluded").column(0))
    total, used = reasons.total(), reasons.pop(None, 0)
    left_out = f"{total - used:,} of {total:,} utterances are left out"
    if total - used <= EXCLUDED_SHARE * total:
        return Found(True, left_out)
    named = [f"{reason} ({count:,})" for reason, count in reasons.most_common()]
    return Found(False, f"{left_out}: {shortened(named)}", tuple(named[:20]))


def enough_texts(view: View) -> Found:
    used = _used(view, "text", "intent", "split")
    used = used.filter(pc.and_(pc.equal(used.column("split"), "train"), pc.is_valid(used.column("intent"))))
    all_intents = set(pc.unique(view.rows("intent").column(0)).to_pylist()) - {None}
    sizes = dict.fromkeys(all_intents, 0)
    for row in used.group_by("intent").aggregate([("text", "count_distinct")]).to_pylist():
        sizes[row["intent"]] = row["text_count_distinct"]
    few = [
        f"{intent}: {size}"
        for intent, size in sorted(sizes.items(), key=lambda one: (one[1], one[0]))
        if size < FEW_TEXTS
    ]
    return judged(
        len(few),
        f"each of {len(sizes):,} intents has {FEW_TEXTS} texts to learn from or more",
        f"intents with fewer than {FEW_TEXTS} texts to learn from",
        few,
    )


# -- augment --------------------------------------------------------------------------------------------------------


def candidates_of_training_texts(view: View) -> Found:
    rows = view.rows("text_id", "text")
    return marked_rows(
        unknown(rows.column("text"), _texts(view, "train")),
        rows,
        "every paraphrased text is learnt from",
        "paraphrased texts that are no text to learn from",
    )


def parallel_lists(view: View) -> Found:
    columns = ("rules", "candidates", "candidate_tokens")
    return rows_that(
        view,
        columns,
        lambda batch: lengths_differ(batch, columns),
        "each candidate has its rule and its tokens",
        "texts with other numbers of candidates, rules and tokens",
    )


def known_parents(view: View) -> Found:
    """With ``denoise.policy: automatic`` what was dropped is no parent either."""
    parents = _used(view, "utterance_id", "split", of="utterances")
    ids = parents.filter(pc.equal(parents.column("split"), "train")).column("utterance_id")
    if view.config is not None and view.config["denoise"]["policy"] == "automatic":
        labels = view.other("labels", "utterance_id", "verdict")
        dropped = labels.filter(pc.equal(labels.column("verdict"), "drop")).column("utterance_id")
        ids = ids.filter(unknown(ids, dropped))
    rows = view.rows("paraphrase_id", "parent_id")
    return marked_rows(
        unknown(rows.column("parent_id"), ids),
        rows,
        "every paraphrase has its parent among the utterances to learn from",
        "paraphrases without a parent among the utterances to learn from",
    )


def no_held_out_text(view: View) -> Found:
    """A model must not be measured on what it has learnt."""
    rows = view.rows("paraphrase_id", "text", "kept")
    kept = rows.filter(rows.column("kept"))
    marks = pc.is_in(kept.column("text"), value_set=_texts(view, "test").combine_chunks())
    return marked_rows(
        marks, kept, "no kept paraphrase says what a held-out text says", "kept paraphrases that are held-out texts"
    )


# -- embed ----------------------------------------------------------------------------------------------------------


def every_text(view: View) -> Found:
    used = _used(view, "text", of="utterances").column(0)
    candidates = pc.list_flatten(view.other("paraphrase_candidates", "candidates").column(0))
    texts = pc.unique(pa.chunked_array([*used.chunks, *candidates.chunks], pa.string()))
    ids = pa.array(map(text_id, texts.to_pylist()), pa.string())
    missing = unknown(ids, view.rows("text_id").column(0))
    return marked_rows(
        missing,
        pa.table({"text": texts}),
        f"each of {len(texts):,} texts in use has its vector",
        "texts in use without a vector",
    )


def sound_vectors(view: View) -> Found:
    width = 0
    for batch in view.written("vector"):
        width = width or pc.max(pc.binary_length(batch.column("vector"))).as_py() or 0
    return rows_that(
        view,
        ("vector",),
        lambda batch: pa.array(unsound_vectors(batch.column("vector"), width)),
        "the new vectors are of one dimension, finite and of unit length",
        "vectors of another dimension, not finite or not of unit length",
    )


# -- denoise --------------------------------------------------------------------------------------------------------


def one_verdict_each(view: View) -> Found:
    used = _used(view, "utterance_id", of="utterances").column(0)
    judged_ids = view.rows("utterance_id").column(0)
    wrong = [*used.filter(unknown(used, judged_ids)).to_pylist()]
    wrong += judged_ids.filter(unknown(judged_ids, used)).to_pylist()
    return judged(
        len(wrong),
        f"each of {len(used):,} utterances in use has its verdict",
        "utterances without a verdict, or with one and not in use",
        wrong,
    )


def known_suggestions(view: View) -> Found:
    rows = view.rows("utterance_id", "verdict", "suggested_intent")
    intents = pc.unique(_used(view, "intent", of="utterances").column(0))
    nothing = pc.and_(pc.equal(rows.column("verdict"), "relabel"), pc.is_null(rows.column("suggested_intent")))
    return marked_rows(
        pc.or_(nothing, unknown(rows.column("suggested_intent"), intents)),
        rows,
        "every suggested intent is one of the bot's",
        "verdicts that suggest no intent, or one that the bot does not have",
    )


def few_flagged(view: View) -> Found:
    verdicts = _tally(view.rows("verdict").column(0))
    total, flagged = verdicts.total(), verdicts.total() - verdicts["keep"]
    words = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(verdicts.items()) if verdict != "keep")
    held = f"{flagged:,} of {total:,} labels are suspected" + (f" ({words})" if words else "")
    return Found(flagged <= FLAGGED_SHARE * total, held)


# -- train, validate, deploy ----------------------------------------------------------------------------------------


def newest_complete(view: View) -> Found:
    """The bytes are looked at when they are written; a model that was there before only for its chunks."""
    newest = view.data_version
    rows = view.rows("model_id", "file", "chunk", "chunks", "sha256")
    chunks = rows.filter(pc.equal(rows.column("model_id"), newest)).to_pylist()
    if not chunks:
        return Found(False, f"model {newest} is not there", (newest,))
    problems = broken_files(chunks)
    if (found := model_id({row["file"]: row["sha256"] for row in chunks})) != newest:
        problems.append(f"the files are those of model {found}")
    for batch in view.written("chunks", "sha256", "data") if not problems else ():
        problems += broken_files(batch.filter(pc.equal(batch.column("model_id"), newest)).to_pylist())
    return Found(not problems, f"model {newest}: {shortened(problems) or 'whole'}", tuple(problems[:20]))


def possible_values(view: View) -> Found:
    def mark(batch: pa.RecordBatch) -> pa.Array:
        metric = batch.column("metric")
        signed = pc.is_in(metric, value_set=pa.array(SIGNED))
        unbounded = pc.is_in(metric, value_set=pa.array(UNBOUNDED))
        return outside_of(
            batch.column("value"), pc.if_else(signed, -1.0, 0.0), pc.if_else(unbounded, float("inf"), 1.0)
        )

    return rows_that(
        view, ("value",), mark, "every metric has a value that it can have", "metrics with an impossible value"
    )


def strong_intents(view: View) -> Found:
    rows = view.rows("evaluated_at", "slice_kind", "slice", "metric", "value", "rows")
    newest = rows.filter(pc.equal(rows.column("evaluated_at"), pc.max(rows.column("evaluated_at"))))
    scores = [
        (row["value"], row["slice"])
        for row in newest.to_pylist()
        if row["slice_kind"] == "intent" and row["metric"] == "f1" and row["rows"] >= WEAK_SUPPORT
    ]
    weak = [f"{intent}: {value:.2f}" for value, intent in sorted(scores) if value < WEAK_F1]
    return judged(
        len(weak),
        f"each of {len(scores):,} measured intents has an F1 of {WEAK_F1} or more",
        f"intents with an F1 below {WEAK_F1}",
        weak,
    )


def verified_before_live(view: View) -> Found:
    rows = view.rows("deployment_id", "event", "at").to_pylist()
    verified: dict[str, datetime] = {}
    for row in rows:
        if row["event"] == "verified":
            verified[row["deployment_id"]] = min(row["at"], verified.get(row["deployment_id"], row["at"]))
    answering = ((row["deployment_id"], row["at"]) for row in rows if row["event"] in ("live", "canary", "shadow"))
    unverified = sorted({one for one, at in answering if one not in verified or verified[one] > at})
    return judged(
        len(unverified), "nothing answered before it was verified", "deployments that answered unverified", unverified
    )


def newest_model(at: str, event: str | None = None) -> Callable[[View], Found]:
    """The model of the newest rows, by their column ``at``: models of old rows may have been removed.

    Rows whose column ``event`` says that their model was erased are passed over.
    """

    def look(view: View) -> Found:
        rows = view.rows(at, "model_id", *([event] if event else []))
        if event:
            rows = rows.filter(pc.not_equal(rows.column(event), ERASED))
        newest = rows.filter(pc.equal(rows.column(at), pc.max(rows.column(at)))).column("model_id").unique()
        missing = newest.filter(unknown(newest, view.other("models", "model_id").column(0))).to_pylist()
        return judged(len(missing), "the newest model is in models", "models that are not in the table models", missing)

    return look


# -- feedback -------------------------------------------------------------------------------------------------------


def queued_turns_served(view: View) -> Found:
    rows = view.rows("turn_id")
    return marked_rows(
        unknown(rows.column("turn_id"), view.other("conversations", "turn_id").column(0)),
        rows,
        "every queued turn was served",
        "queued turns that are not in conversations",
    )


def queued_turns_undecided(view: View) -> Found:
    settled = [
        turn_id
        for turn_id, decided in in_force(view.other("review_decisions", *COLUMNS)).items()
        if decided.source == SERVED and decided.action in (MODIFY, EXCLUDE)
    ]
    rows = view.rows("turn_id")
    return marked_rows(
        pc.is_in(rows.column("turn_id"), value_set=pa.array(settled, pa.string())),
        rows,
        "no queued turn was decided on",
        "queued turns that were decided on already",
    )


def known_deployments(view: View) -> Found:
    rows = view.rows("turn_id", "deployment_id")
    return marked_rows(
        unknown(rows.column("deployment_id"), view.other("deployments", "deployment_id").column(0)),
        rows,
        "every turn was answered by a deployment of the bot",
        "turns answered by a deployment that is not in deployments",
    )


def complete_decisions(view: View) -> Found:
    def mark(batch: pa.RecordBatch) -> pa.Array:
        nothing = pc.and_(pc.is_null(batch.column("intent")), pc.is_null(batch.column("answer")))
        empty = pc.and_(pc.equal(batch.column("action"), MODIFY), nothing)
        return pc.or_(empty, lengths_differ(batch, ("turn_ids", "texts")))

    return rows_that(
        view,
        ("action", "intent", "answer", "turn_ids", "texts"),
        mark,
        "every decision has its turns' texts and what it changes",
        "decisions without a text for each turn, or without what they change",
    )


def decided_turns_known(view: View) -> Found:
    """Turns of a file that was withdrawn are gone rightly."""
    rows = view.rows("decision_id", "turn_ids")
    turns, parents = _flattened(rows, "turn_ids")
    missing = unknown(turns, view.other("dialogues", "turn_id").column(0))
    missing = pc.and_(missing, unknown(turns, view.other("conversations", "turn_id").column(0)))
    return marked_rows(
        missing,
        pa.table({"decision_id": rows.column("decision_id").take(parents), "turn": turns}),
        "every turn that was decided on is there",
        "decided turns that are neither served nor landed (perhaps withdrawn), by decision",
    )


def _used(view: View, *columns: str, of: str = "") -> pa.Table:
    """Columns of the utterances in use: of the view's own rows, or of the table that they refer to."""
    names = ("excluded", *columns)
    rows = view.other(of, *names) if of else view.rows(*names)
    return rows.filter(pc.is_null(rows.column("excluded"))).select(list(columns))


def _texts(view: View, split: str) -> pa.ChunkedArray:
    """The texts in use of one split of ``utterances``."""
    used = _used(view, "text", "split", of="utterances")
    return used.filter(pc.equal(used.column("split"), split)).column("text")


def _tally(column: pa.ChunkedArray) -> Counter[str | None]:
    """How often each value is there, null included."""
    return Counter({found["values"]: found["counts"] for found in column.value_counts().to_pylist()})


def _flattened(rows: pa.Table, column: str) -> tuple[pa.Array, pa.Array]:
    """The items of a column of lists, and the row that each of them is in."""
    lists = rows.column(column).combine_chunks()
    return pc.list_flatten(lists), pc.list_parent_indices(lists)
