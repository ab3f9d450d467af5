"""Where the marks of a plot lie, in a square of 100 × 100 that the page stretches; the templates draw them."""

from collections.abc import Sequence
from dataclasses import dataclass

from serving.overview.bots import Quality
from serving.overview.traffic import Shares

GAP = 0.2
"""The part of a bar's width that is left free."""
OUTCOMES = ("answered", "similar", "failed")


@dataclass(frozen=True)
class Block:
    """A rectangle; ``kind`` is its colour's name."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bar:
    """The blocks of one part of the period, and the whole height for a pointer."""

    place: int
    whole: Block
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Line:
    """Points with their place in the data, the path that joins them, and the shares at the plot's foot and top."""

    points: tuple[tuple[float, float], ...]
    path: str
    foot: float
    top: float = 1.0


def outcome_bars(parts: Sequence[Shares], across: bool = False) -> list[Bar]:
    """Of each part with turns: the shares of answered, similar and failed ones, from the foot upwards.

    ``across`` lays one bar from left to right instead, through the whole square.
    """
    if across:
        return [Bar(place, Block("whole", 0, 0, 100, 100), tuple(_across(part))) for place, part in enumerate(parts)]
    return _bars(parts, OUTCOMES)


def satisfaction_bars(parts: Sequence[Shares]) -> list[Bar]:
    """Of each part with verdicts: the share of satisfied ones."""
    return _bars(parts, ("satisfied",))


def quality_line(qualities: Sequence[Quality]) -> Line | None:
    """Accuracy over time, from a foot of whole tens of per cent below the lowest; None without any."""
    if not qualities:
        return None
    lowest = min(one.accuracy for one in qualities)
    foot = min(max(int(lowest * 10 - 0.5), 0) / 10, 0.9)
    first, last = qualities[0].at, qualities[-1].at
    length = (last - first).total_seconds()
    points = tuple(
        (
            round(3 + 94 * ((one.at - first).total_seconds() / length if length else 0.5), 2),
            round(100 - 100 * (one.accuracy - foot) / (1 - foot), 2),
        )
        for one in qualities
    )
    return Line(points, "M" + " L".join(f"{x} {y}" for x, y in points), foot)


def _across(part: Shares) -> list[Block]:
    found, x = [], 0.0
    for kind in OUTCOMES:
        width = 100 * (part.share(kind) or 0)
        if width:
            found.append(Block(kind, round(x, 2), 0, round(width, 2), 100))
        x += width
    return found


def _bars(parts: Sequence[Shares], kinds: Sequence[str]) -> list[Bar]:
    step = 100 / max(len(parts), 1)
    found = []
    for place, part in enumerate(parts):
        x, width = round(step * (place + GAP / 2), 3), round(step * (1 - GAP), 3)
        blocks, y = [], 100.0
        for kind in kinds:
            height = 100 * (part.share(kind) or 0)
            y -= height
            if height:
                blocks.append(Block(kind, x, round(y, 2), width, round(height, 2)))
        if part.share(kinds[0]) is not None:
            whole = Block("whole", round(step * place, 3), 0, round(step, 3), 100)
            found.append(Bar(place, whole, tuple(blocks)))
    return found
