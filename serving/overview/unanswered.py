"""What users asked in vain most often, and nobody has decided on yet.

Turns that say the same are grouped as ``review_queue`` has them. It is made every some minutes: turns that it has not
seen yet are grouped by their words, and join those that it knows.
"""

import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.feedback.decision_log import DecisionLog
from chatbot_assets.tables import CONVERSATIONS, REVIEW_QUEUE
from resources.lakehouse import Lake, LakeTable

BOTS_WITH_TEXTS = 8
"""So many bots' failed turns are kept in memory: those that were looked at last."""
COLUMNS = ("served_at", "turn_id", "category", "text")
_BETWEEN_WORDS = re.compile(r"[\W_]+")
Turn = tuple[datetime, str, str, str]
"""When it was served, its identifier, its text, and the form in which texts are compared."""


@dataclass(frozen=True)
class Question:
    """What users asked in vain: as one of them said it last, how many times, and when last.

    ``is_queued``: it waits in the review queue.
    """

    text: str
    times: int
    last: datetime
    is_queued: bool = False


@dataclass(frozen=True)
class _Queued:
    """The failed turns of a version of ``review_queue``, each with its group; and until when it has seen turns."""

    version: int = -1
    groups: Mapping[str, str] = field(default_factory=dict)
    until: datetime | None = None

    def has(self, turn: Turn) -> bool:
        """Whether a turn waits: it is in the queue, or came after it was made."""
        at, turn_id, _, _ = turn
        return turn_id in self.groups or self.until is None or at > self.until


class _ByFile:
    """The failed turns of each data file of a table; only files that are new are read."""

    def __init__(self) -> None:
        self._version = -1
        self._files: dict[str, list[Turn]] = {}

    def follow(self, table: LakeTable) -> None:
        """Makes them those of the table as it is now."""
        last = table.last()
        if last is None or last.version == self._version:
            return
        known = self._files
        self._files = {
            name: known[name] if name in known else _failed(table.read_files([name], COLUMNS)) for name in table.files()
        }
        self._version = last.version

    def turns(self) -> list[Turn]:
        """All of them."""
        return [turn for turns in self._files.values() for turn in turns]


class Unanswered:
    """The failed turns of the bots that were looked at last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bots: OrderedDict[str, tuple[_ByFile, _Queued]] = OrderedDict()

    def top(
        self, lake: Lake, key: str, log: DecisionLog, start: datetime, end: datetime, count: int = 10
    ) -> list[Question]:
        """What was asked in vain most often in a period, without what people have decided on or put off."""
        with self._lock:
            by_file, queued = self._bots.pop(key, (_ByFile(), _Queued()))
            by_file.follow(lake.table(key, CONVERSATIONS.name))
            queued = _follow(queued, lake, key)
            self._bots[key] = (by_file, queued)
            while len(self._bots) > BOTS_WITH_TEXTS:
                self._bots.popitem(last=False)
            turns = by_file.turns()
        waiting = [turn for turn in turns if start <= turn[0] < end and queued.has(turn) and not log.decided(turn[1])]
        return _most_asked(waiting, queued.groups, count)


def plain_form(text: str) -> str:
    """Equal for texts that differ in case, width, punctuation or blanks alone; a text of signs only is its own."""
    form = _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    return form or text


def _failed(batches: Iterable[pa.RecordBatch]) -> list[Turn]:
    found = []
    for batch in batches:
        failed = batch.filter(pc.fill_null(pc.equal(batch.column("category"), "failed"), False))
        rows = zip(*(failed.column(name).to_pylist() for name in ("served_at", "turn_id", "text")), strict=True)
        found += [(at, turn_id, text, plain_form(text)) for at, turn_id, text in rows if at and text]
    return found


def _follow(queued: _Queued, lake: Lake, key: str) -> _Queued:
    """The queue as it is now."""
    table = lake.table(key, REVIEW_QUEUE.name)
    last = table.last()
    if last is None or last.record is None:
        return _Queued()
    if last.version == queued.version:
        return queued
    rows = table.arrow(["turn_id", "group_id", "kind"], last.version)
    failed = rows.filter(pc.equal(rows.column("kind"), "failed"))
    groups = dict(zip(failed.column("turn_id").to_pylist(), failed.column("group_id").to_pylist(), strict=True))
    read = last.record.signature.inputs.get(CONVERSATIONS.name)
    turns = lake.table(key, CONVERSATIONS.name).at(read.version) if read and read.version >= 0 else None
    return _Queued(last.version, groups, turns.committed_at if turns else None)


def _most_asked(turns: Iterable[Turn], groups: Mapping[str, str], count: int) -> list[Question]:
    turns = list(turns)
    group_of_form = {form: groups[turn_id] for _, turn_id, _, form in turns if turn_id in groups}
    found: dict[str, list[Turn]] = {}
    for turn in turns:
        _, turn_id, _, form = turn
        found.setdefault(groups.get(turn_id) or group_of_form.get(form) or form, []).append(turn)
    questions = []
    for same in found.values():
        queued = [turn for turn in same if turn[1] in groups]
        # A link to the queue searches for the words of a turn that is in it.
        text = max((at, text) for at, _, text, _ in queued or same)[1]
        questions.append(Question(text, len(same), max(same)[0], bool(queued)))
    return sorted(questions, key=lambda one: (-one.times, -one.last.timestamp(), one.text))[:count]
