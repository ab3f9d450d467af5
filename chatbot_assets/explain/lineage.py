"""What the lake recorded: a deployment's life, the versions that its model was made from, and where rows came from."""

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chatbot_assets.deploy.replica import replicas
from chatbot_assets.deploy.share import CANARY
from chatbot_assets.tables import (
    DEPLOYMENTS,
    DIALOGUES,
    LABELS,
    MODELS,
    PARAPHRASES,
    REVIEW_DECISIONS,
    TABLES,
    UTTERANCES,
)
from resources.arrow_values import row_dicts
from resources.lakehouse import Commit, InputVersion, Lake, LakeTable

ORIGINS = 5
"""Turns that are shown of a row, at most: the first ones that said it."""
_EVENT_COLUMNS = ("deployment_id", "model_id", "event", "at", "actor", "reason")
_LANDED_COLUMNS = ("turn_id", "text", "intent", "channel", "source_file", "source_line", "arrived_at")
_MADE_COLUMNS = ("config_hash", "config", "code_revision", "data_versions")


@dataclass(frozen=True)
class Deployed:
    """A deployment at the moment of a turn.

    ``live`` is the event that had put it live then, None for one that answered without; ``canary`` is the event that
    had made it a canary, if it answered as one. ``before`` and ``after`` are the live events of the deployments around
    it; ``events`` is its whole life.
    """

    live: Mapping[str, Any] | None
    canary: Mapping[str, Any] | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    events: Sequence[Mapping[str, Any]]


def deployed_at(lake: Lake, key: str, deployment_id: str, moment: datetime) -> Deployed:
    """The life of a deployment, seen from a moment at which it answered."""
    table = lake.table(key, DEPLOYMENTS.name)
    events = sorted(row_dicts(table.arrow(_EVENT_COLUMNS)), key=lambda event: event["at"])
    own = [event for event in events if event["deployment_id"] == deployment_id]
    lives = [event for event in events if event["event"] == "live"]
    answering = [event for event in own if event["event"] in ("live", CANARY) and event["at"] <= moment]
    canary = answering[-1] if answering and answering[-1]["event"] == CANARY else None
    live = answering[-1] if answering and canary is None else None
    since = live["at"] if live else moment
    others = [event for event in lives if event["deployment_id"] != deployment_id]
    before = next((event for event in reversed(others) if event["at"] <= since), None)
    after = next((event for event in others if event["at"] > since), None)
    return Deployed(live, canary, before, after, own)


def made_of(lake: Lake, key: str, deployment_id: str) -> dict[str, Any] | None:
    """Configuration, code revision and data versions of a deployment, as recorded; None for one that is unknown."""
    rows = lake.table(key, DEPLOYMENTS.name).rows_with("deployment_id", [deployment_id], ["at", *_MADE_COLUMNS])
    if not rows:
        return None
    row = max(rows, key=lambda row: row["at"])
    return row | {"config": json.loads(row["config"]), "data_versions": json.loads(row["data_versions"])}


def versions_of(lake: Lake, key: str, data_versions: Mapping[str, Mapping[str, Any]]) -> dict[str, Commit]:
    """The state of each table that a deployment was made from, by following the tables' own records.

    It begins at the model's commit, so that where two tables read different versions of a third, what the model itself
    read counts. A version that holds something else than was recorded is looked for among the replicas that came with
    an imported deployment, or left out.
    """
    found: dict[str, Commit] = {}
    waiting: deque[tuple[str, InputVersion]] = deque()
    for start in sorted(data_versions, key=lambda name: name != MODELS.name):
        waiting.append((start, InputVersion(**data_versions[start])))
        while waiting:
            name, read = waiting.popleft()
            place = recorded(lake, key, name, read) if name in TABLES and name not in found else None
            if place is None:
                continue
            state = place[1]
            found[name] = state
            if state.record:
                waiting += state.record.signature.inputs.items()
    return found


def recorded(lake: Lake, key: str, name: str, read: InputVersion) -> tuple[LakeTable, Commit] | None:
    """The table that holds what was read at that version, here or as a replica; None when neither does."""
    for place in (lake, replicas(lake, key)):
        table = place.table(key, name)
        state = table.at(read.version)
        if state is not None and state.data_version == read.data_version:
            return table, state
    return None


@dataclass
class RecordedRows:
    """Rows of a bot's tables at recorded versions.

    Where a version's files have been removed, the rows are looked for in the table as it is now; ``removed`` names
    these tables.
    """

    lake: Lake
    key: str
    versions: Mapping[str, Commit]
    removed: set[str] = field(default_factory=set)

    def find(self, name: str, column: str, values: Iterable[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """The rows whose ``column`` is one of the values; none when the model was made without such a table."""
        if name not in self.versions:
            return []
        table, values = self._table(name), list(values)
        try:
            return table.rows_with(column, values, columns, self.versions[name].version)
        except FileNotFoundError:
            self.removed.add(name)
            return table.rows_with(column, values, columns)

    def _table(self, name: str) -> LakeTable:
        made = self.versions[name]
        found = recorded(self.lake, self.key, name, InputVersion(made.version, made.data_version))
        return found[0] if found else self.lake.table(self.key, name)

    def decisions_on(self, turn_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The review decision in force on each turn that was decided on."""
        if REVIEW_DECISIONS.name not in self.versions:
            return {}
        table, wanted = self._table(REVIEW_DECISIONS.name), set(turn_ids)
        columns = [name for name in table.table.schema.names if name != "texts"]
        version = self.versions[REVIEW_DECISIONS.name].version
        found: dict[str, dict[str, Any]] = {}
        try:
            rows = table.arrow(columns, version)
        except FileNotFoundError:
            self.removed.add(REVIEW_DECISIONS.name)
            rows = table.arrow(columns)
        for row in row_dicts(rows.sort_by([("decided_at", "ascending"), ("decision_id", "ascending")])):
            found.update((turn_id, row) for turn_id in wanted.intersection(row["turn_ids"]))
        return found


def utterances_by_id(rows: RecordedRows, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Utterances with their label verdict and their origins, by id; those that are nowhere any more are missing."""
    columns = ("utterance_id", "text", "intent", "answer", "split", "reviewed", "sources")
    found = {row["utterance_id"]: row for row in rows.find(UTTERANCES.name, "utterance_id", ids, columns)}
    verdicts = {
        row["utterance_id"]: {name: row[name] for name in ("verdict", "quality", "suggested_intent")}
        for row in rows.find(LABELS.name, "utterance_id", found, LABELS.schema.names)
    }
    sources = {turn_id for row in found.values() for turn_id in row["sources"]}
    decided = rows.decisions_on(sources)
    landed = {row["turn_id"]: row for row in rows.find(DIALOGUES.name, "turn_id", sources, _LANDED_COLUMNS)}
    for identity, row in found.items():
        turns = row.pop("sources")
        origins = [_origin(turn_id, landed.get(turn_id), decided.get(turn_id)) for turn_id in turns]
        origins.sort(key=lambda origin: (origin["decision"] is None, str(origin["arrived_at"]), origin["line"] or 0))
        row |= {"verdict": verdicts.get(identity), "turns": len(turns), "origins": origins[:ORIGINS]}
    return found


def paraphrases_of(rows: RecordedRows, intent: str) -> list[dict[str, Any]]:
    """The paraphrases of an intent that the model learnt from."""
    columns = ("paraphrase_id", "parent_id", "text", "rule", "similarity", "kept")
    found = rows.find(PARAPHRASES.name, "intent", [intent], columns)
    return sorted((row for row in found if row["kept"]), key=lambda row: str(row["paraphrase_id"]))


def _origin(turn_id: str, landed: Mapping[str, Any] | None, decision: Mapping[str, Any] | None) -> dict[str, Any]:
    """A turn that said a row's text: the line of a file, or a served turn, and what a person decided about it."""
    shown = ("action", "intent", "answer", "reviewer", "reason", "decided_at", "decision_id")
    return {
        "turn_id": turn_id,
        "kind": "landed" if landed else "served",
        "file": landed["source_file"] if landed else None,
        "line": landed["source_line"] if landed else None,
        "arrived_at": landed["arrived_at"] if landed else None,
        "text": landed["text"] if landed else None,
        "intent": landed["intent"] if landed else None,
        "channel": landed["channel"] if landed else None,
        "decision": {name: decision[name] for name in shown} if decision else None,
    }
