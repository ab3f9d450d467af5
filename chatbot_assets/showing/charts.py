"""Draws pictures as SVG. matplotlib is imported when something is drawn, and never its global state (pyplot).

Colours are those of Okabe & Ito, "Color Universal Design" (2008), which colour-blind people can tell apart. Texts stay
texts in the SVG, so that the browser's fonts draw every script.
"""

import io
import re
import threading
import unicodedata
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
GREY = "#bbbbbb"
WIDTH = 7.0
"""Inches (of 72 points) of every picture."""
NAME_CHARACTERS = 26
NEEDLESS = re.compile(rb"(?<=\d\.\d)\d+|^ +|<!--.*?-->\n?", re.MULTILINE)
"""What can be left out of an SVG unseen: further decimals, indents and comments."""
BINS = 20
_drawing = threading.Lock()


def load_ahead() -> None:
    """Begins to import matplotlib (about half a second) beside other work."""
    threading.Thread(target=_load, daemon=True).start()


def _load() -> None:
    import matplotlib.backends.backend_svg
    import matplotlib.figure  # noqa: F401


def bars(title: str, names: Sequence[str], parts: Mapping[str, Sequence[int]]) -> bytes:
    """A horizontal bar for each name, first on top, made of ``parts`` (their values in the order of the names)."""
    with _figure(title, 0.9 + 0.2 * max(len(names), 3), names) as (axes, svg):
        start = np.zeros(len(names))
        for colour, (part, values) in zip(COLOURS, parts.items(), strict=False):
            axes.barh(range(len(names)), values, left=start, color=colour, label=part, height=0.75)
            start = start + np.array(values)
        for place, total in enumerate(start):
            axes.text(total + start.max() * 0.01, place, f"{int(total):,}", va="center", fontsize=8)
        axes.set_yticks(range(len(names)), [_short(name) for name in names])
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, max(1.0, float(start.max(initial=0)) * 1.12))
        _legend(axes)
    return svg.getvalue()


def histogram(title: str, parts: Mapping[str, Sequence[float]], label: str) -> bytes:
    """How many values between 0 and 1 fall into each twentieth, stacked by part."""
    with _figure(title, 2.8, [], label=label) as (axes, svg):
        edges = np.linspace(0, 1, BINS + 1)
        below = np.zeros(BINS)
        for colour, (part, values) in zip(COLOURS, parts.items(), strict=False):
            counts, _ = np.histogram(values, edges)
            axes.bar(edges[:-1], counts, 0.9 / BINS, bottom=below, align="edge", color=colour, label=part)
            below = below + counts
        axes.set_xlim(0, 1)
        _legend(axes)
    return svg.getvalue()


def matrix(title: str, rows: Sequence[str], columns: Sequence[str], counts: NDArray[np.int64]) -> bytes:
    """Counts (rows, columns) as numbers on a blue that grows darker with the row's share; equal names in orange."""
    with _figure(title, 1.6 + 0.26 * len(rows), rows, below=1.3) as (axes, svg):
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for row, column in zip(*np.nonzero(counts), strict=True):
            share = float(shares[row, column])
            colour = COLOURS[0] if rows[row] == columns[column] else COLOURS[5]
            axes.barh(row, 1, left=column - 0.5, height=1, color=colour, alpha=0.2 + 0.6 * share, clip_on=False)
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8)
        axes.set_yticks(range(len(rows)), [_short(name) for name in rows])
        axes.set_xticks(range(len(columns)), [_short(name) for name in columns], rotation=35, ha="right")
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return svg.getvalue()


def lines(title: str, places: Sequence[str], series: Mapping[str, Sequence[float | None]]) -> bytes:
    """Values between 0 and 1 over places, in their order; None leaves a gap."""
    with _figure(title, 2.8, [], below=0.55) as (axes, svg):
        for colour, marker, (name, values) in zip(COLOURS, "os^D", series.items(), strict=False):
            known = [np.nan if value is None else value for value in values]
            axes.plot(range(len(places)), known, color=colour, marker=marker, markersize=4, label=name)
        shown = range(0, len(places), max(1, -(-len(places) // 8)))
        axes.set_xticks(list(shown), [places[place] for place in shown], rotation=20, ha="right")
        axes.set_ylim(0, 1.03)
        axes.grid(axis="y", color="#dddddd")
        _legend(axes)
    return svg.getvalue()


def dots(title: str, groups: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Points (n, 2) of each group; the group "" is grey and lies below the others."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    with _figure(title, 4.2, [], bare=True) as (axes, svg):
        colours = iter(COLOURS)
        for name, points in sorted(groups.items(), key=lambda group: group[0] != ""):
            # One path of strokes without length and with round caps: a tenth of the size of as many markers.
            codes = [Path.MOVETO, Path.LINETO] * len(points)
            axes.add_patch(
                PathPatch(
                    Path(np.repeat(points, 2, axis=0), codes),
                    color=next(colours) if name else GREY,
                    linewidth=4,
                    capstyle="round",
                    label=_short(name, 16) if name else "other",
                )
            )
        everything = np.concatenate(list(groups.values()))
        low, high = everything.min(axis=0), everything.max(axis=0)
        margin = np.maximum((high - low) * 0.03, 1e-3)
        axes.set_xlim(low[0] - margin[0], high[0] + margin[0])
        axes.set_ylim(low[1] - margin[1], high[1] + margin[1])
        _legend(axes)
    return svg.getvalue()


@contextmanager
def _figure(
    title: str, height: float, names: Sequence[str], *, below: float = 0.3, label: str = "", bare: bool = False
) -> "Iterator[tuple[Axes, io.BytesIO]]":
    """A figure with one pair of axes and room for names on the left; its SVG stands in the bytes afterwards."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    svg = io.BytesIO()
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "chatbot",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8,
    }
    # Settings and warning filters belong to the process.
    with _drawing, matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fonts without a letter: the browser has others
        below += 0.2 if label else 0.0
        height += below
        figure = Figure(figsize=(WIDTH, height))
        FigureCanvasSVG(figure)
        left = 0.45 + max((_width(_short(name)) for name in names), default=0.0) * 0.068
        axes = figure.add_axes((left / WIDTH, below / height, 0.76 - left / WIDTH, 1 - (below + 0.42) / height))
        axes.spines[["top", "right"]].set_visible(False)
        figure.text(0.01, 1 - 0.2 / height, title, fontsize=10, va="center", fontweight="bold")
        if label:
            axes.set_xlabel(label)
        if bare:
            axes.set_xticks([])
            axes.set_yticks([])
        yield axes, svg
        written = io.BytesIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
        svg.write(NEEDLESS.sub(b"", written.getvalue()))


def _legend(axes: "Axes") -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _short(name: str, limit: int = NAME_CHARACTERS) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _width(text: str) -> float:
    """About how many Latin letters wide a text is."""
    return sum(1.7 if unicodedata.east_asian_width(letter) in "WF" else 1.0 for letter in text)
