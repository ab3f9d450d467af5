"""From a decision to a new deployment's answer: the whole platform as it runs, with a bot of ten thousand rows.

Part of the benchmark ``review``. Users ask about a subject that the bot does not know, a reviewer decides on some of
these turns, and the sensor does the rest. What was forecast of the others is compared with what the bot then says.
"""

import json
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from bench.platform import Platform, Service, wait_until
from chatbot_assets.bot import load_bot
from chatbot_assets.feedback.deciding import Decision, write_decisions
from chatbot_assets.feedback.desk import Desks

KEY = "bench.loop"
ROWS = 10_000
THINGS = ("bill", "parcel", "password", "contract", "address", "repair", "insurance", "voucher", "ticket", "battery")
OF = ("car", "house", "phone", "school", "travel", "kitchen")
SUBJECTS = tuple(f"{of} {thing}" for thing in THINGS for of in OF)
UNKNOWN = "garden"
FRAMES = (
    "Where do I find my {}",
    "Tell me about the {}",
    "I need a new {}",
    "What does the {} cost",
    "How do I change the {}",
    "My {} is wrong",
    "Can I get another {}",
    "Is the {} ready",
    "Who handles the {}",
    "Please cancel the {}",
    "When does the {} come",
    "I lost the {}",
)
ENDINGS = (
    "",
    "please",
    "today",
    "now",
    "for my mother",
    "for the office",
    "that I ordered",
    "from last week",
    "in the city",
    "before Monday",
    "without a phone",
    "by e-mail",
    "as soon as possible",
    "for two people",
    "of last year",
)
DECIDED = 5
"""Turns that the reviewer decides on; the forecast is about the others."""
NEW_INTENT = "bench_garden"
QUEUED_WITHIN, DEPLOYED_WITHIN = 240.0, 300.0


def rows() -> list[dict[str, str]]:
    """As many distinct labelled rows."""
    made = [
        {"text": f"{frame.format(subject)} {ending}".strip(), "intent": subject, "answer": f"About your {subject}."}
        for ending in ENDINGS
        for frame in FRAMES
        for subject in SUBJECTS
    ]
    return made[:ROWS]


def dissatisfied(service: Service, text: str) -> str:
    """Asks as a user who is not helped, and says so; gives the turn."""
    turn: str = service.ask(KEY, text)["turn_id"]
    tokens = json.loads((service.platform.home.root / "tokens.json").read_text(encoding="utf-8"))
    request = urllib.request.Request(
        f"{service.address}/v1/bots/{KEY}/turns/{turn}/feedback",
        json.dumps({"satisfied": False}).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {tokens[KEY.partition('.')[0]]}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        response.read()
    return turn


def queued(platform: Platform) -> set[str]:
    table = platform.lake.table(KEY, "review_queue")
    return set(table.arrow(["turn_id"]).column("turn_id").to_pylist()) if table.last() else set()


def measure_loop() -> dict[str, Any]:
    """Seconds from the last decision to the new deployment's answer, and what came of the forecast."""
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-", ignore_cleanup_errors=True) as name:
        platform = Platform(Path(name))
        settings = {"language": "en", "review": {"every_minutes": 0.05}, "validate": {"minimum_accuracy": 0.0}}
        platform.configure(KEY, settings)
        platform.land(KEY, "first.jsonl", rows())
        with platform.up() as service:
            wait_until(lambda: service.deployed(KEY), 600, f"{KEY} answers", every=1.0)
            texts = [f"{frame.format(UNKNOWN)} {ending}".strip() for ending in ENDINGS[:3] for frame in FRAMES]
            turns = {dissatisfied(service, text): text for text in texts}
            wait_until(lambda: turns.keys() <= queued(platform), QUEUED_WITHIN, "the turns wait for review", every=0.5)
            print(f"bench: {len(turns)} turns wait for a reviewer", file=sys.stderr)
            chosen = list(turns)[:: len(turns) // DECIDED][:DECIDED]
            desk = Desks(platform.lake).of(load_bot(platform.home.bots, KEY))
            told = {change.name for change in desk.effect(chosen, NEW_INTENT).fixed}
            before = service.deployed(KEY)
            decision = Decision(tuple(chosen), "modify", NEW_INTENT, "The garden is open.", "kim")
            write_decisions(platform.lake, KEY, [decision], new_intent=True)
            seconds = wait_until(
                lambda: service.deployed(KEY) not in (before, None), DEPLOYED_WITHIN, "a new deployment answers"
            )
            now = {turn: service.ask(KEY, text) for turn, text in turns.items()}
            print(f"bench: a new deployment answers after {seconds:.1f} s", file=sys.stderr)
    right = {turn for turn, reply in now.items() if reply["intent"] == NEW_INTENT}
    others = turns.keys() - set(chosen)
    return {
        "rows": ROWS,
        "decided": len(chosen),
        "seconds_to_answer": round(seconds, 1),
        "decided_answered_rightly": sum(now[turn]["category"] == "answered" and turn in right for turn in chosen),
        "others": len(others),
        "others_forecast_fixed": len(told & others),
        "others_understood": len(right & others),
        "forecast_that_came_true": len(told & right & others),
    }
