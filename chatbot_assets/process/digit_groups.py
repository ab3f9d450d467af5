"""Numbers as people write them: digits in groups, with spaces, dots, dashes or brackets between the groups."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_JOINTS = r".\-\u2010-\u2015\u2212\u30fc\uff70\u00b7"
SEPARATORS = rf"[\s()\u2026{_JOINTS}]*"
"""What may stand between two groups; also the long-vowel mark, which Japanese keyboards give for a dash."""

_RUN = re.compile(rf"[0-9](?:{SEPARATORS}[0-9])*")
_GROUP = re.compile("[0-9]+")
_PART_OF_MORE_BEFORE = re.compile(rf"[A-Za-z_$₩¥€£฿₫]\Z|[0-9][:/,{_JOINTS}]\Z")
_PART_OF_MORE_AFTER = re.compile(rf"[A-Za-z_%₩¥€£฿₫]|[:/,{_JOINTS}][0-9]")
_MOST_DIGITS = 19


@dataclass(frozen=True)
class Number:
    """A candidate: its groups of digits, and whether a plus stands before them."""

    groups: tuple[str, ...]
    plus: bool

    @property
    def digits(self) -> str:
        return "".join(self.groups)

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the groups."""
        return tuple(map(len, self.groups))


def numbers_in(text: str, accept: Callable[[Number], bool]) -> Iterator[tuple[int, int]]:
    """Where the numbers stand that ``accept`` takes: neighbouring whole groups, as many as it takes at once.

    A number that touches a letter or a currency is left out, as is one that is part of a longer number, a time, a date
    or an amount.
    """
    for run in _RUN.finditer(text):
        groups = [(run.start() + group.start(), run.start() + group.end()) for group in _GROUP.finditer(run[0])]
        first = 0
        while first < len(groups):
            end = _accepted_end(text, groups[first : first + _MOST_DIGITS], accept)
            if end is None:
                first += 1
                continue
            yield _with_brackets(text, groups[first][0], end)
            while first < len(groups) and groups[first][0] < end:
                first += 1


def _accepted_end(text: str, groups: Sequence[tuple[int, int]], accept: Callable[[Number], bool]) -> int | None:
    """Where the longest accepted number ends that starts with the first group."""
    start = groups[0][0]
    before = text[max(start - 2, 0) : start]
    if _PART_OF_MORE_BEFORE.search(before):
        return None
    totals = itertools.accumulate(end - begin for begin, end in groups)
    count = sum(1 for _ in itertools.takewhile(lambda total: total <= _MOST_DIGITS, totals))
    for last in range(count, 0, -1):
        end = groups[last - 1][1]
        number = Number(tuple(text[begin:end] for begin, end in groups[:last]), before.endswith("+"))
        if not _PART_OF_MORE_AFTER.match(text, end) and accept(number):
            return end
    return None


def _with_brackets(text: str, start: int, end: int) -> tuple[int, int]:
    if text[start - 1 : start] == "+":
        start -= 1
    if text[start - 1 : start] == "(" and ")" in text[start:end]:
        start -= 1
    return start, end
