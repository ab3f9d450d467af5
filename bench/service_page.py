"""How long the service page of a tenant with many bots takes. Prints one JSON object.

The bots are copies of one refreshed bot, each with served turns of a month. The running service is asked for the page
as a browser asks, also while some of the bots go on being written to. The baseline reads, for the same figures, all
tables that they stand in, as a page without logs and counts would.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.platform import Platform, answers, end, free_port, wait_until
from bench.report import Target, report
from chatbot_assets.deploy.record import history
from resources.lakehouse import LakeTable
from serving.conversations import new_turn_id
from serving.tokens import ensure_tokens

TENANT = "bench"
TIMES = 30
"""Requests of each page."""
BUSY = 0.05
"""The share of the bots that somebody writes to between two requests."""
GOAL_MS = 300.0
FILES = 20
"""Data files that a bot's turns lie in, as after compaction."""


def copies(platform: Platform, count: int, turns: int, chance: random.Random) -> list[str]:
    """As many bots: copies of one that was refreshed with a few rows, and then served turns."""
    first = f"{TENANT}.bot-0"
    platform.configure(first, {"language": "en", "validate": {"minimum_accuracy": 0.0}})
    rows = [
        {"text": f"{asked} {topic} {number}", "intent": topic, "answer": f"About {topic}."}
        for topic in ("bills", "parcels", "refunds")
        for asked in ("Tell me about", "I need", "Where do I find")
        for number in range(6)
    ]
    platform.land(first, "first.jsonl", rows)
    time.sleep(3)
    platform.measured("refresh", first)
    write_turns(platform.lake.table(first, "conversations"), month_of_turns(turns, chance))
    keys = [f"{TENANT}.bot-{number}" for number in range(count)]
    for key in keys[1:]:
        platform.configure(key, {"language": "en", "validate": {"minimum_accuracy": 0.0}})
        shutil.copytree(platform.lake.bot_folder(first), platform.lake.bot_folder(key), copy_function=_copy)
        shutil.copytree(platform.home.landing(first), platform.home.landing(key))
    return keys


def _copy(source: str, target: str) -> None:
    """Data files are never changed, so all bots can share their bytes."""
    if source.endswith(".parquet"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def month_of_turns(count: int, chance: random.Random) -> pa.Table:
    """Served turns of the last 30 days, some of which failed or were judged."""
    now = datetime.now(UTC)
    return pa.table(
        {
            "turn_id": [new_turn_id() for _ in range(count)],
            "session_id": [f"s{number // 4}" for number in range(count)],
            "text": [f"What about thing {chance.randrange(400)}?" for _ in range(count)],
            "category": chance.choices(["answered", "similar", "failed"], [85, 10, 5], k=count),
            "satisfied": chance.choices([None, True, False], [80, 15, 5], k=count),
            "served_at": [now - timedelta(seconds=chance.uniform(0, 30 * 86400)) for _ in range(count)],
        }
    )


def write_turns(table: LakeTable, turns: pa.Table) -> None:
    """The turns in some files, each of which holds some days."""
    turns = turns.sort_by("served_at")
    size = -(-len(turns) // FILES)
    for start in range(0, len(turns), size):
        table.append_rows(turns.slice(start, size).to_pylist())


def naive(platform: Platform, keys: Sequence[str]) -> dict[str, Any]:
    """The figures of the page of all bots, by reading whole tables."""
    found = {}
    for key in keys:
        past = history(platform.lake.table(key, "deployments"))
        turns = platform.lake.table(key, "conversations").arrow()
        files = platform.lake.table(key, "landing_files").arrow().to_pylist()
        platform.lake.table(key, "evaluations").arrow()
        recent = turns.filter(pc.greater_equal(turns["served_at"], datetime.now(UTC) - timedelta(days=30)))
        shares = [pc.value_counts(recent[column]).to_pylist() for column in ("category", "satisfied")]
        found[key] = (past.live, shares, len(files))
    return found


def milliseconds(address: str, token: str, path: str) -> float:
    request = urllib.request.Request(f"{address}{path}", headers={"Authorization": f"Bearer {token}"})
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=300) as response:
        response.read()
    return (time.perf_counter() - started) * 1000


def quantiles(values: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1), "max_ms": round(max(values), 1)}


def measure(bots: int, turns: int) -> dict[str, Any]:
    """The whole benchmark."""
    chance = random.Random(8)
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        keys = copies(platform, bots, turns, chance)
        print(f"bench: {bots} bots with {turns:,} turns each", file=sys.stderr)
        token = ensure_tokens(platform.home.root / "tokens.json", {TENANT})[TENANT]
        port = free_port()
        process = platform.start(["-m", "serving", "--port", f"{port}"], "serving.log")
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/readyz"), 600, "the service is ready")
            first = milliseconds(address, token, "/service?period=30")
            quiet = [milliseconds(address, token, "/service?period=30") for _ in range(TIMES)]
            busy = []
            for _ in range(TIMES):
                for key in chance.sample(keys, max(1, round(BUSY * bots))):
                    platform.lake.table(key, "conversations").append_rows(month_of_turns(5, chance).to_pylist())
                busy.append(milliseconds(address, token, "/service?period=30"))
            one_first = milliseconds(address, token, f"/service/{keys[-1]}?period=30")
            one = [milliseconds(address, token, f"/service/{keys[-1]}?period=30") for _ in range(TIMES)]
        finally:
            end(process, signal.SIGINT)
        read = []
        for _ in range(3):
            started = time.perf_counter()
            naive(platform, keys)
            read.append((time.perf_counter() - started) * 1000)
    pages = {"all_bots": quantiles(quiet), "all_bots_while_written_to": quantiles(busy), "one_bot": quantiles(one)}
    figures = {
        "bots": bots,
        "turns_of_each": turns,
        "requests": TIMES,
        **pages,
        "all_bots_first_ms": round(first, 1),
        "one_bot_first_ms": round(one_first, 1),
    }
    targets = [
        Target(f"p95 in ms of the page, {page.replace('_', ' ')}, of a tenant with {bots} bots of {turns:,} turns",
               found["p95_ms"], "at most", GOAL_MS)
        for page, found in pages.items()
    ]  # fmt: skip
    return report("service_page", figures, {"read_all_tables_ms": round(statistics.median(read), 1)}, targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench service_page", description=__doc__.partition("\n")[0])
    parser.add_argument("--bots", type=int, default=300, help="bots of the tenant")
    parser.add_argument("--turns", type=int, default=100_000, help="served turns of each")
    options = parser.parse_args(arguments)
    print(json.dumps(measure(options.bots, options.turns), ensure_ascii=False))


if __name__ == "__main__":
    main()
