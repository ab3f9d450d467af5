"""How long the service page, and what else looks at every bot, takes with many bots. Prints one JSON object.

The bots are copies of one refreshed bot, each with served turns of a month. The running service is asked for the page
as a browser asks: as soon as it is ready (before and after it has counted the turns once), again and again, after a
minute without anybody, and while some of the bots go on being written to. The baseline reads, for the same figures, all
tables that they stand in, as a page without logs and counts would.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.measured import run_measured
from bench.platform import Platform, answers, end, free_port, wait_until
from bench.report import Target, report
from chatbot_assets.deploy.record import history
from resources.lakehouse import LakeTable
from resources.metering import tree_bytes
from serving.conversations import new_turn_id
from serving.overview.bots import LOOK_AGAIN_SECONDS
from serving.tokens import ensure_tokens

TENANT = "bench"
TIMES = 30
"""Requests of each page."""
RESTS = 5
"""Requests after a minute in which nobody asked."""
TICKS = 6
"""Evaluations of the sensor."""
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
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        keys = copies(platform, bots, turns, chance)
        print(f"bench: {bots} bots with {turns:,} turns each", file=sys.stderr)
        commands = {name: round(platform.measured(name).seconds, 1) for name in ("status", "check")}
        command = [sys.executable, "-m", "bench.ticks", "--ticks", str(TICKS), "--partitions", str(bots)]
        ticks = json.loads(run_measured(command, env=platform.env, cwd=platform.folder).output)
        with served(platform) as (ask, ready, _):
            starts = {"ready_s": ready, "first_page_ms": ask("/service?period=30")}
            pages = {"all_bots": [ask("/service?period=30") for _ in range(TIMES)]}
            pages["all_bots_while_written_to"] = []
            for _ in range(TIMES):
                for key in chance.sample(keys, max(1, round(BUSY * bots))):
                    platform.lake.table(key, "conversations").append_rows(month_of_turns(5, chance).to_pylist())
                pages["all_bots_while_written_to"].append(ask("/service?period=30"))
        with served(platform) as (ask, ready, memory):
            starts |= {"ready_again_s": ready, "first_page_again_ms": ask("/service?period=30")}
            starts["one_bot_first_page_ms"] = ask(f"/service/{keys[-1]}?period=30")
            for page, path in (("one_bot", f"/service/{keys[-1]}?period=30"), ("list_of_bots", "/v1/bots")):
                pages[page] = [ask(path) for _ in range(TIMES)]
            pages["all_bots_after_a_minute"] = []
            for _ in range(RESTS):
                time.sleep(LOOK_AGAIN_SECONDS + 5)
                pages["all_bots_after_a_minute"].append(ask("/service?period=30"))
            megabytes = memory()
        started = time.perf_counter()
        naive(platform, keys)
        read = (time.perf_counter() - started) * 1000
    figures = {
        "bots": bots,
        "turns_of_each": turns,
        **{page: quantiles(values) for page, values in pages.items()},
        **starts,
        "service_mb": megabytes,
        "commands_s": commands,
        "ticks": ticks,
    }
    targets = [
        Target(f"p95 in ms of the page, {page.replace('_', ' ')}, of a tenant with {bots} bots of {turns:,} turns",
               figures[page]["p95_ms"], "at most", GOAL_MS)
        for page in ("all_bots", "all_bots_while_written_to", "all_bots_after_a_minute", "one_bot")
    ]  # fmt: skip
    return report("service_page", figures, {"read_all_tables_ms": round(read, 1)}, targets)


@contextmanager
def served(platform: Platform) -> Iterator[tuple[Callable[[str], float], float, Callable[[], float]]]:
    """A running service, until the end of the block: how to ask it for a page, which gives milliseconds; the seconds
    until it was ready; and how to ask for the megabytes of its processes."""
    token = ensure_tokens(platform.home.root / "tokens.json", {TENANT})[TENANT]
    port = free_port()
    process = platform.start(["-m", "serving", "--port", f"{port}"], "serving.log")
    address = f"http://127.0.0.1:{port}"
    try:
        ready = wait_until(lambda: answers(f"{address}/readyz"), 600, "the service is ready")
        yield (
            lambda path: round(milliseconds(address, token, path), 1),
            round(ready, 1),
            lambda: round(tree_bytes(process.pid) / 1e6, 1),
        )
    finally:
        end(process, signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench service_page", description=__doc__.partition("\n")[0])
    parser.add_argument("--bots", type=int, default=300, help="bots of the tenant")
    parser.add_argument("--turns", type=int, default=100_000, help="served turns of each")
    options = parser.parse_args(arguments)
    print(json.dumps(measure(options.bots, options.turns), ensure_ascii=False))


if __name__ == "__main__":
    main()
