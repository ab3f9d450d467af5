"""Single sign-on, with a provider on loopback that signs its tokens: who comes in, as whom, and who stays out."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey
from provider import CLIENT, SECRET, Provider, provider

from resources.audit import AuditLog
from resources.environment import Home
from serving.app import create_app
from serving.origin import Origin
from serving.people.oidc import OidcError, Settings, identity_of, read_mapping
from serving.people.store import PeopleError

MAPPING = """
name: email
rules:
  - {claim: groups, value: cs, tenant: acme, roles: [reviewer]}
  - {claim: groups, value: leads, tenant: acme, roles: [administrator]}
  - {claim: hd, value: globex.example, tenant: globex, roles: [planner]}
"""
LOOPBACK = "http://127.0.0.1"
PUBLIC = "https://chat.example.com"


@pytest.fixture
def trusted() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture
def settings(trusted: Provider, home: Home) -> Settings:
    home.root.mkdir(parents=True)
    (home.root / "oidc.yaml").write_text(MAPPING, encoding="utf-8")
    return Settings(trusted.issuer, CLIENT, SECRET, read_mapping(home.root / "oidc.yaml"))


@pytest.fixture
def browser(settings: Settings, home: Home) -> Iterator[TestClient]:
    with TestClient(create_app(home, oidc=settings), LOOPBACK, raise_server_exceptions=False) as found:
        yield found


def sent_back(browser: TestClient, asked: str = "") -> str:
    """The address at which the provider sends somebody back who has signed in there."""
    begun = browser.get(f"/sign-in/oidc{asked}", follow_redirects=False)
    assert begun.status_code == 303
    at_provider = httpx.get(begun.headers["location"], follow_redirects=False, timeout=60)
    return at_provider.headers["location"]


def is_in(browser: TestClient) -> bool:
    return browser.get("/account").status_code == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_somebody_whom_the_provider_knows_comes_in_with_the_roles_of_their_claims(
    browser: TestClient, trusted: Provider, home: Home, algorithm: str
) -> None:
    trusted.algorithm = algorithm
    page = browser.get(sent_back(browser), follow_redirects=False)
    assert page.status_code == 200 and 'content="0;url=/"' in page.text
    account = browser.get("/account").text
    assert "kim@acme.example" in account and "reviewer" in account and "administrator" not in account
    (entry,) = AuditLog(home.root, "acme").entries()
    assert (entry["event"], entry["actor"], entry["how"]) == ("sign_in", "kim@acme.example", "oidc")


@pytest.mark.parametrize(
    ("asked", "address"),
    [("/review?bot=acme.faq&kind=failed", "/review?bot=acme.faq&amp;kind=failed"), ("//evil.example", "/")],
)
def test_single_sign_on_leads_to_the_page_that_was_asked_for_and_to_no_other_site(
    browser: TestClient, asked: str, address: str
) -> None:
    way = sent_back(browser, f"?next={quote(asked, safe='')}")
    assert f'content="0;url={address}"' in browser.get(way, follow_redirects=False).text


def test_a_way_back_works_once_and_in_the_browser_that_began(browser: TestClient, home: Home) -> None:
    address = sent_back(browser)
    kept = dict(browser.cookies)
    browser.cookies.clear()
    assert browser.get(address).status_code == 403
    browser.cookies.update(kept)
    assert browser.get(address).status_code == 403, "the first try has used it up"
    assert not is_in(browser)


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": int(time.time()) - 3600},
        {"sub": None},
        {"groups": ["nobody"]},
        {"hd": "globex.example"},
    ],
    ids=["nonce", "no nonce", "audience", "party", "issuer", "expired", "nobody", "no rule", "two tenants"],
)
def test_a_token_that_is_not_for_this_sign_on_lets_nobody_in(
    browser: TestClient, trusted: Provider, claims: dict[str, Any]
) -> None:
    trusted.claims = claims
    response = browser.get(sent_back(browser))
    assert response.status_code == 403 and 'role="alert"' in response.text
    assert not is_in(browser)


@pytest.mark.parametrize("forgery", ["none", "key", "symmetric"])
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    browser: TestClient, trusted: Provider, forgery: str
) -> None:
    if forgery == "none":
        trusted.algorithm = "none"
    elif forgery == "key":
        trusted.keys = trusted.keys | {"RS256": RSAKey.generate_key(2048, {"kid": trusted.keys["RS256"].kid})}
    else:
        from joserfc.jwk import OctKey

        trusted.algorithm = "HS256"
        trusted.keys["HS256"] = OctKey.import_key(SECRET, {"kid": trusted.keys["RS256"].kid})
    assert browser.get(sent_back(browser)).status_code == 403
    assert not is_in(browser)


def test_new_keys_of_the_provider_are_taken(browser: TestClient, trusted: Provider) -> None:
    browser.get(sent_back(browser))
    fresh = RSAKey.generate_key(2048, {"kid": "fresh"})
    trusted.keys = trusted.keys | {"RS256": fresh}
    trusted.published = dict(trusted.keys)
    browser.cookies.clear()
    browser.get(sent_back(browser))
    assert is_in(browser)


def test_a_made_up_way_back_lets_nobody_in(browser: TestClient) -> None:
    for query in ("", "?code=x", "?state=x", "?code=x&state=y", "?error=access_denied"):
        assert browser.get(f"/sign-in/oidc/back{query}").status_code == 403
    assert not is_in(browser)


def test_a_provider_that_does_not_answer_is_told_on_the_page(home: Home, settings: Settings) -> None:
    gone = Settings("http://127.0.0.1:9", CLIENT, SECRET, settings.mapped)
    with TestClient(create_app(home, oidc=gone), LOOPBACK) as alone:
        assert "sign-on did not work" in alone.get("/sign-in/oidc").text


def test_behind_https_the_cookies_are_for_https_alone(home: Home, settings: Settings) -> None:
    with TestClient(create_app(home, origin=Origin(PUBLIC), oidc=settings), PUBLIC) as browser:
        begun = browser.get("/sign-in/oidc", follow_redirects=False)
        assert "; Secure" in begun.headers["set-cookie"] and "HttpOnly" in begun.headers["set-cookie"]
        back = httpx.get(begun.headers["location"], follow_redirects=False, timeout=60).headers["location"]
        assert back.startswith(f"{PUBLIC}/sign-in/oidc/back?")
        cookies = browser.get(back).headers.get_list("set-cookie")
        session = next(cookie for cookie in cookies if cookie.startswith("__Host-chatbot-session="))
        assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(session.split("; "))
        assert "Domain" not in session
        assert "max-age" in browser.get("/").headers["strict-transport-security"]


def test_without_a_provider_there_is_no_way_to_it(home: Home) -> None:
    with TestClient(create_app(home), LOOPBACK) as alone:
        assert "/sign-in/oidc" not in alone.get("/").text
        assert alone.get("/sign-in/oidc").status_code == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "oidc.yaml"),
        ("rules: [{claim: a, value: b, tenant: acme, roles: [king]}]", "role 'king' is unknown"),
        ("rules: [{claim: a, value: b, tenant: ../x, roles: [planner]}]", "oidc.yaml"),
        ("a: [", "oidc.yaml"),
    ],
)
def test_a_wrong_mapping_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "oidc.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PeopleError, match=said) as caught:
        read_mapping(path)
    assert "\n" not in str(caught.value)


def test_settings_that_are_not_whole_say_what_is_missing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment(home.root) is None
    monkeypatch.setenv("CHATBOT_OIDC_ISSUER", "http://idp.example")
    with pytest.raises(PeopleError, match="https"):
        Settings.from_environment(home.root)
    monkeypatch.setenv("CHATBOT_OIDC_ISSUER", "https://idp.example")
    with pytest.raises(PeopleError, match="CHATBOT_OIDC_CLIENT_SECRET"):
        Settings.from_environment(home.root)
    monkeypatch.setenv("CHATBOT_OIDC_CLIENT_ID", CLIENT)
    monkeypatch.setenv("CHATBOT_OIDC_CLIENT_SECRET", SECRET)
    with pytest.raises(PeopleError, match="is missing"):
        Settings.from_environment(home.root)


def test_roles_of_several_rules_add_up(settings: Settings) -> None:
    who = identity_of({"sub": "u", "groups": ["cs", "leads"]}, settings.mapped)
    assert (who.name, who.roles) == ("u", ("administrator", "reviewer"))
    with pytest.raises(OidcError):
        identity_of({"sub": "u"}, settings.mapped)
