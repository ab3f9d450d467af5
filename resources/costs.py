"""What a bot's last refresh cost, step by step, kept beside its tables: it outlives Dagster's database.

One small file a bot. A run of some tables only (the review queue by itself) leaves what the last whole refresh noted.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources import beside
from resources.metering import Meter

FILE = ".costs.json"
FIRST_STEP = "landing"
"""The step that every whole refresh begins with."""


@dataclass(frozen=True)
class StepCost:
    """One step of a refresh: seconds, the largest memory in MB, rows computed and reused, and its modules' seconds."""

    step: str
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    rows_computed: int = 0
    rows_reused: int = 0
    modules: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RefreshCost:
    """The steps of a refresh in their order, and when the last of them ended."""

    run_id: str
    at: datetime
    steps: tuple[StepCost, ...]

    @property
    def seconds(self) -> float:
        """Of all steps together."""
        return sum(step.seconds for step in self.steps)


def last_cost(folder: Path) -> RefreshCost | None:
    """What the last whole refresh of the bot with this folder cost; None before the first."""
    found = beside.read(folder / FILE)
    try:
        if found is None:
            return None
        steps = tuple(StepCost(**step) for step in found["steps"])
        return RefreshCost(found["run_id"], datetime.fromisoformat(found["at"]), steps)
    except (ValueError, TypeError, KeyError):
        return None  # written by another release


def note(folder: Path, run_id: str, step: str, meter: Meter, rows_computed: int, rows_reused: int) -> None:
    """Puts on record what a table of a step cost; of a step with several tables the meter runs on."""
    before = last_cost(folder)
    steps = {one.step: one for one in before.steps} if before and before.run_id == run_id else {}
    if not steps and step != FIRST_STEP:
        return
    earlier = steps.get(step, StepCost(step))
    steps[step] = StepCost(
        step,
        round(meter.seconds, 3),
        round((meter.peak_bytes or 0) / 1e6, 1),
        max(earlier.rows_computed, rows_computed),
        max(earlier.rows_reused, rows_reused),
        {name: round(cost.seconds, 3) for name, cost in meter.modules.items()},
    )
    data: dict[str, Any] = {
        "run_id": run_id,
        "at": datetime.now(UTC).isoformat(),
        "steps": list(map(asdict, steps.values())),
    }
    with contextlib.suppress(OSError):  # a full disk must not undo a refresh that ended well
        beside.write(folder / FILE, data)
