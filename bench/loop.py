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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.intervals import interval, paired
from bench.labelled import Data, Labelled, data_folders
from bench.report import Target, report
from chatbot_assets.bot import Review
from chatbot_assets.feedback.grouping import groups_of
from chatbot_assets.feedback.ordering import Known, Order, Waiting
from chatbot_assets.feedback.queue import doubt_of
from chatbot_assets.train.contracts import Classifier, IntentLearner
from resources.surroundings import usable_cores

Places = npt.NDArray[np.int64]
START_ROWS, BATCHES, DECISIONS = 10, 10, 50
AHEAD = 0.015
"""How far ahead of a random choice the queue's order must be at the end."""
QUEUE, RANDOM, MARGIN, NEVER = ("queue", "random", "smallest_margin", "no_review")


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
    """The turns that wait, and what the live model makes of them."""

    rows: Labelled
    known: Known
    margins: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]


Choose = Callable[[Queue, int, np.random.Generator], list[Places]]
"""Gives the groups to decide on, each as numbers of waiting turns, the one that is looked at first."""


def by_order(queue: Queue, count: int, _: np.random.Generator) -> list[Places]:
    """The product's order over the product's groups."""
    leaders, group_of, counts = np.unique(groups_of(queue.rows.texts), return_inverse=True, return_counts=True)
    doubts = np.zeros(len(leaders), np.float32)
    np.maximum.at(doubts, group_of, doubt_of(queue.shares))
    texts, ones = [queue.rows.texts[leader] for leader in leaders], np.ones(len(leaders), np.float32)
    waiting = Waiting(texts, queue.rows.vectors[leaders], doubts, counts.astype(np.float32), ones, queue.known)
    order: Order = Review().order.load()
    first = np.argsort(-order(waiting), kind="stable")[:count]
    return [
        np.append(leaders[group], np.setdiff1d(np.flatnonzero(group_of == group), leaders[group])) for group in first
    ]


def at_random(queue: Queue, count: int, drawn: np.random.Generator) -> list[Places]:
    """Turns drawn uniformly."""
    return [np.array([place]) for place in drawn.permutation(len(queue.rows.texts))[:count]]


def by_margin(queue: Queue, count: int, _: np.random.Generator) -> list[Places]:
    """The turns whose two likeliest intents are nearest to each other."""
    two = np.sort(queue.margins, 1)[:, -2:]
    return [np.array([place]) for place in np.argsort(two[:, 1] - two[:, 0], kind="stable")[:count]]


ARMS: dict[str, Choose | None] = {QUEUE: by_order, RANDOM: at_random, MARGIN: by_margin, NEVER: None}


@dataclass(frozen=True)
class Lesson:
    """What a seed needs: the rows to learn from, those to measure on, the learner, and how long it lasts."""

    train: Labelled
    dev: Labelled
    learner: IntentLearner
    batches: int
    decisions: int

    def all_arms(self, seed: int) -> dict[str, dict[str, Any]]:
        """One seed: every arm on the same traffic, from the same first model."""
        traffic = Traffic.draw(self.train.intents, seed, START_ROWS, self.batches)
        first = self.learnt(traffic.start, self.train.intents[traffic.start])
        return {name: self.one_arm(traffic, first, choose, seed) for name, choose in ARMS.items()}

    def one_arm(self, traffic: Traffic, first: Classifier, choose: Choose | None, seed: int) -> dict[str, Any]:
        """The accuracy at the start and after each batch, and what the decisions taught."""
        drawn = np.random.default_rng(seed)
        known, labels = traffic.start, self.train.intents[traffic.start]
        waiting = np.zeros(0, np.int64)
        model, accuracies, wrong = first, [self.accuracy(first)], 0
        for batch in traffic.batches:
            if choose is None:
                accuracies.append(accuracies[0])
                continue
            waiting = np.concatenate([waiting, batch])
            groups = choose(self.queue(model, known, waiting), self.decisions, drawn)
            places = np.concatenate(groups)
            said = np.repeat([self.train.intents[waiting[group[0]]] for group in groups], [len(one) for one in groups])
            wrong += int((said != self.train.intents[waiting[places]]).sum())
            known, labels = np.concatenate([known, waiting[places]]), np.concatenate([labels, said])
            waiting = np.delete(waiting, places)
            model = self.learnt(known, labels)
            accuracies.append(self.accuracy(model))
        return {"accuracies": accuracies, "turns_taught": len(known) - len(traffic.start), "taught_wrong": wrong}

    def queue(self, model: Classifier, known: Places, waiting: Places) -> Queue:
        """What waits, as the model that has learnt the rows at the places `known` sees it."""
        rows, learnt = self.train.take(waiting), self.train.take(known)
        margins = model.margins(rows.texts, rows.tokens, rows.vectors)
        return Queue(rows, Known(learnt.texts, learnt.vectors), margins, model.probabilities(margins))

    def learnt(self, places: Places, labels: npt.NDArray[np.str_]) -> Classifier:
        """A classifier of the rows at the places, with the labels that the oracle gave."""
        rows = self.train.take(places)
        return self.learner.fit(
            rows.texts, rows.tokens, rows.vectors, labels.tolist(), np.ones(len(places), np.float32)
        )

    def accuracy(self, model: Classifier) -> float:
        """The share of the dev rows that get their intent."""
        top = model.margins(self.dev.texts, self.dev.tokens, self.dev.vectors).argmax(1)
        return float(np.mean(np.array(model.intents)[top] == self.dev.intents))


def _seeds(lesson: Lesson, seeds: int, processes: int) -> Iterator[dict[str, dict[str, Any]]]:
    if processes == 1:
        yield from map(lesson.all_arms, range(seeds))
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(lesson.all_arms, range(seeds))


def measure(data: Data, seeds: int, batches: int, decisions: int, processes: int) -> dict[str, Any]:
    """The whole benchmark on one data folder's rows."""
    lesson = Lesson(data.train, data.dev, data.language.classifier, batches, decisions)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ARMS}
    for seed, of_seed in enumerate(_seeds(lesson, seeds, processes)):
        for name, run in of_seed.items():
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
    parser.add_argument("--processes", type=int, default=usable_cores(), help="seeds that are run at once")
    parser.add_argument("--cache", type=Path, help="folder that sentence vectors are kept in and read from")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.batches, options.decisions, options.processes) < 1:
        parser.error("there must be at least one seed, one batch, one decision and one process")
    try:
        [folder] = data_folders([options.data])
    except ValueError as error:
        parser.error(str(error))
    data = Data.read(folder, options.rows, options.cache)
    json.dump(measure(data, options.seeds, options.batches, options.decisions, options.processes), sys.stdout)
    print()


if __name__ == "__main__":
    main()
