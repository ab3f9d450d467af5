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
from small_bot import KEY, SmallBot, row

from chatbot_assets.erasing import erasure
from chatbot_assets.feedback.deciding import Decision, write_decision
from serving.conversations import Conversations, new_turn_id

SUBJECT = "u-4711-zyx"
MARK = "xyzzymark"
"""Stands in every text of the person's, and nowhere else."""
OTHER = "u-9000-abc"


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
    broken = {"intent": "delivery", "user_id": SUBJECT, "answer": f"{MARK} without a text"}
    talk = [
        {"text": f"Hello {MARK} speaking", "dialogue_id": "d-77-talk", "turn": 0, "user_id": SUBJECT},
        {"text": f"Hello Mrs {MARK}", "dialogue_id": "d-77-talk", "turn": 1, "speaker": "bot"},
        {"text": f"Nobody said that {MARK} did", "dialogue_id": "d-77-talk", "turn": 2},
    ]
    bot.land("mixed.jsonl", [own[0], others[0], broken, *own[1:3], *talk, shared])
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
    asked = serve(
        bot,
        turn(f"why is {MARK} angry", SUBJECT, "s-314-mine"),
        turn(f"{MARK} asked again", None, "s-314-mine"),
        turn("what is a parcel", OTHER, "s-2"),
    )
    known = next(found for found in bot.rows("utterances") if MARK in found["text"] and found["split"] == "train")
    quoted = {"id": known["utterance_id"], "intent": None, "text": known["text"], "answer": None, "score": 0.4}
    candidates = json.dumps([quoted, quoted | {"id": "delivery", "intent": "delivery"}])
    serve(bot, turn("any parcels", OTHER, "s-3", candidates=candidates, answer=f"Did you mean {known['text']}?"))
    decide(bot, asked[0])
    decide(bot, asked[1], asked[2])
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.failure or refreshed.error
    write_beside(bot)
    return Known(bot, before, bot.live.model_id if bot.live else "")


def decide(bot: SmallBot, *turns: str) -> None:
    decision = Decision(turns, "modify", "delivery", None, "kim", None)
    write_decision(bot.lake, KEY, decision)


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
