"""``eval``: scores the deployed bot on a labelled JSON Lines file."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from chatbot_assets.commands import UserError
from chatbot_assets.commands.ask import deployed
from chatbot_assets.validate.evaluation import evaluated_row
from chatbot_assets.validate.metrics import evaluate

BATCH = 256
LATENCY_ROWS = 200
"""Rows that are asked one by one, to time them; the others are asked in batches."""


def run(key: str, file: Path) -> dict[str, Any]:
    """The contract's metrics, for rows with ``text`` and ``intent`` (null: out of scope) and/or ``answer``."""
    rows = _read(file)
    live = deployed(key)
    texts = [row["text"] for row in rows]
    replies = []
    console = Console(stderr=True)
    for start in track(
        range(0, len(texts), BATCH), "asking", console=console, transient=True, disable=not console.is_terminal
    ):
        replies += live.responder.respond(texts[start : start + BATCH])
    step = max(1, len(texts) // LATENCY_ROWS)
    latencies: dict[int, float] = {}
    for place in range(0, len(texts), step):
        started = time.perf_counter()
        live.responder.respond([texts[place]])
        latencies[place] = (time.perf_counter() - started) * 1000
    evaluated = [
        evaluated_row(
            reply,
            intent=row.get("intent"),
            has_intent="intent" in row,
            answer=row.get("answer"),
            latency_ms=latencies.get(place),
        )
        for place, (row, reply) in enumerate(zip(rows, replies, strict=True))
    ]
    identity = {"model_id": live.deployment.model_id, "deployment_id": live.deployment.deployment_id}
    return {"bot": key, **identity, **evaluate(evaluated)}


def describe(report: dict[str, Any]) -> str:
    figures = {name: value for name, value in report.items() if name != "per_intent" and isinstance(value, float)}
    return "\n".join(
        [f"{report['bot']}: {report['rows']} rows", *(f"  {name:<22} {value:.4f}" for name, value in figures.items())]
    )


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise UserError(f"{file} is no file; give a JSON Lines file with 'text' and 'intent' and/or 'answer'")
    rows = []
    with open(file, encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{file}:{number}: no valid JSON: {error}") from None
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise UserError(f"{file}:{number}: needs a 'text'")
            if "intent" not in row and row.get("answer") is None:
                raise UserError(f"{file}:{number}: needs an 'intent' (null: out of scope) or an 'answer'")
            rows.append(row)
    if not rows:
        raise UserError(f"{file}: holds no rows")
    return rows
