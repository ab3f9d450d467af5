"""The human loop on real data: what fifty decisions a batch are worth, by how the turns to decide on are chosen.

A bot starts with a few rows of each intent; the other training rows arrive as traffic in batches. After each one an
oracle reviewer gives the right intent of some of the turns that wait, the bot learns them, and is measured on the dev
rows. Turns are chosen by the order of the review queue (`review.order`, with the groups of the queue: one decision
settles the turns that say the same), at random, by the smallest margin between the two likeliest intents, or never. All
arms of a seed start with the same rows and see the same traffic. Prints one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.intervals import interval, paired
from bench.labelled import Data, Labelled, data_folders
from bench.report import Target, report
from chatbot_assets.bot import Review
from chatbot_assets.feedback.grouping import groups_of
from chatbot_assets.feedback.ordering import Order, Waiting
from chatbot_assets.feedback.queue import doubt_of
from chatbot_assets.train.contracts import Classifier

Places = npt.NDArray[np.int64]
START_ROWS, BATCHES, DECISIONS = 10, 10, 50
AHEAD = 0.015
"""How far ahead of a random choice the queue's order must be at the end."""
QUEUE, RANDOM, MARGIN, NEVER = ARMS = ("queue", "random", "smallest_margin", "no_review")


@dataclass(frozen=True)
class Traffic:
    """What one seed draws from n rows: the places of those the bot starts with, and of those that each batch brings."""

    start: Places
    batches: list[Places]

    @classmethod
    def draw(cls, intents: npt.NDArray[np.str_], seed: int, rows: int, batches: int) -> "Traffic":
        drawn = np.random.default_rng(seed)
        start = np.concatenate(
            [drawn.permutation(np.flatnonzero(intents == intent))[:rows] for intent in np.unique(intents)]
        )
        rest = drawn.permutation(np.setdiff1d(np.arange(len(intents)), start))
        return cls(start, np.array_split(rest, batches))


@dataclass(frozen=True)
class Queue:
    """The turns that wait: rows of the data by their `places`, and what the live model makes of them."""

    rows: Labelled
    places: Places
    margins: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]


Choose = Callable[[Queue, int, np.random.Generator], list[Places]]
"""Gives the groups to decide on, each as numbers of waiting turns, the one that is looked at first."""


def by_order(order: Order) -> Choose:
    """The product's order over the product's groups."""

    def choose(queue: Queue, count: int, _: np.random.Generator) -> list[Places]:
        leaders, group_of, counts = np.unique(groups_of(queue.rows.texts), return_inverse=True, return_counts=True)
        doubts = np.zeros(len(leaders), np.float32)
        np.maximum.at(doubts, group_of, doubt_of(queue.shares))
        ones = np.ones(len(leaders), np.float32)
        priorities = order(Waiting(queue.rows.vectors[leaders], doubts, counts.astype(np.float32), ones))
        first = np.argsort(-priorities, kind="stable")[:count]
        return [
            np.append(leaders[group], np.setdiff1d(np.flatnonzero(group_of == group), leaders[group]))
            for group in first
        ]

    return choose


def at_random(queue: Queue, count: int, drawn: np.random.Generator) -> list[Places]:
    """Turns drawn uniformly."""
    return [np.array([place]) for place in drawn.permutation(len(queue.places))[:count]]


def by_margin(queue: Queue, count: int, _: np.random.Generator) -> list[Places]:
    """The turns whose two likeliest intents are nearest to each other."""
    two = np.sort(queue.margins, 1)[:, -2:]
    return [np.array([place]) for place in np.argsort(two[:, 1] - two[:, 0], kind="stable")[:count]]


def simulate(data: Data, traffic: Traffic, choose: Choose | None, decisions: int, seed: int) -> dict[str, Any]:
    """One arm of one seed: the accuracy at the start and after each batch, and what the decisions taught."""
    drawn = np.random.default_rng(seed)
    known, labels = list(traffic.start), [str(intent) for intent in data.train.intents[traffic.start]]
    waiting = np.zeros(0, np.int64)
    model = _learnt(data, known, labels)
    accuracies, wrong, taught = [_accuracy(data, model)], 0, 0
    for batch in traffic.batches:
        waiting = np.concatenate([waiting, batch])
        if choose is not None:
            rows = data.train.take(waiting)
            margins = np.asarray(model.margins(rows.texts, rows.tokens, rows.vectors), np.float32)
            queue = Queue(rows, waiting, margins, np.asarray(model.probabilities(margins), np.float32))
            decided = np.zeros(len(waiting), np.bool_)
            for group in choose(queue, decisions, drawn):
                label = str(rows.intents[group[0]])
                known += waiting[group].tolist()
                labels += [label] * len(group)
                wrong += int((rows.intents[group] != label).sum())
                taught += len(group)
                decided[group] = True
            waiting = waiting[~decided]
            model = _learnt(data, known, labels)
        accuracies.append(_accuracy(data, model))
    return {"accuracies": accuracies, "turns_taught": taught, "taught_wrong": wrong}


def _learnt(data: Data, places: Sequence[int], labels: Sequence[str]) -> Classifier:
    rows = data.train.take(np.asarray(places))
    ones = np.ones(len(places), np.float32)
    return data.language.classifier.fit(rows.texts, rows.tokens, rows.vectors, labels, ones)


def _accuracy(data: Data, model: Classifier) -> float:
    top = model.margins(data.dev.texts, data.dev.tokens, data.dev.vectors).argmax(1)
    return float(np.mean(np.array(model.intents)[top] == data.dev.intents))


def measure(folder: Path, seeds: int, batches: int, decisions: int, rows: int | None) -> dict[str, Any]:
    """The whole benchmark on one data folder."""
    data = Data.read(folder, rows)
    arms: dict[str, Choose | None] = {
        QUEUE: by_order(Review().order.load()),
        RANDOM: at_random,
        MARGIN: by_margin,
        NEVER: None,
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    for seed in range(seeds):
        traffic = Traffic.draw(data.train.intents, seed, START_ROWS, batches)
        for name, choose in arms.items():
            run = simulate(data, traffic, choose, decisions, seed)
            runs[name].append(run)
            print(f"bench: {data.name} seed {seed} {name}: {run['accuracies'][-1]:.4f}", file=sys.stderr)
    ends = {name: [run["accuracies"][-1] for run in of_arm] for name, of_arm in runs.items()}
    whole = {name: [float(np.mean(run["accuracies"][1:])) for run in of_arm] for name, of_arm in runs.items()}
    ahead = {
        f"{QUEUE}_minus_{other}": {"end": paired(ends[QUEUE], ends[other]), "mean": paired(whole[QUEUE], whole[other])}
        for other in (RANDOM, MARGIN, NEVER)
    }
    figures = {
        "data": data.name,
        "start_rows_an_intent": START_ROWS,
        "decisions_a_batch": decisions,
        **{name: _of_arm(of_arm) for name, of_arm in runs.items() if name == QUEUE},
        **ahead,
    }
    over_random, over_margin = ahead[f"{QUEUE}_minus_{RANDOM}"]["end"], ahead[f"{QUEUE}_minus_{MARGIN}"]["end"]
    targets = [
        Target("accuracy ahead of random choice at the end", over_random["mean"], "at least", AHEAD),
        Target("lower end of its 95 % interval", over_random["low"], "at least", 0.0),
        Target("accuracy ahead of smallest margin at the end", over_margin["mean"], "at least", 0.0),
    ]
    baseline = {name: _of_arm(of_arm) for name, of_arm in runs.items() if name != QUEUE}
    return report("loop", figures, baseline, targets)


def _of_arm(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    curves = zip(*(run["accuracies"] for run in runs), strict=True)
    return {
        "accuracy_by_batch": [interval(values) for values in curves],
        "turns_taught": float(np.mean([run["turns_taught"] for run in runs])),
        "taught_wrong": float(np.mean([run["taught_wrong"] for run in runs])),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench loop", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.jsonl and dev.jsonl")
    parser.add_argument("--seeds", type=int, default=5, help="how often start and traffic are drawn")
    parser.add_argument("--batches", type=int, default=BATCHES, help="batches that the traffic comes in")
    parser.add_argument("--decisions", type=int, default=DECISIONS, help="decisions after each batch")
    parser.add_argument("--rows", type=int, help="use this many evenly spaced training rows only")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.batches, options.decisions) < 1:
        parser.error("there must be at least one seed, one batch and one decision")
    try:
        [folder] = data_folders([options.data])
    except ValueError as error:
        parser.error(str(error))
    json.dump(measure(folder, options.seeds, options.batches, options.decisions, options.rows), sys.stdout)
    print()


if __name__ == "__main__":
    main()
