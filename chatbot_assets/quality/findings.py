"""What a check found, in words and with the rows that break it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

NOTES = "checks"
"""Where a commit's notes keep what its checks found."""
NAMED_ROWS = 20
"""Rows that a finding names at most; it counts all of them."""

Effect = Literal["blocks", "fails", "warns"]
"""What a failing check does: nothing is committed, it is reported as an error, or as a warning."""


@dataclass(frozen=True)
class Finding:
    """Whether a check holds, in one plain line; ``rows`` are the keys of rows that break it, the first of them."""

    check: str
    passed: bool
    effect: Effect
    description: str
    rows: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether the rows must not be committed."""
        return self.effect == "blocks" and not self.passed


def to_notes(findings: Iterable[Finding]) -> dict[str, Any]:
    """Findings as a commit's notes keep them."""
    return {NOTES: [asdict(finding) for finding in findings]}


def from_notes(notes: Mapping[str, Any]) -> dict[str, Finding]:
    """The findings that a commit's notes keep, by check; none in commits of a withdrawal or of an earlier release."""
    kept = (Finding(**{**note, "rows": tuple(note["rows"])}) for note in notes.get(NOTES, ()))
    return {finding.check: finding for finding in kept}


@dataclass(frozen=True)
class Found:
    """What a check's function answers: whether it holds, in words, and the first rows that break it."""

    passed: bool
    description: str
    rows: tuple[str, ...] = ()


def judged(broken: int, what_holds: str, what_breaks: str, rows: Iterable[str]) -> Found:
    """A :class:`Found` that holds when nothing is broken; ``what_breaks`` says what the broken rows are."""
    if not broken:
        return Found(True, what_holds)
    named = tuple(list(rows)[:NAMED_ROWS])
    return Found(False, f"{what_breaks}: {broken:,} ({shortened(named, broken)})", named)


def shortened(names: Sequence[str], total: int | None = None, shown: int = 5) -> str:
    """The first few names in a line, and how many more there are."""
    more = (len(names) if total is None else total) - min(shown, len(names))
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")
