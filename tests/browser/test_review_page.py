"""The review page in a real browser: decided by key, foretold, taken back; and the same without JavaScript."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from a_browser import arrived, needs_chromium, shows
from service import running
from small_bot import KEY, SmallBot, bot, first, wait_for

from serving.people.directory import Directory

__all__ = ["bot", "first"]

ASKED = ["What about the moon", "what about the moon?", "Which eels do you recommend", "Can I pay in shells"]
pytestmark = needs_chromium


@pytest.fixture(scope="module")
def home(first: tuple[SmallBot, Any], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    return first[0].copy(tmp_path_factory.mktemp("review-page"))


@pytest.fixture(scope="module")
def token(home: SmallBot) -> str:
    scopes = ["chat", "feedback", "read", "review"]
    return Directory(home.home).tokens.make("acme", "reviewer", scopes, by="the tests")


@pytest.fixture(scope="module")
def address(home: SmallBot, token: str) -> Iterator[str]:
    """The service, after users were not helped."""
    with running(home) as found:
        with httpx.Client(base_url=found, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
            for text in ASKED:
                turn = client.post(f"/v1/bots/{KEY}/chat", json={"session_id": "s", "text": text}).json()
                client.post(f"/v1/bots/{KEY}/turns/{turn['turn_id']}/feedback", json={"satisfied": False})
        wait_for(lambda: [row["satisfied"] for row in home.rows("conversations")] == [False] * len(ASKED))
        assert home.refresh(select=["review_queue"]).success
        yield found


@pytest.fixture
def page(chromium: Any, address: str, token: str) -> Iterator[Callable[..., Any]]:
    """Opens the review page, signed in, in a browser of some kind."""
    contexts = []

    def opened(tab: str = "kind=dissatisfied", **kind: Any) -> Any:
        context = chromium.new_context(**kind)
        contexts.append(context)
        shown = context.new_page()
        shown.goto(address)
        shown.locator("[name=token]").fill(token)
        shown.locator("form:has([name=token]) button").click()
        arrived(shown, ".card")
        shown.goto(f"{address}/review?bot={KEY}&zone=UTC&{tab}")
        return shown

    yield opened
    for context in contexts:
        context.close()


def test_a_row_is_foretold_decided_by_key_and_taken_back(page: Callable[..., Any]) -> None:
    shown = page()
    row = shown.locator(".row", has_text="moon")
    row.locator("[name=picked]").first.check()
    row.locator(".effect-of").click()
    row.locator(".effect").wait_for()
    row.locator(".around").click()
    row.locator(".around-turns li").nth(len(ASKED) - 1).wait_for()
    rows = shown.locator(".row:not([data-decided])")
    before = rows.count()
    shown.keyboard.press("Escape")
    shown.evaluate("document.activeElement.blur()")
    shown.keyboard.press("j")
    shown.keyboard.press("x")
    shown.locator(".row[data-decided]").wait_for()
    shows(rows, before - 1)
    shown.keyboard.press("u")
    shows(rows, before)
    shown.reload()
    shows(shown.locator(".row"), before)


def test_a_decision_that_is_not_complete_is_told_beside_its_row(page: Callable[..., Any]) -> None:
    row = page().locator(".row", has_text="eels")
    row.get_by_role("button", name="Modify").click()
    row.get_by_text("choose the right intent or answer").wait_for()


def test_without_javascript_a_person_decides_and_takes_it_back(page: Callable[..., Any]) -> None:
    shown = page(java_script_enabled=False)
    row = shown.locator(".row", has_text="moon")
    row.locator("[name=intent]").fill("weather")
    row.get_by_role("button", name="What would this do?").click()
    shown.locator(".effect").wait_for()
    row = shown.locator(".row", has_text="moon")
    row.locator("[name=intent]").fill("weather")
    row.get_by_role("button", name="Modify").click()
    shown.get_by_text("Decided: Modify, 2 turns.").wait_for()
    shows(shown.locator(".row", has_text="moon"), 0)
    shown.locator(".tabs").get_by_text("Modified").click()
    decided = shown.locator(".row", has_text="moon")
    decided.get_by_text("Not yet answered rightly").wait_for()
    decided.get_by_role("button", name="Take back").click()
    shown.locator(".tabs").get_by_text("Dissatisfied").click()
    shows(shown.locator(".row", has_text="moon"), 1)


def test_several_rows_are_put_off_together(page: Callable[..., Any]) -> None:
    shown = page()
    for text in ("eels", "shells"):
        shown.locator(".row", has_text=text).locator("[name=group][type=checkbox]").check()
    shown.locator("#bulk").get_by_role("button", name="Hold").click()
    shown.locator(".notice").wait_for()
    shows(shown.locator(".row"), 1)
    shown.locator(".tabs").get_by_text("On hold").click()
    for left in (2, 1):
        shows(shown.locator(".row"), left)
        shown.get_by_role("button", name="Take back").first.click()
        shows(shown.locator(".row"), left - 1)


@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_fits_a_phone_and_a_desk_and_speaks_korean(page: Callable[..., Any], width: int) -> None:
    shown = page(viewport={"width": width, "height": 844}, locale="ko-KR")
    assert shown.locator("h1").text_content() == "검토"
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
