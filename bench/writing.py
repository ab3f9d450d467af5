"""What bringing turns into the tables costs while bots are asked all the time: ``./chatbot bench writing``.

A writer passes the journal on, through minutes of a clock that does not wait for them. Each bot is asked once a second;
one turn in ten is judged some seconds later. Beside it stands a writer that commits whatever is there at each flush.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from bench.report import Target, report
from resources.lakehouse import Lake
from serving.conversation_log import ConversationLog
from serving.conversations import new_turn_id
from serving.writer import FLUSH_SECONDS, STEADY_SECONDS, Writer

JUDGED_AFTER = 7
"""Seconds from a turn to its verdict."""
JUDGED_EVERY = 10
"""Turns to one verdict."""


def minutes_of(folder: Path, bots: int, minutes: int, steady_seconds: float) -> list[dict[str, float]]:
    """Of each minute: the commits to all tables, and the seconds of a processor that the writer took."""
    lake = Lake(folder / "lake")
    log, writer = ConversationLog(lake, folder / "journal"), Writer(lake, folder / "journal", steady_seconds)
    keys = [f"bench.bot{number}" for number in range(bots)]
    flushes, traffic = round(60 / FLUSH_SECONDS), _traffic(log, keys)
    found, commits_before = [], 0
    for minute in range(minutes):
        processor = 0.0
        for flush in range(flushes):
            if flush * FLUSH_SECONDS % 1 == 0:
                next(traffic)
            started = time.process_time()
            writer.pass_on(minute * 60 + flush * FLUSH_SECONDS)
            processor += time.process_time() - started
        commits = sum(last.version + 1 for key in keys if (last := lake.table(key, "conversations").last()))
        found.append({"commits": commits - commits_before, "cpu_seconds": round(processor, 2)})
        commits_before = commits
    log.close()
    return found


def _traffic(log: ConversationLog, keys: Sequence[str]) -> Iterator[None]:
    """Each step is a second's turns and verdicts, on the disk."""
    judged: dict[int, list[tuple[str, str]]] = {}
    for second in count():
        kept = []
        for number, key in enumerate(keys):
            turn = _turn()
            kept.append(log.add(key, turn))
            if (second + number) % JUDGED_EVERY == 0:
                judged.setdefault(second + JUDGED_AFTER, []).append((key, turn["turn_id"]))
        kept += [log.add_feedback(*which, {"satisfied": True}) for which in judged.pop(second, ())]
        for future in kept:
            future.result()
        yield


def _turn() -> dict[str, Any]:
    return {
        "turn_id": new_turn_id(),
        "session_id": "bench",
        "text": "my parcel has not arrived yet and nobody tells me where it is",
        "answer": "I am sorry to hear that. Under My orders you see where each parcel is, and when it is to arrive.",
        "intent": "delivery",
        "score": 0.93,
        "category": "answered",
        "candidates": "[]",
        "model_id": "0" * 32,
        "deployment_id": "0" * 32,
        "latency_ms": 4.2,
        "served_at": datetime.now(UTC),
    }


def main() -> None:
    """Prints commits and processor time of a minute, by the number of bots, and the same without a pace."""
    parser = argparse.ArgumentParser(prog="chatbot bench writing", description=__doc__.partition("\n")[0])
    parser.add_argument("--bots", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--minutes", type=int, default=3, help="of the paced writer; at least 2, the other has one")
    parser.add_argument("--json", action="store_true", help="print one JSON object (the default)")
    arguments = parser.parse_args()
    paced, unpaced = {}, {}
    for bots in arguments.bots:
        with tempfile.TemporaryDirectory() as folder:
            paced[str(bots)] = minutes_of(Path(folder), bots, arguments.minutes, STEADY_SECONDS)
        with tempfile.TemporaryDirectory() as folder:
            unpaced[str(bots)] = minutes_of(Path(folder), bots, 1, FLUSH_SECONDS)
    most = max(minutes[-1]["commits"] / int(bots) for bots, minutes in paced.items())
    goal = 2 * 60 / STEADY_SECONDS  # one of turns, and one of verdicts on turns of before
    found = report(
        "writing",
        {"steady_seconds": STEADY_SECONDS, "minutes_by_bots": paced},
        {"each flush, by bots": unpaced},
        [Target("commits of a bot in a later minute", most, "at most", goal)],
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
