"""The system's Chromium, for tests of pages; without it they are skipped, unless ``CHATBOT_REQUIRE`` names browser."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and "browser" not in os.environ.get("CHATBOT_REQUIRE", ""),
        reason="needs Debian's package chromium",
    ),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "CHATBOT_REQUIRE names browser, but there is no chromium; install Debian's package chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--headless", "--no-sandbox"])
        yield browser
        browser.close()


def arrived(page: Any, what: str) -> None:
    """Waits until a page that something led to shows this, and has its style sheet and its script as well."""
    page.locator(what).first.wait_for()
    page.wait_for_load_state()


def shows(locator: Any, count: int) -> None:
    """Waits until a page shows so many of something; after a click it may still be on its way."""
    from playwright.sync_api import expect

    expect(locator).to_have_count(count, timeout=30_000)
