"""A platform of a benchmark's own: a home, its bot files, and what runs on them as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from bench.measured import Measured, run_measured
from chatbot_assets.bot import bot_file
from chatbot_assets.deploy.record import live_deployment
from resources.environment import PROJECT, Home
from resources.lakehouse import Lake

STOP_SECONDS = 30


class Platform:
    """Bots on a temporary home. ``modules`` is a folder of modules of the bots' own, if they have any."""

    def __init__(self, folder: Path, modules: Path | None = None) -> None:
        self.folder = folder
        self.home = Home(folder / "home", folder / "bots")
        self.lake = Lake(self.home.lake)
        paths = [str(PROJECT), *([str(modules)] if modules else [])]
        self.env = {
            **os.environ,
            "CHATBOT_HOME": str(self.home.root),
            "CHATBOT_BOTS": str(self.home.bots),
            "DAGSTER_HOME": str(self.home.dagster),
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def configure(self, key: str, settings: Mapping[str, Any]) -> None:
        """Writes a bot's YAML, whole or not at all."""
        path = bot_file(self.home.bots, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(yaml.safe_dump(dict(settings), allow_unicode=True), encoding="utf-8")
        temporary.replace(path)

    def land(self, key: str, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Lands a JSON Lines file, whole or not at all."""
        folder = self.home.landing(key)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.tmp"
        temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return temporary.replace(folder / name)

    def command(self, *arguments: str) -> dict[str, Any]:
        """Runs one of the platform's commands to its end; gives its report."""
        report: dict[str, Any] = json.loads(self.measured(*arguments).output)
        return report

    def measured(self, *arguments: str) -> Measured:
        """The same, with what it took."""
        print(f"bench: {' '.join(Path(argument).name for argument in arguments)}", file=sys.stderr)
        full = [sys.executable, "-m", "chatbot_assets.cli", *arguments, "--json"]
        measured = run_measured(full, env=self.env, cwd=PROJECT)
        print(f"bench: {arguments[0]} took {measured.seconds:.1f} s", file=sys.stderr)
        return measured

    def start(self, arguments: list[str], log: str) -> "subprocess.Popen[bytes]":
        """Starts a Python program in a session of its own, so that it can be killed with all that it started."""
        self.folder.joinpath("logs").mkdir(exist_ok=True)
        with open(self.folder / "logs" / log, "ab") as output:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @contextmanager
    def up(self) -> Iterator["Service"]:
        """The whole platform as ``up`` starts it, until the end of the block."""
        port, dagster_port = free_port(), free_port()
        process = self.start(
            ["-m", "chatbot_assets.cli", "up", "--no-demo", "--port", f"{port}", "--dagster-port", f"{dagster_port}"],
            "up.log",
        )
        try:
            service = Service(self, process.pid, f"http://127.0.0.1:{port}")
            wait_until(lambda: answers(f"http://127.0.0.1:{dagster_port}/server_info"), 180, "Dagster's UI")
            yield service
        finally:
            end(process, signal.SIGINT)

    def deployment(self, key: str) -> str | None:
        """The live deployment as the lake has it."""
        live = live_deployment(self.lake.table(key, "deployments"))
        return live.deployment_id if live else None


class Service:
    """The chat service of a running platform."""

    def __init__(self, platform: Platform, pid: int, address: str) -> None:
        self.platform = platform
        self.pid = pid
        self.address = address

    def ask(self, key: str, text: str) -> dict[str, Any]:
        """One turn over HTTP."""
        tokens = json.loads((self.platform.home.root / "tokens.json").read_text(encoding="utf-8"))
        request = urllib.request.Request(
            f"{self.address}/v1/bots/{key}/chat",
            json.dumps({"session_id": "bench", "text": text}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {tokens[key.partition('.')[0]]}"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            reply: dict[str, Any] = json.loads(response.read())
        return reply

    def deployed(self, key: str) -> str | None:
        """The deployment that answers; None while none does."""
        try:
            found: str = self.ask(key, "hello")["deployment_id"]
        except (OSError, KeyError, ValueError):
            return None
        return found


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(address: str) -> bool:
    """Whether a GET of the address gives 200."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def wait_until(happened: Callable[[], object], seconds: float, what: str, every: float = 0.2) -> float:
    """Waits until something is so; gives the seconds it took.

    Raises:
        TimeoutError: when it does not come to pass in time.
    """
    started = time.monotonic()
    while not happened():
        if time.monotonic() > started + seconds:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - started


def end(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Ends a process and all that it started: by a signal to itself, and what is left then by force."""
    if process.poll() is None:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
