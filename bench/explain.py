"""How long it takes to explain a turn of a large bot, served before later deployments. Prints one JSON object.

The turn is explained by the running service, as its page asks for it, and by the command in a process of its own: while
the service runs, and after it has ended.
"""

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.baselines import Rows, read_rows
from bench.measured import Measured
from bench.pipeline import language_of
from bench.platform import Platform, Service, answers, end, free_port, wait_until
from bench.report import Target, report
from serving.tokens import ensure_tokens

KEY = "bench.explain"
TIMES = 5
WRITTEN_SECONDS = 3
"""After so long a served turn is in the table."""
GOAL_SECONDS = 1.0


def many_rows(rows: Rows, count: int) -> Rows:
    """As many distinct texts: the rows, and then the rows with words of others of their intent behind them."""
    by_intent: dict[Any, Rows] = {}
    for row in rows:
        by_intent.setdefault(row.get("intent"), []).append(row)
    made: dict[str, dict[str, Any]] = {row["text"]: row for row in rows[:count]}
    shift = 0
    while len(made) < count:
        shift += 1
        before = len(made)
        for own in by_intent.values():
            for place, row in enumerate(own):
                other = own[(place + shift) % len(own)]["text"].split()
                text = f"{row['text']} {' '.join(other[-2 - shift % 3 :])}"
                if len(made) < count:
                    made.setdefault(text, row | {"text": text})
        if len(made) == before:
            raise ValueError(f"no {count} distinct texts can be made of {len(rows)} rows")
    return list(made.values())


def explained(service: Service, turn_id: str) -> tuple[float, dict[str, Any]]:
    """Seconds of the route, and what it says."""
    tokens = json.loads((service.platform.home.root / "tokens.json").read_text(encoding="utf-8"))
    request = urllib.request.Request(
        f"{service.address}/v1/bots/{KEY}/turns/{turn_id}/explain",
        headers={"Authorization": f"Bearer {tokens[KEY.partition('.')[0]]}"},
    )
    started = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as response:
        found: dict[str, Any] = json.loads(response.read())
    return time.monotonic() - started, found


def measure(data: Path, language: str, rows: int, refreshes: int) -> dict[str, Any]:
    """The whole benchmark."""
    train = many_rows(read_rows(data / "train.jsonl"), rows + 100 * refreshes)
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        platform.configure(KEY, {"language": language, "validate": {"minimum_accuracy": 0.0, "maximum_drop": 1.0}})
        platform.land(KEY, "first.jsonl", train[:rows])
        first = platform.measured("refresh", KEY)
        ensure_tokens(platform.home.root / "tokens.json", {KEY.partition(".")[0]})
        port = free_port()
        process = platform.start(["-m", "serving", "--port", f"{port}"], "serving.log")
        try:
            service = Service(platform, process.pid, f"http://127.0.0.1:{port}")
            wait_until(lambda: answers(f"{service.address}/readyz"), 120, "the service is ready")
            question = f"{train[rows // 2]['text']} please"
            turn_id = service.ask(KEY, question)["turn_id"]
            time.sleep(WRITTEN_SECONDS)
            for number in range(refreshes):
                start = rows + 100 * number
                platform.land(KEY, f"later-{number}.jsonl", train[start : start + 100])
                platform.command("refresh", KEY)
            cold, found = explained(service, turn_id)
            served = [explained(service, turn_id)[0] for _ in range(TIMES)]
            asking = [platform.measured("explain", KEY, turn_id) for _ in range(TIMES)]
        finally:
            end(process, signal.SIGINT)
        alone = [platform.measured("explain", KEY, turn_id) for _ in range(TIMES)]
        events = platform.lake.table(KEY, "deployments").arrow(["event"]).column("event").to_pylist()
    print(f"bench: {' '.join(found['summary'])}", file=sys.stderr)
    medians = {
        "service": statistics.median(served),
        "command, which asks the service": statistics.median(one.seconds for one in asking),
        "command, from the lake alone": statistics.median(one.seconds for one in alone),
    }
    figures = {
        "data": data.resolve().name,
        "language": language,
        "rows": rows,
        "refresh_seconds": round(first.seconds, 1),
        "live_events": events.count("live"),
        "turn": {"text": found["turn"]["text"], "category": found["turn"]["category"]},
        "rows_explained": len(found["evidence"]["rows"]),
        "limits": found["limits"],
        "service": {"first_s": round(cold, 3), "seconds": [round(one, 3) for one in served]},
        "command": _times(asking),
        "command_alone": _times(alone),
    }
    targets = [
        Target(f"median seconds to explain a turn of a bot of {rows:,} rows, by the {where}", round(seconds, 3),
               "at most", GOAL_SECONDS)
        for where, seconds in medians.items()
    ]  # fmt: skip
    return report("explain", figures, {}, targets)


def _times(runs: Sequence[Measured]) -> dict[str, list[float]]:
    """Of each run the time that passed, and the time that a processor worked for it."""
    return {
        "seconds": [round(one.seconds, 3) for one in runs],
        "cpu_seconds": [round(one.cpu_seconds, 3) for one in runs],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench explain", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl; its rows are varied")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the bot")
    parser.add_argument("--refreshes", type=int, default=2, help="deployments after the turn was served")
    options = parser.parse_args(arguments)
    if not (options.data / "train.jsonl").is_file():
        parser.error(f"{options.data} has no train.jsonl")
    found = measure(options.data, language_of(options.data), options.rows, options.refreshes)
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
