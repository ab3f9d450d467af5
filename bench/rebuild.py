"""Deployments of one bot whose data and configuration change in between, each of them rebuilt bit for bit.

Prints one JSON object. Each refresh and each rebuild is a command in a process of its own; before the rebuilds, a
maintenance removes what only versions beyond the retention need.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.baselines import read_rows
from bench.pipeline import language_of, thinned
from bench.platform import Platform
from bench.report import Target, report
from chatbot_assets.bot import Retention
from chatbot_assets.deploy.record import live_deployment
from chatbot_assets.maintenance import maintain_bot
from resources.environment import PROJECT

KEY = "bench.rebuild"
SETTINGS: tuple[dict[str, Any], ...] = (
    {},
    {"train": {"classifier": {"use": "chatbot_assets.train.intent_model:LinearIntents", "with": {"l2": 2.0}}}},
    {"train": {"answer_precision": 0.8}, "augment": {"weight": 0.3}},
    {"train": {"classifier": {"use": "chatbot_assets.train.centroids:CentroidIntents"}}, "augment": {"up_to": 0}},
)
"""What the bot's YAML holds in turn: every second deployment takes the next one."""
ALWAYS = {"validate": {"minimum_accuracy": 0.0, "maximum_drop": 1.0}}
RETENTION = Retention(days=1.0)


def rebuilt(platform: Platform, model_id: str) -> dict[str, Any]:
    """The report of ``rebuild``, which is printed also when the files differ."""
    command = [sys.executable, "-m", "chatbot_assets.cli", "rebuild", KEY, "--model", model_id, "--json"]
    print(f"bench: rebuild {model_id}", file=sys.stderr)
    done = subprocess.run(command, env=platform.env, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"exit status {done.returncode} from: {' '.join(command)}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(data: Path, language: str, rows: int, count: int) -> dict[str, Any]:
    """The whole benchmark."""
    train = thinned(read_rows(data / "train.jsonl"), rows)
    first = len(train) // 2
    step = max(1, (len(train) - first) // max(1, count // 2))
    parts = [train[:first], *(train[start : start + step] for start in range(first, len(train), step))]
    made: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        for number in range(count):
            changed = "data" if number % 2 == 0 else "configuration"
            if changed == "data":
                platform.land(KEY, f"part-{number}.jsonl", parts[number // 2])
            settings = SETTINGS[(number + 1) // 2 % len(SETTINGS)]
            platform.configure(KEY, {"language": language} | ALWAYS | settings)
            platform.command("refresh", KEY)
            live = live_deployment(platform.lake.table(KEY, "deployments"))
            assert live is not None
            made.append({"changed": changed, "deployment_id": live.deployment_id, "model_id": live.model_id})
        with platform.lake.writing(KEY):
            done = maintain_bot(platform.home, platform.lake, KEY, RETENTION, datetime.now(UTC))
        for deployment in made:
            found = rebuilt(platform, deployment["model_id"])
            deployment |= {
                "equal": found["equal"],
                "sha256": {file["file"]: file["rebuilt"] for file in found["files"]},
                "rows": found["rows"],
                "differences": found["differences"],
                "seconds": found["seconds"],
            }
    distinct = len({deployment["model_id"] for deployment in made})
    figures = {
        "data": data.resolve().name,
        "language": language,
        "rows_landed": len(train),
        "deployments": made,
        "models_that_differ": distinct,
        "maintenance": {"retention_days": RETENTION.days, "files_removed": done.files_removed},
    }
    equal = sum(bool(deployment["equal"]) for deployment in made)
    targets = [
        Target(f"of {count} deployments rebuilt with equal SHA-256", equal, "exactly", count),
        Target("models that differ from each other", distinct, "exactly", count),
    ]
    return report("rebuild", figures, {"what": "the SHA-256 that were recorded when the models were made"}, targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench rebuild", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl")
    parser.add_argument("--rows", type=int, default=600, help="land this many evenly spaced rows")
    parser.add_argument("--deployments", type=int, default=10, help="how many deployments to make")
    options = parser.parse_args(arguments)
    if not (options.data / "train.jsonl").is_file():
        parser.error(f"{options.data} has no train.jsonl")
    found = measure(options.data, language_of(options.data), options.rows, options.deployments)
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
