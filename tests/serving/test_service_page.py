"""The service page over a real lake: what it says of each bot, to whom, and what it does with what people write."""

import itertools
import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from fastapi.testclient import TestClient
from small_bot import KEY, OTHER, SmallBot, wait_for
from test_app import LOOPBACK, assert_is_problem

from chatbot_assets.feedback.deciding import Decision, write_decisions
from resources import attempts
from serving.app import create_app
from serving.conversations import Conversations, new_turn_id
from serving.overview import bots as overview
from serving.overview.bots import Bots
from serving.pages.words import words_of
from serving.tokens import ensure_tokens

NASTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def asked(served: SmallBot) -> SmallBot:
    """Both bots after a week of questions, some of which were not understood."""
    now = datetime.now(UTC)
    for key, secret in ((KEY, "Where is my parcel from the moon?"), (OTHER, "Only Globex asks this")):
        turns: list[dict[str, Any]] = []
        for day in range(6):
            at = now - timedelta(days=day, seconds=1)
            turns += [turn(at, "answered", satisfied=day != 3), turn(at, "similar"), turn(at, "failed", secret)]
        turns += [turn(now - timedelta(seconds=1), "failed", text) for text in (NASTY, secret.upper())]
        Conversations(SmallBot(served.root, key).table("conversations")).append(turns)
    return served


def turn(at: datetime, category: str, text: str = "Hello", satisfied: bool | None = None) -> dict[str, Any]:
    found = {"turn_id": new_turn_id(), "session_id": "week", "text": text, "category": category}
    return found | {"satisfied": satisfied, "served_at": at}


def said(client: TestClient, path: str, headers: dict[str, str], status: int = 200) -> str:
    """What a page says, without its tags and with plain blanks."""
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.text
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).replace("\u00a0", " ").split())


@pytest.mark.parametrize("path", ["/service", f"/service/{KEY}"])
def test_a_stranger_sees_nothing(asked: SmallBot, client: TestClient, path: str) -> None:
    client.cookies.clear()
    assert KEY not in assert_is_problem(client.get(path), 401)


def test_a_tenant_sees_its_own_bots_and_what_their_users_asked_alone(
    asked: SmallBot, client: TestClient, headers: dict[str, str], tokens: dict[str, str]
) -> None:
    globex = {"Authorization": f"Bearer {tokens['globex']}"}
    for who, own, other in ((headers, KEY, OTHER), (globex, OTHER, KEY)):
        for path in ("/service", f"/service/{own}"):
            page = said(client, path, who)
            assert own in page and other not in page and other.partition(".")[0] not in page
        assert_is_problem(client.get(f"/service/{other}", headers=who), 404)
    assert "Only Globex asks this" not in said(client, f"/service/{KEY}", headers)


@pytest.mark.parametrize("key", ["acme.none", "acme.", "globex.help%2f..", "acme.faq%00", "%F0%9F%92%A9"])
def test_a_bot_that_does_not_exist_is_not_found(client: TestClient, headers: dict[str, str], key: str) -> None:
    assert client.get(f"/service/{key}", headers=headers).status_code == 404


def test_the_page_of_all_bots_says_how_each_stands_and_fares(
    asked: SmallBot, client: TestClient, headers: dict[str, str]
) -> None:
    page = said(client, "/service", headers)
    assert "1 of 1" in page and "English acme.faq Answering" in page
    assert "Questions 20" in page and "30 % · 30 % · 40 %" in page and "83 %" in page and "6 verdicts" in page
    assert "Nothing waits for anybody." in page and "All times are those of UTC." in page


def test_the_page_of_a_bot_says_what_was_asked_in_vain_what_happened_and_what_it_cost(
    asked: SmallBot, client: TestClient, headers: dict[str, str]
) -> None:
    page = said(client, f"/service/{KEY}?period=7&zone=Asia/Seoul", headers)
    assert "Where is my parcel from the moon? 7" in page
    assert "A new model went live; it recognises" in page and "The file home.jsonl was read: 90 rows." in page
    assert "Reading new files" in page and "90 / 0" in page and "learning topics" in page
    assert "All is well" in page and "All times are those of Asia/Seoul." in page


def test_a_period_leaves_out_what_is_before_and_after_it(
    asked: SmallBot, client: TestClient, headers: dict[str, str]
) -> None:
    (judged_badly,) = [row for row in asked.rows("conversations") if row["satisfied"] is False]
    day = judged_badly["served_at"].astimezone(UTC).date()
    page = said(client, f"/service/{KEY}?from={day}&to={day}", headers)
    assert "Questions 3 " in page and "0 of 1 judged answer helped" in page
    long_ago = said(client, f"/service/{KEY}?from=2020-01-01&to=2020-01-31", headers)
    assert "Nobody wrote in this period." in long_ago and "Nobody judged an answer in this period." in long_ago


@pytest.mark.parametrize("query", ["zone=Mars", "from=x", "from=2026-02-02&to=2026-01-01", "from=2001-01-01"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_period_that_makes_no_sense_is_said_so_and_the_last_week_shown(
    asked: SmallBot, client: TestClient, headers: dict[str, str], query: str, language: str
) -> None:
    html = client.get(f"/service?{query}", headers=headers | {"Accept-Language": language}).text
    shown = re.findall(r'role="alert">([^<]+)<', html)
    assert len(shown) == 1 and unescape(shown[0]) in words_of("service", language)["problem"].values()
    assert 'aria-current="true">7' in html


def test_korean_browsers_are_spoken_to_in_korean(asked: SmallBot, client: TestClient, headers: dict[str, str]) -> None:
    html = client.get(f"/service/{KEY}?zone=Asia/Seoul", headers=headers | {"Accept-Language": "ko-KR"}).text
    assert '<html lang="ko">' in html and "답하지 못한 질문" in html and "모든 시각은 Asia/Seoul 기준입니다." in html
    assert not re.search(r">[^<]*\b(Answered|Questions|Satisfied|Live since)\b", html)


def test_what_people_wrote_is_shown_as_text_and_never_as_markup(
    asked: SmallBot, client: TestClient, headers: dict[str, str]
) -> None:
    html = client.get(f"/service/{KEY}", headers=headers).text
    assert NASTY not in html and "<img" not in html and NASTY in unescape(html)
    assert re.findall(r"<script[^>]*>[^<]|<style|\son\w+=\"|\sstyle=", html) == []
    for query in (f"zone={NASTY}", f"from={NASTY}", f"period={NASTY}"):
        assert "<img" not in client.get(f"/service?{query}", headers=headers).text


def test_the_page_leads_to_dagster_and_works_without_it(
    asked: SmallBot, client: TestClient, headers: dict[str, str], tokens: dict[str, str]
) -> None:
    lineage = f"http://127.0.0.1:3000/assets/deployments?view=partitions&amp;partition={KEY}"
    assert lineage in client.get(f"/service/{KEY}", headers=headers).text
    with TestClient(create_app(asked.home), LOOPBACK) as alone:
        assert "http" not in alone.get(f"/service/{KEY}", headers=headers).text.replace("http-equiv", "")


def test_bots_in_every_kind_of_trouble_are_told_in_plain_words(bot: SmallBot) -> None:
    empty, broken, damaged = (SmallBot(bot.root, f"acme.{name}") for name in ("empty", "broken", "damaged"))
    empty.configure()
    broken.configure(trian={})
    damaged.configure()
    log = damaged.table("deployments").path / "_delta_log" / f"{0:020d}.json"
    log.parent.mkdir(parents=True)
    log.write_text("{ not a log", encoding="utf-8")
    bot.land("more.jsonl", [{"text": "Anything", "intent": "other"}])
    headers = {"Authorization": f"Bearer {ensure_tokens(bot.home.root / 'tokens.json', {'acme'})['acme']}"}
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        wait_for(lambda: alone.get("/readyz").status_code == 200)
        page = said(alone, "/service", headers)
        assert "settings file has a mistake" in page and "trian: unknown key" in page
        assert "There is no data for this bot yet." in page and "stored data cannot be read" in page
        assert "1 of 4" in page and "Answering, update due" in page
        assert re.search("1 new file (waits|has arrived)", said(alone, f"/service/{KEY}", headers))
        said(alone, "/service/acme.broken", headers)
        said(alone, "/service/acme.damaged", headers)


def test_the_page_follows_what_changes(bot: SmallBot) -> None:
    headers = {"Authorization": f"Bearer {ensure_tokens(bot.home.root / 'tokens.json', {'acme'})['acme']}"}
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        wait_for(lambda: alone.get("/readyz").status_code == 200)
        assert "All is well" in said(alone, f"/service/{KEY}", headers)
        Conversations(bot.table("conversations")).append([turn(datetime.now(UTC), "failed", "Is anybody there?")])
        assert "Is anybody there? 1" in said(alone, f"/service/{KEY}", headers)
        bot.configure(validate={"minimum_accuracy": 1.0})
        assert "settings were changed" in said(alone, f"/service/{KEY}", headers)


def test_failed_updates_and_decisions_are_among_the_last_events(bot: SmallBot) -> None:
    folder = bot.lake.bot_folder(KEY)
    attempts.fail(folder, attempts.begin(folder, "full disk", "run"), "full disk", "passing", "no room", "models")
    attempts.end(folder)
    turns = [row["turn_id"] for row in bot.rows("dialogues", "turn_id")[:3]]
    write_decisions(bot.lake, KEY, [Decision((turn_id,), "exclude", None, None, "Lee", None) for turn_id in turns])
    now = datetime.now(UTC)
    events = Bots(bot.home).details(KEY, now - timedelta(days=1), now).events
    assert [(one.kind, one.facts["count"]) for one in events[:2]] == [("decided", 3), ("refresh_failed", 1)]
    assert {"live", "file_read"} <= {one.kind for one in events}


@pytest.fixture
def settled(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A bot whose files count as unchanged although it was refreshed a moment ago."""
    monkeypatch.setattr(overview, "RACY_NS", 0)
    return bot


def test_after_a_start_all_bots_are_looked_at_before_anybody_asks(
    settled: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    bots = Bots(settled.home)
    bots.warm(threading.Event())
    monkeypatch.setattr(Bots, "_look", lambda *_: pytest.fail("it is looked at again"))
    assert bots.overview(KEY).state == "live"


def test_a_bot_without_troubles_is_read_again_only_when_something_has_changed(
    settled: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look, turns = [], Bots._look, itertools.count()
    monkeypatch.setattr(overview, "_turn", lambda key: next(turns))
    monkeypatch.setattr(Bots, "_look", lambda self, *of: looks.append(of) or look(self, *of))
    bots = Bots(settled.home)
    assert [bots.overview(KEY).state for _ in range(3)] == ["live"] * 3 and len(looks) == 1
    landed = next(settled.home.landing(KEY).glob("*.jsonl"))
    landed.write_text(landed.read_text() + '{"text": "One more", "intent": "other"}\n')
    os.utime(landed, (time.time() - 60,) * 2)
    assert [bots.overview(KEY).state for _ in range(2)] == ["behind"] * 2 and len(looks) == 3


def test_looking_at_all_bots_ends_with_the_service(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(Bots, "_look", lambda *_: pytest.fail("the service has ended"))
    Bots(bot.home).warm(stop)
