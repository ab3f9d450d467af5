"""The review page on a long queue: pages, decisions, forecasts, and the time from a decision to the new model's answer.

Prints one JSON object. The queue is made of drawn turns. Two reviewers decide at once: as threads of one process, and
over HTTP, each with turns of their own and some that both want. The baseline reads whole tables for each page and
decision, in the same run. Then the whole platform runs, and what a forecast told is compared with what came of it.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import Target, report
from bench.review_loop import ROWS, measure_loop
from bench.review_page import KEY, at_once, fill, measure_page, quantiles
from chatbot_assets.feedback.deciding import Decision, DecisionError, undo_decision, write_decision
from resources.lakehouse import Lake

SHARED = 0.1
"""Share of the turns that both reviewers want to decide on."""
DECISION_MS, PAGE_MS, EFFECT_MS, ANSWER_SECONDS = 100.0, 300.0, 2_000.0, 60.0


def review(lake: Lake, reviewer: str, turn_ids: Sequence[str], seconds: list[float], told: list[str]) -> None:
    """One reviewer: decides on one turn after the other, and notes who was told to have come second."""
    for place, turn_id in enumerate(turn_ids):
        started = time.monotonic()
        try:
            write_decision(lake, KEY, Decision((turn_id,), "modify", f"intent-{place % 60}", None, reviewer))
        except DecisionError as error:
            if "already decided" not in str(error):
                raise
            told.append(turn_id)
        seconds.append(time.monotonic() - started)


def decide_at_once(turns: int, decisions: int) -> dict[str, Any]:
    """Two reviewers with so many decisions each over so many turns, in one process; then one that is taken back."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        ids = fill(lake, turns)
        both = round(decisions * SHARED)
        own = decisions - both
        # Spread over the queue, not its first file: a reviewer follows priorities, not time.
        drawn = [ids[place] for place in np.random.default_rng(0).permutation(turns)[: 2 * own + both]]
        shared = drawn[2 * own :]
        seconds: dict[str, list[float]] = {"kim": [], "lee": []}
        told: list[str] = []
        work = {"kim": [*shared, *drawn[:own]], "lee": [*shared, *drawn[own : 2 * own]]}
        at_once([partial(review, lake, who, work[who], seconds[who], told) for who in work])
        kept = lake.table(KEY, "review_decisions").arrow(["decision_id", "turn_ids"]).to_pylist()
        counts = Counter(turn_id for row in kept for turn_id in row["turn_ids"])
        started = time.monotonic()
        undo_decision(lake, KEY, kept[0]["decision_id"], "kim")
        undo_ms = 1000 * (time.monotonic() - started)
    return {
        **quantiles([1000 * one for one in seconds["kim"] + seconds["lee"]]),
        "decisions": len(kept),
        "told_to_be_second": len(told),
        "undo_ms": round(undo_ms, 1),
        "lost": len(set(drawn) - set(counts)),
        "double": sum(count > 1 for count in counts.values()),
    }


def measure(turns: int, decisions: int) -> dict[str, Any]:
    """The whole benchmark."""
    called = decide_at_once(turns, decisions)
    print(f"bench: decisions {called}", file=sys.stderr)
    served, baseline = measure_page(turns, decisions, SHARED)
    print(f"bench: {json.dumps(served)}", file=sys.stderr)
    answered = measure_loop()
    page, over_http, effect = served["page"], served["decision_over_http"], served["effect"]
    figures = {"turns": turns, "decision_called": called, **served, "decision_to_answer": answered}
    both = f"decision, p95 in ms, two reviewers at once on {turns:,} turns"
    targets = [
        Target(f"page of {turns:,} turns, p95 in ms of all views", page["p95_ms"], "at most", PAGE_MS),
        Target("page just after a decision, p95 in ms", page["just_after_a_decision"]["p95_ms"], "at most", PAGE_MS),
        Target(f"{both}, called", called["p95_ms"], "at most", DECISION_MS),
        Target(f"{both}, over HTTP", over_http["two_reviewers"]["p95_ms"], "at most", DECISION_MS),
        Target("decision over HTTP, p95 in ms", over_http["one_reviewer"]["p95_ms"], "at most", DECISION_MS),
        Target("lost decisions", called["lost"] + over_http["lost"], "exactly", 0),
        Target("turns decided twice", called["double"] + over_http["double"], "exactly", 0),
        Target("first forecast for a version of the tables, ms", effect["first_ms"], "at most", EFFECT_MS),
        Target("later forecasts, p95 in ms", effect["p95_ms"], "at most", EFFECT_MS),
        Target(f"seconds from a decision to a new deployment's answer, {ROWS:,} rows",
               answered["seconds_to_answer"], "at most", ANSWER_SECONDS),
    ]  # fmt: skip
    return report("review", figures, baseline, targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench review", description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=100_000, help="served turns that wait")
    parser.add_argument("--decisions", type=int, default=500, help="decisions of each of the two reviewers")
    parser.add_argument("--json", action="store_true", help="accepted for likeness with other commands; always JSON")
    options = parser.parse_args(arguments)
    if options.decisions < 1 or options.turns < 2 * options.decisions:
        parser.error("there must be at least one decision, and at least twice as many turns as decisions")
    json.dump(measure(options.turns, options.decisions), sys.stdout)
    print()


if __name__ == "__main__":
    main()
