"""The pages over a real lake: who sees what, how somebody signs in, and what the start page says of each bot."""

import re
from html import unescape

import pytest
import yaml
from fastapi.testclient import TestClient
from httpx import Response
from small_bot import KEY, OTHER, SECRET, SmallBot, wait_for
from test_app import LOOPBACK, assert_is_problem
from unsure_bot import UNCLEAR, UNSURE, unsure_bot

from chatbot_assets.explain.words import SPOKEN
from resources.environment import PROJECT
from serving.app import create_app
from serving.languages import chosen_language
from serving.pages.site import FRAGMENT
from serving.pages.words import words
from serving.tokens import ensure_tokens

OWN = {"Origin": LOOPBACK}
"""What browsers send with a form of the service's own page."""


def csrf(client: TestClient) -> str:
    """What the forms of this browser's session carry."""
    found = re.search(r'name="csrf" value="(\w+)"', client.get("/account").text)
    assert found
    return found[1]


def send_form(client: TestClient, page: str, action: str, fields: dict[str, str]) -> Response:
    """Sends a form of a page for whoever has not signed in, as a browser does."""
    found = re.search(r'name="csrf" value="(\w+)"', client.get(page).text)
    assert found
    return client.post(action, data=fields | {"csrf": found[1]}, headers=OWN, follow_redirects=False)


def send_sign_in(client: TestClient, fields: dict[str, str]) -> Response:
    return send_form(client, "/sign-in", "/sign-in", fields)


def sign_in(client: TestClient, token: str) -> None:
    client.cookies.clear()
    response = send_sign_in(client, {"token": token})
    assert (response.status_code, response.headers["location"]) == (303, "/")


@pytest.fixture
def browser(client: TestClient, tokens: dict[str, str]) -> TestClient:
    """Somebody of the small bot's tenant who has signed in."""
    sign_in(client, tokens["acme"])
    return client


@pytest.fixture
def stranger(client: TestClient) -> TestClient:
    client.cookies.clear()
    return client


def words_of(html: str) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


# -- signing in ---------------------------------------------------------------------------------------------------


def test_a_stranger_sees_where_to_sign_in_and_nothing_of_any_tenant(stranger: TestClient) -> None:
    page = stranger.get("/")
    assert page.status_code == 200 and 'name="token"' in page.text
    for hidden in ("acme", "globex", KEY, OTHER):
        assert hidden not in page.text


def test_somebody_with_a_token_sees_the_bots_of_its_tenant_alone(client: TestClient, tokens: dict[str, str]) -> None:
    for tenant, own, other in (("acme", KEY, OTHER), ("globex", OTHER, KEY)):
        sign_in(client, tokens[tenant])
        page = client.get("/").text
        assert f'id="{own}"' in page and other not in page
        assert tokens[tenant] not in page


def test_the_session_s_cookie_is_kept_from_scripts_and_other_sites_and_holds_no_token(
    stranger: TestClient, tokens: dict[str, str]
) -> None:
    response = send_sign_in(stranger, {"token": tokens["acme"]})
    cookie = response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert tokens["acme"] not in cookie


@pytest.mark.parametrize("token", ["", "wrong", "acme", "é"])
def test_a_wrong_token_starts_no_session(stranger: TestClient, token: str) -> None:
    response = send_sign_in(stranger, {"token": token})
    assert response.status_code == 403 and 'role="alert"' in response.text
    assert "set-cookie" not in response.headers


def test_signing_out_ends_the_session(browser: TestClient) -> None:
    assert KEY in browser.get("/").text
    browser.post("/sign-out", data={"csrf": csrf(browser)}, headers=OWN)
    assert KEY not in browser.get("/").text
    assert browser.get("/v1/bots").status_code == 401


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:3000", "https://127.0.0.1"])
@pytest.mark.parametrize(
    "path", [f"/v1/bots/{KEY}/chat", f"/v1/bots/{KEY}/turns/x/feedback", f"/bots/{KEY}/chat", "/sign-in", "/sign-out"]
)
def test_another_origin_s_page_cannot_use_the_session(browser: TestClient, path: str, origin: str | None) -> None:
    sent = {"Origin": origin} if origin else {}
    response = browser.post(path, json={"session_id": "s", "text": "hi"}, headers=sent, follow_redirects=False)
    assert "own pages" in assert_is_problem(response, 403)
    assert "set-cookie" not in response.headers


def test_the_api_takes_the_session_from_its_own_pages(browser: TestClient) -> None:
    assert browser.get("/v1/bots").json()["bots"][0]["bot"] == KEY
    asked = {"session_id": "s", "text": "My parcel is wrong"}
    answer = browser.post(f"/v1/bots/{KEY}/chat", json=asked, headers=OWN).json()
    assert answer["intent"] == "delivery"
    told = browser.post(f"/v1/bots/{KEY}/turns/{answer['turn_id']}/feedback", json={"satisfied": True}, headers=OWN)
    assert told.status_code == 200
    assert browser.post(f"/v1/bots/{OTHER}/chat", json=asked, headers=OWN).status_code == 404


def test_a_wrong_token_is_refused_although_somebody_is_signed_in(browser: TestClient) -> None:
    assert_is_problem(browser.get("/v1/bots", headers={"Authorization": "Bearer wrong"}), 401)


# -- the start page -----------------------------------------------------------------------------------------------


def test_a_card_says_what_answers_since_when_and_how_well(browser: TestClient, served: SmallBot) -> None:
    html = browser.get("/").text
    page = words_of(html)
    assert served.live
    assert served.live.at.isoformat() in html
    assert f"{served.live.metrics['accuracy'] * 100:.1f} %" in page
    assert "English" in page and "Answering" in page and "Up to date" in page


def test_a_card_leads_to_dagster_and_the_page_to_status_and_documents(browser: TestClient) -> None:
    links = re.findall(r'<a href="([^"]+)"', browser.get("/").text)
    assert "http://127.0.0.1:3000/asset-groups" in links
    assert f"http://127.0.0.1:3000/assets/deployments?view=partitions&amp;partition={KEY}" in links
    assert {"/v1/bots", "/README.md", "/docs/planners.md"} <= set(links)


def test_without_dagster_s_address_no_link_leads_to_it(served: SmallBot, tokens: dict[str, str]) -> None:
    with TestClient(create_app(served.home), LOOPBACK) as alone:
        sign_in(alone, tokens["acme"])
        page = alone.get("/").text
        assert KEY in page and "http" not in page


def test_a_bot_without_data_says_what_it_waits_for_and_a_broken_file_what_is_wrong_with_it(bot: SmallBot) -> None:
    empty, broken = SmallBot(bot.root, "acme.empty"), SmallBot(bot.root, "acme.broken")
    empty.configure(description="Will know <everything>")
    broken.configure(trian={})
    bot.configure(validate={"minimum_accuracy": 1.0}, train={"answer_precision": 0.8})
    bot.land("more.jsonl", [{"text": "Anything", "intent": "other"}])
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        wait_for(lambda: alone.get("/readyz").status_code == 200)
        sign_in(alone, token)
        html = alone.get("/").text
    cards = {
        key: words_of(text)
        for key, text in re.findall(r'<article class="card" id="([^"]+)"(.*?)</article>', html, re.S)
    }
    assert list(cards) == ["acme.broken", "acme.empty", KEY]
    assert "Waiting" in cards["acme.broken"] and "trian: unknown key" in cards["acme.broken"]
    assert "waiting for data: land a file" in cards["acme.empty"]
    assert "Will know <everything>" in cards["acme.empty"] and "<everything>" not in html
    assert "a refresh is due" in cards[KEY] and "unread landing file" in cards[KEY]
    assert cards[KEY].count("Write a message") == 0 and html.count('class="ask"') == 1


def test_a_bot_that_is_being_made_says_how_far_it_is(bot: SmallBot) -> None:
    young = SmallBot(bot.root, "acme.young")
    young.configure()
    young.land("home.jsonl", [{"text": "Hello", "intent": "greeting"}])
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        sign_in(alone, token)
        page = words_of(alone.get("/").text)
    assert "Being made 0 of" in page


def test_a_bot_whose_tables_cannot_be_read_does_not_hide_the_others(bot: SmallBot) -> None:
    damaged = SmallBot(bot.root, "acme.damaged")
    damaged.configure()
    log = damaged.table("utterances").path / "_delta_log" / f"{0:020d}.json"
    log.parent.mkdir(parents=True)
    log.write_text("{ not a log", encoding="utf-8")
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        wait_for(lambda: alone.get("/readyz").status_code == 200)
        sign_in(alone, token)
        page = words_of(alone.get("/").text)
    assert "its tables cannot be read" in page and "Answering" in page


def test_a_form_without_a_script_gets_the_page_with_the_turn_in_it(browser: TestClient, served: SmallBot) -> None:
    text = "My parcel is <b>wrong</b>"
    page = browser.post(
        f"/bots/{KEY}/chat", data={"session": "no script", "text": text, "csrf": csrf(browser)}, headers=OWN
    )
    assert page.status_code == 200 and text not in page.text
    assert text in unescape(page.text)
    assert "This is what we know about delivery." in page.text
    assert 'name="session" value="no script"' in page.text
    assert SECRET not in page.text

    def kept() -> list[str]:
        return [row["text"] for row in served.rows("conversations") if row["session_id"] == "no script"]

    wait_for(kept)
    assert kept() == [text]


def test_suggestions_open_without_a_script_and_show_their_answers(bot: SmallBot) -> None:
    unsure_bot(bot.root)
    token = ensure_tokens(bot.home.root / "tokens.json", {"acme"})["acme"]
    with TestClient(create_app(bot.home), LOOPBACK) as alone:
        wait_for(lambda: alone.get("/readyz").status_code == 200)
        sign_in(alone, token)
        form = {"session": "no script", "text": UNCLEAR, "csrf": csrf(alone)}
        turn = alone.post(f"/bots/{UNSURE}/chat", data=form, headers=OWN | {"Accept": FRAGMENT}).text
    found = re.findall(r'<details data-candidate="(\w+)"><summary>(.+?)</summary><p>(.+?)</p></details>', turn)
    assert sorted(candidate for candidate, _, _ in found) == ["coffee", "tea"]
    assert all(text and answer == f"This is what we know about {candidate}." for candidate, text, answer in found)
    assert "<html" not in turn and "Did you mean one of these?" in turn


@pytest.mark.parametrize("form", [{}, {"text": "hi"}, {"session": "s"}, {"session": "s", "text": "x" * 2001}])
def test_a_form_that_is_not_as_agreed_is_refused(browser: TestClient, form: dict[str, str]) -> None:
    sent = form | {"csrf": csrf(browser)}
    assert_is_problem(browser.post(f"/bots/{KEY}/chat", data=sent, headers=OWN), 422)


# -- browsers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/docs/tables.md", "/static/pages.js", "/v1/bots", "/nothing"])
def test_every_response_carries_the_browser_s_safety_rules(browser: TestClient, path: str) -> None:
    headers = browser.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_a_page_loads_nothing_from_elsewhere_and_has_no_script_of_its_own(browser: TestClient) -> None:
    for path in ("/", "/README.md", "/docs/architecture.md"):
        html = browser.get(path).text
        loaded = re.findall(r'<(?:script|img|link|iframe)[^>]+?(?:src|href)="([^"]+)"', html)
        assert loaded and [link for link in loaded if "//" in link] == []
        assert re.findall(r"<script[^>]*>[^<]|<style|\son\w+=|\sstyle=", html) == []


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("ko", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-GB,en;q=0.9,ko;q=0.8", "en"),
        ("de,ko;q=0.3", "ko"),
        ("de", "en"),
        ("ko;q=0", "en"),
        ("ko;q=x, *", "en"),
    ],
)
def test_the_page_speaks_the_language_that_the_browser_asks_for(accepted: str, language: str) -> None:
    assert chosen_language(accepted) == language


def test_the_pages_say_the_same_in_every_language(browser: TestClient) -> None:
    files = {
        path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (PROJECT / "serving").glob("pages/words/*.yaml")
    }
    assert sorted(files) == sorted(SPOKEN)
    used = set(
        re.findall(r"words\.(\w+)", "".join(p.read_text("utf-8") for p in PROJECT.glob("serving/pages/**/*.html")))
    )
    by_state = {"live", "making", "blocked", "answered", "similar", "failed", "canary", "shadow"}
    by_state |= {
        "wrong_token",
        "wrong_password",
        "too_many_attempts",
        "sign_on_failed",
        "weak_password",
        "common_password",
        "not_the_same",
        "old_form",
        "wrong_code",
        "wrong_first_code",
    }
    for language in SPOKEN:
        assert set(words(language)) == used | by_state
        assert all(words(language).values())
        html = browser.get("/", headers={"Accept-Language": language}).text
        assert f'<html lang="{language}">' in html and words(language)["up_to_date"] in html


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("ko", {404: "찾을 수 없습니다", 403: "이 작업을 할 수 없습니다", 422: "읽을 수 없는 요청입니다"}),
        ("en", {404: "There is nothing here", 403: "You may not do this", 422: "This cannot be read"}),
    ],
)
def test_a_problem_is_a_page_for_a_browser_and_json_for_a_program(
    browser: TestClient, language: str, says: dict[int, str]
) -> None:
    asked = OWN | {"Accept-Language": language}
    form = {"session": "s", "text": "", "csrf": csrf(browser)}
    requests = {
        404: ("GET", "/bots/acme.none/turns/x", {}),
        403: ("POST", f"/review/{KEY}/decisions", {"csrf": form["csrf"]}),
        422: ("POST", f"/bots/{KEY}/chat", form),
    }
    for status, (method, path, data) in requests.items():
        page = browser.request(method, path, data=data, headers=asked | {"Accept": "text/html,*/*;q=0.8"})
        assert page.status_code == status and f"<h1>{says[status]}</h1>" in page.text
        assert f'<html lang="{language}">' in page.text and "acme" in page.text, "the header is there"
        assert_is_problem(browser.request(method, path, data=data, headers=asked), status)


def test_whose_session_has_ended_is_led_to_sign_in_from_a_form(stranger: TestClient) -> None:
    headers = OWN | {"Accept": "text/html", "Accept-Language": "ko"}
    page = stranger.post(f"/review/{KEY}/decisions", data={"action": "hold"}, headers=headers)
    assert page.status_code == 401
    assert "로그아웃되었습니다" in page.text and '<a href="/">로그인</a>' in page.text


# -- documents ----------------------------------------------------------------------------------------------------


def test_documents_are_shown_with_their_tables_pictures_and_working_links(stranger: TestClient) -> None:
    page = stranger.get("/docs/tables.md")
    assert "<table>" in page.text and "<h1" in page.text
    readme = stranger.get("/README.md").text
    assert stranger.get("/docs/asset-graph.png").headers["content-type"] == "image/png"
    assert 'src="docs/asset-graph.png"' in readme
    for link in set(re.findall(r'href="(docs/[\w-]+\.md)', readme)):
        assert stranger.get(f"/{link}").status_code == 200
    anchors = re.findall(r'href="(bot-file\.md)#([^"]+)"', stranger.get("/docs/researchers.md").text)
    assert anchors and all(f'id="{anchor}"' in stranger.get(f"/docs/{name}").text for name, anchor in anchors)


@pytest.mark.parametrize(
    "path", ["/docs/none.md", "/docs/..%2fpyproject.toml", "/docs/%2e%2e/pyproject.toml", "/LICENSE"]
)
def test_nothing_else_of_the_machine_is_shown(stranger: TestClient, path: str) -> None:
    assert_is_problem(stranger.get(path), 404)
