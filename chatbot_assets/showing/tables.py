"""What is shown of each table's new rows: for a table's name, a function from its rows to texts and pictures.

Each function is given a :class:`Rows` and answers what its page shows, by title. None of them writes anything.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chatbot_assets.showing import charts
from chatbot_assets.showing.markdown import Markdown, cell, escape, picture, table

Shown = dict[str, Markdown]
Read = Callable[..., pa.Table]

BARS = 24
"""Intents in a picture of their sizes; of more, the smallest are shown."""
REASON_CHARACTERS = 400
WORST = 10
NEWEST = 10
MAPPED = 1_000
"""Vectors in the map: a sample, the same each time."""
MAPPED_INTENTS = 7
SUBSPACE, ITERATIONS = 10, 8
"""Directions and rounds of the search for the two that matter."""
VERDICTS = ("keep", "relabel", "drop", "review")
HELD_OUT = {"train": "train", "test": "held out"}


@dataclass(frozen=True)
class Rows:
    """How a table's rows are read: ``after`` the change, those it ``adds``, and those of the ``inputs`` by name.

    Each reader takes the names of columns. ``notes`` is what the stage left in the commit's record.
    """

    after: Read
    added: Read
    inputs: Mapping[str, Read]
    notes: Mapping[str, Any]


def utterances(rows: Rows) -> Shown:
    """The texts of each intent, smallest first: these are guessed worse."""
    used = _where(rows.after("intent", "split", "excluded"), "excluded", None)
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for intent, split in zip(used.column("intent").to_pylist(), used.column("split").to_pylist(), strict=True):
        if intent is not None:
            sizes[intent][split] += 1
    if not sizes:
        return {}
    names = sorted(sizes, key=lambda name: (sizes[name].total(), name))[:BARS]
    largest = max(sizes.values(), key=Counter.total).total()
    title = f"{len(sizes)} intents have {sizes[names[0]].total():,} to {largest:,} texts each"
    title += f"; the {BARS} smallest" if len(sizes) > BARS else ""
    parts = {label: [sizes[name][split] for name in names] for split, label in HELD_OUT.items()}
    return {"intent sizes": picture(title, charts.bars(title, names, parts))}


def labels(rows: Rows) -> Shown:
    """Verdicts, the quality of all labels as a histogram, and the labels to look at first."""
    judged = rows.after("utterance_id", "intent", "quality", "verdict", "suggested_intent")
    judged = judged.filter(pc.is_valid(judged.column("quality")))
    verdicts = Counter(judged.column("verdict").to_pylist())
    qualities = {name: _where(judged, "verdict", name).column("quality").to_pylist() for name in VERDICTS}
    doubted = len(judged) - verdicts["keep"]
    title = f"{doubted:,} of {len(judged):,} labels are doubted: the further left, the worse a label fits its text"
    found = {"verdicts": table(("verdict", "labels"), [(name, verdicts[name]) for name in VERDICTS], 1)}
    if len(judged):
        present = {name: values for name, values in qualities.items() if values}
        found["label quality"] = picture(title, charts.histogram(title, present, "quality of the label"))
    worst = judged.sort_by([("quality", "ascending"), ("utterance_id", "ascending")]).slice(0, WORST).to_pylist()
    texts = _where_in(rows.inputs["utterances"]("utterance_id", "text"), [row["utterance_id"] for row in worst])
    text_of = dict(zip(texts.column("utterance_id").to_pylist(), texts.column("text").to_pylist(), strict=True))
    found["worst labels"] = table(
        ("text", "label", "fits better", "verdict", "quality"),
        [
            (text_of[row["utterance_id"]], row["intent"], row["suggested_intent"], row["verdict"], row["quality"])
            for row in worst
        ],
        1,
    )
    return found


def paraphrases(rows: Rows) -> Shown:
    """For each rule, how many texts were kept and why others were refused."""
    fates: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.after("rule", "kept", "reason").to_pylist():
        fates[row["rule"]]["" if row["kept"] else row["reason"]] += 1
    lines = []
    for rule, fate in sorted(fates.items(), key=lambda item: (-item[1].total(), item[0])):
        refused = sorted(((number, why) for why, number in fate.items() if why), reverse=True)[:3]
        reasons = "; ".join(f"{why} ({number:,})" for number, why in refused)
        lines.append((rule, reasons, fate[""], fate.total() - fate[""]))
    return {"kept by rule": table(("rule", "refused because", "kept", "refused"), lines[:20], 2)} if lines else {}


def evaluations(rows: Rows) -> Shown:
    """Whether the model may go live and why, each figure beside the champion's, its weakest intents and confusions."""
    values: dict[str, dict[str, float | None]] = defaultdict(dict)
    intents: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows.added("slice_kind", "slice", "metric", "value", "rows").to_pylist():
        if row["slice_kind"] == "intent":
            intents[row["slice"]] |= {row["metric"]: row["value"], "rows": row["rows"]}
        else:
            values[row["metric"]][row["slice_kind"]] = row["value"]
    lines = [
        (metric, found.get("overall"), found.get("champion"), _difference(found.get("overall"), found.get("champion")))
        for metric, found in values.items()
        if found.get("overall") is not None or found.get("champion") is not None
    ]
    gate = rows.notes["gate"]
    verdict = f"**{'May be deployed' if gate['passed'] else 'Refused'}**: {escape(gate['reason'], REASON_CHARACTERS)}"
    compared = table(("figure", "this model", "champion", "difference"), lines, 3)
    found = {"challenger against champion": Markdown(f"{verdict}\n\n{compared}")}
    if decided_by := gate.get("rows"):
        found["rows that decided"] = _answers(decided_by, gate["count"])
    if known := rows.notes.get("golden", {}).get("first_known"):
        found["golden dialogues known to fail"] = _answers(known, rows.notes["golden"]["known"])
    weakest = sorted(intents.items(), key=lambda item: (item[1]["f1"], item[0]))[:WORST]
    if weakest:
        found["weakest intents"] = table(
            ("intent", "held-out rows", "precision", "recall", "f1"),
            [(name, own["rows"], own["precision"], own["recall"], own["f1"]) for name, own in weakest],
            4,
        )
    return found | _confusion(rows.notes.get("confusion", []))


def _answers(rows: Sequence[Mapping[str, Any]], total: int) -> Markdown:
    """Texts with what was wanted and what the models made of them, and how many more there are."""
    columns = ("text", "wanted", "challenger", "champion", "rule")
    shown = table(
        ("text", "wanted", "this model", "champion", "rule"), [[row[name] for name in columns] for row in rows]
    )
    return Markdown(f"{shown}\n\nand {total - len(rows):,} more") if total > len(rows) else shown


def _confusion(pairs: Sequence[tuple[str, str, int]]) -> Shown:
    wrong = sorted((pair for pair in pairs if pair[0] != pair[1]), key=lambda pair: (-pair[2], pair[0], pair[1]))
    if not wrong:
        return {}
    names = sorted({expected for expected, _, _ in pairs})
    columns = [*names, *sorted({given for _, given, _ in pairs} - set(names))]
    counts = np.zeros((len(names), len(columns)), np.int64)
    for expected, given, number in pairs:
        counts[names.index(expected), columns.index(given)] += number
    title = f"Rows: what is right. Columns: the guess. Most often {wrong[0][0][:18]} → {wrong[0][1][:18]}"
    return {"confusions": picture(title, charts.matrix(title, names, columns, counts))}


def deployments(rows: Rows) -> Shown:
    """The figures of each deployment that went live, the newest first, and their course."""
    events = rows.after("deployment_id", "event", "at", "reason", "metrics")
    live = sorted(_where(events, "event", "live").to_pylist(), key=lambda row: row["at"])
    if not live:
        return {}
    measured = [json.loads(row["metrics"]) for row in live]
    figures = ("accuracy", "macro_f1", "served_accuracy", "answer_recall_at_1")
    lines = [
        (f"{row['at']:%Y-%m-%d %H:%M} UTC", row["deployment_id"][:12], *(own.get(name) for name in figures), step)
        for row, own, step in zip(live, measured, [None, *_steps(measured)], strict=True)
    ]
    found = {
        "metric history": table(
            ("live since", "deployment", *figures, "accuracy since the last"), lines[::-1][:NEWEST], len(figures) + 1
        )
    }
    if len(live) > 1:
        title = f"Accuracy was {cell(measured[0].get('accuracy'))} at first and is {cell(measured[-1].get('accuracy'))}"
        title += f" in the deployment of {live[-1]['at']:%Y-%m-%d}"
        series = {name: [own.get(name) for own in measured[-40:]] for name in figures}
        present = {name: values for name, values in series.items() if any(value is not None for value in values)}
        drawn = charts.lines(title, [f"{row['at']:%m-%d %H:%M}" for row in live[-40:]], present)
        found["metrics over deployments"] = picture(title, drawn)
    return found


def landing_files(rows: Rows) -> Shown:
    """The newest files, with what they gave."""
    files = rows.after("source_file", "status", "rows", "rejected", "read_at").to_pylist()
    newest = sorted(files, key=lambda row: (row["read_at"], row["source_file"]), reverse=True)[:NEWEST]
    lines = [
        (row["source_file"], f"{row['read_at']:%Y-%m-%d %H:%M} UTC", row["status"], row["rows"], row["rejected"])
        for row in newest
    ]
    return {"newest files": table(("file", "read", "status", "rows", "rejected"), lines, 2)}


def rejected(rows: Rows) -> Shown:
    """The reasons, most frequent first, each with a place to look at."""
    first: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    for row in rows.after("reason", "source_file", "source_line").to_pylist():
        reasons[row["reason"]] += 1
        first.setdefault(row["reason"], f"{row['source_file']}, line {row['source_line']}")
    lines = [(why, first[why], number) for why, number in reasons.most_common(WORST)]
    return {"reasons": table(("reason", "for example", "rows"), lines, 1)} if lines else {}


def embeddings(rows: Rows) -> Shown:
    """A map of a sample of the vectors: the two directions in which they differ most (principal components)."""
    ids = np.sort(np.array(rows.after("text_id").column("text_id").to_pylist(), dtype=str))
    if len(ids) < 3:
        return {}
    # Ids are hashes, so the smallest ones are a sample that is the same each time.
    last = ids[min(MAPPED, len(ids)) - 1]
    vectors = rows.after("text_id", "vector")
    sample = vectors.filter(pc.less_equal(vectors.column("text_id"), last)).sort_by("text_id")
    used = rows.inputs["utterances"]("text", "intent")
    intent_of = {
        hashlib.sha256(text.encode()).hexdigest()[:32]: intent
        for text, intent in zip(used.column("text").to_pylist(), used.column("intent").to_pylist(), strict=True)
    }
    intents = [intent_of.get(found) or "" for found in sample.column("text_id").to_pylist()]
    points = principal_components(
        np.stack([np.frombuffer(one, "<f2") for one in sample.column("vector").to_pylist()]).astype(np.float64)
    )
    common = [name for name, _ in sorted(Counter(filter(None, intents)).items(), key=lambda item: (-item[1], item[0]))]
    groups = {name: points[[intent == name for intent in intents]] for name in common[:MAPPED_INTENTS]}
    groups[""] = points[[intent not in groups for intent in intents]]
    title = f"{len(intents):,} of {len(ids):,} texts: what means the same lies close together"
    drawn = charts.dots(title, {name: own for name, own in groups.items() if len(own)})
    return {"map of the texts": picture(title, drawn)}


def principal_components(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """The first two principal components (n, 2) of vectors (n, d), nearly.

    Subspace iteration from a fixed start (Halko, Martinsson & Tropp 2011, "Finding structure with randomness", alg.
    4.4) costs milliseconds where a whole decomposition costs seconds. A component's sign is arbitrary; here its largest
    weight is positive, so that equal vectors give equal maps.
    """
    centred = vectors - vectors.mean(axis=0)
    directions = np.random.default_rng(0).normal(size=(vectors.shape[1], min(SUBSPACE, *vectors.shape)))
    for _ in range(ITERATIONS):
        directions, _ = np.linalg.qr(centred.T @ (centred @ directions))
    _, _, within = np.linalg.svd(centred @ directions, full_matrices=False)
    two = within[:2] @ directions.T
    signs = np.sign(two[np.arange(len(two)), np.abs(two).argmax(axis=1)])
    return np.asarray(centred @ (two * signs[:, None]).T)


SHOWN: dict[str, Callable[[Rows], Shown]] = {
    show.__name__: show
    for show in (utterances, labels, paraphrases, evaluations, deployments, landing_files, rejected, embeddings)
}
DRAWN = ("utterances", "embeddings", "labels", "evaluations", "deployments")
"""The tables with pictures."""


def numbers(name: str, notes: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a table that Dagster plots over time, from what the stage left in the commit's record."""
    if name == "evaluations":
        return {figure: value for figure, value in notes["overall"].items() if value is not None and figure != "rows"}
    if name not in COUNTED:
        return {}
    return {COUNTED[name] + NAMES.get(kind, kind): number for kind, number in notes.items() if isinstance(number, int)}


COUNTED = {"utterances": "rows_", "labels": "labels_", "review_queue": "turns_"}
"""The tables whose notes are counts of rows by kind, with what their figures' names begin with."""
NAMES = {"train": "to_learn_from", "test": "held_out", "excluded": "left_out"}


def _steps(measured: Sequence[Mapping[str, Any]]) -> list[Markdown]:
    return [_difference(now.get("accuracy"), before.get("accuracy")) for before, now in pairwise(measured)]


def _difference(now: float | None, before: float | None) -> Markdown:
    return Markdown("–" if now is None or before is None else f"{round(now - before, 3) + 0.0:+.3f}")


def _where(rows: pa.Table, column: str, value: str | None) -> pa.Table:
    found = rows.column(column)
    return rows.filter(pc.is_null(found) if value is None else pc.equal(found, value))


def _where_in(rows: pa.Table, ids: Sequence[str]) -> pa.Table:
    return rows.filter(pc.is_in(rows.column("utterance_id"), value_set=pa.array(ids, pa.string())))
