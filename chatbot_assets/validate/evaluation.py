"""Measures a model on the held-out utterances, with the code that serves it."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.validate.metrics import EvaluatedRow, calibration_error, evaluate
from serving.responder import ANSWERED, Reply, Responder

LATENCY_ROWS = 50
"""Held-out turns that are asked one by one to time them."""
SAMPLE_ROWS = 20
"""Held-out turns whose replies are kept for the verification of the deployment."""
CONFUSED_INTENTS = 10
"""Intents whose guesses are kept to be looked at."""
NOTHING = "(nothing)"


def evaluated_row(
    reply: Reply, *, intent: str | None, has_intent: bool, answer: str | None, latency_ms: float | None = None
) -> EvaluatedRow:
    """A reply beside what was expected. A turn that was not ``answered`` was rejected."""
    top = reply.candidates[0].intent if reply.candidates else None
    return EvaluatedRow(
        expected_intent=intent,
        top_intent=top,
        served_intent=top if reply.category == ANSWERED else None,
        expected_answer=answer,
        ranked_answers=[candidate.answer for candidate in reply.candidates if candidate.answer is not None],
        latency_ms=latency_ms,
        has_intent=has_intent,
    )


def evaluate_rows(rows: TrainingRows, replies: Sequence[Reply]) -> dict[str, Any]:
    """The metrics of replies to held-out rows, and the calibration error of the scores of those with an intent."""
    evaluated = [
        evaluated_row(reply, intent=intent, has_intent=intent is not None, answer=answer)
        for reply, intent, answer in zip(replies, rows.intents, rows.answers, strict=True)
    ]
    graded = [
        (reply.score, row.top_intent == row.expected_intent)
        for reply, row in zip(replies, evaluated, strict=True)
        if row.has_intent
    ]
    scores, correct = np.array([score for score, _ in graded]), np.array([right for _, right in graded], np.bool_)
    return evaluate(evaluated) | {"calibration_error": calibration_error(scores, correct)}


def reply_to(responder: Responder, rows: TrainingRows) -> list[Reply]:
    """Replies to rows that are prepared already."""
    return responder.respond_prepared(rows.texts, rows.tokens, rows.vectors) if rows.ids else []


def measure_latency(responder: Responder, rows: TrainingRows) -> dict[str, float | None]:
    """Milliseconds of single turns, from raw text to reply: p50 and p99 over a fixed sample of the rows."""
    milliseconds = []
    for place in spread(len(rows.ids), LATENCY_ROWS):
        started = time.perf_counter()
        responder.respond([rows.texts[place]])
        milliseconds.append((time.perf_counter() - started) * 1000)
    if not milliseconds:
        return {"p50_ms": None, "p99_ms": None}
    return {"p50_ms": float(np.percentile(milliseconds, 50)), "p99_ms": float(np.percentile(milliseconds, 99))}


def sample_replies(rows: TrainingRows, replies: Sequence[Reply]) -> list[dict[str, Any]]:
    """What verification asks again: some held-out texts with the first candidate and the score."""
    return [
        {
            "text": rows.texts[place],
            "top": replies[place].candidates[0].id if replies[place].candidates else None,
            "score": replies[place].score,
        }
        for place in spread(len(rows.ids), SAMPLE_ROWS)
    ]


def confusion(rows: TrainingRows, replies: Sequence[Reply]) -> list[tuple[str, str, int]]:
    """Triples (right intent, best guess, rows), right guesses too, among the intents that are confused most."""
    pairs = Counter(
        (intent, reply.candidates[0].intent or NOTHING if reply.candidates else NOTHING)
        for reply, intent in zip(replies, rows.intents, strict=True)
        if intent is not None
    )
    wrong: Counter[str] = Counter()
    for (intent, guess), number in pairs.items():
        if intent != guess:
            wrong.update({intent: number, guess: number})
    shown = {NOTHING, *sorted(wrong, key=lambda name: (-wrong[name], name))[:CONFUSED_INTENTS]}
    return sorted((*pair, number) for pair, number in pairs.items() if shown.issuperset(pair))


def metric_rows(
    metrics: Mapping[str, Any], champion: Mapping[str, Any] | None, champion_id: str | None
) -> list[dict[str, Any]]:
    """Rows (slice_kind, slice, metric, value, rows): overall, per intent, and the champion on the same rows."""
    found = [
        {"slice_kind": "overall", "slice": "", "metric": name, "value": value, "rows": metrics["rows"]}
        for name, value in _overall(metrics).items()
    ]
    for intent, scores in metrics["per_intent"].items():
        found += [
            {"slice_kind": "intent", "slice": intent, "metric": name, "value": value, "rows": scores["support"]}
            for name, value in scores.items()
            if name != "support"
        ]
    found += [
        {"slice_kind": "champion", "slice": champion_id, "metric": name, "value": value, "rows": metrics["rows"]}
        for name, value in _overall(champion or {}).items()
    ]
    return found


def spread(rows: int, wanted: int) -> list[int]:
    """At most ``wanted`` places, evenly over so many rows."""
    return sorted({int(place) for place in np.linspace(0, rows - 1, min(wanted, rows))})


def _overall(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name not in ("per_intent", "rows")}
