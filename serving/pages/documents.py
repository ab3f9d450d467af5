"""The repository's documents as pages: its Markdown files and their pictures, rendered without any raw HTML."""

import functools
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from resources.environment import PROJECT

PICTURES = (".png",)
_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A Markdown file; ``address`` is its path in the repository, so that links between documents lead on."""

    address: str
    title: str
    path: Path


@functools.cache
def documents() -> tuple[Document, ...]:
    """The README and ``docs/*.md``; none where the program was installed without them."""
    paths = [*PROJECT.glob("README.md"), *sorted((PROJECT / "docs").glob("*.md"))]
    return tuple(Document(path.relative_to(PROJECT).as_posix(), _title(path), path) for path in paths)


@functools.cache
def pictures() -> dict[str, Path]:
    """The documents' pictures by their address."""
    found = sorted(path for path in (PROJECT / "docs").glob("*") if path.suffix in PICTURES)
    return {path.relative_to(PROJECT).as_posix(): path for path in found}


def render(document: Document) -> str:
    """The document as HTML; headings get the anchors that they have on GitHub."""
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(document.path.read_text(encoding="utf-8"))
    for opening, text in itertools.pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", re.sub(r"[^\w\- ]", "", text.content.strip().lower()).replace(" ", "-"))
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _title(path: Path) -> str:
    found = _HEADING.search(path.read_text(encoding="utf-8"))
    return found[1] if found else path.stem
