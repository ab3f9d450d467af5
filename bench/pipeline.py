"""From landed rows to a deployment, then a refresh of nothing, then a hundred rows more; prints one JSON object.

Everything runs as a user would run it, as commands in processes of their own, on a temporary home. The baselines are
trained afterwards, in this same run, on the same landed rows.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.baselines import Rows, read_rows
from bench.measured import Measured, run_measured
from bench.platform import Platform
from bench.report import Target, report
from chatbot_assets.bot import load_bot
from resources.environment import PROJECT

KEY = "bench.pipeline"
LANGUAGES = {"ko": "ko", "ja": "ja", "en": "en", "th": "th", "vi": "vi", "zh-TW": "zh-TW", "zh-CN": "zh-Hans"}
"""Languages of a data folder's name, by its locale or the first part of it; any other name is taken as English."""
APPENDED = 100
ROW_WISE = ("utterances", "embeddings")
"""The assets that are computed row by row, so cost in proportion to the change."""


@dataclass(frozen=True)
class Refreshed:
    """One landing and refresh: the command's own report, and what it took."""

    report: Mapping[str, Any]
    seconds: float
    land_seconds: float
    peak_tree_bytes: int | None

    def figures(self) -> dict[str, Any]:
        kept = ("seconds", "peak_memory_mb", "rows_in", "rows_computed", "rows_reused", "rows", "committed")
        return {
            "seconds": round(self.seconds, 2),
            "land_seconds": round(self.land_seconds, 2),
            "refresh_seconds": self.report["seconds"],
            "peak_tree_mb": _megabytes(self.peak_tree_bytes),
            "assets": {
                name: {figure: asset[figure] for figure in kept} for name, asset in self.report["assets"].items()
            },
        }

    def asset(self, name: str, figure: str) -> Any:
        return self.report["assets"][name][figure]

    def modules(self) -> list[dict[str, Any]]:
        """What each stage and each module in it took, the slowest first: the first one is the bottleneck."""
        rows = []
        for name, asset in self.report["assets"].items():
            rate = round(asset["rows_in"] / max(asset["seconds"], 0.001))
            memory = {"peak_memory_mb": asset["peak_memory_mb"]}
            rows.append({"module": name, "seconds": asset["seconds"], "rows_per_second": rate} | memory)
            for module, cost in asset["modules"].items():
                rate = cost["rows_per_second"]
                rows.append({"module": module, "seconds": cost["seconds"], "rows_per_second": rate} | memory)
        return sorted(rows, key=lambda row: -row["seconds"])

    @property
    def commits(self) -> int:
        return sum(bool(asset["committed"]) for asset in self.report["assets"].values())


class OneBot(Platform):
    """A platform with the one bot that is measured."""

    def __init__(self, folder: Path, language: str) -> None:
        super().__init__(folder)
        self.configure(KEY, {"language": language})

    def refresh(self, *landed: Path) -> Refreshed:
        """Lands files, if any, and refreshes the bot; the time is from the start of landing to the refresh's end."""
        landing = self.measured("land", KEY, *map(str, landed)) if landed else Measured("", 0.0, 0.0, None)
        refresh = self.measured("refresh", KEY)
        return Refreshed(
            json.loads(refresh.output), landing.seconds + refresh.seconds, landing.seconds, refresh.peak_tree_bytes
        )

    def evaluate(self, file: Path) -> dict[str, Any]:
        """The deployed model's metrics on a file."""
        metrics: dict[str, Any] = self.command("eval", KEY, str(file))
        return {name: value for name, value in metrics.items() if name != "per_intent"}

    def log_files(self) -> int:
        """The commits of all tables, counted in the Delta logs themselves."""
        return sum(1 for _ in self.home.lake.glob("**/_delta_log/*.json"))

    def splits(self) -> dict[str, int]:
        """How many utterances the platform learns from, holds out for its own test, and leaves out."""
        counts = {"train": 0, "test": 0, "excluded": 0}
        for row in self.lake.table(KEY, "utterances").arrow(["split", "excluded"]).to_pylist():
            counts["excluded" if row["excluded"] else row["split"]] += 1
        return counts

    def candidates(self) -> set[str]:
        """The distinct candidates for paraphrases that are no utterance's text."""
        proposed = self.lake.table(KEY, "paraphrase_candidates").arrow(["candidates"]).column("candidates").to_pylist()
        texts = self.lake.table(KEY, "utterances").arrow(["text"]).column("text").to_pylist()
        return {text for candidates in proposed for text in candidates} - set(texts)

    def new_rows(self, train: Rows, count: int) -> Rows:
        """Rows whose normalised texts are new and distinct: known rows of mixed intents, each with a foreign word."""
        process = load_bot(self.home.bots, KEY).process
        normalise, accepts = process.normaliser.load(), process.language_check.load()
        known = {normalise(row["text"]) for row in train}
        made: Rows = []
        step = max(1, len(train) // (2 * count))
        for place in range(0, len(train) * step, step):
            row, other = train[place % len(train)], train[(7 * place + 1) % len(train)]
            text = f"{row['text']} {other['text'].split()[-1]}"
            normalised = normalise(text)
            if normalised not in known and accepts(normalised):
                known.add(normalised)
                made.append({"text": text, "intent": row["intent"]})
            if len(made) == count:
                break
        return made


def language_of(folder: Path) -> str:
    """The platform's language for a data folder, by the folder's name."""
    name = folder.resolve().name
    return LANGUAGES.get(name) or LANGUAGES.get(name.partition("-")[0]) or "en"


def thinned(rows: Rows, count: int | None) -> Rows:
    """``count`` rows, evenly spaced; all of them without a count."""
    if count is None or count >= len(rows):
        return rows
    return [rows[place * len(rows) // count] for place in range(count)]


def measure(data: Path, language: str, rows: int | None) -> dict[str, Any]:
    """The whole benchmark."""
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        folder = Path(name)
        load = os.getloadavg()[0]
        train = thinned(read_rows(data / "train.jsonl"), rows)
        train_file = _write(folder / "train.jsonl", train)
        platform = OneBot(folder, language)

        full = platform.refresh(train_file)
        proposed = platform.candidates()
        largest = _largest_child_bytes()
        evaluation = platform.evaluate(data / "dev.jsonl")
        splits = platform.splits()

        before = platform.log_files()
        unchanged = platform.refresh()
        log_files = platform.log_files() - before

        new = platform.new_rows(train, APPENDED)
        appended = platform.refresh(_write(folder / "appended.jsonl", new))
        candidates = len(platform.candidates() - proposed)

        print("bench: baselines", file=sys.stderr)
        command = [sys.executable, "-m", "bench.baselines", str(train_file), str(data / "dev.jsonl")]
        baseline = json.loads(run_measured(command, env=os.environ, cwd=PROJECT).output)

    shares = {name: round(appended.asset(name, "seconds") / full.asset(name, "seconds"), 3) for name in ROW_WISE}
    figures = {
        "data": data.resolve().name,
        "language": language,
        "load_before": round(load, 2),
        "rows": {
            "landed": len(train),
            "utterances": splits,
            "model": "trained on the utterances of split 'train'; 'test' is held out for evaluation",
            "baseline": "trained on all landed rows that have an intent",
        },
        "full": {**full.figures(), "peak_process_mb": _megabytes(largest)},
        "modules": full.modules(),
        "evaluation": evaluation,
        "no_op": {**unchanged.figures(), "commits": unchanged.commits, "delta_log_files": log_files},
        "append": {**appended.figures(), "rows": len(new), "share_of_full_seconds": shares},
    }
    targets = [
        Target("seconds from landing to deployment", round(full.seconds, 2), "at most", 90),
        *(
            Target(f"accuracy against {name}", evaluation["accuracy"], "at least", baseline[baseline_name]["accuracy"])
            for name, baseline_name in (("SVM + encoder", "svm_encoder"), ("SVM", "svm"))
        ),
        Target("seconds of a refresh of nothing", round(unchanged.seconds, 2), "at most", 10),
        Target("commits of a refresh of nothing", max(unchanged.commits, log_files), "exactly", 0),
        Target(f"seconds from landing {APPENDED} more rows to deployment", round(appended.seconds, 2), "at most", 45),
        *(
            Target(
                f"rows of {name} computed for {len(new)} new texts{also}",
                appended.asset(name, "rows_computed"),
                "exactly",
                len(new) + more,
            )
            for name, also, more in (
                ("utterances", "", 0),
                ("embeddings", f" and {candidates} new candidates for paraphrases", candidates),
            )
        ),
        *(
            Target(f"share of the full seconds of {name} for the append", shares[name], "at most", 0.1)
            for name in ROW_WISE
        ),
    ]
    return report("pipeline", figures, baseline, targets)


def _write(file: Path, rows: Rows) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def _largest_child_bytes() -> int:
    """The largest resident memory of any single process that has ended below this one."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def _megabytes(size: int | None) -> float | None:
    return None if size is None else round(size / 1e6, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench pipeline", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl and dev.jsonl")
    parser.add_argument("--language", help="the bot's language; guessed from the folder's name by default")
    parser.add_argument("--rows", type=int, help="train on this many evenly spaced rows only")
    options = parser.parse_args(arguments)
    for file in ("train.jsonl", "dev.jsonl"):
        if not (options.data / file).is_file():
            parser.error(f"{options.data} has no {file}")
    found = measure(options.data, options.language or language_of(options.data), options.rows)
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
