"""What a bot can say already: its intents and answers, for reviewers who look for the right one."""

import threading
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from resources.lakehouse import Lake

TABLE = "utterances"
FOUND = 12
"""Intents and answers that a search offers."""
KEPT = 32


@dataclass(frozen=True)
class Known:
    """An intent with its most frequent answer, or an answer without an intent; ``texts`` teach it, one is shown."""

    intent: str | None
    answer: str | None
    example: str
    texts: int


class KnownAnswers:
    """The intents and answers of each bot, read again when its utterances have changed."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[int, tuple[Known, ...]]] = {}

    def of(self, key: str) -> tuple[Known, ...]:
        """All of a bot's, those that most texts teach first."""
        table = self._lake.table(key, TABLE)
        last = table.last()
        if last is None:
            return ()
        with self._lock:
            version, known = self._kept.get(key, (-1, ()))
            if version != last.version:
                known = _known(table.arrow(["text", "intent", "answer", "excluded"], last.version))
                if len(self._kept) >= KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = (last.version, known)
            return known

    def search(self, key: str, words: str) -> list[Known]:
        """What holds all the words, in the intent, the answer or the example; names that begin with them first."""
        sought = words.casefold().split()

        def holds(known: Known) -> bool:
            where = f"{known.intent or ''} {known.answer or ''} {known.example}".casefold()
            return all(word in where for word in sought)

        def rank(known: Known) -> tuple[bool, int]:
            return not (known.intent or known.answer or "").casefold().startswith(
                words.casefold().strip()
            ), -known.texts

        return sorted(filter(holds, self.of(key)), key=rank)[:FOUND]


def _known(rows: pa.Table) -> tuple[Known, ...]:
    rows = rows.filter(pc.is_null(rows.column("excluded")))
    counted = rows.group_by(["intent", "answer"]).aggregate([("text", "count"), ("text", "min")])
    found: dict[tuple[str | None, str | None], Known] = {}
    totals: dict[tuple[str | None, str | None], int] = {}
    for row in sorted(counted.to_pylist(), key=lambda row: (-row["text_count"], row["text_min"])):
        intent, answer = row["intent"], row["answer"]
        if intent is None and answer is None:
            continue
        identity = (intent, None) if intent else (None, answer)
        found.setdefault(identity, Known(intent, answer, row["text_min"], 0))
        totals[identity] = totals.get(identity, 0) + row["text_count"]
    known = [Known(one.intent, one.answer, one.example, totals[identity]) for identity, one in found.items()]
    return tuple(sorted(known, key=lambda one: (-one.texts, one.intent or "", one.answer or "")))
