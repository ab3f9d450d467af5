"""What people decided, turn by turn: the newest decision on a turn is the one that counts."""

from dataclasses import dataclass

import pyarrow as pa

MODIFY, HOLD, EXCLUDE = ACTIONS = ("modify", "hold", "exclude")
SERVED, LANDED = "conversations", "dialogues"
"""Where the turns of a decision are: among those that the bot served, or among the landed rows."""
COLUMNS = ("turn_ids", "texts", "source", "action", "intent", "answer", "reviewer", "decided_at", "decision_id")
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


def in_force(decisions: pa.Table) -> dict[str, Decided]:
    """The decision in force on each turn, by turn; ``decisions`` has ``COLUMNS`` of ``review_decisions``."""
    found: dict[str, Decided] = {}
    for row in sorted(
        decisions.select(list(COLUMNS)).to_pylist(), key=lambda row: (row["decided_at"], row["decision_id"])
    ):
        for turn_id, raw in zip(row["turn_ids"], row["texts"], strict=True):
            found[turn_id] = Decided(
                turn_id, raw, row["source"], row["action"], row["intent"], row["answer"], row["reviewer"]
            )
    return found


def decided_rows(decisions: pa.Table) -> pa.Table:
    """The decisions in force as rows of ``DECIDED_SCHEMA``, sorted by turn."""
    rows = [vars(decided) for _, decided in sorted(in_force(decisions).items())]
    return pa.Table.from_pylist(rows, DECIDED_SCHEMA)
