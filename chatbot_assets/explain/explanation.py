"""Puts together why a served turn was answered as it was: one plain object, for the command, the API and the page."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from chatbot_assets.deploy.record import history
from chatbot_assets.deploy.share import CANARY, SHARES
from chatbot_assets.explain.evidence import ModelEvidence, Near
from chatbot_assets.explain.lineage import (
    Deployed,
    RecordedRows,
    deployed_at,
    made_of,
    paraphrases_of,
    utterances_by_id,
    versions_of,
)
from chatbot_assets.explain.words import Words
from chatbot_assets.tables import CONVERSATIONS, DEPLOYMENTS, UTTERANCES
from chatbot_assets.train.manifest import ModelFormatError
from resources.lakehouse import Commit, Lake, LakeError
from resources.model_store import unpack

ROWS = 5
"""Utterances, and paraphrases beside them, that are shown at most."""
PARAPHRASES_LOOKED_AT = 200
"""Paraphrases of the intent whose likeness is worked out at most: each is encoded anew."""
_TURN = (
    *("turn_id", "session_id", "user_id", "text", "answer", "intent", "score", "category", "served_at", "latency_ms"),
    *("satisfied", "chosen_candidate"),
)


def find_turn(lake: Lake, key: str, turn_id: str) -> dict[str, Any] | None:
    """A served turn as it was kept; None when the bot never served it."""
    from serving.conversations import Conversations

    table = lake.table(key, CONVERSATIONS.name)
    return Conversations(table).find(turn_id, CONVERSATIONS.schema.names)


def explain_turn(
    lake: Lake, cache: Path, key: str, turn: Mapping[str, Any], words: Words | None = None
) -> dict[str, Any]:
    """Everything that stands behind a turn, with its ``summary`` in plain words first.

    What cannot be found out any more is left empty and said in ``limits``.

    Args:
        lake: where the bot's tables are; nothing else is needed, Dagster's database least of all.
        cache: where models are unpacked.
        key: the bot.
        turn: a row of ``conversations``.
        words: the language that ``summary`` and ``limits`` speak, English by default.
    """
    words = words or Words()
    candidates: list[dict[str, Any]] = json.loads(turn["candidates"] or "[]")
    deployed = deployed_at(lake, key, turn["deployment_id"], turn["served_at"])
    made = made_of(lake, key, turn["deployment_id"])
    versions = versions_of(lake, key, made["data_versions"]) if made else {}
    rows = RecordedRows(lake, key, versions)
    limits = [] if made else [words.say("limit_unknown", deployment=turn["deployment_id"])]
    if made and UTTERANCES.name not in versions:
        limits.append(words.say("limit_elsewhere"))
    evidence: dict[str, Any] = {"kind": None, "thresholds": None, "read_as": None, "weighing": None, "rows": []}
    erased = history(lake.table(key, DEPLOYMENTS.name)).erased(turn["model_id"])
    if erased:
        limits.append(words.say("limit_erased", when=words.moment(erased["at"])))
    elif made and candidates:
        try:
            folder = unpack(lake.table(key, "models"), turn["model_id"], cache, for_a_look=True)
            model = ModelEvidence(folder, made["config"])
            evidence |= _evidence(model, rows, turn, candidates)
        except (LakeError, ModelFormatError, ValueError) as error:
            limits.append(words.say("limit_evidence", error=error))
    evidence |= {"candidates": candidates}
    weighing = evidence["weighing"]
    if weighing and weighing["preferred"] != weighing["intent"] and turn["score"] < 1:
        limits.append(words.say("limit_preferred", intent=weighing["preferred"]))
    if rows.removed:
        limits.append(words.say("limit_retention", tables=", ".join(sorted(rows.removed))))
    found = {
        "bot": key,
        "turn": {name: turn.get(name) for name in _TURN},
        "deployment": _deployment(turn, deployed, made, lake, key),
        "evidence": evidence,
        "versions": {name: _version(state) for name, state in sorted(versions.items())},
        "limits": limits,
    }
    plain: dict[str, Any] = _plain({"summary": words.summary(found), **found})
    return plain


def _evidence(
    model: ModelEvidence, rows: RecordedRows, turn: Mapping[str, Any], candidates: list[dict[str, Any]]
) -> dict[str, Any]:
    """How the model came to its first candidate, and the rows that taught it that."""
    top = candidates[0]
    kind = "question" if top["intent"] is None else "intent"
    thresholds = model.manifest["thresholds"][kind]
    found: dict[str, Any] = {"kind": kind, "thresholds": {name: thresholds[name] for name in ("answer", "suggest")}}
    given = top if turn["category"] == "answered" and top["answer"] is not None else None
    if kind == "question":
        near = [Near(one["id"], one["text"], one["score"]) for one in candidates if one["intent"] is None]
        return found | {"rows": list(_utterance_rows(rows, near, given))}
    read = model.prepare(turn["text"])
    near = model.nearest(read.vector, top["intent"], ROWS, top["text"])
    shown = [*_utterance_rows(rows, near, given), *_paraphrase_rows(model, rows, read.vector, top["intent"])]
    return found | {
        "read_as": {"text": read.text, "tokens": list(read.tokens)},
        "weighing": asdict(model.weigh(read, top["intent"])),
        "rows": sorted(shown, key=lambda row: -row["similarity"]),
    }


def _utterance_rows(rows: RecordedRows, near: list[Near], given: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    utterances = utterances_by_id(rows, [one.utterance_id for one in near])
    for one in near:
        known = utterances.get(one.utterance_id, {"answer": None, "origins": [], "turns": 0, "verdict": None})
        yield known | {
            "kind": "utterance",
            "utterance_id": one.utterance_id,
            "text": one.text,
            "similarity": one.similarity,
            "gave_the_answer": given is not None and (one.text, known["answer"]) == (given["text"], given["answer"]),
        }


def _paraphrase_rows(model: ModelEvidence, rows: RecordedRows, vector: Any, intent: str) -> Iterator[dict[str, Any]]:
    """The paraphrases that are nearest in meaning, each with its parent."""
    found = paraphrases_of(rows, intent)[:PARAPHRASES_LOOKED_AT]
    if not found:
        return
    likeness = model.similarities(vector, [row["text"] for row in found])
    nearest = sorted(zip(likeness, found, strict=True), key=lambda one: (-one[0], one[1]["paraphrase_id"]))[:ROWS]
    parents = utterances_by_id(rows, {row["parent_id"] for _, row in nearest})
    for similarity, row in nearest:
        yield {
            "kind": "paraphrase",
            "paraphrase_id": row["paraphrase_id"],
            "text": row["text"],
            "rule": row["rule"],
            "intent": intent,
            "similarity": similarity,
            "gave_the_answer": False,
            "parent": parents.get(row["parent_id"]),
        }


def _deployment(
    turn: Mapping[str, Any], deployed: Deployed, made: Mapping[str, Any] | None, lake: Lake, key: str
) -> dict[str, Any]:
    before = made_of(lake, key, deployed.before["deployment_id"]) if deployed.before else None
    return {
        "deployment_id": turn["deployment_id"],
        "model_id": turn["model_id"],
        "live": deployed.live,
        "canary": {**deployed.canary, "share": _share(made)} if deployed.canary else None,
        "before": deployed.before,
        "after": deployed.after,
        "changed_since_before": _changes(before, made) if before and made else None,
        "events": list(deployed.events),
        "config_hash": made["config_hash"] if made else None,
        "config": made["config"] if made else None,
        "code_revision": made["code_revision"] if made else None,
    }


def _share(made: Mapping[str, Any] | None) -> float:
    """The share of the sessions that a deployment answers as a canary."""
    own = made["config"]["deploy"].get(CANARY, {}) if made else {}
    return float(own.get("share", SHARES[CANARY]))


def _changes(before: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What one deployment was made from otherwise than another: tables, keys of the configuration, the code."""
    then, now = ({name: read["data_version"] for name, read in one["data_versions"].items()} for one in (before, made))
    old, new = (dict(_leaves(one["config"])) for one in (before, made))
    return {
        "tables": sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)),
        "configuration": {
            name: {"before": old.get(name), "now": new.get(name)}
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        },
        "code": before["code_revision"] != made["code_revision"],
    }


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested keys by their dotted names; lists are values."""
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{place}.{name}" if place else str(name))
    else:
        yield place, value


def _version(state: Commit) -> dict[str, Any]:
    record = state.record
    return {
        "version": state.version,
        "data_version": state.data_version,
        "committed_at": state.committed_at,
        "rows": record.rows if record else None,
        "code_version": record.code_version if record else None,
        "code": dict(record.signature.code) if record else {},
        "config": record.signature.config if record else None,
        "code_revision": record.code_revision if record else None,
        "made_from": {name: read.version for name, read in record.signature.inputs.items()} if record else {},
    }


def _plain(value: Any) -> Any:
    """The same with times as text, so that the object is JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return value
