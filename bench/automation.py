"""What automation costs: from a landed file to an answer, a sensor's tick over many bots, and a hundred landed files.

The platform runs as a user runs it (`up`). The baseline of the ticks is Dagster's own automation, eager conditions over
as many assets and partitions, evaluated in this same run.
"""

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.baselines import Rows, read_rows
from bench.measured import run_measured
from bench.pipeline import language_of, thinned
from bench.platform import Platform, Service, wait_until
from bench.report import Target, report
from resources.metering import tree_bytes
from resources.processes import PROC

SIZES = {"bench.small": 1_000, "bench.large": 10_000}
SECONDS = {"bench.small": 30, "bench.large": 45}
BOTS = (10, 100, 1_000)
TICKS = 6
FILES, FILES_SECONDS = 100, 60.0
NEW_INTENT = "bench_new_intent"
NEW_ROWS = 60
PAUSE_SECONDS = 61
"""After a pause of this length a first file is read at once; one that comes sooner waits for others."""


def landed_to_answer(platform: Platform, service: Service, key: str, new: Rows) -> dict[str, Any]:
    """Lands rows of an intent that the bot does not know, and asks for it until a new deployment answers with it."""
    question = new[0]["text"]
    before = service.ask(key, question)
    started = time.monotonic()
    platform.land(key, "new-intent.jsonl", new)
    wait_until(lambda: service.ask(key, question)["deployment_id"] != before["deployment_id"], 300, f"{key} deploys")
    seconds = time.monotonic() - started
    after = service.ask(key, question)
    return {
        "seconds": round(seconds, 1),
        "before": {name: before[name] for name in ("intent", "category")},
        "after": {name: after[name] for name in ("intent", "category")},
        "knows_it": after["intent"] == NEW_INTENT,
    }


def hundred_files(platform: Platform, key: str, rows: Rows) -> dict[str, Any]:
    """Lands files one after the other within a minute; counts the refreshes until the bot is up to date again."""
    before = _runs(platform, key)
    pause = FILES_SECONDS / FILES
    for number in range(FILES):
        platform.land(key, f"one-of-many-{number:03}.jsonl", [rows[number]])
        time.sleep(pause)
    seconds = wait_until(lambda: _is_read(platform, key), 300, "all files are read", every=1.0)
    return {"files": FILES, "landed_within_s": FILES_SECONDS, "read_after_s": round(seconds, 1),
            "runs": _runs(platform, key) - before}  # fmt: skip


def _is_read(platform: Platform, key: str) -> bool:
    (bot,) = platform.command("status", key)["bots"]
    return not set(bot["stale"]) - {"review_queue"}


def _runs(platform: Platform, key: str) -> int:
    """Refreshes that changed the bot's dialogues: commits in the table's log."""
    return sum(1 for _ in (platform.lake.table(key, "dialogues").path / "_delta_log").glob("*.json"))


def ticks(platform: Platform, model: str, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Evaluates the sensor over copies of a refreshed bot, each count in a process of its own."""
    found = []
    keys = [f"many.bot-{number:04}" for number in range(max(counts))]
    source = platform.lake.bot_folder(model)
    settings = platform.home.bots / model.replace(".", "/")
    for done, count in itertools.pairwise([0, *counts]):
        for key in keys[done:count]:
            shutil.copytree(source, platform.lake.bot_folder(key), copy_function=os.link)
            shutil.copytree(platform.home.landing(model), platform.home.landing(key), copy_function=os.link)
            target = platform.home.bots / f"{key.replace('.', '/')}.yaml"
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(settings.with_suffix(".yaml"), target)
        command = [sys.executable, "-m", "bench.ticks", "--ticks", str(TICKS), "--partitions", str(count)]
        found.append(json.loads(run_measured(command, env=platform.env, cwd=platform.folder).output))
    return found


def memory(pid: int) -> dict[str, float]:
    """Resident megabytes of the daemon and of the code server among a process's descendants."""
    found: dict[str, float] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            session = int((folder / "stat").read_text().rpartition(")")[2].split()[3])
        except OSError:
            continue
        if session not in _sessions(pid):
            continue
        for name, mark in (("daemon", "daemon run"), ("code_server", "api grpc"), ("webserver", "dagster_webserver")):
            if mark in command:
                found[name] = max(found.get(name, 0.0), round(tree_bytes(int(folder.name)) / 1e6, 1))
    return found


def _sessions(pid: int) -> set[int]:
    """The sessions of the children that ``up`` has started."""
    sessions = {pid}
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            sessions.add(int(fields[3]))
    return sessions


def measure(data: Path, language: str, counts: Sequence[int]) -> dict[str, Any]:
    """The whole benchmark."""
    train = read_rows(data / "train.jsonl")
    known = [row for row in train if row["intent"] != train[0]["intent"]]
    new = [row | {"intent": NEW_INTENT} for row in train if row["intent"] == train[0]["intent"]][:NEW_ROWS]
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        for key, size in SIZES.items():
            platform.configure(key, {"language": language})
            platform.land(key, "first.jsonl", thinned(known, size))
        with platform.up() as service:
            for key in SIZES:
                print(f"bench: {key} makes its first deployment", file=sys.stderr)
                wait_until(lambda key=key: service.deployed(key), 600, f"{key} answers", every=1.0)  # type: ignore[misc]
            time.sleep(PAUSE_SECONDS)
            answered = {key: landed_to_answer(platform, service, key, new) for key in SIZES}
            print(f"bench: {answered}", file=sys.stderr)
            time.sleep(PAUSE_SECONDS)
            texts = {row["text"] for row in thinned(known, SIZES["bench.small"])}
            others = [row for row in known if row["text"] not in texts]
            many = hundred_files(platform, "bench.small", others)
            print(f"bench: {many}", file=sys.stderr)
            used = memory(service.pid)
        evaluated = ticks(platform, "bench.small", counts)
    largest = evaluated[-1]
    figures = {
        "data": data.resolve().name,
        "landed_to_answer": {key: {"rows": SIZES[key], **found} for key, found in answered.items()},
        "hundred_files": many,
        "ticks": evaluated,
        "memory_mb": {"two_bots": used, f"sensor_process_{largest['bots']}_bots": largest["peak_mb"]},
    }
    targets = [
        *(
            Target(f"seconds from a landed file to a new deployment's answer, {SIZES[key]:,} rows",
                   answered[key]["seconds"], "at most", SECONDS[key])
            for key in SIZES
        ),
        Target(f"seconds of the longest sensor evaluation, {largest['bots']:,} bots",
               max(largest["first_seconds"], *largest["later_seconds"]), "at most", 5),
        Target(f"refreshes for {FILES} files within {FILES_SECONDS:.0f} s", many["runs"], "at most", 2),
    ]  # fmt: skip
    baseline = {
        "what": "Dagster's eager() conditions on as many assets and partitions, nothing changed: seconds of one tick",
        "ticks": [{"bots": found["bots"], **found["eager"]} for found in evaluated],
    }
    return report("automation", figures, baseline, targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench automation", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl of more than 10,000 rows")
    parser.add_argument("--bots", type=int, nargs="+", default=list(BOTS), help="how many bots a tick looks at")
    options = parser.parse_args(arguments)
    if not (options.data / "train.jsonl").is_file():
        parser.error(f"{options.data} has no train.jsonl")
    print(json.dumps(measure(options.data, language_of(options.data), sorted(options.bots)), ensure_ascii=False))


if __name__ == "__main__":
    main()
