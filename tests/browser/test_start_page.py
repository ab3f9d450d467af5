"""The start page in a real browser, over a real service: signing in by link, a conversation, verdicts, a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from a_browser import arrived, needs_chromium, shows
from service import running
from small_bot import KEY, SmallBot, bot, first, small_rows, wait_for
from unsure_bot import UNCLEAR, UNSURE, unsure_bot

from serving.tokens import ensure_tokens

__all__ = ["bot", "first"]

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def home(first: tuple[SmallBot, Any], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """A home with a sure bot, an unsure one and one that has no data yet."""
    copy = first[0].copy(tmp_path_factory.mktemp("start-page"))
    copy.configure(description="Help for Acme")
    unsure_bot(copy.root)
    SmallBot(copy.root, "acme.young").configure()
    return copy


@pytest.fixture(scope="module")
def address(home: SmallBot) -> Iterator[str]:
    with running(home) as found:
        yield found


@pytest.fixture(scope="module")
def token(home: SmallBot) -> str:
    return ensure_tokens(home.home.root / "tokens.json", {"acme"})["acme"]


@pytest.fixture
def page(chromium: Any, address: str, token: str) -> Iterator[Any]:
    """The start page of somebody who opened the link that ``up`` prints; no script may fail and nothing be blocked."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    found = context.new_page()
    problems: list[str] = []
    found.on("pageerror", lambda error: problems.append(str(error)))
    found.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    found.goto(f"{address}/#token={token}")
    arrived(found, ".card")
    yield found
    context.close()
    assert problems == []


def say(page: Any, key: str, text: str) -> Any:
    """Writes to a bot as people do; gives the new turn."""
    card = page.locator(f'[id="{key}"]')
    before = card.locator(".turn").count()
    card.get_by_role("textbox").fill(text)
    card.get_by_role("textbox").press("Enter")
    turn = card.locator(".turn").nth(before)
    turn.wait_for()
    return turn


def row_of(home: SmallBot, key: str, turn: Any) -> dict[str, Any]:
    turn_id = turn.get_attribute("data-turn")
    found = SmallBot(home.root, key).rows("conversations")
    return next((row for row in found if row["turn_id"] == turn_id), {})


def test_the_link_signs_in_and_leaves_no_token_in_the_address(page: Any, address: str, token: str) -> None:
    assert page.url == f"{address}/"
    assert token not in page.content()
    assert page.evaluate("document.cookie") == ""
    shows(page.locator(".card"), 3)


def test_people_sign_in_with_the_token_and_out_again(chromium: Any, address: str, token: str) -> None:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in with the token").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Token").fill(token)
    page.get_by_label("Token").press("Enter")
    page.locator(".card").first.wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    shows(page.locator(".card"), 0)
    context.close()


def test_a_message_is_answered_and_the_verdict_on_it_reaches_its_row(page: Any, home: SmallBot) -> None:
    turn = say(page, KEY, "My parcel is wrong")
    assert "This is what we know about delivery." in turn.inner_text()
    assert page.locator(f'[id="{KEY}"]').get_by_role("textbox").input_value() == ""
    for name, satisfied in (("This helped", True), ("This did not help", False)):
        button = turn.get_by_role("button", name=name)
        button.click()
        page.get_by_text("Thank you").wait_for()
        wait_for(lambda satisfied=satisfied: row_of(home, KEY, turn).get("satisfied") is satisfied)
        shows(turn.locator('[aria-pressed="true"]').and_(button), 1)
    shows(turn.locator('[aria-pressed="true"]'), 1)


def test_a_chosen_suggestion_shows_its_answer_and_reaches_the_row(page: Any, home: SmallBot) -> None:
    turn = say(page, UNSURE, UNCLEAR)
    assert "Did you mean one of these?" in turn.inner_text()
    assert not turn.get_by_text("This is what we know about tea.").is_visible()
    turn.locator('[data-candidate="tea"] summary').focus()
    page.keyboard.press("Enter")
    turn.get_by_text("This is what we know about tea.").wait_for()
    wait_for(lambda: row_of(home, UNSURE, turn).get("chosen_candidate") == "tea")


def test_what_people_write_is_shown_as_text(page: Any) -> None:
    turn = say(page, KEY, "<img src=x onerror=alert(1)> & <b>parcel</b>")
    assert "<img src=x onerror=alert(1)> & <b>parcel</b>" in turn.inner_text()
    assert turn.locator("img, b").count() == 0


def test_a_bot_appears_when_it_is_ready_and_what_was_said_to_others_stays(page: Any, home: SmallBot) -> None:
    turn = say(page, KEY, "Tell me about bill")
    young = SmallBot(home.root, "acme.young")
    card = page.locator('[id="acme.young"]')
    assert "There is no data for this bot yet." in card.inner_text()
    young.land("home.jsonl", small_rows())
    assert young.refresh().success
    page.locator('[id="acme.young"][data-state="live"]').wait_for(timeout=120_000)
    assert "This is what we know about weather." in say(page, "acme.young", "What is forecast").inner_text()
    assert turn.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_cut_off_and_everything_can_be_touched(
    chromium: Any, address: str, token: str, scheme: Any
) -> None:
    size = {"width": 390, "height": 844}
    context = chromium.new_context(viewport=size, locale="ko-KR", color_scheme=scheme, has_touch=True)
    phone = context.new_page()
    phone.goto(f"{address}/#token={token}")
    arrived(phone, ".card")
    say(phone, KEY, "parcel" * 40)
    assert "도움이 됐어요" in phone.content()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    for control in phone.locator("button:visible, input:visible, summary:visible").all():
        box = control.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["height"] >= 24 and box["width"] >= 24, "WCAG 2.2, success criterion 2.5.8"
    context.close()


def test_without_a_script_the_page_still_answers(chromium: Any, address: str, token: str) -> None:
    context = chromium.new_context(java_script_enabled=False, locale="en-GB")
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in with the token").click()
    turn = say(page, KEY, "My parcel is wrong")
    assert "This is what we know about delivery." in turn.inner_text()
    context.close()
