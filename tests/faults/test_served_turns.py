"""Faults on the way of a served turn into the table: afterwards no turn that was answered is lost, and none is doubled.

Processes are killed with SIGKILL at each boundary, whole services while they answer, workers one by one; the lake is
away; the disk refuses to be written.
"""

import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from deltalake import DeltaTable
from small_bot import KEY, SmallBot, wait_for

from resources.environment import PROJECT
from resources.lakehouse import Lake, LakeTable
from serving import writer
from serving.conversation_log import ConversationLog
from serving.conversations import Conversations, new_turn_id
from serving.tokens import ensure_tokens

CHAT = f"/v1/bots/{KEY}/chat"


def kept(lake: Lake) -> dict[str, bool | None]:
    """Each turn in the table with its user's verdict; fails when one is there twice."""
    table = lake.table(KEY, "conversations")
    if table.last() is None:
        return {}
    rows = DeltaTable(str(table.path)).to_pyarrow_table(columns=["turn_id", "satisfied"]).to_pylist()
    found = {row["turn_id"]: row["satisfied"] for row in rows}
    assert len(found) == len(rows), "a turn is in the table twice"
    return found


# -- one process, killed at each boundary ---------------------------------------------------------------------------


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before_the_commit() -> None:
    LakeTable.append_rows = die  # type: ignore[method-assign]


def _then_die(owner: type, name: str) -> None:
    method = getattr(owner, name)

    def do(*arguments: Any, **named: Any) -> None:
        method(*arguments, **named)
        die()

    setattr(owner, name, do)


def after_the_commit() -> None:
    _then_die(Conversations, "append")


def before_the_verdicts() -> None:
    Conversations.amend = die  # type: ignore[method-assign]


def after_the_verdicts() -> None:
    _then_die(Conversations, "amend")


def before_the_journal_is_cut() -> None:
    writer.remove_if_passed_on = die  # type: ignore[assignment]


def while_the_table_is_written() -> None:
    threading.Timer(0.02, die).start()


def serve_and_die(root: Path, fault: Callable[[], None], earlier: str, turns: list[str]) -> None:
    """Serves turns and a verdict on a turn of an earlier time, and dies while they are brought into the table."""
    log = ConversationLog(Lake(root), root.parent / "journal")
    futures = [log.add(KEY, {"turn_id": turn_id, "text": "hi", "category": "answered"}) for turn_id in turns]
    futures.append(log.add_feedback(KEY, turns[0], {"satisfied": True}))
    futures.append(log.add_feedback(KEY, earlier, {"satisfied": False}))
    for future in futures:
        future.result(60)
    log.close()
    fault()
    writer.Writer(Lake(root), root.parent / "journal").pass_on()
    die()


@pytest.mark.parametrize(
    "fault",
    [
        before_the_commit,
        while_the_table_is_written,
        after_the_commit,
        before_the_verdicts,
        after_the_verdicts,
        before_the_journal_is_cut,
    ],
    ids=lambda fault: fault.__name__.replace("_", "-"),
)
def test_a_process_that_is_killed_loses_and_doubles_nothing(lake: Lake, fault: Callable[[], None]) -> None:
    earlier, turns = new_turn_id(), [new_turn_id() for _ in range(20)]
    Conversations(lake.table(KEY, "conversations")).append([{"turn_id": earlier, "category": "answered"}])
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve_and_die, args=(lake.root, fault, earlier, turns))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL

    for _ in ("the next process", "the one after it"):
        writer.Writer(lake, lake.root.parent / "journal").pass_on()
        assert kept(lake) == {earlier: False} | dict.fromkeys(turns) | {turns[0]: True}
    assert list((lake.root.parent / "journal").iterdir()) == []


# -- whole services -------------------------------------------------------------------------------------------------


class Service:
    """The chat service as a process, asked by threads that note what was answered."""

    def __init__(self, bot: SmallBot, workers: int = 1) -> None:
        self.bot = bot
        self.workers = workers
        self.token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
        self.answered: list[str] = []
        self.refused: list[httpx.Response] = []
        self._port = reserved_port()
        self.port = self._port.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> "subprocess.Popen[bytes]":
        environment = os.environ | {
            "CHATBOT_HOME": str(self.bot.home.root),
            "CHATBOT_BOTS": str(self.bot.home.bots),
            "PYTHONPATH": str(PROJECT),
        }
        log = self.bot.root / "service.log"
        with open(log, "ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "serving", "--port", str(self.port), "--workers", str(self.workers)],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        wait_for(self.is_ready, every=0.1)
        return process

    def is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.address}/readyz", timeout=60).status_code == 200
        return False

    def ask(self) -> httpx.Response:
        body = {"session_id": "s", "text": "My bill"}
        return httpx.post(self.address + CHAT, json=body, headers=self.headers, timeout=60)

    def judge(self, turn_id: str) -> None:
        """Sends a verdict on a turn."""
        address = f"{self.address}/v1/bots/{KEY}/turns/{turn_id}/feedback"
        said = httpx.post(address, json={"satisfied": True}, headers=self.headers, timeout=60)
        assert said.status_code == 200, said.text

    def metrics(self) -> str:
        return httpx.get(f"{self.address}/metrics", timeout=60).text

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    @contextmanager
    def asked(self, threads: int = 4) -> Iterator[None]:
        """Asks all the time until the end of the block; connections that break are made again."""
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                with suppress(httpx.HTTPError), httpx.Client(headers=self.headers, timeout=60) as client:
                    while not stop.is_set():
                        response = client.post(self.address + CHAT, json={"session_id": "s", "text": "My bill"})
                        if response.status_code == 200:
                            self.answered.append(response.json()["turn_id"])
                        else:
                            self.refused.append(response)

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in running:
                thread.join(120)

    def workers_of(self, process: "subprocess.Popen[bytes]") -> list[int]:
        """The processes that answer, besides the one that looks after them."""
        return _children(process.pid, "spawn_main")

    def writer_of(self, process: "subprocess.Popen[bytes]") -> int | None:
        """The process that brings turns into the tables."""
        return next(iter(_children(process.pid, "serving.writer")), None)

    def stop(self, process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> None:
        os.killpg(process.pid, number)
        process.wait(120)


def reserved_port() -> socket.socket:
    """A free loopback port that a service may listen on, and that nobody else is given as long as this is held."""
    port = socket.socket()
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind(("127.0.0.1", 0))
    return port


def _children(pid: int, named: str) -> list[int]:
    """Child processes whose command names something; threads and processes may end while they are looked at."""
    children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in _read(task / "children").split()]
    return [child for child in map(int, children) if named in _read(Path(f"/proc/{child}/cmdline"))]


def _read(path: Path) -> str:
    """What the kernel says in a file; nothing when what it is about has ended."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def assert_all_are_kept(service: Service) -> None:
    missing = set(service.answered) - kept(service.bot.lake).keys()
    assert not missing, f"{len(missing)} of {len(service.answered)} answered turns are lost"


def test_a_service_that_is_killed_while_it_answers_loses_and_doubles_nothing(bot: SmallBot) -> None:
    service = Service(bot)
    for pause in (0.3, 0.8):
        process = service.start()
        with service.asked():
            before = len(service.answered)
            wait_for(lambda: len(service.answered) > before + 20)  # noqa: B023
            time.sleep(pause)
            service.stop(process, signal.SIGKILL)
    process = service.start()
    wait_for(lambda: set(service.answered) <= kept(bot.lake).keys(), every=0.2)
    service.stop(process)
    assert_all_are_kept(service)
    assert service.refused == []


def test_of_several_workers_one_is_killed_and_another_brings_its_turns_into_the_table(bot: SmallBot) -> None:
    service = Service(bot, workers=2)
    process = service.start()
    wait_for(lambda: len(service.workers_of(process)) == 2)
    with service.asked():
        wait_for(lambda: len(service.answered) > 20)
        os.kill(service.workers_of(process)[0], signal.SIGKILL)
        before = len(service.answered)
        wait_for(lambda: len(service.answered) > before + 20)
    turn_id = service.ask().json()["turn_id"]
    for _ in range(4):  # whichever worker is asked, also at once
        service.judge(turn_id)
    told = 'chatbot_feedback_total{kind="satisfied"} 4'
    wait_for(lambda: all(told in service.metrics() for _ in range(4)), every=0.2)  # whichever worker is asked
    wait_for(lambda: set(service.answered) <= kept(bot.lake).keys(), every=0.2)
    service.stop(process)
    assert_all_are_kept(service)
    assert kept(bot.lake)[turn_id] is True
    assert service.refused == []
    assert list(bot.home.journal.iterdir()) == []


def test_a_writer_that_is_killed_is_replaced_and_loses_and_doubles_nothing(bot: SmallBot) -> None:
    service = Service(bot)
    process = service.start()
    killed: set[int] = set()
    with service.asked():
        for pause in (0.4, 0.7):
            wait_for(lambda: service.writer_of(process) not in {None, *killed})
            time.sleep(pause)
            found = service.writer_of(process)
            assert found
            killed.add(found)
            os.kill(found, signal.SIGKILL)
        before = len(service.answered)
        wait_for(lambda: len(service.answered) > before + 20)
    wait_for(lambda: set(service.answered) <= kept(bot.lake).keys(), every=0.2)
    service.stop(process)
    assert service.refused == []
    assert list(bot.home.journal.iterdir()) == []


def test_while_the_disk_takes_nothing_turns_are_refused_and_what_was_answered_stays(bot: SmallBot) -> None:
    service = Service(bot)
    process = service.start()
    with service.asked(threads=2):
        wait_for(lambda: len(service.answered) > 10)
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, most))  # every write fails, as on a full disk
        wait_for(lambda: len(service.refused) > 10)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most, most))
        before = len(service.answered)
        wait_for(lambda: len(service.answered) > before + 10)
    service.stop(process)
    assert_all_are_kept(service)
    assert {response.status_code for response in service.refused} == {503}
    assert service.refused[0].headers["retry-after"] == "1"
    assert "make room" in json.loads(service.refused[0].text)["detail"]
    assert len(kept(bot.lake)) == len(service.answered), "what was refused is not in the table"


def test_while_the_lake_is_away_turns_are_answered_and_they_are_in_it_when_it_is_back(bot: SmallBot) -> None:
    obstacle = bot.table("conversations").path
    obstacle.write_text("a file where the table belongs", encoding="utf-8")
    service = Service(bot)
    process = service.start()
    with service.asked(threads=2):
        wait_for(lambda: len(service.answered) > 20)
        time.sleep(1.2)
    service.stop(process, signal.SIGKILL)
    process = service.start()
    turn_id = service.ask().json()["turn_id"]
    service.answered.append(turn_id)
    service.stop(process)
    assert list(bot.home.journal.iterdir()), "what was served waits in the journal, also when the service is stopped"
    obstacle.unlink()
    process = service.start()
    wait_for(lambda: set(service.answered) <= kept(bot.lake).keys(), every=0.2)
    service.stop(process)
    assert service.refused == []


def test_a_service_that_is_told_to_stop_answers_what_it_has_taken(bot: SmallBot) -> None:
    service = Service(bot)
    process = service.start()
    with service.asked(threads=8):
        wait_for(lambda: len(service.answered) > 50)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) in (0, -signal.SIGTERM)
    assert len(kept(bot.lake)) == len(service.answered), "each turn that was kept was also answered"
    assert_all_are_kept(service)
    assert list(bot.home.journal.iterdir()) == []
