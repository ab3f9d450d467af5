"""Finds wrong labels that were put there on purpose, and what taking them out is worth; prints one JSON object.

For each data folder, rate and seed, the labels of that share of the training rows are replaced by another intent, drawn
uniformly. The platform's judge and stock cleanlab (`find_label_issues` with its defaults) look for them; the platform's
classifier then learns the clean rows, the noisy ones, those that the judge left or corrected, and those that cleanlab
left, and is measured on the dev rows, which are clean.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.baselines import ENCODER_WEIGHT
from bench.intervals import interval, paired
from bench.labelled import Data, Labelled, data_folders
from bench.report import report
from chatbot_assets.bot import Denoise
from chatbot_assets.denoise.judge import LabelledRows
from chatbot_assets.denoise.leave_one_out import LeaveOneOut
from chatbot_assets.denoise.noise import NoiseModel

Bools = npt.NDArray[np.bool_]
Run = dict[str, float]
CROSS_VALIDATED_ROWS = 2000
FOLDS = 5
ACCURACIES = ("clean", "noisy", "judged", "stock")


def with_noise(intents: npt.NDArray[np.str_], rate: float, seed: int) -> npt.NDArray[np.str_]:
    """The labels, a share of `rate` of them (exactly, up to rounding) replaced by another of the intents."""
    names, labels = np.unique(intents, return_inverse=True)
    drawn = np.random.default_rng(seed)
    wrong = drawn.permutation(len(labels))[: round(rate * len(labels))]
    labels[wrong] = (labels[wrong] + drawn.integers(1, len(names), len(wrong))) % len(names)
    return np.asarray(names[labels], np.str_)


def found_share(flagged: Bools, wrong: Bools, name: str) -> Run:
    """Precision and recall of the flagged labels; a figure that is not defined is left out."""
    hit = float((flagged & wrong).sum())
    shares = {f"{name}_flagged": float(flagged.mean())}
    if flagged.any() and wrong.any():
        shares[f"{name}_precision"] = hit / float(flagged.sum())
    if wrong.any():
        shares[f"{name}_recall"] = hit / float(wrong.sum())
    return shares


def judged(rows: Labelled, wrong: Bools) -> tuple[Labelled, Run]:
    """The rows as the platform's judge leaves them for training, and what it found."""
    judge = Denoise().judge.load()
    ids = [f"{place:08}" for place in range(len(rows.texts))]
    intents = [str(intent) for intent in rows.intents]
    started = time.monotonic()
    verdicts = judge(LabelledRows(ids, rows.texts, rows.tokens, rows.vectors, intents, [False] * len(ids)))
    seconds = time.monotonic() - started
    decisions = np.array([verdict.verdict for verdict in verdicts])
    corrected = [
        verdict.suggested_intent if verdict.verdict == "relabel" else intent
        for verdict, intent in zip(verdicts, intents, strict=True)
    ]
    left = np.flatnonzero(decisions != "drop")
    rows = Labelled(rows.texts, rows.tokens, rows.vectors, np.array(corrected, np.str_))
    figures = {
        **found_share(np.isin(decisions, ["drop", "relabel"]), wrong, "judge"),
        **found_share(decisions != "keep", wrong, "judge_with_review"),
        "judge_seconds": seconds,
    }
    return rows.take(left), figures


def stock(rows: Labelled, wrong: Bools) -> tuple[Labelled, Run]:
    """The rows that stock cleanlab leaves, given the same out-of-sample probabilities, and what it found."""
    from cleanlab.filter import find_label_issues

    started = time.monotonic()
    intents = [str(intent) for intent in rows.intents]
    model = LeaveOneOut.fit(rows.texts, rows.tokens, rows.vectors, intents)
    labels = np.searchsorted(model.intents, intents)
    probabilities = NoiseModel.fit(model.scores, labels).probabilities(model.scores)
    flagged = find_label_issues(labels, probabilities, n_jobs=1)
    seconds = time.monotonic() - started
    return rows.take(np.flatnonzero(~flagged)), {**found_share(flagged, wrong, "stock"), "stock_seconds": seconds}


def cross_validated(rows: Labelled, wrong: Bools) -> Run:
    """What stock cleanlab finds from k-fold logistic regression on the baseline's features; slow."""
    from cleanlab.filter import find_label_issues
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    started = time.monotonic()
    features = sparse.hstack(
        [
            TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2), sublinear_tf=True).fit_transform(rows.texts),
            TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True).fit_transform(rows.texts),
            sparse.csr_matrix(ENCODER_WEIGHT * rows.vectors),
        ]
    ).tocsr()
    _, labels = np.unique(rows.intents, return_inverse=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=200)
    probabilities = cross_val_predict(model, features, labels, cv=folds, method="predict_proba", n_jobs=1)
    flagged = find_label_issues(labels, probabilities, n_jobs=1)
    return found_share(flagged, wrong, "stock_cv") | {"stock_cv_seconds": time.monotonic() - started}


def one_run(data: Data, rate: float, seed: int, clean: float) -> Run:
    """All figures of one data folder, rate and seed; `clean` is the accuracy without noise."""
    intents = with_noise(data.train.intents, rate, seed)
    wrong = intents != data.train.intents
    noisy = Labelled(data.train.texts, data.train.tokens, data.train.vectors, intents)
    ours, our_figures = judged(noisy, wrong)
    theirs, their_figures = stock(noisy, wrong)
    run = {
        **our_figures,
        **their_figures,
        "clean": clean,
        "noisy": data.accuracy(noisy) if wrong.any() else clean,
        "judged": data.accuracy(ours),
        "stock": data.accuracy(theirs),
    }
    print(f"bench: {data.name} {rate} {seed} { ({k: round(v, 4) for k, v in run.items()}) }", file=sys.stderr)
    return run


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Means with intervals over the runs, and the differences pair by pair."""
    names = [name for name in runs[0] if all(name in run for run in runs)]
    found: dict[str, Any] = {name: interval([run[name] for run in runs]) for name in names}
    of = {name: [run[name] for run in runs] for name in ACCURACIES}
    found["judged_minus_clean"] = paired(of["judged"], of["clean"])
    found["judged_minus_noisy"] = paired(of["judged"], of["noisy"])
    found["judged_minus_stock"] = paired(of["judged"], of["stock"])
    lost = [run for run in runs if run["clean"] > run["noisy"]]
    if lost:
        for name in ("judged", "stock"):
            shares = [(run[name] - run["noisy"]) / (run["clean"] - run["noisy"]) for run in lost]
            found[f"loss_restored_by_{name}"] = interval(shares)
    return found


def measure(folders: Sequence[Path], rates: Sequence[float], seeds: int, rows: int | None, cv_rows: int) -> Any:
    """The whole benchmark. Without noise the seeds would all be one run, so there is one."""
    runs: dict[float, dict[str, list[Run]]] = {rate: {} for rate in rates}
    small: dict[str, Run] = {}
    for folder in folders:
        data = Data.read(folder, rows)
        clean = data.accuracy(data.train)
        for rate in rates:
            drawn = range(seeds) if rate > 0 else range(1)
            runs[rate][data.name] = [one_run(data, rate, seed, clean) for seed in drawn]
        if cv_rows and max(rates) > 0:
            small[data.name] = _on_few_rows(data, max(rates), cv_rows)
    figures = {
        "rates": {
            str(rate): {
                "pooled": summary([run for runs_of_one in by_folder.values() for run in runs_of_one]),
                **{name: summary(runs_of_one) for name, runs_of_one in by_folder.items()},
            }
            for rate, by_folder in runs.items()
        },
        "seeds": seeds,
    }
    baseline = {
        "stock": "cleanlab find_label_issues with its defaults, on the same out-of-sample probabilities",
        "cross_validated": {"rate": max(rates), "rows": cv_rows, "folds": FOLDS, **small},
    }
    return report("noise", figures, baseline, [])


def _on_few_rows(data: Data, rate: float, count: int) -> Run:
    rows = data.train.take(np.arange(min(count, len(data.train.texts))) * len(data.train.texts) // count)
    _, labels = np.unique(rows.intents, return_inverse=True)
    rows = rows.take(np.flatnonzero(np.bincount(labels)[labels] >= FOLDS))  # each fold needs a row of each intent
    noisy = Labelled(rows.texts, rows.tokens, rows.vectors, with_noise(rows.intents, rate, 0))
    wrong = noisy.intents != rows.intents
    return {**cross_validated(noisy, wrong), **judged(noisy, wrong)[1]}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="chatbot bench noise", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        help="folder with train.jsonl and dev.jsonl, or one of such folders; may be repeated",
    )
    parser.add_argument("--rates", default="0.0,0.2", help="shares of wrong labels, 0-1, with commas between")
    parser.add_argument("--seeds", type=int, default=5, help="how often the wrong labels are drawn")
    parser.add_argument("--rows", type=int, help="train on this many evenly spaced rows only")
    parser.add_argument(
        "--cross-validated-rows",
        type=int,
        default=CROSS_VALIDATED_ROWS,
        help="rows for the slow baseline, cleanlab on cross-validated logistic regression; 0 leaves it out",
    )
    options = parser.parse_args(arguments)
    try:
        rates = [float(rate) for rate in options.rates.split(",")]
    except ValueError:
        parser.error(f"--rates {options.rates!r}: write numbers with commas between, for instance 0.0,0.2")
    if not all(0 <= rate < 1 for rate in rates) or options.seeds < 1:
        parser.error("rates lie between 0 and 1, and there must be at least one seed")
    try:
        folders = data_folders(options.data)
    except ValueError as error:
        parser.error(str(error))
    found = measure(folders, rates, options.seeds, options.rows, options.cross_validated_rows)
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
