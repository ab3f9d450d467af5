"""What paraphrases are worth where there are few rows; prints one JSON object.

For each data folder, number of shots and seed, that many training rows are drawn of each intent. The platform's
classifier learns them as they are; with the paraphrases that the language's rules make and the gate keeps; with all
that the rules make; with as many rows by nlpaug's stock augmenters as the gate has kept; and with as many gold rows
again, the ceiling. Rows made of others count what the bot's `augment.weight` says. Each is measured on the dev rows.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.intervals import interval, paired
from bench.labelled import Data, Labelled, Language, data_folders
from bench.report import report
from chatbot_assets.augment.gate import CandidateRows, Gate, GoldRows
from chatbot_assets.augment.paraphraser import Paraphraser
from chatbot_assets.bot import Augment
from chatbot_assets.languages import language_defaults

Run = dict[str, float]
Made = list[tuple[int, str, str]]
"""Texts made of gold rows: the row's place, the rule's name and the text."""
NONE = np.zeros(0, np.int64)
ARMS = ("gold", "gated", "ungated", "stock", "twice_gold")


@dataclass(frozen=True)
class Draw:
    """Few rows of each intent, and as many others."""

    gold: Labelled
    more: Labelled


def draw(train: Labelled, shots: int, seed: int) -> Draw:
    """Draws `shots` rows of each intent and, where there are as many left, `shots` others."""
    drawn = np.random.default_rng(seed)
    gold: list[int] = []
    more: list[int] = []
    for intent in np.unique(train.intents):
        places = drawn.permutation(np.flatnonzero(train.intents == intent))
        gold += places[:shots].tolist()
        more += places[shots : 2 * shots].tolist()
    return Draw(train.take(np.array(gold)), train.take(np.array(more, np.int64)))


def by_rules(paraphrase: Paraphraser, texts: Sequence[str]) -> Made:
    """What the language's rules make of the texts, the first of each text before the second of any."""
    found = [(rank, place, one) for place, text in enumerate(texts) for rank, one in enumerate(paraphrase(text))]
    return [(place, one.rule, one.text) for _, place, one in sorted(found, key=lambda entry: entry[:2])]


def by_nlpaug(texts: Sequence[str], count: int, seed: int) -> Made:
    """`count` texts by nlpaug's stock augmenters that need no download, in turn over the texts; fewer if they fail."""
    import nlpaug.augmenter.char as nac
    import nlpaug.augmenter.word as naw

    random.seed(seed)
    np.random.seed(seed)  # nlpaug draws from both global generators
    augmenters = [
        naw.RandomWordAug(action="swap"),
        naw.RandomWordAug(action="delete"),
        nac.RandomCharAug(action="substitute"),
        nac.RandomCharAug(action="swap"),
    ]
    made: Made = []
    for turn in range(4 * max(count, 1)):
        if len(made) == count:
            break
        place, augmenter = turn % len(texts), augmenters[(turn + turn // len(texts)) % len(augmenters)]
        for text in augmenter.augment(texts[place]):
            if text.strip() and text != texts[place]:
                made.append((place, augmenter.name, text))
    return made[:count]


def seen(language: Language, gold: Labelled, made: Made) -> tuple[CandidateRows, Labelled]:
    """Made texts as the gate sees them, and as rows to learn from with their parents' intents."""
    rows = language.rows([text for _, _, text in made], [str(gold.intents[place]) for place, _, _ in made])
    candidates = CandidateRows(
        [str(place) for place, _, _ in made], rows.texts, [rule for _, rule, _ in made], rows.vectors, rows.tokens
    )
    return candidates, rows


def gold_rows(gold: Labelled) -> GoldRows:
    """Drawn rows as the gate sees them."""
    places = [str(place) for place in range(len(gold.texts))]
    intents = [str(intent) for intent in gold.intents]
    return GoldRows(places, gold.texts, intents, [None] * len(places), gold.vectors, gold.tokens)


def one_run(data: Data, augment: Augment, paraphrase: Paraphraser, shots: int, seed: int) -> Run:
    """All figures of one data folder, number of shots and seed."""
    drawn = draw(data.train, shots, seed)
    gold = drawn.gold
    started = time.monotonic()
    candidates, made = seen(data.language, gold, by_rules(paraphrase, gold.texts))
    proposed = time.monotonic()
    gate: Gate = augment.gate.load()
    kept = np.array([judgement.kept for judgement in gate(gold_rows(gold), candidates)], np.bool_)
    gated = made.take(np.flatnonzero(kept))
    judged = time.monotonic()
    _, stock = seen(data.language, gold, by_nlpaug(gold.texts, len(gated.texts), seed))
    arms = {
        "gold": (drawn.more.take(NONE), 1.0),
        "gated": (gated, augment.weight),
        "ungated": (made, augment.weight),
        "stock": (stock, augment.weight),
        "twice_gold": (drawn.more, 1.0),
    }
    run = {
        "gold_rows": len(gold.texts),
        "candidates": len(made.texts),
        "kept": len(gated.texts),
        "stock_rows": len(stock.texts),
        "rules_seconds": proposed - started,
        "gate_seconds": judged - proposed,
        **{name: _with(data, gold, added, weight) for name, (added, weight) in arms.items()},
    }
    print(f"bench: {data.name} {shots} {seed} { ({k: round(v, 4) for k, v in run.items()}) }", file=sys.stderr)
    return run


def _with(data: Data, gold: Labelled, added: Labelled, weight: float) -> float:
    weights = np.repeat(np.array([1, weight], np.float32), [len(gold.texts), len(added.texts)])
    return data.accuracy(gold + added, weights)


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Means with intervals over the runs, and the differences pair by pair."""
    of = {name: [run[name] for run in runs] for name in runs[0]}
    return {
        **{name: interval(values) for name, values in of.items()},
        **{f"{arm}_minus_gold": paired(of[arm], of["gold"]) for arm in ARMS[1:]},
        "gated_minus_stock": paired(of["gated"], of["stock"]),
        "gated_minus_ungated": paired(of["gated"], of["ungated"]),
    }


def measure(folders: Sequence[Path], shots: Sequence[int], seeds: int) -> dict[str, Any]:
    """The whole benchmark."""
    runs: dict[int, dict[str, list[Run]]] = {count: {} for count in shots}
    for folder in folders:
        data = Data.read(folder)
        augment = Augment.model_validate(language_defaults(data.language.key).get("augment", {}))
        paraphrase = Paraphraser(augment.rules, augment.flows, augment.limit)
        for count in shots:
            runs[count][data.name] = [one_run(data, augment, paraphrase, count, seed) for seed in range(seeds)]
    figures = {
        "shots": {
            str(count): {
                "pooled": summary([run for runs_of_one in by_folder.values() for run in runs_of_one]),
                **{name: summary(runs_of_one) for name, runs_of_one in by_folder.items()},
            }
            for count, by_folder in runs.items()
        },
        "seeds": seeds,
    }
    baseline = {
        "gold": "no augmentation",
        "stock": "nlpaug RandomWordAug (swap, delete) and RandomCharAug (substitute, swap), as many rows as were kept",
        "twice_gold": "as many gold rows again: the ceiling",
    }
    return report("paraphrase", figures, baseline, [])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench paraphrase", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        help="folder with train.jsonl and dev.jsonl, or one of such folders; may be repeated",
    )
    parser.add_argument("--shots", default="5,10", help="training rows of each intent, with commas between")
    parser.add_argument("--seeds", type=int, default=5, help="how often the rows are drawn")
    options = parser.parse_args(arguments)
    shots = [int(count) if count.strip().isdecimal() else 0 for count in options.shots.split(",")]
    if min(shots) < 1 or options.seeds < 1:
        parser.error(f"--shots {options.shots!r}: write numbers from 1 with commas between; and at least one seed")
    try:
        folders = data_folders(options.data)
    except ValueError as error:
        parser.error(str(error))
    print(json.dumps(measure(folders, shots, options.seeds), ensure_ascii=False))


if __name__ == "__main__":
    main()
