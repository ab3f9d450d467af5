"""Alerts over real tables to a real HTTP server on this machine, tick by tick as the daemon makes them."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest
from dagster_memory import empty_instance
from small_bot import KEY, SmallBot, row, small_rows

from chatbot_assets import alert_sensor, alerts
from chatbot_assets.alert_sensor import alerts as sensor
from chatbot_assets.alerts import WEBHOOK
from chatbot_assets.bot import bot_file
from chatbot_assets.deploy.life import take_back
from resources import attempts, verifications

NEVER = """
from chatbot_assets.deploy.verification import Verification


class Never:
    def __call__(self, folder, config, sample):
        return Verification(False, "it says nothing", None)
"""


class Receiver:
    """A webhook: keeps what it is sent, and answers with the next of ``statuses``, or else with 200, when it may."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.requests = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.requests += 1
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.may_answer.wait()
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                if status == 200:
                    receiver.taken.append(body)
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/s3cret"

    def said(self) -> list[tuple[str, str]]:
        """Event and bot of what was taken since the last call."""
        found = [(body["event"], body["bot"]) for body in self.taken]
        self.taken.clear()
        return found


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv(WEBHOOK, receiver.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(alerts, "TIMEOUT_SECONDS", 60.0)
    yield receiver
    receiver.may_answer.set()
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


class Ticks:
    """The sensor with its cursor."""

    def __init__(self, bot: SmallBot) -> None:
        self.bot = bot
        self.cursor: str | None = None

    def __call__(self) -> str:
        """One tick; gives what its page says."""
        with empty_instance() as instance:
            context = dg.build_sensor_context(instance, self.cursor, resources={"home": self.bot.home})
            data = sensor.evaluate_tick(context)
        assert not data.run_requests
        self.cursor = data.cursor
        return data.skip_message or ""


@pytest.fixture
def tick(bot: SmallBot, webhook: Receiver) -> Ticks:
    """Ticks over a bot that is up to date; the first one has taken that as known."""
    ticks = Ticks(bot)
    assert ticks() == "nothing to announce" and not webhook.requests
    return ticks


def fail(bot: SmallBot, reason: str, times: int = 3) -> None:
    """Leaves the bot as that many failed refreshes of a newly landed file would."""
    cause = bot.state.cause
    for _ in range(times):
        attempt = attempts.begin(bot.lake.bot_folder(bot.key), cause, "a-run")
        attempts.fail(bot.lake.bot_folder(bot.key), attempt, cause, "passing", reason, "dialogues")


def test_without_a_webhook_the_sensor_says_so_and_keeps_its_cursor(
    tick: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tick.cursor
    monkeypatch.delenv(WEBHOOK)
    assert tick() == f"no webhook: {WEBHOOK} is not set"
    assert tick.cursor == before


def test_a_blocked_bot_is_announced_once_with_its_reason_and_once_more_when_it_is_healed(
    tick: Ticks, webhook: Receiver
) -> None:
    bot = tick.bot
    bot.configure(language="klingon")
    assert tick() == "sent 1 of 1 alerts to 127.0.0.1"
    (body,) = webhook.taken
    assert set(body) == {"event", "bot", "text", "reason", "deployment_id", "at"}
    assert (body["event"], body["bot"]) == ("blocked", KEY)
    assert "language: 'klingon' is unknown" in body["reason"]
    assert body["text"] == f"{KEY} is blocked: {body['reason']}"
    assert bot.live and body["deployment_id"] == bot.live.deployment_id, "what goes on answering"
    webhook.said()
    assert tick() == "nothing to announce"
    bot.configure()
    tick()
    assert webhook.taken[0]["reason"] is None
    assert webhook.said() == [("healed", KEY)]
    tick()
    assert webhook.said() == []


def test_a_new_deployment_is_announced(tick: Ticks, webhook: Receiver) -> None:
    bot = tick.bot
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    tick()
    assert webhook.said() == [], "being behind is no news"
    assert bot.refresh().success and bot.live
    tick()
    (body,) = webhook.taken
    assert (body["event"], body["deployment_id"]) == ("deployed", bot.live.deployment_id)
    assert body["text"].startswith(f"{KEY} answers with deployment {bot.live.deployment_id[:12]}, accuracy 0.")
    assert body["at"] == bot.live.at.isoformat()
    webhook.said()
    tick()
    assert webhook.said() == []


def test_a_rollback_is_announced_as_one_with_the_reason_that_was_given(tick: Ticks, webhook: Receiver) -> None:
    bot = tick.bot
    first = bot.live
    bot.configure(messages={"failed": "Pardon?"})
    assert first and bot.refresh().success and bot.live
    tick()
    second = bot.live.deployment_id
    webhook.said()
    assert take_back(bot.table("deployments"), second, first.deployment_id, actor="kim", reason="it was <rude>")
    tick()
    (body,) = webhook.taken
    assert (body["event"], body["reason"], body["deployment_id"]) == (
        "rolled back",
        "it was <rude>",
        first.deployment_id,
    )
    assert body["text"].endswith(f"; {second[:12]} was taken back: it was &lt;rude&gt;")
    assert webhook.said() == [("rolled back", KEY)]
    tick()
    assert webhook.said() == []


def test_a_rejection_is_announced_once_with_what_the_verification_found(
    tick: Ticks, webhook: Receiver, write_module: Callable[[str, str], str]
) -> None:
    bot = tick.bot
    write_module("never", NEVER)
    bot.configure(deploy={"verification": {"use": "never:Never"}})
    bot.refresh()
    assert bot.rows("deployments")[-1]["event"] == "rejected" and bot.state.blocked
    tick()
    (body,) = webhook.taken
    assert (body["event"], body["reason"]) == ("rejected", "it says nothing")
    assert bot.live and body["deployment_id"] == bot.live.deployment_id, "what goes on answering"
    webhook.said()
    tick()
    assert webhook.said() == [], "that it is blocked by that goes without saying"
    bot.configure()
    bot.refresh()
    tick()
    assert ("healed", KEY) in webhook.said()


def test_further_attempts_at_the_same_thing_are_no_news_and_a_bot_that_is_tried_again_is_not_healed_yet(
    tick: Ticks, webhook: Receiver
) -> None:
    bot = tick.bot
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    fail(bot, "the disk is full (12 MB are free)", times=2)
    tick()
    assert webhook.said() == [], "it is tried again"
    fail(bot, "the disk is full (12 MB are free)", times=1)
    tick()
    assert "the disk is full" in webhook.taken[0]["text"]
    assert webhook.said() == [("blocked", KEY)]
    fail(bot, "the disk is full (11 MB are free)", times=1)
    tick()
    assert webhook.said() == []
    bot.land("yet-more.jsonl", [row("Will it rain on my parcel", "weather")])
    tick()
    assert webhook.said() == [], "it is behind, and nobody knows yet whether a refresh goes well"
    with bot.lake.writing(KEY):
        tick()
    assert bot.refresh().success
    tick()
    assert webhook.said() == [("deployed", KEY), ("healed", KEY)]


def test_a_bot_that_waits_for_its_first_data_is_not_announced_as_blocked_but_its_first_deployment_is(
    tick: Ticks, webhook: Receiver
) -> None:
    new = SmallBot(tick.bot.root, "globex.help")
    new.configure()
    assert new.state.blocked
    tick()
    assert webhook.said() == []
    new.land("home.jsonl", small_rows())
    assert new.refresh().success
    tick()
    assert webhook.said() == [("deployed", "globex.help")]


def test_the_first_tick_announces_blocked_bots_and_takes_the_rest_as_known(bot: SmallBot, webhook: Receiver) -> None:
    SmallBot(bot.root, "acme.broken").configure(language="klingon")
    tick = Ticks(bot)
    webhook.statuses = [500]
    tick()
    assert webhook.said() == []
    tick()
    assert webhook.said() == [("blocked", "acme.broken")]


@pytest.mark.parametrize("status", [500, 404, 302])
def test_what_the_webhook_does_not_take_is_sent_again_and_nothing_twice(
    tick: Ticks, webhook: Receiver, status: int
) -> None:
    for name in ("a", "b"):
        SmallBot(tick.bot.root, f"acme.{name}").configure(language="klingon")
    webhook.statuses = [200, status]
    assert tick() == f"sent 1 of 2 alerts; trying again: 127.0.0.1 answered with status {status}"
    assert webhook.said() == [("blocked", "acme.a")]
    tick()
    tick()
    assert webhook.said() == [("blocked", "acme.b")]


def test_a_tick_sends_only_a_few_and_the_next_one_the_others(
    tick: Ticks, webhook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_sensor, "AT_ONCE", 2)
    for name in ("a", "b", "c"):
        SmallBot(tick.bot.root, f"acme.{name}").configure(language="klingon")
    assert tick() == "sent 2 of 3 alerts to 127.0.0.1"
    assert tick() == "sent 1 of 1 alerts to 127.0.0.1"
    assert [bot for _, bot in webhook.said()] == ["acme.a", "acme.b", "acme.c"]


def test_a_slow_webhook_is_not_waited_for(tick: Ticks, webhook: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "TIMEOUT_SECONDS", 0.1)
    webhook.may_answer.clear()
    tick.bot.configure(language="klingon")
    assert tick() == "sent 0 of 1 alerts; trying again: 127.0.0.1 cannot be reached: TimeoutError"


def test_damaged_tables_are_announced_once_and_once_more_when_a_verification_finds_them_right(
    tick: Ticks, webhook: Receiver
) -> None:
    folder = tick.bot.lake.bot_folder(KEY)
    verifications.note(folder, "labels", "as_recorded: 89 rows are there, but 90 were recorded")
    tick()
    (body,) = webhook.taken
    assert body["reason"] == "labels: as_recorded: 89 rows are there, but 90 were recorded"
    assert body["text"] == f"{KEY} failed its verification: {body['reason']}"
    assert webhook.said() == [("verification failed", KEY)]
    verifications.note(folder, "labels", "as_recorded: 88 rows are there, but 90 were recorded")
    tick()
    assert webhook.said() == [], "the same table"
    verifications.note(folder, "dialogues", "as_recorded: the rows cannot be read")
    tick()
    assert webhook.said() == [("verification failed", KEY)]
    verifications.note(folder, "labels", None)
    verifications.note(folder, "dialogues", None)
    tick()
    assert webhook.said() == [("healed", KEY)]


SECRET_ADDRESSES = [
    "http://127.0.0.1:1/s3cret",
    "https://user:s3cret@127.0.0.1:1/s3cret",
    "s3cret",
    "ftp://127.0.0.1/s3cret",
    "http://127.0.0.1:s3cret/",
    "http://[s3cret/",
    "http://127.0.0.1/s3cret with blanks",
]


@pytest.mark.parametrize("address", SECRET_ADDRESSES)
def test_the_address_is_never_shown(
    tick: Ticks, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    monkeypatch.setenv(WEBHOOK, address)
    tick.bot.configure(language="klingon")
    said = tick()
    assert said.startswith("sent 0 of 1 alerts; trying again: ")
    shown = capfd.readouterr()
    assert "s3cret" not in said + shown.out + shown.err


def test_a_reason_cannot_mention_people_in_the_chat(tick: Ticks, webhook: Receiver) -> None:
    tick.bot.configure(language="<!channel> & co")
    tick()
    (body,) = webhook.taken
    assert "'&lt;!channel&gt; &amp; co'" in body["text"] and "'<!channel> & co'" in body["reason"]


def test_a_removed_bot_file_is_forgotten(tick: Ticks, webhook: Receiver) -> None:
    bot_file(tick.bot.home.bots, KEY).unlink()
    tick()
    assert (webhook.said(), tick.cursor) == ([], "{}")


def test_unreadable_tables_of_one_bot_are_announced_and_do_not_silence_the_others(
    tick: Ticks, webhook: Receiver, write_torn: Callable[[str], None]
) -> None:
    write_torn("acme.a")
    tick.bot.configure(language="klingon")
    tick()
    assert webhook.taken[0]["reason"].startswith("its tables cannot be read: JSONDecodeError")
    assert webhook.said() == [("blocked", "acme.a"), ("blocked", KEY)]


@pytest.fixture
def write_torn(bot: SmallBot) -> Callable[[str], None]:
    """Makes a bot with a damaged table."""

    def write(key: str) -> None:
        torn = SmallBot(bot.root, key)
        torn.configure()
        log = torn.table("dialogues").path / "_delta_log"
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text("{", encoding="utf-8")

    return write
