"""All pages of somebody who has signed in, in a real browser: one header, readable, by keyboard, in both languages."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from a_browser import arrived, needs_chromium, shows
from service import running
from small_bot import KEY, SmallBot, bot, first
from test_service_in_browser import CONTRAST, signed_in

from chatbot_assets.feedback.deciding import Decision, write_decision
from serving.conversations import Conversations, new_turn_id
from serving.people.directory import Directory

__all__ = ["bot", "first"]
pytestmark = needs_chromium

BOXES = "all => all.map(one => one.getBoundingClientRect()).map(box => [box.height, box.right])"
NAMES = "all => all.map(one => one.ariaLabel || one.labels?.[0]?.textContent || one.textContent)"
ENGLISH = """() => {
  const named = ["aria-label", "title", "placeholder"];
  const told = [...document.body.querySelectorAll(":lang(ko)")].flatMap(one => [
    ...[...one.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data),
    ...named.map(name => one.getAttribute(name) ?? ""),
  ]);
  return told.map(text => text.replace(/“[^”]*”/g, "")).filter(text => /([a-z']+[ ,]+){2}[a-z']+/i.test(text));
}"""
"""What a page says in three words of a Latin script or more where it claims to speak Korean; what it quotes is data."""
TEXTS = ("Who sells eels?", "who sells EELS", "Where is the moon?")


@pytest.fixture(scope="module")
def home(first: tuple[SmallBot, Any], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """A bot with a queue and a decision."""
    copy = first[0].copy(tmp_path_factory.mktemp("every-page"))
    assert copy.live
    shared = {
        "session_id": "s",
        "answer": "Pardon?",
        "score": 0.25,
        "candidates": "[]",
        "category": "failed",
        "model_id": copy.live.model_id,
        "deployment_id": copy.live.deployment_id,
        "latency_ms": 3.0,
    }
    now = datetime.now(UTC)
    turns = [
        shared | {"turn_id": new_turn_id(), "text": text, "served_at": now - timedelta(minutes=number)}
        for number, text in enumerate(TEXTS, start=1)
    ]
    Conversations(copy.table("conversations")).append(turns)
    assert copy.refresh(select=["review_queue"]).success
    write_decision(copy.lake, KEY, Decision((turns[2]["turn_id"],), "modify", "weather", None, "kim", "it rises"))
    return copy


@pytest.fixture(scope="module")
def address(home: SmallBot) -> Iterator[str]:
    with running(home) as found:
        yield found


@pytest.fixture(scope="module")
def token(home: SmallBot) -> str:
    return Directory(home.home).tokens.make("acme", "reviewer", ["chat", "read", "review"], by="the tests")


@pytest.fixture(scope="module")
def pages(home: SmallBot) -> dict[str, str]:
    """The address of each page, by what of the header is marked on it."""
    turn = next(row["turn_id"] for row in home.rows("conversations") if row["text"] == TEXTS[0])
    return {
        "/": "/",
        f"/service/{KEY}?zone=UTC": "/service",
        f"/review?bot={KEY}&zone=UTC": "/review",
        f"/review?bot={KEY}&state=modified&zone=UTC": "/review",
        f"/review?bot={KEY}&state=on_hold&zone=UTC": "/review",
        f"/review/{KEY}/turns/{turn}": "/review",
        f"/bots/{KEY}/turns/{turn}": "",
        "/account": "/account",
        "/docs/planners.md": "",
    }


@pytest.mark.parametrize(
    ("locale", "width", "scheme"), [("en-GB", 1200, "light"), ("ko-KR", 390, "dark"), ("ko-KR", 1200, "dark")]
)
def test_every_page_has_the_same_header_and_can_be_read(
    chromium: Any, address: str, token: str, pages: dict[str, str], locale: str, width: int, scheme: Any
) -> None:
    page, problems = signed_in(
        chromium, address, token, locale=locale, color_scheme=scheme, viewport={"width": width, "height": 844}
    )
    for path, current in pages.items():
        page.goto(f"{address}{path}")
        header = page.get_by_role("banner")
        assert header.count() == page.get_by_role("main").count() == page.get_by_role("heading", level=1).count() == 1
        links = [link.get_attribute("href") for link in header.get_by_role("link").all()]
        assert links == ["/", "/service", "/review", "/account"]
        marked = [link.get_attribute("href") for link in header.locator("[aria-current=page]").all()]
        assert marked == ([current] if current else []), path
        assert "acme / reviewer" in header.inner_text()
        assert page.locator("html").get_attribute("lang") == locale[:2]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is cut off"
        boxes = page.locator("button:visible, input:visible, select:visible, summary:visible").evaluate_all(BOXES)
        assert all(height >= 18 and end <= width for height, end in boxes), path
        names = page.locator("input:visible, select:visible, button:visible").evaluate_all(NAMES)
        assert all(name.strip() for name in names), f"{path}: a control without a name"
        texts = page.locator("p:visible, a:visible, td:visible, label:visible, h1, h2:visible")
        assert min(texts.evaluate_all(f"all => all.map({CONTRAST})")) >= 4.5, path
        assert page.evaluate(ENGLISH) == [], path
    assert problems == []
    for path in ("/nothing", f"/review?bot={KEY}&zone=Mars", f"/review?bot={KEY}&since=x", f"/review/{KEY}/turns/x"):
        page.goto(f"{address}{path}")
        assert page.evaluate(ENGLISH) == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} is cut off"
    page.context.close()


def test_the_content_is_one_key_away_and_what_has_the_focus_is_seen(chromium: Any, address: str, token: str) -> None:
    page, _ = signed_in(chromium, address, token, locale="en-GB")
    page.goto(f"{address}/review?zone=UTC")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    assert page.locator(".skip").bounding_box()["width"] > 20
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.context.close()


def test_an_unanswered_question_leads_to_its_row_in_the_review(chromium: Any, address: str, token: str) -> None:
    page, _ = signed_in(chromium, address, token, locale="en-GB", timezone_id="Asia/Seoul")
    page.goto(f"{address}/service/{KEY}")
    page.wait_for_url("**zone=Asia%2FSeoul")
    question = page.locator(".questions").get_by_role("link")
    assert [one.inner_text() for one in question.all()] == [TEXTS[0]], "what was decided is no open question"
    question.click()
    page.locator(".row").wait_for()
    shows(page.locator(".row"), 1)
    assert "2 times" in page.locator(".row").inner_text()
    page.context.close()


def test_the_review_shows_the_days_of_the_browsers_time_zone(chromium: Any, address: str, token: str) -> None:
    page, problems = signed_in(chromium, address, token, locale="en-GB", timezone_id="Pacific/Auckland")
    page.locator(".card").get_by_role("link", name="Review").click()
    page.wait_for_url("**zone=Pacific%2FAuckland**")
    assert page.get_by_label("Time zone").input_value() == "Pacific/Auckland"
    page.goto(f"{address}/review?bot={KEY}&zone=Asia/Seoul")
    assert page.get_by_label("Time zone").input_value() == "Asia/Seoul"
    assert problems == []
    page.context.close()


def test_a_link_from_elsewhere_leads_through_the_sign_in_and_back(chromium: Any, address: str, token: str) -> None:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{address}/review?bot={KEY}&zone=UTC")
    page.get_by_text("Sign in to see the page that you asked for.").wait_for()
    page.get_by_label("Token").fill(token)
    page.get_by_label("Token").press("Enter")
    page.locator("main.review").wait_for()
    assert page.url == f"{address}/review?bot={KEY}&zone=UTC"
    other = context.new_page()
    other.goto(address.replace("127.0.0.1", "localhost"))
    other.evaluate("where => location.assign(where)", f"{address}/service?zone=UTC")
    other.get_by_role("heading", name="How your bots are doing").wait_for()
    context.close()


@pytest.mark.parametrize(
    ("locale", "width", "scheme", "script"), [("en-GB", 1200, "light", True), ("ko-KR", 390, "dark", False)]
)
def test_a_second_factor_is_set_up_and_asked_for_also_without_a_script(
    chromium: Any, address: str, home: SmallBot, locale: str, width: int, scheme: Any, script: bool
) -> None:
    name, password, accounts = f"kim-{width}", "four quiet brown horses", Directory(home.home).accounts
    accounts.add("acme", name, ["reviewer"])
    assert accounts.accept(accounts.invite("acme", name), password)
    size = {"width": width, "height": 844}
    context = chromium.new_context(locale=locale, color_scheme=scheme, viewport=size, java_script_enabled=script)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)

    def sign_in() -> None:
        page.goto(f"{address}/?next=/account")
        for field, text in (("tenant", "acme"), ("name", name), ("password", password)):
            page.locator(f"#{field}").fill(text)
        page.locator("#password").press("Enter")

    def look(what: str) -> None:
        arrived(page, what)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        texts = page.locator("p:visible, a:visible, code:visible, label:visible, summary:visible, h1, h2:visible")
        assert min(texts.evaluate_all(f"all => all.map({CONTRAST})")) >= 4.5
        names = page.locator("input:visible, button:visible").evaluate_all(NAMES)
        assert all(said.strip() for said in names)

    sign_in()
    look("#its-password")
    page.locator("#its-password").fill(password)
    page.locator("#its-password").press("Enter")
    look(".qr-code")
    app = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
    page.locator("#code").fill(app.now())
    page.locator("#code").press("Enter")
    look(".recovery-codes")
    recovery = page.locator(".recovery-codes code").first.inner_text()
    page.goto(f"{address}/account")
    page.locator("summary").click()
    look("form[action='/account/second-factor/off']")
    page.locator("form[action='/sign-out'] button").click()
    look("#password")
    sign_in()
    look("form[action='/sign-in/code']")
    shows(page.locator("#code:focus"), 1)
    page.keyboard.type(recovery)
    page.keyboard.press("Enter")
    page.wait_for_url("**/account")
    assert problems == []
    context.close()
