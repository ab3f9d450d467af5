"""What a change does to a table's rows, for people: how many come, go and differ, and of which intents."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from chatbot_assets.showing.markdown import Markdown, table

MOST = 10
"""Intents that are named."""
BETWEEN = "\x1f"
NO_INTENT = "(no intent)"


@dataclass(frozen=True)
class RowChanges:
    """Numbers of rows by intent; of a table without intents all under one name."""

    added: Counter[str]
    removed: Counter[str]
    changed: Counter[str]

    @property
    def named(self) -> list[str]:
        """The intents with changes, those with most first."""
        together = self.added + self.removed + self.changed
        return [name for name, _ in sorted(together.items(), key=lambda item: (-item[1], item[0]))]


def compare(before: pa.Table, after: pa.Table, key: Sequence[str], content: Sequence[str]) -> RowChanges:
    """Compares rows by key; a row that stays has changed when its ``content`` differs."""
    old, new = _joined(before, key), _joined(after, key)
    old_content, new_content = _joined(before, (*key, *content)), _joined(after, (*key, *content))
    stays = pc.is_in(new, value_set=old)
    return RowChanges(
        added=_by_intent(after, pc.invert(stays)),
        removed=_by_intent(before, pc.invert(pc.is_in(old, value_set=new))),
        changed=_by_intent(after, pc.and_(stays, pc.invert(pc.is_in(new_content, value_set=old_content)))),
    )


def describe(changes: RowChanges, rows: int, before: int, why: str) -> Markdown:
    """The changes in a sentence, why they were made, and the intents with most of them."""
    added, removed, changed = (found.total() for found in (changes.added, changes.removed, changes.changed))
    text = f"**{added:,} rows added, {removed:,} removed, {changed:,} changed**: {before:,} → {rows:,} rows.\n\n{why}"
    if changes.named == [""] or not changes.named:
        return Markdown(text)
    lines = [
        (name or NO_INTENT, changes.added[name], changes.removed[name], changes.changed[name])
        for name in changes.named[:MOST]
    ]
    more = len(changes.named) - MOST
    rest = f"\n\n… and {more:,} more intents." if more > 0 else ""
    return Markdown(f"{text}\n\n{table(('intent', 'added', 'removed', 'changed'), lines, 3)}{rest}")


def _joined(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    texts = [pc.fill_null(rows.column(name).cast(pa.string()), "\0") for name in columns]
    joined = pc.binary_join_element_wise(*texts, BETWEEN)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _by_intent(rows: pa.Table, chosen: pa.Array) -> Counter[str]:
    if "intent" not in rows.column_names:
        total = pc.sum(chosen).as_py() or 0
        return Counter({"": total} if total else {})
    counts = pc.value_counts(rows.column("intent").filter(chosen)).to_pylist()
    return Counter({found["values"] or NO_INTENT: found["counts"] for found in counts})
