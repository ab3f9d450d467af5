"""What the service counts, in the text format that Prometheus reads (version 0.0.4).

Each process counts for itself and leaves a snapshot in a folder that the service's processes share, so that whichever
process is asked answers for all of them. Nobody but a bot's tenant sees samples that name the bot.
"""

import bisect
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from resources import beside

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of a turn's time."""
TURNS = (1, 2, 4, 8, 16, 32)
"""Upper bounds of a batch's size."""
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FOLDER = "CHATBOT_METRICS"
"""The environment variable that tells the service's processes where they leave their snapshots."""
PUBLISH_SECONDS = 1.0
"""How often a process leaves a snapshot: so old may be what another process answers."""
ALIVE_SECONDS = 5.0
"""A process whose snapshot is older has ended: what it counted still counts, what it held does not."""
COUNTER, HISTOGRAM, GAUGE = "counter", "histogram", "gauge"
logger = logging.getLogger(__name__)

Samples = dict[str, float]


class _Metric(Protocol):
    name: str
    about: str
    kind: str

    def samples(self) -> Samples:
        """The values by what Prometheus writes before them."""
        ...


class Count:
    """How often something has happened, by the values of some labels."""

    kind = COUNTER

    def __init__(self, name: str, about: str, labels: Sequence[str], values: Sequence[str] = ()) -> None:
        """``values`` of the only label are shown from the beginning, before they have happened."""
        self.name, self.about, self._labels = name, about, labels
        self._counts: Counter[tuple[str, ...]] = Counter({(value,): 0 for value in values})
        self._lock = threading.Lock()

    def add(self, *values: str) -> None:
        """One more, from any thread."""
        with self._lock:
            self._counts[values] += 1

    def samples(self) -> Samples:
        with self._lock:
            counts = sorted(self._counts.items())
        return {self._sample(values): count for values, count in counts}

    def _sample(self, values: Sequence[str]) -> str:
        labels = (f'{label}="{value}"' for label, value in zip(self._labels, values, strict=True))
        return f"{self.name}{{{','.join(labels)}}}"


class Histogram:
    """How values are spread over some bounds."""

    kind = HISTOGRAM

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self.name, self.about, self._bounds = name, about, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """One more value, from any thread."""
        with self._lock:
            self._counts[bisect.bisect_left(self._bounds, value)] += 1
            self._sum += value

    def samples(self) -> Samples:
        with self._lock:
            counts, total = list(self._counts), self._sum
        found: Samples = {}
        below = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            below += count
            found[f'{self.name}_bucket{{le="{bound}"}}'] = below
        return found | {f"{self.name}_sum": round(total, 6), f"{self.name}_count": below}


class Gauge:
    """A value as it is when somebody looks; of several processes their sum."""

    kind = GAUGE

    def __init__(self, name: str, about: str, value: Callable[[], float]) -> None:
        self.name, self.about, self._value = name, about, value

    def samples(self) -> Samples:
        return {self.name: self._value()}


class Counted:
    """What one process counts."""

    def __init__(self, *metrics: _Metric) -> None:
        self._metrics: list[_Metric] = list(metrics)

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Shows a value as it is when somebody looks."""
        self._metrics.append(Gauge(name, about, value))

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Everything by name, as JSON can hold it."""
        return {one.name: {"about": one.about, "kind": one.kind, "samples": one.samples()} for one in self._metrics}

    @contextmanager
    def published(self, folder: Path | None) -> Iterator[None]:
        """Leaves a snapshot of this process each ``PUBLISH_SECONDS`` in a folder, if there is one; and a last one."""
        if folder is None:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self._publish, args=(_own(folder), stop), name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _publish(self, path: Path, stop: threading.Event) -> None:
        stopping = False
        while not stopping:
            stopping = stop.wait(PUBLISH_SECONDS)
            try:
                beside.write(path, self.snapshot())
            except OSError as error:
                logger.warning("what this process counts cannot be told to the others: %s", error)


class Metrics(Counted):
    """All that a process that answers counts."""

    def __init__(self) -> None:
        self.turns = Count(
            "chatbot_turns_total", "Turns that were served.", ["category"], ("answered", "similar", "failed")
        )
        self.refused = Count(
            "chatbot_turns_refused_total",
            "Turns that were not served, by why.",
            ["reason"],
            ("queue", "time", "disk", "loading", "error"),
        )
        self.bot_turns = Count(
            "chatbot_bot_turns_total",
            "What came of each bot's turns: the category of those served, or why they were not.",
            ["bot", "outcome"],
        )
        self.feedback = Count("chatbot_feedback_total", "Verdicts of users that were taken.", ["kind"])
        self.seconds = Histogram("chatbot_turn_seconds", "From taking a turn until it is kept and answered.", SECONDS)
        self.batches = Histogram("chatbot_batch_turns", "Turns that were computed together.", TURNS)
        self.shadows = Count(
            "chatbot_shadow_turns_total", "Turns for shadows.", ["outcome"], ("answered", "left out", "failed")
        )
        self.loads = Count("chatbot_bot_loads_total", "Bots that were loaded.", ["why"], ("start", "deployed", "turn"))
        self.unloads = Count("chatbot_bot_unloads_total", "Bots that were unloaded.", ["why"], ("memory",))
        counted = self.turns, self.refused, self.bot_turns, self.feedback, self.seconds, self.batches
        super().__init__(*counted, self.shadows, self.loads, self.unloads)

    def text(self, tenant: str | None = None, folder: Path | None = None) -> str:
        """Everything as Prometheus reads it, of all processes that publish in ``folder``.

        Of samples that name a bot those of the ``tenant`` are given.
        """
        lines: list[str] = []
        for name, metric in sorted(_together([self.snapshot(), *(_others(folder) if folder else ())]).items()):
            shown = {sample: value for sample, value in metric["samples"].items() if _may_see(tenant, sample)}
            if shown or tenant or name != self.bot_turns.name:
                lines += [f"# HELP {name} {metric['about']}", f"# TYPE {name} {metric['kind']}"]
            lines += [f"{sample} {value:.15g}" for sample, value in shown.items()]
        return "".join(f"{line}\n" for line in lines)


def shared_folder() -> Path | None:
    """Where the processes of this service leave their snapshots; None for a process that is alone."""
    found = os.environ.get(FOLDER)
    return Path(found) if found else None


def _may_see(tenant: str | None, sample: str) -> bool:
    _, names_bot, key = sample.partition('{bot="')
    return not names_bot or (tenant is not None and key.startswith(f"{tenant}."))


def _together(snapshots: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for snapshot in snapshots:
        for name, metric in snapshot.items():
            samples = found.setdefault(name, metric | {"samples": {}})["samples"]
            for sample, value in metric["samples"].items():
                samples[sample] = samples.get(sample, 0) + value
    return found


def _own(folder: Path) -> Path:
    return folder / f"{os.getpid()}.json"


def _others(folder: Path) -> Iterator[dict[str, Any]]:
    """The snapshots of the other processes; of those that have ended, what they counted."""
    for path in sorted(folder.glob("*.json")):
        found = beside.read(path) if path != _own(folder) else None
        if found is None:
            continue
        ended = path.stat().st_mtime < time.time() - ALIVE_SECONDS
        yield {name: metric for name, metric in found.items() if not (ended and metric["kind"] == GAUGE)}
