"""Assembles what every benchmark prints: figures, the baseline of the same run, the machine, and the targets."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.machine import machine

Direction = Literal["at most", "at least", "exactly"]

_COMPARISONS: dict[Direction, Callable[[float, float], bool]] = {
    "at most": operator.le,
    "at least": operator.ge,
    "exactly": operator.eq,
}


@dataclass(frozen=True)
class Target:
    """A figure with its goal. A figure that could not be measured is None, and misses it."""

    name: str
    value: float | None
    direction: Direction
    goal: float

    @property
    def met(self) -> bool:
        return self.value is not None and _COMPARISONS[self.direction](self.value, self.goal)

    def as_dict(self) -> dict[str, Any]:
        return {"name": f"{self.name}, {self.direction}", "value": self.value, "goal": self.goal, "met": self.met}


def report(
    name: str, figures: Mapping[str, Any], baseline: Mapping[str, Any], targets: Sequence[Target]
) -> dict[str, Any]:
    """The one JSON object of a benchmark."""
    return {
        "name": name,
        "figures": dict(figures),
        "baseline": dict(baseline),
        "machine": machine(),
        "targets": [target.as_dict() for target in targets],
    }
