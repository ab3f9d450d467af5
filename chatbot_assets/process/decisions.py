"""What people decided, turn by turn: the newest decision on a turn that nobody took back is the one that counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

MODIFY, HOLD, EXCLUDE = ACTIONS = ("modify", "hold", "exclude")
UNDO = "undo"
"""The action of a row that takes an earlier decision back: its turns stand as if that had never been made."""
SERVED, LANDED = "conversations", "dialogues"
"""Where the turns of a decision are: among those that the bot served, or among the landed rows."""
COLUMNS = (
    *("turn_ids", "texts", "source", "action", "intent", "answer", "reviewer", "decided_at", "decision_id", "undoes"),
)
DECIDED_DDL = (
    "turn_id string, raw string, source string, action string, new_intent string, new_answer string, reviewer string"
)
DECIDED_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("turn_id", "raw", "source", "action", "new_intent", "new_answer", "reviewer")]
)


@dataclass(frozen=True)
class Decided:
    """The decision in force on one turn."""

    turn_id: str
    raw: str
    source: str
    action: str
    new_intent: str | None
    new_answer: str | None
    reviewer: str
    decision_id: str
    decided_at: datetime

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs to look at the turn again; one on hold waits for another decision."""
        return self.action != HOLD


def decided_of(row: Mapping[str, Any]) -> list[Decided]:
    """What one row of ``review_decisions`` says about each of its turns."""
    return [
        Decided(
            *(turn_id, raw, row["source"], row["action"], row["intent"], row["answer"]),
            *(row["reviewer"], row["decision_id"], row["decided_at"]),
        )
        for turn_id, raw in zip(row["turn_ids"], row["texts"], strict=True)
    ]


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of ``review_decisions`` in the order in which they were decided."""
    return sorted(rows, key=lambda row: (row["decided_at"], row["decision_id"]))


def in_force(decisions: pa.Table) -> dict[str, Decided]:
    """The decision in force on each turn, by turn; ``decisions`` has ``COLUMNS`` of ``review_decisions``."""
    rows = in_order(decisions.select(list(COLUMNS)).to_pylist())
    undone = {row["undoes"] for row in rows if row["action"] == UNDO}
    return {
        decided.turn_id: decided
        for row in rows
        if row["action"] != UNDO and row["decision_id"] not in undone
        for decided in decided_of(row)
    }


def decided_rows(decisions: pa.Table) -> pa.Table:
    """The decisions in force as rows of ``DECIDED_SCHEMA``, sorted by turn."""
    rows = [vars(decided) for _, decided in sorted(in_force(decisions).items())]
    return pa.Table.from_pylist(rows, DECIDED_SCHEMA)
