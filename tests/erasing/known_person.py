"""A bot that holds a person in every place where one can be."""

import gzip
import json
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fastapi.testclient import TestClient
from small_bot import KEY, SmallBot, row

from chatbot_assets.auditing import note_events
from chatbot_assets.deploy.life import start_trial
from chatbot_assets.deploy.record import Deployment, history
from chatbot_assets.deploy.replica import EXPLAINED, replicate
from chatbot_assets.erasing import erasure
from chatbot_assets.erasing.markers import Markers
from chatbot_assets.erasing.search import search
from chatbot_assets.feedback.deciding import Decision, undo_decision, write_decision
from resources.pseudonyms import pseudonym
from serving.conversations import Conversations, new_turn_id
from serving.journal import Journal

SUBJECT = "u-4711-zyx"
MARK = "xyzzymark"
"""Stands in every text of the person's, and nowhere else, but for two."""
OTHER = "u-9000-abc"
SPELT, SPELT_BY_ANOTHER = "is the pink par cel here now", "is the pink parcel here now"
"""The same to the queue, which calls both by the person's."""
THEIRS = Markers(frozenset({SUBJECT, MARK, "s-314-mine", "d-77-talk", "s-hidden-9", "pink par cel"}))
"""What only the person has: their id, what stands in their texts, their conversations."""


def places(root: Path) -> list[str]:
    """Where the person is, by a search for what only they have."""
    return search(root, THEIRS).places


def turn(text: str, user: str | None, session: str, **more: Any) -> dict[str, Any]:
    """A served turn."""
    own = {"turn_id": new_turn_id(), "session_id": session, "user_id": user, "text": text, "answer": "I do not know."}
    said = {"intent": None, "score": 0.1, "category": "failed", "candidates": "[]", "latency_ms": 1.0}
    return own | said | {"served_at": datetime.now(UTC), "satisfied": None, "chosen_candidate": None} | more


def serve(bot: SmallBot, *turns: dict[str, Any]) -> list[str]:
    live = bot.live
    assert live
    by = {"model_id": live.model_id, "deployment_id": live.deployment_id}
    Conversations(bot.table("conversations")).append([found | by for found in turns])
    return [found["turn_id"] for found in turns]


@dataclass(frozen=True)
class Known:
    """A bot that knows a person: the model before it did, and the one that learnt from them."""

    bot: SmallBot
    before: str
    learnt: str

    def copy(self, root: Path) -> "Known":
        return Known(self.bot.copy(root), self.before, self.learnt)


@dataclass(frozen=True)
class Erased:
    """A bot after the person was forgotten while the chat service went on, and the receipt.

    ``shown_before`` and ``shown_after`` are what that same process of the service showed, by address.
    """

    known: Known
    receipt: dict[str, Any]
    shown_before: dict[str, str]
    shown_after: dict[str, str]

    @property
    def bot(self) -> SmallBot:
        return self.known.bot


def made_known(refreshed: SmallBot, root: Path) -> Known:
    """The person comes to a copy of a refreshed bot."""
    bot = refreshed.copy(root)
    bot.configure(augment={"up_to": 18})
    before = bot.live.model_id if bot.live else ""
    own = [
        row(f"Where is my {MARK} parcel number {number}", "delivery", f"Dear {MARK}, it comes soon.")
        | {"user_id": SUBJECT}
        for number in range(6)
    ]
    others = [row(f"Could somebody find parcel {number}", "delivery") | {"user_id": OTHER} for number in range(3)]
    shared = row("Where can I find parcel", "delivery") | {"user_id": SUBJECT}
    only_theirs = row(f"I shall sue said {MARK}", "complaint") | {"user_id": SUBJECT}
    broken = {"intent": "delivery", "user_id": SUBJECT, "answer": f"{MARK} without a text"}
    talk = [
        {"text": f"Hello {MARK} speaking", "dialogue_id": "d-77-talk", "turn": 0, "user_id": SUBJECT},
        {"text": f"Hello Mrs {MARK}", "dialogue_id": "d-77-talk", "turn": 1, "speaker": "bot"},
        {"text": f"Nobody said that {MARK} did", "dialogue_id": "d-77-talk", "turn": 2},
    ]
    bot.land("mixed.jsonl", [own[0], others[0], broken, *own[1:3], *talk, shared, only_theirs])
    folder = bot.home.landing(KEY)
    lines = [
        "text,intent,answer,user_id",
        f'"Is my {MARK} parcel\nlost already",delivery,ok,{SUBJECT}',
        f"Could somebody find parcel 7,delivery,,{OTHER}",
        f"{MARK} with too many,fields,in,{SUBJECT},line",
    ]
    with gzip.open(folder / "table.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write("\n".join(lines))
    pq.write_table(pa.Table.from_pylist([others[1], *own[3:], others[2]]), folder / "rows.parquet")
    for name in ("table.csv.gz", "rows.parquet"):
        os.utime(folder / name, (time.time() - 60,) * 2)
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.failure or refreshed.error
    first = bot.live
    asked = serve(
        bot,
        turn(f"why is {MARK} angry", SUBJECT, "s-314-mine"),
        turn(f"{MARK} asked again", None, "s-314-mine"),
        turn("what is a parcel", OTHER, "s-2"),
        turn(SPELT, SUBJECT, "s-314-mine"),
        turn(SPELT_BY_ANOTHER, OTHER, "s-4"),
        turn(f"{MARK} wears a mask", pseudonym(bot.home.root, "acme", SUBJECT), "s-hidden-9"),
    )
    known = next(found for found in bot.rows("utterances") if MARK in found["text"] and found["split"] == "train")
    quoted = {"id": known["utterance_id"], "intent": None, "text": known["text"], "answer": None, "score": 0.4}
    candidates = json.dumps([quoted, quoted | {"id": "delivery", "intent": "delivery"}])
    quoting = {"candidates": candidates, "answer": f"Did you mean {known['text']}?"}
    asked += serve(bot, turn("any parcels", OTHER, "s-3", **quoting))
    decide(bot, asked[0])
    undo_decision(bot.lake, KEY, decide(bot, asked[5]), "kim")
    decide(bot, asked[1], asked[2])
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.failure or refreshed.error
    assert first and bot.live and first.model_id != bot.live.model_id
    past = history(bot.table("deployments"))
    start_trial(bot.table("deployments"), past, past.last(first.deployment_id), "shadow", actor="kim", reason="why not")
    shadows = [shadow(one, first) | (quoting if one == asked[-1] else {}) for one in (asked[0], asked[2], asked[-1])]
    bot.table("shadow_answers").append_rows(shadows)
    leave_in_journal(bot, asked[3], first)
    newest = {name: bot.table(name).last() for name in EXPLAINED}
    replicate([(bot.table(name), last.version) for name, last in newest.items() if last], bot.lake, KEY)
    note_events(bot.home, "acme")
    write_beside(bot)
    return Known(bot, before, bot.live.model_id)


def shadow(turn_id: str, deployment: Deployment) -> dict[str, Any]:
    """What a shadow made of a turn."""
    by = {"deployment_id": deployment.deployment_id, "model_id": deployment.model_id, "live_deployment_id": "d"}
    said = {"answer": "I do not know.", "intent": None, "score": 0.1, "category": "failed", "candidates": "[]"}
    seen = {"differs": False, "served_at": datetime.now(UTC), "latency_ms": 1.0}
    return {"turn_id": turn_id} | by | said | seen


def leave_in_journal(bot: SmallBot, before: str, deployment: Deployment) -> None:
    """What a process of the service took that has ended, and that nobody has passed on."""
    journal = Journal(bot.home.journal, 4_096)
    by = {"model_id": deployment.model_id, "deployment_id": deployment.deployment_id}
    last = turn(f"{MARK} was cut off", SUBJECT, "s-314-mine") | by
    records: list[tuple[str, dict[str, Any]]] = [
        ("turn", last),
        ("feedback", {"turn_id": last["turn_id"], "satisfied": False}),
        ("shadow", shadow(last["turn_id"], deployment)),
        ("shadow", shadow(before, deployment)),
    ]
    for kind, record in records:
        plain = {name: one.isoformat() if isinstance(one, datetime) else one for name, one in record.items()}
        journal.append(KEY, kind, plain).result()
    journal.close()


def decide(bot: SmallBot, *turns: str) -> str:
    decision = Decision(turns, "modify", "delivery", None, "kim", None)
    return str(write_decision(bot.lake, KEY, decision)["decision_id"])


def write_beside(bot: SmallBot) -> None:
    """What lies beside the tables: a database, logs and a file of state."""
    root = bot.home.root
    for name in ("dagster/history/runs", "logs", "cache/scratch/run-1"):
        (root / name).mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(root / "dagster/history/runs/one.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT)")
        event = {"metadata": {"rows": [{"text": f"Where is my {MARK} parcel number 1"}, {"text": "stays"}], "count": 2}}
        database.execute("INSERT INTO event_logs (event) VALUES (?)", (json.dumps(event),))
    database.close()
    (root / "logs/service.log").write_text(
        f'{{"m": "served"}}\n{{"m": "{SUBJECT} was here"}}\n{{"m": "served"}}\n', encoding="utf-8"
    )
    (root / "cache/scratch/run-1/part").write_text(f"why is {MARK} angry", encoding="utf-16")
    (bot.lake.bot_folder(KEY) / ".verification.json").write_text(json.dumps({"dialogues": f"{SUBJECT} was changed"}))
    (bot.lake.bot_folder(KEY) / ".attempt.json").write_text(
        json.dumps({"reason": f"row of {SUBJECT} is wrong", "cause": "c"}), encoding="utf-8"
    )


def erase(bot: SmallBot, subject: str = SUBJECT, refresh: Callable[[], None] | None = None) -> dict[str, Any]:
    """Erases, with refreshes in this process."""

    def refreshed() -> None:
        done = bot.refresh()
        assert done.success, done.failure or done.error

    return erasure.erase(
        *(bot.home, bot.bot, subject), actor="kim", reason="asked", refresh=refresh or refreshed, say=lambda line: None
    )


def chat(client: TestClient, text: str, user: str) -> dict[str, Any]:
    response = client.post(f"/v1/bots/{KEY}/chat", json={"session_id": f"s-live-{user}", "text": text, "user_id": user})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def shown(client: TestClient, turn_id: str) -> dict[str, str]:
    """What the service shows where a person's texts may stand."""
    addresses = (
        f"/review?bot={KEY}&kind=failed&period=all",
        f"/review?bot={KEY}&state=modified&period=all",
        f"/review/{KEY}/known?search=complaint",
        f"/service/{KEY}",
        f"/review/{KEY}/turns/{turn_id}",
        f"/bots/{KEY}/turns/{turn_id}",
        f"/v1/bots/{KEY}/turns/{turn_id}/explain",
    )
    return {address: client.get(address).text for address in addresses}
