"""The main job as its users see it: ``up`` in a process of its own, a real browser, and data that arrives meanwhile."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from a_browser import CHROMIUM, arrived, needs_chromium
from small_bot import wait_for

from chatbot_assets.tables import MATERIALISED
from resources.environment import PROJECT, Home

KEY = "demo.home"
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
START_SECONDS = 300
"""What a start and the first refresh may take on a machine that is shared."""
CHANGE_SECONDS = 240
"""What it may take until a change is learnt and deployed."""
PORTS = iter(random.sample(range(20_000, 30_000), 1_000))

pytestmark = needs_chromium


def free_port() -> int:
    """Another port each time, below those that the system gives away (from 32768 on): none is taken meanwhile."""
    while True:
        port = next(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def processes_of(home: Home) -> dict[int, str]:
    """All processes, wherever they hang, that were started for a home."""
    mark = f"CHATBOT_HOME={home.root}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


@dataclass(frozen=True)
class Platform:
    """A running ``up``."""

    home: Home
    port: int
    dagster_port: int
    process: "subprocess.Popen[str]"

    def call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command(*arguments),
            cwd=PROJECT,
            env=environment(self.home),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def chat(self, text: str) -> httpx.Response | None:
        """The answer of the service; None while it does not listen yet."""
        try:
            token = json.loads((self.home.root / "tokens.json").read_text(encoding="utf-8"))["demo"]
            return httpx.post(
                f"http://127.0.0.1:{self.port}/v1/bots/{KEY}/chat",
                json={"session_id": "browser", "text": text},
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
        except (FileNotFoundError, httpx.TransportError):
            return None

    def answers(self, differs_from: str = "") -> Callable[[], bool]:
        """Whether the bot answers, and not with the given deployment."""

        def answered() -> bool:
            assert self.process.poll() is None, self.process.stdout and self.process.stdout.read()
            response = self.chat("hello")
            return bool(response and response.status_code == 200 and response.json()["deployment_id"] != differs_from)

        return answered


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "chatbot_assets.cli", *arguments]


def environment(home: Home) -> dict[str, str]:
    return os.environ | {"CHATBOT_HOME": str(home.root), "CHATBOT_BOTS": str(home.bots), "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """``up`` on free ports, with one demo bot in a new home; interrupted afterwards, if it still runs."""
    root = tmp_path_factory.mktemp("up")
    home = Home(root / "home", root / "bots")
    (home.bots / "demo").mkdir(parents=True)
    soon = {"every_minutes": 0, "refresh_after": {"minutes": 0}}
    yaml = f"language: en\nreview: {json.dumps(soon)}\n"
    (home.bots / "demo" / "home.yaml").write_text(yaml, encoding="utf-8")
    port, dagster_port = free_port(), free_port()
    ports = ("--port", str(port), "--dagster-port", str(dagster_port))
    process = subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command("up", *ports)],  # as a shell's "&" does
        cwd=PROJECT,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    yield Platform(home, port, dagster_port, process)
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                continue
    for left in processes_of(home):
        os.kill(left, signal.SIGKILL)


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "CHATBOT_REQUIRE names browser, but there is no chromium; install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        found = browser.new_page(viewport={"width": 1600, "height": 1000})
        found.set_default_timeout(120_000)
        yield found
        browser.close()


@pytest.mark.timeout(900)
def test_the_demo_is_refreshed_served_and_shown_and_what_lands_meanwhile_is_deployed(
    platform: Platform, page: Any, tmp_path: Path
) -> None:
    wait_for(platform.answers(), seconds=START_SECONDS, every=0.3)
    response = platform.chat("I'm back")
    assert response and response.json()["intent"] == "Greeting"
    first = response.json()["deployment_id"]

    rows = tmp_path / "more.jsonl"
    new = [{"text": f"open the cellar door number {n}", "intent": "Cellar", "answer": "Open."} for n in range(20)]
    rows.write_text("".join(f"{json.dumps(row)}\n" for row in new), encoding="utf-8")
    landed = platform.call("land", KEY, str(rows))
    assert landed.returncode == 0, landed.stderr

    ui = f"http://127.0.0.1:{platform.dagster_port}"
    page.goto(f"{ui}/asset-groups", wait_until="domcontentloaded")
    stages = {table.stage for table in MATERIALISED}
    for stage in stages:
        page.get_by_text(stage, exact=True).first.wait_for()
    # The list of stages beside the graph, from its end so that what opens moves none that is still to be opened.
    for place in reversed(range(len(stages | {"feedback"}))):
        page.locator('[aria-label="arrow_drop_down"]').nth(place).click()
    for table in MATERIALISED:
        page.get_by_text(table.name, exact=True).first.wait_for()
    page.screenshot(path=str(tmp_path / "lineage.png"))
    assert (tmp_path / "lineage.png").stat().st_size > 10_000

    wait_for(platform.answers(differs_from=first), seconds=CHANGE_SECONDS, every=0.3)
    response = platform.chat("open the cellar door number 7")
    assert response and response.json()["intent"] == "Cellar"

    page.goto(f"{ui}/runs", wait_until="domcontentloaded")
    page.get_by_text("Success", exact=True).nth(1).wait_for()
    page.screenshot(path=str(tmp_path / "runs.png"))


@pytest.mark.timeout(900)
def test_what_a_reviewer_corrects_is_learnt_deployed_and_shown_as_fixed(platform: Platform, page: Any) -> None:
    """Asked and not understood, it waits for a person; what the person says is right is what the bot then answers."""
    unknown = "zyx qwert sldk"
    response = platform.chat(unknown)
    assert response and response.json()["category"] == "failed"
    before = response.json()["deployment_id"]
    made = platform.call("tokens", "add", "demo", "reviewer", "--scope", "read", "--scope", "review", "--json")
    assert made.returncode == 0, made.stderr
    service = f"http://127.0.0.1:{platform.port}"
    page.goto(service)
    page.locator("[name=token]").fill(json.loads(made.stdout)["token"])
    page.locator("form:has([name=token]) button").click()
    arrived(page, ".card")
    row = page.locator(".row", has_text=unknown)

    def waits() -> bool:
        page.goto(f"{service}/review?bot={KEY}&zone=UTC&kind=failed")
        return bool(row.count() == 1)

    wait_for(waits, seconds=CHANGE_SECONDS, every=1)
    row.locator("[name=intent]").fill("Cellar")
    row.get_by_role("button", name="Modify").click()
    page.locator(".row[data-decided]").wait_for()
    wait_for(platform.answers(differs_from=before), seconds=CHANGE_SECONDS, every=0.3)
    response = platform.chat(unknown)
    assert response and (response.json()["category"], response.json()["intent"]) == ("answered", "Cellar")
    page.goto(f"{service}/review?bot={KEY}&zone=UTC&state=modified")
    page.locator(".row", has_text=unknown).get_by_text("Fixed: the bot answers it rightly now").wait_for()


def test_a_second_up_on_the_same_home_is_one_clear_line(platform: Platform) -> None:
    second = platform.call("up", "--port", str(free_port()), "--dagster-port", str(free_port()))
    assert second.returncode == 2 and second.stdout == ""
    assert second.stderr == (
        f"chatbot: it runs already (process {platform.process.pid}) on {platform.home.root}; stop that one\n"
    )


@pytest.mark.parametrize("option", ["--port", "--dagster-port"])
def test_a_busy_port_is_one_clear_line(platform: Platform, tmp_path: Path, option: str) -> None:
    ports = {"--port": free_port(), "--dagster-port": free_port()} | {option: platform.port}
    home = Home(tmp_path / "home", platform.home.bots)
    arguments = [part for name, port in ports.items() for part in (name, str(port))]
    busy = subprocess.run(
        command("up", *arguments), cwd=PROJECT, env=environment(home), capture_output=True, text=True, timeout=120
    )
    assert busy.returncode == 2 and busy.stdout == ""
    assert busy.stderr == f"chatbot: port {platform.port} is in use; choose another one with {option}\n"


def test_an_interrupt_stops_every_process(platform: Platform) -> None:
    before = processes_of(platform.home)
    assert len(before) >= 4, f"up, Dagster's processes and the service: {before}"
    platform.process.send_signal(signal.SIGINT)
    said, _ = platform.process.communicate(timeout=120)
    assert platform.process.returncode == 0, said
    assert said.splitlines()[-1] == "stopping" and "Traceback" not in said
    assert f"http://127.0.0.1:{platform.dagster_port}/asset-groups" in said
    wait_for(lambda: not processes_of(platform.home))
