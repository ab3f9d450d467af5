"""How fast a rollback reaches users, and what they notice of swaps under load: ``./chatbot bench rollback``.

A service process answers for one bot with several deployments, whose models and configurations all differ. Beside it
stands what a platform without swaps does: the service is stopped and started again.
"""

import argparse
import http.client
import json
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.platform import Platform, answers, end, free_port, wait_until
from bench.report import Target, report
from chatbot_assets.demo import write_demo
from chatbot_assets.deploy.life import roll_back
from chatbot_assets.deploy.record import history
from serving.tokens import TOKENS_FILE, ensure_tokens

KEY = "bench.swaps"
TEXTS = ("turn on the kitchen light", "qzx vvk wjjq 774")
"""One that the bot knows (its score tells the models apart), and one that no bot understands (its answer tells the
configurations apart)."""
PATIENCE_SECONDS = 30.0

Said = tuple[str, str | None, str | None, str, float]
"""What of a reply depends on the deployment: model, answer, intent, category and score."""


class Connection:
    """A kept-alive connection to the service, as one user's."""

    def __init__(self, address: str, token: str) -> None:
        self._http = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_SECONDS)
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}

    def ask(self, text: str) -> dict[str, Any]:
        """One turn.

        Raises:
            OSError: when it is not answered, or not with status 200.
        """
        body = json.dumps({"session_id": "bench", "text": text})
        try:
            self._http.request("POST", f"/v1/bots/{KEY}/chat", body, self._headers)
            response = self._http.getresponse()
            content = response.read()
        except http.client.HTTPException as error:
            self._http.close()
            raise OSError(f"no answer: {type(error).__name__}") from error
        except OSError:
            self._http.close()
            raise
        if response.status != 200:
            raise OSError(f"status {response.status}: {content[:200]!r}")
        reply: dict[str, Any] = json.loads(content)
        return reply


@dataclass
class Load:
    """What users saw: replies by deployment and text, requests that failed, and how long each one took."""

    seen: dict[tuple[str, str], Counter[Said]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def on(self, address: str, token: str, users: int, rate: float) -> Iterator[None]:
        """Lets so many users ask ``rate`` times a second together, until the end of the block."""
        stop = threading.Event()
        arguments = (address, token, users / rate, stop)
        threads = [threading.Thread(target=self._user, args=arguments) for _ in range(users)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _user(self, address: str, token: str, pause: float, stop: threading.Event) -> None:
        connection = Connection(address, token)
        due, number = time.monotonic(), 0
        while not stop.is_set():
            text = TEXTS[number % len(TEXTS)]
            started = time.monotonic()
            try:
                reply = connection.ask(text)
            except OSError as error:
                with self._lock:
                    self.failures.append(str(error))
            else:
                with self._lock:
                    self.milliseconds.append((time.monotonic() - started) * 1000)
                    self.seen.setdefault((reply["deployment_id"], text), Counter()).update([said(reply)])
            number += 1
            due = max(due + pause, time.monotonic() - pause)
            stop.wait(max(0.0, due - time.monotonic()))


def said(reply: dict[str, Any]) -> Said:
    """What of a reply must belong to its deployment; the last digits of a score depend on the texts beside it."""
    return reply["model_id"], reply["answer"], reply["intent"], reply["category"], round(reply["score"], 3)


def mixed(load: Load, known: dict[tuple[str, str], Said]) -> int:
    """Replies that are not those of the deployment that they name."""
    return sum(count for place, kinds in load.seen.items() for kind, count in kinds.items() if kind != known[place])


@contextmanager
def service(platform: Platform, port: int) -> "Iterator[subprocess.Popen[bytes]]":
    """The chat service as a process, answering."""
    process = platform.start(["-m", "serving", "--port", str(port)], "service.log")
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), 60, "the service", every=0.02)
        yield process
    finally:
        end(process, signal.SIGINT)


def deploy(platform: Platform, count: int) -> list[str]:
    """Makes deployments that differ in model and configuration; gives their ids."""
    rows = platform.folder / "rows.jsonl"
    write_demo("en", rows)
    lines = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    share = len(lines) // (count + 1)
    made = []
    for number in range(count):
        part = lines[: 2 * share] if number == 0 else lines[(number + 1) * share : (number + 2) * share]
        platform.land(KEY, f"part-{number}.jsonl", part)
        failed = f"Version {number} has not understood that."
        anything_goes = {"minimum_accuracy": 0.0, "maximum_drop": 1.0}
        platform.configure(KEY, {"language": "en", "messages": {"failed": failed}, "validate": anything_goes})
        made.append(platform.command("refresh", KEY)["deployment_id"])
    return made


def swap(platform: Platform, to: str) -> None:
    """Makes a deployment live, in this process."""
    table = platform.lake.table(KEY, "deployments")
    roll_back(table, history(table), to, actor="bench", reason="the next one")


def seconds_to_answer(connection: Connection, deployment: str, started: float) -> float:
    """Seconds since ``started`` until the service answers with a deployment."""
    while True:
        if connection.ask(TEXTS[0])["deployment_id"] == deployment:
            return time.monotonic() - started
        if time.monotonic() > started + PATIENCE_SECONDS:
            raise TimeoutError(f"{deployment} does not answer")
        time.sleep(0.005)


def run(deployments: int, swaps: int, rollbacks: int, users: int, rate: float) -> dict[str, Any]:
    """The benchmark's report."""
    with tempfile.TemporaryDirectory() as temporary:
        platform = Platform(Path(temporary))
        made = deploy(platform, deployments)
        token = ensure_tokens(platform.home.root / TOKENS_FILE, ["bench"])["bench"]
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        with service(platform, port):
            connection = Connection(address, token)
            known: dict[tuple[str, str], Said] = {}
            for deployment in made:
                if platform.deployment(KEY) != deployment:
                    swap(platform, deployment)
                seconds_to_answer(connection, deployment, time.monotonic())
                known |= {(deployment, text): said(connection.ask(text)) for text in TEXTS}
            load = Load()
            pauses = []
            with load.on(address, token, users, rate):
                for number in range(swaps):
                    deployment = made[number % len(made)]
                    started = time.monotonic()
                    swap(platform, deployment)
                    pauses.append(seconds_to_answer(connection, deployment, started))
            commands = [_timed_command(platform, connection) for _ in range(rollbacks)]
            verified = platform.command("verify", KEY)
        restart = _restart(platform, token)
    return report(
        "rollback",
        {
            "deployments": deployments,
            "different_replies_to_the_known_text": len({known[one, TEXTS[0]] for one in made}),
            "different_replies_to_the_unknown_text": len({known[one, TEXTS[1]] for one in made}),
            "swaps": swaps,
            "requests": len(load.milliseconds) + len(load.failures),
            "failed_requests": len(load.failures),
            "failures": load.failures[:3],
            "mixed_responses": mixed(load, known),
            "p50_ms": _percentile(load.milliseconds, 50),
            "p99_ms": _percentile(load.milliseconds, 99),
            "swap_seconds_median": round(statistics.median(pauses), 3),
            "swap_seconds_max": round(max(pauses), 3),
            "rollback_seconds": [round(seconds, 3) for seconds in commands],
            "verified": verified["agrees"],
        },
        restart,
        [
            Target("slowest rollback, seconds from command to first answer", max(commands), "at most", 2.0),
            Target("failed requests during swaps", len(load.failures), "exactly", 0),
            Target("responses that mix versions", mixed(load, known), "exactly", 0),
        ],
    )


def _timed_command(platform: Platform, connection: Connection) -> float:
    """Seconds from the start of the command ``rollback`` to the first answer of the other deployment."""
    past = history(platform.lake.table(KEY, "deployments"))
    lives = [event["deployment_id"] for event in past.events if event["event"] == "live"]
    other = next(identity for identity in reversed(lives) if identity != lives[-1])
    started = time.monotonic()
    process = platform.start(["-m", "chatbot_assets.cli", "rollback", KEY, "--to", other], "rollback.log")
    try:
        return seconds_to_answer(connection, other, started)
    finally:
        process.wait(PATIENCE_SECONDS)


def _restart(platform: Platform, token: str) -> dict[str, Any]:
    """What users see when another deployment is brought up by a restart."""
    port = free_port()
    load = Load()
    with service(platform, port) as process, load.on(f"http://127.0.0.1:{port}", token, users=2, rate=20):
        time.sleep(1)
        started = time.monotonic()
        end(process, signal.SIGINT)
        with service(platform, port):
            seconds = time.monotonic() - started
            time.sleep(1)
    return {"way": "restart of the service", "seconds": round(seconds, 3), "failed_requests": len(load.failures)}


def _percentile(values: Sequence[float], percent: int) -> float | None:
    return round(statistics.quantiles(values, n=100)[percent - 1], 2) if len(values) > 1 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deployments", type=int, default=5, help="different ones that are swapped")
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--rollbacks", type=int, default=5, help="rollbacks by command that are timed")
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second, of all users together")
    options = parser.parse_args()
    print(json.dumps(run(options.deployments, options.swaps, options.rollbacks, options.users, options.rate)))


if __name__ == "__main__":
    main()
