"""What a process of the service counts, in the text format that Prometheus reads (version 0.0.4).

No sample names a bot or a tenant: `/metrics` asks for no token.
"""

import bisect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of a turn's time."""
TURNS = (1, 2, 4, 8, 16, 32)
"""Upper bounds of a batch's size."""
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Metric(Protocol):
    def lines(self) -> Iterator[str]: ...


class Count:
    """How often something has happened, by the values of one label."""

    def __init__(self, name: str, about: str, label: str, values: Sequence[str] = ()) -> None:
        """``values`` are shown from the beginning, before they have happened."""
        self._name, self._about, self._label = name, about, label
        self._counts: Counter[str] = Counter(dict.fromkeys(values, 0))
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """One more, from any thread."""
        with self._lock:
            self._counts[value] += 1

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._about, "counter")
        with self._lock:
            counts = sorted(self._counts.items())
        for value, count in counts:
            yield f'{self._name}{{{self._label}="{value}"}} {count}'


class Histogram:
    """How values are spread over some bounds."""

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self._name, self._about, self._bounds = name, about, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """One more value, from any thread."""
        with self._lock:
            self._counts[bisect.bisect_left(self._bounds, value)] += 1
            self._sum += value

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._about, "histogram")
        with self._lock:
            counts, total = list(self._counts), self._sum
        below = 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
            below += count
            yield f'{self._name}_bucket{{le="{bound}"}} {below}'
        yield f"{self._name}_sum {total:.6f}"
        yield f"{self._name}_count {below}"


class Gauge:
    """A value as it is when somebody looks."""

    def __init__(self, name: str, about: str, value: Callable[[], float]) -> None:
        self._name, self._about, self._value = name, about, value

    def lines(self) -> Iterator[str]:
        yield from _head(self._name, self._about, "gauge")
        yield f"{self._name} {self._value():g}"


class Metrics:
    """All that one process counts."""

    def __init__(self) -> None:
        self.turns = Count(
            "chatbot_turns_total", "Turns that were served.", "category", ("answered", "similar", "failed")
        )
        self.refused = Count(
            "chatbot_turns_refused_total",
            "Turns that were not served, by why.",
            "reason",
            ("queue", "time", "disk", "error"),
        )
        self.feedback = Count("chatbot_feedback_total", "Verdicts of users that were taken.", "kind")
        self.seconds = Histogram("chatbot_turn_seconds", "From taking a turn until it is kept and answered.", SECONDS)
        self.batches = Histogram("chatbot_batch_turns", "Turns that were computed together.", TURNS)
        self._shown: list[_Metric] = [self.turns, self.refused, self.feedback, self.seconds, self.batches]

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Shows a value as it is when somebody looks."""
        self._shown.append(Gauge(name, about, value))

    def text(self) -> str:
        """Everything, as Prometheus reads it."""
        return "".join(f"{line}\n" for metric in self._shown for line in metric.lines())


def _head(name: str, about: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
