"""Notes in a tenant's audit log what its tables tell of deployments and decisions, whoever made them and however.

The tables are append-only and name who did it, so nothing that writes them must think of the log: automation, the
service, pages and commands alike. Each row is noted once. Reasons stay in the tables: they may quote what users said.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from resources.audit import Act, AuditLog
from resources.environment import Home
from resources.lakehouse import Lake, LakeTable

DEPLOYED = ("event_id", "deployment_id", "event", "at", "actor")
DECIDED = ("decision_id", "turn_ids", "action", "decided_at", "reviewer")


def note_events(home: Home, tenant: str, name: str = "*") -> AuditLog:
    """Brings a tenant's log up to date with the tables of its bots, or of the bot of that name, and gives it.

    Raises:
        LakeError: when a table cannot be read.
        OSError: when the log cannot be written.
    """
    log, lake = AuditLog(home.root, tenant), Lake(home.lake)
    found = []
    for folder in sorted(home.lake.glob(f"{tenant}/{name}/")):
        key = f"{tenant}.{folder.name}"
        found += [_deployed(key, row) for row in _rows(lake.table(key, "deployments"), DEPLOYED)]
        found += [_decided(key, row) for row in _rows(lake.table(key, "review_decisions"), DECIDED)]
    log.add_all(sorted(found, key=lambda one: one[0]))
    return log


def _rows(table: LakeTable, columns: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.arrow(list(columns)).to_pylist() if table.last() else []
    return rows


def _deployed(key: str, row: dict[str, Any]) -> tuple[datetime, Act]:
    return row["at"], Act(
        f"deployment_{row['event']}", row["actor"], "table", bot=key, about=row["deployment_id"], row=row["event_id"]
    )


def _decided(key: str, row: dict[str, Any]) -> tuple[datetime, Act]:
    details = {"action": row["action"], "turns": len(row["turn_ids"])}
    return row["decided_at"], Act(
        "decision", row["reviewer"], "table", bot=key, about=row["decision_id"], row=row["decision_id"], details=details
    )
