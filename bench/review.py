"""Two reviewers decide at once on a long queue: how long a decision takes, and whether any is lost or made twice.

Prints one JSON object. The reviewers are threads of one process, as in the service, each with its own turns and some
that both want; the queue is made of distinct served turns.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import Target, report
from bench.review_page import KEY, fill, measure_page
from chatbot_assets.feedback.deciding import Decision, DecisionError, undo_decision, write_decision
from resources.lakehouse import Lake

SHARED = 0.1
"""Share of the turns that both reviewers want to decide on."""
MOST_MS = 100.0


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


def measure(turns: int, decisions: int) -> dict[str, Any]:
    """Two reviewers with so many decisions each over so many turns, then one that is taken back."""
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
        started = time.monotonic()
        threads = [threading.Thread(target=review, args=(lake, who, work[who], seconds[who], told)) for who in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = time.monotonic() - started
        kept = lake.table(KEY, "review_decisions").arrow(["decision_id", "turn_ids"]).to_pylist()
        counts = Counter(turn_id for row in kept for turn_id in row["turn_ids"])
        lost = len(set(drawn) - set(counts))
        double = sum(count > 1 for count in counts.values())
        started = time.monotonic()
        undo_decision(lake, KEY, kept[0]["decision_id"], "kim")
        undo_ms = 1000 * (time.monotonic() - started)
    milliseconds = 1000 * np.array(seconds["kim"] + seconds["lee"])
    p50, p95, p99 = (round(float(value), 1) for value in np.percentile(milliseconds, [50, 95, 99]))
    figures = {
        "turns": turns,
        "decisions": len(kept),
        "reviewers": 2,
        "told_to_be_second": len(told),
        "decision_p50_ms": p50,
        "decision_p95_ms": p95,
        "decision_p99_ms": p99,
        "undo_ms": round(undo_ms, 1),
        "seconds": round(whole, 2),
        "lost": lost,
        "double": double,
    }
    targets = [
        Target("decision p95, ms, two reviewers at once", p95, "at most", MOST_MS),
        Target("lost decisions", lost, "exactly", 0),
        Target("turns decided twice", double, "exactly", 0),
    ]
    return report("review", figures, {}, targets)


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
