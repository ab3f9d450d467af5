"""The review page over a long queue, asked as a browser asks it: pages, decisions and forecasts over HTTP.

Part of the benchmark ``review``. The queue, the known rows and their vectors are drawn; the service is a process of its
own.
"""

import json
import signal
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.platform import Platform, answers, end, free_port, wait_until
from chatbot_assets.embed.vectors import pack_vectors, text_id
from chatbot_assets.process.decisions import COLUMNS, in_force
from chatbot_assets.tables import REVIEW_QUEUE
from resources.lakehouse import Lake, LakeTable, Record, Signature
from serving.people.directory import Directory
from serving.review.filters import GROUPS_ON_A_PAGE, SERVED_KINDS

KEY = "bench.review"
KNOWN, INTENTS = 10_000, 60
SUSPECTS = 500
"""Known rows whose label is in doubt."""
FILES = 50
"""Files of ``conversations`` that the served turns are spread over."""
DIMENSION = 512
"""Of the bundled encoder's vectors."""
TIMES = 20
"""Requests of each view, and decisions that are followed by a page."""
EFFECTS = 10


def fill(lake: Lake, turns: int) -> list[str]:
    """Writes what a bot knows, served turns and the queue of them all; gives the turns' ids in the order served."""
    drawn = np.random.default_rng(0)
    topics = drawn.normal(size=(INTENTS, DIMENSION))
    texts = [f"how about thing {place} of topic {place % INTENTS}" for place in range(KNOWN)]
    _save(
        lake.table(KEY, "utterances"),
        [
            {
                "utterance_id": f"{place:032x}",
                "text": text,
                "intent": f"intent-{place % INTENTS}",
                "answer": f"All about topic {place % INTENTS}.",
                "language": "en",
                "split": "train",
                "reviewed": False,
                "sources": [f"landed-{place}"],
            }
            for place, text in enumerate(texts)
        ],
    )
    _save(
        lake.table(KEY, "labels"),
        [
            {
                "utterance_id": f"{place:032x}",
                "intent": f"intent-{place % INTENTS}",
                "quality": 0.1 if place < SUSPECTS else 0.9,
                "verdict": "review" if place < SUSPECTS else "keep",
                "suggested_intent": f"intent-{(place + 1) % INTENTS}" if place < SUSPECTS else None,
            }
            for place in range(KNOWN)
        ],
    )
    cells = _vectors(drawn, topics[np.arange(KNOWN) % INTENTS])
    ids = [text_id(text) for text in texts]
    encoded = pa.table({"text_id": ids, "vector": cells, "encoder": ["e"] * KNOWN, "encoder_version": ["1"] * KNOWN})
    _save(lake.table(KEY, "embeddings"), encoded)
    return _fill_turns(lake, turns, drawn, topics)


def _fill_turns(lake: Lake, turns: int, drawn: np.random.Generator, topics: Any) -> list[str]:
    ids = [f"{place << 48:032x}" for place in range(turns)]
    now = datetime.now(UTC)
    served = [now - timedelta(seconds=20 * (turns - place)) for place in range(turns)]
    conversations = lake.table(KEY, "conversations")
    for part in np.array_split(np.arange(turns), FILES):
        conversations.append_rows(
            [
                {
                    "turn_id": ids[place],
                    "session_id": f"session-{place // 4}",
                    "text": f"question number {place}",
                    "category": "failed",
                    "candidates": "[]",
                    "served_at": served[place],
                }
                for place in part
            ]
        )
    suggestions = [
        json.dumps(
            [
                {"id": f"{n}", "intent": f"intent-{n}", "text": f"thing of {n}", "answer": f"Topic {n}.", "score": 0.3}
                for n in (topic, (topic + 7) % INTENTS, (topic + 20) % INTENTS)
            ]
        )
        for topic in range(INTENTS)
    ]
    topic_of = drawn.integers(0, INTENTS, turns)
    queue = {
        "turn_id": ids,
        "kind": [SERVED_KINDS[place % len(SERVED_KINDS)] for place in range(turns)],
        "on_hold": [False] * turns,
        "group_id": [f"group-{place // 4 if place % 12 < 4 else place}" for place in range(turns)],
        "group_text": [f"question number {place}" for place in range(turns)],
        "group_size": [1] * turns,
        "priority": drawn.random(turns).astype(np.float32),
        "deployment_id": ["d" * 32] * turns,
        "session_id": [f"session-{place // 4}" for place in range(turns)],
        "text": [f"question number {place}" for place in range(turns)],
        "answer": ["I did not understand that."] * turns,
        "score": drawn.random(turns),
        "candidates": [suggestions[topic] for topic in topic_of],
        "served_at": served,
        "vector": _vectors(drawn, topics[topic_of]),
    }
    _save(lake.table(KEY, "review_queue"), pa.table(queue))
    return ids


def _vectors(drawn: np.random.Generator, about: Any) -> pa.Array:
    rows = (about + 1.5 * drawn.normal(size=about.shape)).astype(np.float32)
    return pack_vectors(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _save(table: LakeTable, rows: pa.Table | Sequence[Mapping[str, Any]]) -> None:
    schema = table.table.schema
    if isinstance(rows, pa.Table):
        columns = [
            rows.column(field.name).cast(field.type)
            if field.name in rows.column_names
            else pa.nulls(len(rows), field.type)
            for field in schema
        ]
        rows = pa.Table.from_arrays(columns, schema=schema)
    else:
        rows = pa.Table.from_pylist(list(rows), schema)
    change = table.append(table.stage_arrow(rows))
    table.commit(change, Record.of(change, Signature()), None)


class Reviewer:
    """Somebody at the page, by a token that may review."""

    def __init__(self, platform: Platform, address: str, name: str) -> None:
        self.address = address
        tenant = KEY.partition(".")[0]
        self._token = Directory(platform.home).tokens.make(tenant, name, ["read", "review"], by="the benchmark")

    def open(self, query: Mapping[str, Any]) -> float:
        """Opens a view of the page; gives milliseconds."""
        return self._timed(f"/review?{urllib.parse.urlencode({'bot': KEY, **query})}")[0]

    def decide(self, group: str, kind: str, intent: str) -> tuple[float, bool]:
        """Decides as the page's script does; gives milliseconds, and whether somebody else had decided before."""
        form = {"row_kind": kind, "group": group, "action": "modify", "intent": intent}
        milliseconds, status = self._timed(f"/review/{KEY}/decisions", form, "application/json")
        return milliseconds, status == 409

    def effect(self, group: str, kind: str, intent: str) -> float:
        """Asks what a decision would do; gives milliseconds."""
        form = {"row_kind": kind, "group": group, "intent": intent}
        return self._timed(f"/review/{KEY}/effect", form, "text/html; fragment")[0]

    def _timed(self, path: str, form: Mapping[str, str] | None = None, accept: str = "text/html") -> tuple[float, int]:
        data = urllib.parse.urlencode(form).encode() if form else None
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept}
        request = urllib.request.Request(self.address + path, data, headers)
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                response.read()
                status: int = response.status
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise RuntimeError(f"{path}: {error.code} {error.read().decode()[:200]}") from error
            status = error.code
        return 1000 * (time.perf_counter() - started), status


def views(turns: int) -> dict[str, dict[str, Any]]:
    """The views that are measured: each tab, state, period and search, the first page and deep ones."""
    since = datetime.now(UTC).date() - timedelta(days=5)
    last = turns // len(SERVED_KINDS) * 3 // 4 // GROUPS_ON_A_PAGE
    return {
        **{kind: {"kind": kind, "period": "all"} for kind in (*SERVED_KINDS, "label", "conflict")},
        **{state: {"state": state} for state in ("modified", "on_hold", "excluded")},
        "7 days": {"period": "7d"},
        "range in Seoul": {"since": f"{since}", "zone": "Asia/Seoul"},
        "search": {"period": "all", "search": "number 123"},
        "search for nothing": {"period": "all", "search": "zebra"},
        "page in the middle": {"period": "all", "page": last // 2},
        "last page": {"period": "all", "page": last},
    }


def groups_of_kind(table: LakeTable, kind: str) -> list[str]:
    """The groups of the queue that have one turn, which is of a kind."""
    rows = table.arrow(["group_id", "kind"])
    counts = Counter(rows.column("group_id").to_pylist())
    mine = rows.filter(pc.equal(rows.column("kind"), kind)).column("group_id").to_pylist()
    return [group for group in mine if counts[group] == 1]


def two_reviewers(reviewers: Sequence[Reviewer], work: Sequence[Sequence[str]], kind: str) -> tuple[list[float], int]:
    """Both decide on their groups at the same time; gives milliseconds, and how often one was told to be second."""
    taken: list[float] = []
    told: list[str] = []

    def decide(reviewer: Reviewer, groups: Sequence[str]) -> None:
        for place, group in enumerate(groups):
            milliseconds, was_second = reviewer.decide(group, kind, f"intent-{place % INTENTS}")
            taken.append(milliseconds)
            if was_second:
                told.append(group)

    at_once([partial(decide, reviewer, groups) for reviewer, groups in zip(reviewers, work, strict=True)])
    return taken, len(told)


def at_once(work: Sequence[Callable[[], None]]) -> None:
    """Does some things at the same time.

    Raises:
        RuntimeError: when one of them failed.
    """
    failed: list[BaseException] = []

    def do(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=do, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(work)} failed") from failed[0]


def read_all(lake: Lake) -> tuple[float, float]:
    """Milliseconds of a page and of a decision that read the whole tables, as without anything kept between them."""
    started = time.perf_counter()
    names = [name for name in REVIEW_QUEUE.schema.names if name != "vector"]
    rows = lake.table(KEY, "review_queue").arrow(names)
    settled = pa.array(list(in_force(lake.table(KEY, "review_decisions").arrow(COLUMNS))), pa.string())
    rows = rows.filter(pc.invert(pc.is_in(rows.column("turn_id"), value_set=settled)))
    kinds = pc.value_counts(rows.column("kind")).to_pylist()
    order = [("priority", "descending"), ("group_id", "ascending")]
    shown = rows.filter(pc.equal(rows.column("kind"), "failed")).sort_by(order).slice(0, GROUPS_ON_A_PAGE).to_pylist()
    page = time.perf_counter()
    turn_id = shown[0]["turn_id"]
    texts = lake.table(KEY, "conversations").arrow(["turn_id", "text"])
    found = texts.filter(pc.equal(texts.column("turn_id"), turn_id)).to_pylist()
    intents = set(lake.table(KEY, "utterances").arrow(["intent"]).column("intent").to_pylist())
    decided = in_force(lake.table(KEY, "review_decisions").arrow(COLUMNS))
    if not (kinds and found and intents) or turn_id in decided:
        raise RuntimeError("the baseline found no turn to decide on")
    return 1000 * (page - started), 1000 * (time.perf_counter() - page)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1), "max_ms": round(max(values), 1)}


def measure_page(turns: int, decisions: int, shared: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of the page, of decisions and of forecasts over HTTP, and those of the baseline."""
    with tempfile.TemporaryDirectory(prefix="chatbot-bench-") as name:
        platform = Platform(Path(name))
        platform.configure(KEY, {"language": "en"})
        fill(platform.lake, turns)
        port = free_port()
        process = platform.start(["-m", "serving", "--port", f"{port}"], "serving.log")
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers(f"{address}/healthz"), 120, "the service answers")
            kim, lee = (Reviewer(platform, address, name) for name in ("kim", "lee"))
            queue = platform.lake.table(KEY, "review_queue")
            groups = groups_of_kind(queue, "failed")
            first_effect = kim.effect(groups[0], "failed", "intent-1")
            first_page = kim.open({})
            effects = [kim.effect(groups[place], "failed", f"intent-{place}") for place in range(EFFECTS)]
            both = round(decisions * shared)
            own = decisions - both
            chosen = [groups[place] for place in np.random.default_rng(1).permutation(len(groups))]
            work = [chosen[: both + own], [*chosen[:both], *chosen[both + own : both + 2 * own]]]
            wanted = chosen[: both + 2 * own]
            taken, told = two_reviewers((kim, lee), work, "failed")
            pages = {view: [kim.open(query) for _ in range(TIMES)] for view, query in views(turns).items()}
            alone, after = [], []
            for group in chosen[len(wanted) : len(wanted) + TIMES]:
                alone.append(kim.decide(group, "failed", "intent-1")[0])
                after.append(kim.open({"period": "all"}))
        finally:
            end(process, signal.SIGINT)
        rows = platform.lake.table(KEY, "review_decisions").arrow(["turn_ids"]).to_pylist()
        counts = Counter(turn_id for row in rows for turn_id in row["turn_ids"])
        turn_of = dict(
            zip(*(queue.arrow([name]).column(0).to_pylist() for name in ("group_id", "turn_id")), strict=True)
        )
        naive = np.median([read_all(platform.lake) for _ in range(3)], axis=0)
    every = [one for found in pages.values() for one in found]
    figures = {
        "page": {
            **quantiles(every),
            "first_ms": round(first_page, 1),
            "just_after_a_decision": quantiles(after),
            "views": {view: quantiles(found) for view, found in pages.items()},
        },
        "decision_over_http": {
            "one_reviewer": quantiles(alone),
            "two_reviewers": quantiles(taken),
            "decisions": len(rows),
            "told_to_be_second": told,
            "lost": sum(turn_of[group] not in counts for group in wanted),
            "double": sum(count > 1 for count in counts.values()),
        },
        "effect": {"first_ms": round(first_effect, 1), **quantiles(effects), "known_rows": KNOWN},
    }
    page_ms, decision_ms = (round(float(value), 1) for value in naive)
    return figures, {"what": "reading whole tables", "page_ms": page_ms, "decision_ms": decision_ms}
