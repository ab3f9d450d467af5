"""Means with their 95 % intervals, over seeds or over pairs of runs that differ in one thing only."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def interval(values: Sequence[float]) -> dict[str, Any]:
    """The mean of some runs' figures and its 95 % interval by Student's t; a single run has no interval.

    Raises:
        ValueError: without figures.
    """
    if not len(values):
        raise ValueError("an interval needs at least one figure")
    found = np.asarray(values, np.float64)
    mean, runs = float(found.mean()), len(found)
    if runs == 1:
        return {"mean": round(mean, 5), "low": None, "high": None, "runs": 1}
    from scipy.stats import t

    margin = float(t.ppf(0.975, runs - 1) * found.std(ddof=1) / np.sqrt(runs))
    return {"mean": round(mean, 5), "low": round(mean - margin, 5), "high": round(mean + margin, 5), "runs": runs}


def paired(values: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """The mean difference of runs that go together pair by pair, with its 95 % interval.

    Raises:
        ValueError: when there are not as many of the one as of the other.
    """
    return interval([value - other for value, other in zip(values, others, strict=True)])
