"""The chat service under load: throughput and waiting at rising rates, against a plain endpoint over the same model.

The load is an open model (`bench.load`): requests are sent on schedule, whatever the answers do. The baseline is a
FastAPI endpoint that answers turn by turn with the same model and does nothing else; it is loaded with the same
requests, in this same run. The sender shares the machine's cores with the service.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.baselines import read_rows
from bench.pipeline import language_of, thinned
from bench.platform import Platform, answers, end, free_port, wait_until
from bench.report import Target, report
from resources.environment import PROJECT
from resources.metering import tree_bytes, tree_own_bytes
from serving.memory import weight
from serving.tokens import TOKENS_FILE, ensure_tokens

KEY = "bench.serving"
ROWS = 10_000
RATES = (50, 100, 200, 300, 400, 500, 600, 800)
SECONDS = 8.0
SUSTAINED = 0.97
"""A rate is sustained when this share of what was sent is answered while it is being sent, and all of it in the end."""
GOAL_RATE = 400
COPIES = 8
"""Further bots that are deployed to see what one more takes."""


@contextmanager
def process(platform: Platform, arguments: list[str], port: int, log: str) -> Iterator[tuple[int, float]]:
    """A service until the end of the block: its process, and the seconds until it was ready."""
    started = platform.start(arguments, log)
    try:
        seconds = wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 120, log, every=0.02)
        yield started.pid, seconds
    finally:
        end(started, signal.SIGTERM)


def rising(task: dict[str, Any], rates: Sequence[float], seconds: float) -> list[dict[str, Any]]:
    """The same requests at one rate after the other, each sent by a process of its own."""
    found = []
    for number, rate in enumerate(rates):
        step = json.dumps(task | {"rate": rate, "seconds": seconds, "seed": number})
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"], input=step, capture_output=True, text=True, check=True, cwd=PROJECT
        )
        found.append(json.loads(done.stdout))
        print(f"bench: {task['path']} {found[-1]}", file=sys.stderr)
        time.sleep(1)
    return found


def saturated(steps: Sequence[dict[str, Any]]) -> float:
    """The most answers a second of any rate."""
    return max(float(step["answered_per_s"]) for step in steps)


def sustained(steps: Sequence[dict[str, Any]]) -> float:
    """The highest rate at which nothing was refused or lost and answers kept up with requests; 0 if there was none."""
    good = [
        float(step["offered_per_s"])
        for step in steps
        if set(step["statuses"]) == {"200"} and step["answered_per_s"] >= SUSTAINED * step["sent_per_s"]
    ]
    return max(good, default=0.0)


def megabytes_per_bot(platform: Platform, pid: int, copies: int) -> float:
    """Resident megabytes that the service grows by for each further bot: copies of the one that it has, deployed."""
    time.sleep(2)
    before = tree_bytes(pid)
    for number in range(copies):
        target = platform.lake.bot_folder(f"bench.copy-{number}")
        shutil.copytree(platform.lake.bot_folder(KEY), target, ignore=shutil.ignore_patterns("conversations"))
    time.sleep(2 + copies)
    return (tree_bytes(pid) - before) / copies / 1e6


def prepare(platform: Platform, data: Path, language: str, rows: int) -> None:
    """Makes and deploys the bot, unless the folder holds it from an earlier run."""
    if platform.deployment(KEY):
        return
    platform.configure(KEY, {"language": language})
    platform.land(KEY, "train.jsonl", thinned(read_rows(data / "train.jsonl"), rows))
    platform.command("refresh", KEY)


def measure(
    data: Path, language: str, rows: int, rates: Sequence[float], seconds: float, workers: int, keep: Path | None
) -> dict[str, Any]:
    """The whole benchmark."""
    load_before = round(os.getloadavg()[0], 2)
    texts = [row["text"] for name in ("dev", "test") for row in _rows_of(data / f"{name}.jsonl")]
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(keep or Path(name))
        platform.folder.mkdir(parents=True, exist_ok=True)
        prepare(platform, data, language, rows)
        token = ensure_tokens(platform.home.root / TOKENS_FILE, {"bench"})["bench"]
        bodies = [{"session_id": f"s{place % 97}", "text": text} for place, text in enumerate(texts)]
        port = free_port()
        task = {"host": "127.0.0.1", "port": port, "path": "/chat", "headers": {}, "bodies": bodies}

        plain_arguments = ["-m", "bench.plain_service", "--port", str(port), "--bot", KEY]
        with process(platform, plain_arguments, port, "plain.log") as (_, plain_ready):
            rising(task, [50], 2)
            plain = rising(task, rates, seconds)

        task |= {"path": f"/v1/bots/{KEY}/chat", "headers": {"Authorization": f"Bearer {token}"}}
        arguments = ["-m", "serving", "--port", str(port), *(["--workers", str(workers)] if workers > 1 else [])]
        with process(platform, arguments, port, "service.log") as (pid, ready):
            memory, own = tree_bytes(pid) / 1e6, tree_own_bytes(pid) / 1e6
            rising(task, [50], 2)
            served = rising(task, rates, seconds)
            kept = len(platform.lake.table(KEY, "conversations").arrow(["turn_id"]))
            per_bot = megabytes_per_bot(platform, pid, COPIES)
        for number in range(COPIES):
            shutil.rmtree(platform.lake.bot_folder(f"bench.copy-{number}"))
        with process(platform, [*arguments[:4], "--workers", str(workers + 1)], port, "workers.log") as (pid, _):
            time.sleep(1)  # until the last worker is there
            per_worker = tree_own_bytes(pid) / 1e6 - own
        estimated = weight(next((platform.home.cache / "models").glob("[!.]*"))) / 1e6

    at_half = next((step for step in served if step["offered_per_s"] == GOAL_RATE / 2), None)
    gain = saturated(served) / saturated(plain)
    figures = {
        "data": data.resolve().name,
        "rows": rows,
        "workers": workers,
        "load_before": load_before,
        "rates": served,
        "saturated_per_s": saturated(served),
        "sustained_per_s": sustained(served),
        "start_to_ready_s": round(ready, 2),
        "memory_mb": round(memory, 1),
        "memory_mb_per_further_bot": round(per_bot, 1),
        "memory_mb_per_bot_estimated": round(estimated, 1),
        "memory_mb_own_per_further_worker": round(per_worker, 1),
        "turns_kept": kept,
    }
    baseline = {
        "what": "a FastAPI endpoint over the same model, turn by turn, in one process, without tokens and journal",
        "rates": plain,
        "saturated_per_s": saturated(plain),
        "sustained_per_s": sustained(plain),
        "start_to_ready_s": round(plain_ready, 2),
    }
    targets = [
        Target("saturated throughput against the plain endpoint", round(gain, 2), "at least", 1.6),
        Target("requests/s sustained", sustained(served), "at least", GOAL_RATE),
        Target(f"p99 ms at {GOAL_RATE // 2} requests/s", at_half["p99_ms"] if at_half else None, "at most", 25),
        Target("seconds from start to ready", round(ready, 2), "at most", 5),
    ]
    return report("serving", figures, baseline, targets)


def _rows_of(path: Path) -> list[dict[str, Any]]:
    return read_rows(path) if path.is_file() else []


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench serving", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl and dev.jsonl")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows that the bot learns from (default {ROWS})")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="requests a second, rising")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each rate is held")
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    parser.add_argument(
        "--keep", type=Path, help="folder for the bot, used again if it holds one; else a temporary one"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    options = parser.parse_args(arguments)
    for name in ("train", "dev"):
        if not (options.data / f"{name}.jsonl").is_file():
            parser.error(f"{options.data} has no {name}.jsonl")
    found = measure(
        options.data,
        language_of(options.data),
        options.rows,
        sorted(options.rates),
        options.seconds,
        options.workers,
        options.keep.absolute() if options.keep else None,
    )
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
