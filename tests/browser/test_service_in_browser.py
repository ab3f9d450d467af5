"""The service page in a real browser: both languages, a phone, dark mode, the keyboard, and without a script."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from a_browser import arrived, needs_chromium
from service import running
from small_bot import KEY, SmallBot, bot, first

from serving.conversations import Conversations, new_turn_id
from serving.tokens import ensure_tokens

__all__ = ["bot", "first"]

pytestmark = needs_chromium
WEEK = [
    datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=day)
    for day in range(7, 0, -1)
]
"""The noon of each of the last seven days that are over, so that no midnight lies between a turn and its page."""
NASTY = "<img src=x onerror=alert(1)>" + "unbroken" * 30
CONTRAST = """element => {
  const channels = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number).map(value => value / 255)
    .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = color => channels(color).reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const clear = one => getComputedStyle(one).backgroundColor === "rgba(0, 0, 0, 0)";
  let behind = element;
  while (clear(behind) && behind.parentElement) behind = behind.parentElement;
  const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(behind).backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""
"""The contrast of an element's text with what is behind it (WCAG 2.2, success criterion 1.4.3)."""


@pytest.fixture(scope="module")
def home(first: tuple[SmallBot, Any], tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """A home with a bot that was asked for a week, and one that has no data."""
    copy = first[0].copy(tmp_path_factory.mktemp("service-page"))
    copy.configure(description="Help for Acme")
    SmallBot(copy.root, "acme.young").configure()
    turns = [
        {"turn_id": new_turn_id(), "session_id": "s", "text": NASTY, "category": category, "satisfied": satisfied}
        | {"served_at": noon}
        for noon in WEEK
        for category, satisfied in (("answered", True), ("answered", None), ("similar", False), ("failed", None))
    ]
    Conversations(copy.table("conversations")).append(turns)
    return copy


@pytest.fixture(scope="module")
def address(home: SmallBot) -> Iterator[str]:
    with running(home) as found:
        yield found


@pytest.fixture(scope="module")
def token(home: SmallBot) -> str:
    return ensure_tokens(home.home.root / "tokens.json", {"acme"})["acme"]


def signed_in(chromium: Any, address: str, token: str, **own: Any) -> tuple[Any, list[str]]:
    """A page of somebody who signed in by hand, and a list that fills with what goes wrong on it."""
    page = chromium.new_context(**own).new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(address)
    page.locator("#token").fill(token)
    page.locator("#token").press("Enter")
    arrived(page, ".card")
    return page, problems


@pytest.mark.parametrize(
    ("locale", "zone", "heading", "said"),
    [
        ("en-GB", "Europe/London", "How your bots are doing", "There is no data for this bot yet."),
        ("ko-KR", "Asia/Seoul", "챗봇은 잘 운영되고 있나요?", "이 봇에는 아직 데이터가 없습니다."),
    ],
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_speaks_the_browser_s_language_in_its_time_zone_on_any_screen(
    chromium: Any, address: str, token: str, locale: str, zone: str, heading: str, said: str, width: int, scheme: str
) -> None:
    page, problems = signed_in(
        chromium,
        address,
        token,
        locale=locale,
        timezone_id=zone,
        color_scheme=scheme,
        viewport={"width": width, "height": 844},
    )
    page.locator('a[href="/service"]').click()
    page.wait_for_url(re.compile(r"zone="))
    assert page.get_by_role("heading", level=1).inner_text() == heading
    assert said in page.content() and zone in page.locator("main > .note").inner_text()
    assert page.locator("html").get_attribute("lang") == locale[:2]
    page.locator(f'[id="{KEY}"] a').click()
    page.get_by_role("heading", level=1).get_by_text(KEY).wait_for()
    for path in ("/service", f"/service/{KEY}"):
        page.goto(f"{address}{path}?zone={zone}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off"
        for control in page.locator("button:visible, input:visible, summary:visible, .presets a:visible").all():
            assert control.bounding_box()["height"] >= 24, "WCAG 2.2, success criterion 2.5.8"
        for text in page.locator("p:visible, dt:visible, dd:visible, td:visible, th:visible, li:visible").all()[:150]:
            assert text.evaluate(CONTRAST) >= 4.5, text.inner_text()
    assert problems == []
    page.context.close()


def test_what_people_wrote_is_shown_as_text(chromium: Any, address: str, token: str) -> None:
    page, problems = signed_in(chromium, address, token, locale="en-GB")
    page.goto(f"{address}/service/{KEY}?zone=UTC")
    assert page.get_by_role("cell", name=NASTY).is_visible()
    assert page.locator("main img").count() == 0 and problems == []
    page.context.close()


def test_plots_have_a_text_alternative_and_a_table_that_opens_by_keyboard(
    chromium: Any, address: str, token: str
) -> None:
    page, _ = signed_in(chromium, address, token, locale="en-GB", timezone_id="UTC")
    page.goto(f"{address}/service/{KEY}?from={WEEK[0]:%Y-%m-%d}&to={WEEK[-1]:%Y-%m-%d}&zone=UTC")
    plots = page.get_by_role("img")
    assert plots.count() == 3
    assert "28 questions: 50\u00a0% answered, 25\u00a0% asked back" in plots.first.get_attribute("aria-label")
    assert page.locator(".plot").first.locator("g").count() == 7
    summary = page.get_by_text("As a table").first
    summary.focus()
    page.keyboard.press("Enter")
    table = page.locator('[aria-labelledby="outcome"] table')
    assert table.locator("tbody tr").count() == 7
    assert table.locator("tbody tr").last.inner_text().split("\t")[1:] == ["4", "50\u00a0%", "25\u00a0%", "25\u00a0%"]
    page.context.close()


def test_the_period_and_the_zone_stay_in_the_address_for_others_to_open(
    chromium: Any, address: str, token: str
) -> None:
    page, _ = signed_in(chromium, address, token, locale="en-GB", timezone_id="Asia/Seoul")
    page.goto(f"{address}/service/{KEY}?zone=UTC")
    page.get_by_label("From", exact=True).fill("2026-01-01")
    page.get_by_label("To", exact=True).fill("2026-01-31")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("All times are those of Asia/Tokyo.").wait_for()
    assert page.url.endswith("?from=2026-01-01&to=2026-01-31&zone=Asia%2FTokyo")
    assert "1 Jan 2026 – 31 Jan 2026" in page.locator("main > .note").inner_text()
    page.get_by_role("link", name="30 days").click()
    page.locator('[aria-current="true"]', has_text="30 days").wait_for()
    assert "zone=Asia/Tokyo" in page.url
    page.context.close()


def test_without_a_script_everything_is_there_in_utc(chromium: Any, address: str, token: str) -> None:
    page, _ = signed_in(chromium, address, token, locale="en-GB", java_script_enabled=False)
    page.goto(f"{address}/service/{KEY}")
    assert "All times are those of UTC." in page.content()
    assert page.get_by_role("img").count() == 3
    page.get_by_text("As a table").first.click()
    assert page.locator('[aria-labelledby="outcome"] tbody tr').first.is_visible()
    page.context.close()
