"""``up``: runs Dagster (UI, daemon, sensor) and the chat service as child processes until Ctrl-C."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chatbot_assets.automation import bot_state
from chatbot_assets.bot import BotError, bot_keys, load_bot
from chatbot_assets.code_version import one_look
from chatbot_assets.commands import UserError
from chatbot_assets.commands.dagster_home import prepare_dagster_home
from chatbot_assets.commands.doctor import port_is_free
from chatbot_assets.deploy.record import live_deployment
from resources.environment import PROJECT, SERVICE_URL, Home
from resources.lakehouse import Lake
from resources.processes import descendants, is_there, kill
from serving.origin import Origin
from serving.pages.people import link_address
from serving.people.directory import Directory, first_administrator
from serving.people.oidc import Settings
from serving.tokens import TOKENS_FILE, ensure_tokens, load_tokens

DEMO_TENANT = "demo"
LOOK_SECONDS = 1.0
RESTS = 10
"""The pause between two looks at all bots is at least so many times as long as a look takes: there may be hundreds."""
STOP_SECONDS = 20
ORPHAN_SECONDS = 3.0
"""How long what they had started may take to end once they have."""
START_SECONDS = 180
LOG_BYTES = 10_000_000


def run(*, port: int, dagster_port: int, workers: int, demo: bool) -> None:
    """Starts everything and reports on it; returns after Ctrl-C.

    Raises:
        UserError: when it runs already, a port is busy, or a child process ends by itself.
    """
    home = Home.from_environment()
    with _only_one(home):
        for wanted, option in ((port, "--port"), (dagster_port, "--dagster-port")):
            if not port_is_free(wanted):
                raise UserError(f"port {wanted} is in use; choose another one with {option}")
        _restore_history(home)
        prepare_dagster_home(home)
        if demo:
            _land_demo(home)
        try:
            origin = Origin.from_environment()
            Settings.from_environment(home.root)
        except ValueError as error:
            raise UserError(str(error)) from None
        dagster, service = f"http://127.0.0.1:{dagster_port}", f"http://127.0.0.1:{port}"
        os.environ[SERVICE_URL] = service
        serving = ["-m", "serving", "--port", str(port), "--workers", str(workers)]
        children = {
            "dagster": _start("dagster", home, ["-m", "dagster", "dev", *_dagster_arguments(dagster_port)]),
            "service": _start("service", home, [*serving, "--dagster", dagster]),
        }
        try:
            _say(f"starting; logs are in {home.logs}")
            _wait_for(f"{service}/healthz", children, home)
            _wait_for(f"{dagster}/server_info", children, home)
            _introduce(port, dagster)
            _follow(home, children, origin.public or service)
        except KeyboardInterrupt:
            _say("stopping")
        finally:
            _stop(children)


def _dagster_arguments(port: int) -> list[str]:
    return ["-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port), "--log-level", "warning"]


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    home.root.mkdir(parents=True, exist_ok=True)
    with open(home.root / "up.lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(f"it runs already (process {lock.read().strip()}) on {home.root}; stop that one") from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        # SIGINT too: a shell that starts a command in the background lets it, and its children, ignore that one.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        yield


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _restore_history(home: Home) -> None:
    """Tells a Dagster whose storage is not there (a restored or moved home) what the lake holds."""
    if (home.dagster / "history").exists() or not home.lake.exists():
        return
    from chatbot_assets.commands import reconcile

    _say(f"Dagster has no history yet: {reconcile.describe(reconcile.run())}")


def _land_demo(home: Home) -> None:
    """Lands the demo data of each demo bot that has never had any."""
    from chatbot_assets.demo import write_demo

    for key in bot_keys(home.bots):
        tenant, _, name = key.partition(".")
        folder = home.landing(key)
        if tenant == DEMO_TENANT and not folder.exists():
            language = load_bot(home.bots, key).language
            folder.mkdir(parents=True)
            rows = write_demo(language, folder / f"home-{name}.jsonl")
            _say(f"landed {rows} demo rows for {key}")


def _start(name: str, home: Home, arguments: list[str]) -> "subprocess.Popen[bytes]":
    home.logs.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])}
    log: IO[bytes]
    with open(home.logs / f"{name}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=home.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait_for(address: str, children: dict[str, Any], home: Home) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        _check_alive(children, home)
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise UserError(f"{address} did not answer within {START_SECONDS} s; see the logs in {home.logs}")


def _check_alive(children: dict[str, Any], home: Home) -> None:
    for name, child in children.items():
        status = child.poll()
        if status is not None:
            log = home.logs / f"{name}.log"
            raise UserError(f"{name} ended by itself (status {status}): {_last_line(log)}; see {log}")


def _keep_short(log: Path) -> None:
    """Moves what a large log holds to ``<name>.log.1``.

    Its writers append, so they go on at the beginning of the emptied file; what they say at that moment may be lost.
    """
    if log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, log.with_name(f"{log.name}.1"))
        os.truncate(log, 0)


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def _introduce(port: int, dagster: str) -> None:
    _say(f"Dagster's UI   {dagster}/asset-groups")
    _say(f"chat service   http://127.0.0.1:{port}/v1/bots  (loopback only)")
    _say("ask a bot with ./chatbot ask KEY TEXT; Ctrl-C stops everything")


def _follow(home: Home, children: dict[str, Any], address: str) -> None:
    """Says how each tenant signs in, and when a bot's deployment or obstacle changes; until interrupted."""
    lake, directory = Lake(home.lake), Directory(home)
    known = load_tokens(home.root / TOKENS_FILE)
    greeted: set[str] = set()
    said: dict[str, str] = {}
    look_at = 0.0
    while True:
        _check_alive(children, home)
        for name in children:
            _keep_short(home.logs / f"{name}.log")
        tenants = {key.partition(".")[0] for key in bot_keys(home.bots)}
        tokens = ensure_tokens(home.root / TOKENS_FILE, tenants)
        for tenant in sorted(tenants):
            if known.get(tenant) != tokens[tenant]:
                known[tenant] = tokens[tenant]
                _say(f"token of {tenant}, shown this once and kept in {home.root / TOKENS_FILE}: {tokens[tenant]}")
            if tenant not in greeted:
                greeted.add(tenant)
                _greet(directory, tenant, tokens[tenant], address)
        if (started := time.monotonic()) >= look_at:
            with one_look():
                for key in bot_keys(home.bots):
                    line = _state_of(home, lake, key)
                    if line and said.get(key) != line:
                        said[key] = line
                        _say(f"{key:<14} {line}")
            look_at = started + RESTS * (time.monotonic() - started)
        time.sleep(LOOK_SECONDS)


def _greet(directory: Directory, tenant: str, token: str, address: str) -> None:
    """Says how to sign in; while a tenant has no administrator, by a link that makes the first one."""
    link = first_administrator(directory, tenant)
    if link is None:
        _say(f"start page of {tenant}: {address}/")
        return
    _say(f"first administrator of {tenant}, once, within a day: {link_address(address, link)}")
    # Behind a "#": browsers keep that part to themselves, and the page removes it from the address bar.
    _say(f"start page of {tenant}, until there is one: {address}/#token={token}")


def _state_of(home: Home, lake: Lake, key: str) -> str:
    live = live_deployment(lake.table(key, "deployments"))
    answering = f"answers with deployment {live.deployment_id[:12]}" if live else ""
    try:
        state = bot_state(home, lake, load_bot(home.bots, key))
    except BotError as error:
        return f"blocked: {error}"
    return f"blocked: {state.blocked}" if state.blocked and state.obstacle != "imported" else answering


def _stop(children: dict[str, Any]) -> None:
    below = {pid for child in children.values() for pid in descendants(child.pid)}
    for child in children.values():
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGINT)
    until = time.monotonic() + STOP_SECONDS
    for child in children.values():
        try:
            child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
    # Dagster's code servers have sessions of their own, and outlive a daemon that ends while it starts one.
    until = time.monotonic() + ORPHAN_SECONDS
    while (left := [pid for pid in below if is_there(pid)]) and time.monotonic() < until:
        time.sleep(0.05)
    for pid in left:
        kill(pid)


def _say(line: str) -> None:
    print(line, flush=True)
