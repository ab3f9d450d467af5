"""Markdown for Dagster's pages: tables whose cells may hold anything, and pictures."""

import base64
import html
import re
from collections.abc import Iterable, Sequence

CELL_CHARACTERS = 100
MARKS = re.compile(r"([\\`*_\[\]|~$])")


class Markdown(str):
    """A text in Markdown, as opposed to one that is shown as it is."""

    __slots__ = ()


def escape(text: str, limit: int = CELL_CHARACTERS) -> str:
    """A text as one line that Markdown shows as it is, shortened to so many characters."""
    line = "".join(" " if not character.isprintable() else character for character in text)
    line = " ".join(line.split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return MARKS.sub(r"\\\1", html.escape(line, quote=False))


def cell(value: object) -> str:
    """A value in a table: numbers with three decimals or thousands marked, – for None."""
    if value is None:
        return "–"
    if isinstance(value, Markdown):
        return value
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape(str(value))


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0) -> Markdown:
    """A table; its last ``numbers`` columns are set to the right."""
    marks = ["---"] * (len(header) - numbers) + ["---:"] * numbers
    lines = [header, marks, *([cell(value) for value in row] for row in rows)]
    return Markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))


def picture(title: str, svg: bytes) -> Markdown:
    """An SVG picture within the text itself."""
    return Markdown(f"![{escape(title)}](data:image/svg+xml;base64,{base64.b64encode(svg).decode()})")
