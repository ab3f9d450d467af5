"""Single sign-on with a provider that is not ours: ``oidc-provider-mock``, over real HTTP on loopback."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import oidc_provider_mock
import pytest
from fastapi.testclient import TestClient
from test_oidc import LOOPBACK, MAPPING, is_in
from test_pages import OWN, csrf

from resources.audit import AuditLog
from resources.environment import Home
from serving.app import create_app
from serving.people.oidc import Settings, read_mapping

USERS = [
    oidc_provider_mock.User(sub="kim", claims={"email": "kim@acme.example", "groups": ["cs", "others"]}),
    oidc_provider_mock.User(sub="lee", claims={"email": "lee@elsewhere.example", "groups": ["others"]}),
]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=USERS) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def browser(issuer: str, home: Home) -> Iterator[TestClient]:
    """Somebody who can sign in at the provider; all of the tenant must have a second factor, which is its matter."""
    home.root.mkdir(parents=True)
    (home.bots / "acme").mkdir(parents=True)
    (home.bots / "acme" / "_tenant.yaml").write_text("security: {second_factor: everyone}\n", encoding="utf-8")
    (home.root / "oidc.yaml").write_text(MAPPING, encoding="utf-8")
    settings = Settings(issuer, "a client", "a secret", read_mapping(home.root / "oidc.yaml"))
    with TestClient(create_app(home, oidc=settings), LOOPBACK, follow_redirects=False) as found:
        yield found


def begin(browser: TestClient, asked: str = "") -> str:
    """The provider's address that the service sends a browser to."""
    return browser.get(f"/sign-in/oidc{asked}").headers["location"]


def at_provider(address: str, **form: str) -> str:
    """Where the provider sends back to from its form, without any step of ours."""
    assert "kim" in httpx.get(address, timeout=60).text, "the provider asks who it is"
    return httpx.post(address, data=form, timeout=60).headers["location"]


def changed(address: str, **other: str) -> str:
    """An address with other values in its query."""
    parts = urlsplit(address)
    values = {name: found[0] for name, found in parse_qs(parts.query).items()}
    return parts._replace(query=urlencode(values | other)).geturl()


def test_somebody_signs_in_with_another_provider_and_out_again(browser: TestClient, home: Home) -> None:
    back = at_provider(begin(browser, "?next=/service"), sub="kim")
    arrived = browser.get(back)
    assert arrived.status_code == 200 and 'content="0;url=/service"' in arrived.text
    account = browser.get("/account").text
    assert "kim@acme.example" in account and "reviewer" in account
    assert browser.get("/service").status_code == 200, "a second factor is the provider's matter"
    browser.post("/sign-out", data={"csrf": csrf(browser)}, headers=OWN)
    assert not is_in(browser)
    assert browser.get(back).status_code == 403 and not is_in(browser), "the way back was used up"
    browser.get(at_provider(begin(browser), sub="kim"))
    assert is_in(browser)
    noted = [(entry["event"], entry["actor"], entry["how"]) for entry in AuditLog(home.root, "acme").entries()]
    assert noted == [(event, "kim@acme.example", "oidc") for event in ("sign_in", "sign_out", "sign_in")]


def test_a_code_of_another_sign_on_lets_nobody_in(browser: TestClient) -> None:
    """The nonce tells: this provider checks no PKCE, as some do not."""
    theirs = at_provider(begin(browser), sub="kim")
    browser.cookies.clear()
    mine = at_provider(begin(browser), sub="kim")
    code = parse_qs(urlsplit(theirs).query)["code"][0]
    assert browser.get(changed(mine, code=code)).status_code == 403 and not is_in(browser)


@pytest.mark.parametrize("what", ["nonce", "state"])
def test_another_nonce_or_state_than_that_of_this_sign_on_lets_nobody_in(browser: TestClient, what: str) -> None:
    back = at_provider(changed(begin(browser), **{what: "another"}), sub="kim")
    assert browser.get(back).status_code == 403 and not is_in(browser)


def test_somebody_of_no_tenant_stays_out(browser: TestClient, home: Home) -> None:
    page = browser.get(at_provider(begin(browser), sub="lee"))
    assert page.status_code == 403 and "ask your administrator" in page.text and not is_in(browser)
    assert not (home.root / "audit").exists()


def test_who_says_no_at_the_provider_is_back_at_the_sign_in(browser: TestClient) -> None:
    page = browser.get(at_provider(begin(browser), action="deny"))
    assert page.status_code == 403 and 'action="/sign-in"' in page.text and not is_in(browser)
