"""Where a browser may be led after signing in: to this service's own addresses alone."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.returning import own_path

HERE = "https://chat.example.com/"


@pytest.mark.parametrize(
    "path", ["/", "/service", "/review?bot=a.b&kind=failed&zone=Asia%2FSeoul", "/bots/a.b/turns/1"]
)
def test_an_address_of_the_service_is_kept(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "service",
        "//evil",
        "/\\evil",
        "\\\\evil",
        "https://evil",
        "javascript:alert(1)",
        "/\n/evil",
        "/\t/evil",
        "/ x",
        "/é",
    ],
)
def test_anything_else_is_the_start_page(asked: str) -> None:
    assert own_path(asked) == "/"


@given(st.one_of(st.text(), st.text("/\\:.?#@evil \t\r\n%2f"), st.from_regex(r"/[/\\\s]{0,3}evil\.example")))
def test_whatever_is_asked_for_the_browser_stays_here(asked: str) -> None:
    # Browsers drop tabs and line ends and take a backslash for a slash (the URL standard, WHATWG).
    as_read = own_path(asked).translate({ord(one): None for one in "\t\r\n"}).replace("\\", "/").strip()
    assert urlsplit(urljoin(HERE, as_read))[:2] == urlsplit(HERE)[:2]
