"""An index of a million answers: building it, its recall against exact search, and the chat service over it.

The questions are made from the texts of the data folders: each distinct text once, and then pairs of texts of one file
("turn on the light" and "play some jazz" in one breath), chosen by a seeded generator, until there are enough. So all
are real words, and a question's nearest ones share a sentence with it; but they are closer together than a million
questions of real users. Queries are texts of the ``dev.jsonl`` files that are in no question by themselves or in a
pair. One half of the queries is for choosing the index's parameters, the other half for the figures.

The model is trained, saved, loaded and served by the product's own code. Not run: the stages before training, and the
way of the model's files through the table ``models`` (they are put where the service would unpack them).
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.baselines import read_rows
from bench.measured import memory
from bench.platform import Platform, free_port
from bench.report import Target, report
from bench.serving import process, rising, sustained
from chatbot_assets.bot import Embed, Train, load_bot
from chatbot_assets.deploy.life import deployment_id, events
from chatbot_assets.embed.vectors import encode_in_processes, end_processes
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.answer_index import FILE, AnswerIndex, FaissIndex
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.train.training import train_model
from resources.environment import code_revision
from resources.lakehouse import Record, Signature
from resources.model_store import file_hashes, model_id
from resources.surroundings import usable_cores
from serving.tokens import TOKENS_FILE, ensure_tokens

KEY = "bench.answers"
ANSWERS, QUERIES = 1_000_000, 2_000
RATES = (25.0, 50.0, 100.0, 200.0, 300.0)
GOAL_RATE = 100.0
SECONDS = 10.0
SEARCH_WIDTHS = (64, 128, 256, 512)
CHUNK = 20_000
"""Texts that are encoded before they are put on the disk."""
BLOCK = 50_000
"""Vectors that the exact search holds in float32 at once."""
EXACT_QUERIES = 20
"""Queries that time the exact search: each takes about half a second over a million vectors."""
AS_GOOD = 1e-4
"""By how much the likeness that was found may be below the best: vectors are kept in float16, so some are equal."""

Halves = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]


def questions_and_queries(folder: Path, count: int) -> tuple[list[str], int, list[str]]:
    """From a folder's JSON Lines files: ``count`` distinct texts for the index, how many are no pairs, and queries."""
    normalise = load_normaliser()
    files = sorted(folder.rglob("*.jsonl"))
    queries = {normalise(row["text"]): None for file in files if file.stem == "dev" for row in read_rows(file)}
    single: dict[str, None] = {}
    groups: list[list[str]] = []
    for file in files:
        if file.stem == "dev":
            continue
        columns = ("text", "text_a", "text_b")
        found = (normalise(row[name]) for row in read_rows(file) for name in columns if row.get(name))
        own = list({text: None for text in found if text and text not in queries})
        single |= dict.fromkeys(own)
        if len(own) > 1:
            groups.append(own)
    if not groups or not queries:
        raise ValueError(f"{folder} holds no dev.jsonl beside other JSON Lines files with texts")
    singles, drawn = min(len(single), count), np.random.default_rng(0)
    while len(single) < count:
        before = len(single)
        for group in groups:
            pairs = drawn.integers(0, len(group), (1_000, 2)).tolist()
            single |= {f"{group[one]} {group[two]}": None for one, two in pairs if one != two}
        if len(single) == before:
            raise ValueError(f"the texts below {folder} make no more than {before} questions; give a smaller --answers")
    return list(single)[:count], singles, [query for query in queries if query]


def load_normaliser() -> Any:
    """The one of English; the questions are of eight languages, and one bot answers them all."""
    from chatbot_assets.languages import language_defaults

    return ModuleRef.model_validate(language_defaults("en")["process"]["normaliser"]).load()


def encoded(texts: Sequence[str], path: Path) -> Halves:
    """The vectors of texts as the table keeps them; from the file, as far as an earlier run has come."""
    encoder = Embed().encoder
    dimension = encoder.load().dimension
    done = path.with_suffix(".done")
    path.parent.mkdir(parents=True, exist_ok=True)
    first = int(done.read_text()) if path.exists() and done.exists() else 0
    shape = (len(texts), dimension)
    vectors = np.lib.format.open_memmap(path, "r+" if first else "w+", np.float16, None if first else shape)
    for start in range(first, len(texts), CHUNK):
        part = list(texts[start : start + CHUNK])
        vectors[start : start + len(part)] = encode_in_processes(encoder, part, usable_cores())
        vectors.flush()
        done.write_text(str(start + len(part)))
        print(f"bench: {start + len(part)} texts encoded", file=sys.stderr)
    end_processes()
    mapped: Halves = np.load(path, mmap_mode="r")
    return mapped


def best_likeness(vectors: Halves, queries: Floats) -> Floats:
    """The greatest scalar product (queries) of each query with any of the vectors, by looking at all of them."""
    best = np.full(len(queries), -2, np.float32)
    for start in range(0, len(vectors), BLOCK):
        products = queries @ vectors[start : start + BLOCK].astype(np.float32).T
        np.maximum(best, products.max(axis=1), out=best)
    return best


def recall(index: AnswerIndex, queries: Floats, best: Floats) -> float:
    """The share of queries for which the index finds a vector that is as near as the nearest."""
    found, _ = index.search(queries, 1)
    return float(np.mean(found[:, 0] >= best - AS_GOOD))


def search_ms(index: AnswerIndex, queries: Floats) -> dict[str, float]:
    """Milliseconds of single searches, for as many candidates as the service asks for."""
    took = []
    for query in queries:
        started = time.perf_counter()
        index.search(query[None], 10)
        took.append((time.perf_counter() - started) * 1000)
    return {f"p{share}_ms": round(float(np.percentile(took, share)), 2) for share in (50, 99)}


def trained(folder: Path, texts: Sequence[str], vectors: Halves) -> dict[str, float]:
    """Trains the bot by the product's code, unless the folder holds it; gives seconds and the peak of memory."""
    if (folder / "took.json").exists():
        found: dict[str, float] = json.loads((folder / "took.json").read_text())
        return found
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = TrainingRows(
        ids=[f"q{place:07}" for place in range(len(texts))],
        texts=texts,
        tokens=[()] * len(texts),
        intents=[None] * len(texts),
        answers=[f"This is answer {place}, to: {text}" for place, text in enumerate(texts)],
        vectors=np.asarray(vectors, np.float32),
        parents=[None] * len(texts),
        weights=np.ones(len(texts), np.float32),
    )
    train, started = Train(), time.monotonic()
    train_model(
        folder / "model",
        rows,
        bot=KEY,
        language="en",
        classifier=train.classifier,
        index=train.index,
        answer_precision=train.answer_precision,
        suggest_precision=train.suggest_precision,
        progress=lambda _: None,
    )
    took = {
        "seconds": round(time.monotonic() - started, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
        "index_mb": round((folder / "model" / "known" / "index" / FILE).stat().st_size / 1e6, 1),
        "model_mb": round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1),
    }
    (folder / "took.json").write_text(json.dumps(took))
    return took


def deploy(platform: Platform, model: Path, variant: str) -> None:
    """Lets the service find the model: its files where they would be unpacked, and its deployment in the lake."""
    platform.configure(KEY, {"language": "en"})
    bot = load_bot(platform.home.bots, KEY)
    identity = model_id(file_hashes(model))
    target = platform.home.cache / "models" / identity
    target.parent.mkdir(parents=True)
    target.symlink_to(model.absolute())
    table = platform.lake.table(KEY, "deployments")
    rows = events(
        ["live"],
        identity=deployment_id(identity, bot.config_hash()),
        model_id=identity,
        at=datetime.now(UTC),
        position=-1,
        actor="bench",
        reasons=["bench answers"],
        config_hash=bot.config_hash(),
        config=bot.effective(),
        code_revision=code_revision(),
        data_versions={},
        metrics={"serving": {"variant": variant}},
    )
    staged = table.stage_arrow(pa.Table.from_pylist(rows, table.table.schema))
    change = table.append(staged, data_version=identity, rows_in=1, rows_computed=1)
    table.commit(change, Record.of(change, Signature()), None)


def served(model: Path, queries: Sequence[str], rates: Sequence[float], seconds: float, variant: str) -> dict[str, Any]:
    """The chat service over the model at rising rates."""
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        deploy(platform, model, variant)
        token = ensure_tokens(platform.home.root / TOKENS_FILE, {"bench"})["bench"]
        port = free_port()
        task = {
            "host": "127.0.0.1",
            "port": port,
            "path": f"/v1/bots/{KEY}/chat",
            "headers": {"Authorization": f"Bearer {token}"},
            "bodies": [{"session_id": f"s{place % 97}", "text": text} for place, text in enumerate(queries)],
        }
        with process(platform, ["-m", "serving", "--port", str(port)], port, "service.log") as (pid, ready):
            started = memory(pid)
            rising(task, [25], 10)  # brings the pages of the index into memory
            steps = rising(task, rates, seconds)
            loaded = memory(pid)
    return {"start_to_ready_s": round(ready, 2), "rates": steps, "memory_at_start": started, "memory_after": loaded}


def measure(
    data: Path, cache: Path, count: int, rates: Sequence[float], seconds: float, variant: str
) -> dict[str, Any]:
    """The whole benchmark."""
    load_before = round(os.getloadavg()[0], 2)
    texts, singles, asked = questions_and_queries(data, count)
    places = np.random.default_rng(1).permutation(len(asked))[: 2 * QUERIES]
    asked = [asked[place] for place in places]
    started = time.monotonic()
    vectors = encoded(texts, cache / f"questions-{count}.npy")
    encoding_s = time.monotonic() - started
    query_vectors = Embed().encoder.load().encode(asked)
    choosing, reporting = query_vectors[::2], query_vectors[1::2]

    folder = cache / f"model-{count}"
    took = trained(folder, texts, vectors)
    index_folder = folder / "model" / "known" / "index"
    best, best_reported = best_likeness(vectors, choosing), best_likeness(vectors, reporting)
    tried = {}
    for width in SEARCH_WIDTHS:
        index = FaissIndex(search_width=width).load(index_folder)
        tried[str(width)] = {"recall_at_1": round(recall(index, choosing, best), 4), **search_ms(index, choosing[:300])}
    default = FaissIndex().load(index_folder)
    found = {"recall_at_1": round(recall(default, reporting, best_reported), 4), **search_ms(default, reporting[:300])}
    exact = FaissIndex(exact_up_to=count).build(np.asarray(vectors, np.float32))
    exact_ms = search_ms(exact, reporting[:EXACT_QUERIES])
    del exact
    service = served(folder / "model", asked[1::2], rates, seconds, variant)
    at_goal = next((step for step in service["rates"] if step["offered_per_s"] == GOAL_RATE), None)
    figures = {
        "answers": count,
        "single_texts": singles,
        "queries": {"choosing": len(choosing), "reporting": len(reporting)},
        "load_before": load_before,
        "encoding_s": round(encoding_s, 1),
        "training": took,
        "search_widths_on_the_choosing_half": tried,
        "default_on_the_reporting_half": found,
        "variant": variant,
        "service": service,
        "sustained_per_s": sustained(service["rates"]),
    }
    baseline = {"what": "exact search over the same vectors, one thread", "recall_at_1": 1.0, **exact_ms}
    targets = [
        Target("recall@1 against exact search", found["recall_at_1"], "at least", 0.99),
        Target(f"p99 ms at {GOAL_RATE:.0f} requests/s", at_goal["p99_ms"] if at_goal else None, "at most", 40),
        Target("seconds from start to ready", service["start_to_ready_s"], "at most", 5),
    ]
    return report("answers", figures, baseline, targets)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench answers", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data folders, with dev.jsonl in some")
    parser.add_argument("--cache", type=Path, help="folder for vectors and model (some 4 GB), used again")
    parser.add_argument("--answers", type=int, default=ANSWERS, help=f"questions with an answer (default {ANSWERS})")
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="requests a second, rising")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each rate is held")
    parser.add_argument("--variant", default="onnx", help="the encoder variant that serves (default onnx)")
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        parser.error(f"{options.data} is no folder")
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        cache = (options.cache or Path(name)).absolute()
        try:
            found = measure(
                options.data, cache, options.answers, sorted(options.rates), options.seconds, options.variant
            )
        except ValueError as error:
            parser.error(str(error))
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
