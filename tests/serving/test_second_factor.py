"""Second factors: codes of an app by a clock of the test's own, recovery codes, and the pages that ask for them."""

import re
from collections.abc import Iterator
from html import unescape
from xml.etree import ElementTree

import pyotp
import pytest
import segno
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from one_reviewer import GOOD, Clock, services_by
from test_oidc import PUBLIC
from test_pages import OWN, csrf, send_form, send_sign_in
from test_people import HERE, OTHER, session_of, with_second_factor

from chatbot_assets.bot import BotError, load_bot, tenant_security
from resources.audit import AuditLog
from resources.environment import Home
from serving.app import create_app
from serving.origin import Origin
from serving.people.directory import Directory, TooManyAttemptsError
from serving.people.roles import How
from serving.people.second_factor import GIVEN_SECONDS, RECOVERY_CODES, Proof, new_recovery_code, plain
from serving.people.sessions import Identity
from serving.people.store import FILE, PeopleError

LOOPBACK = "http://127.0.0.1"
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def accept(directory: Directory, code: str) -> Proof | None:
    return directory.second_factors.accept("acme", "kim", code)


def demand(home: Home, of: str) -> None:
    (home.bots / "acme").mkdir(parents=True, exist_ok=True)
    (home.bots / "acme" / "_tenant.yaml").write_text(f"security: {{second_factor: {of}}}\n", encoding="utf-8")


# -- codes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (2000000000, "279037")])
def test_codes_are_those_of_rfc_6238(directory: Directory, clock: Clock, seconds: int, code: str) -> None:
    with_second_factor(directory)
    directory.store.change("UPDATE second_factors SET secret = ?, step = 0", RFC_SECRET)
    clock.seconds = float(seconds)
    assert accept(directory, code) is Proof.CODE


def test_a_code_works_once_and_so_does_none_before_it(directory: Directory, clock: Clock) -> None:
    app = with_second_factor(directory)
    assert accept(directory, app.at(clock() - 30)) is None, "it has confirmed the app"
    assert accept(directory, app.at(clock() + 30)) is Proof.CODE
    assert [accept(directory, app.at(clock() + late)) for late in (30, 0, -30)] == [None] * 3
    clock.seconds += 60
    assert accept(directory, app.at(clock())) is Proof.CODE


def test_an_app_s_clock_may_be_off_by_half_a_minute_and_no_more(directory: Directory, clock: Clock) -> None:
    app = with_second_factor(directory)
    clock.seconds += 3600
    assert [accept(directory, app.at(clock() + off)) for off in (-60, 60)] == [None, None]
    assert [accept(directory, app.at(clock() + off)) for off in (-30, 0, 30)] == [Proof.CODE] * 3


def test_an_app_counts_when_its_code_was_confirmed_and_another_one_cannot_take_its_place(
    directory: Directory, clock: Clock
) -> None:
    first, second = (directory.second_factors.begin("acme", "kim") for _ in range(2))
    assert first and second and first != second
    account = directory.accounts.find("acme", "kim")
    assert account and not account.has_second_factor
    assert accept(directory, pyotp.TOTP(second).at(clock())) is None
    assert directory.second_factors.confirm("acme", "kim", pyotp.TOTP(first).at(clock())) is None
    assert directory.second_factors.confirm("acme", "kim", pyotp.TOTP(second).at(clock()))
    assert directory.second_factors.begin("acme", "kim") is None


def test_each_recovery_code_works_once_and_only_its_hash_is_kept(directory: Directory, home: Home) -> None:
    secret = directory.second_factors.begin("acme", "kim")
    assert secret
    codes = directory.second_factors.confirm("acme", "kim", pyotp.TOTP(secret).at(directory.store.now()))
    assert codes and len(set(codes)) == RECOVERY_CODES
    kept = b"".join(file.read_bytes() for file in home.root.glob(f"{FILE}*"))
    assert not [code for code in codes if code.encode() in kept or plain(code).encode() in kept]
    assert accept(directory, codes[3].upper().replace("-", " ")) is Proof.RECOVERY_CODE
    assert accept(directory, codes[3]) is None
    assert directory.second_factors.recovery_codes_left("acme", "kim") == RECOVERY_CODES - 1


@given(st.data())
def test_a_code_is_the_same_however_it_is_typed(data: st.DataObject) -> None:
    code = data.draw(st.builds(new_recovery_code) | st.from_regex(r"[0-9]{6}", fullmatch=True))
    wide = code.translate({ord(digit): ord("０") + int(digit) for digit in "0123456789"})
    typed = data.draw(st.sampled_from([code, wide, code.upper()]))
    for at in sorted(data.draw(st.lists(st.integers(0, len(typed)), max_size=4)), reverse=True):
        typed = typed[:at] + data.draw(st.sampled_from([" ", "-", "\u3000", "\t"])) + typed[at:]
    assert plain(typed) == code.replace("-", "")


@given(code=st.text(max_size=60))
def test_what_is_no_code_is_refused_whatever_it_is(tmp_path_factory: pytest.TempPathFactory, code: str) -> None:
    found = Directory(Home(tmp_path_factory.getbasetemp() / "no-code", tmp_path_factory.getbasetemp() / "no-bots"))
    if not found.accounts.find("acme", "kim"):
        found.accounts.add("acme", "kim", ["planner"])
        with_second_factor(found)
    assert plain(code).isdigit() or accept(found, code) is None


# -- signing in ---------------------------------------------------------------------------------------------------


def test_the_right_password_forgets_no_wrong_codes(directory: Directory, clock: Clock) -> None:
    app = with_second_factor(directory)
    account = directory.accounts.find("acme", "kim")
    assert account
    for _ in range(5):
        assert directory.sign_in("acme", "kim", GOOD, HERE)
        assert not directory.right_code(account, "000000", HERE)
    clock.seconds += 30
    assert not directory.right_code(account, "000000", HERE)
    with pytest.raises(TooManyAttemptsError):
        directory.right_code(account, app.at(clock()), HERE)
    clock.seconds += 60
    assert directory.right_code(account, app.at(clock()), HERE)


def test_who_gave_the_password_has_five_minutes_for_the_code(directory: Directory, clock: Clock) -> None:
    app = with_second_factor(directory)
    browser = directory.second_factors.expect_code("acme", "kim")
    assert directory.sign_in_with_code("another browser", app.at(clock()), HERE) is None
    clock.seconds += GIVEN_SECONDS
    assert directory.sign_in_with_code(browser, app.at(clock()), HERE) is None
    browser = directory.second_factors.expect_code("acme", "kim")
    assert directory.sign_in_with_code(browser, app.at(clock()), HERE)
    assert directory.expected_to_give_code(browser) is None


@pytest.mark.parametrize("what", ["password", "account", "second factor"])
def test_nobody_goes_on_with_a_code_when_the_account_was_changed_meanwhile(directory: Directory, what: str) -> None:
    with_second_factor(directory)
    browser = directory.second_factors.expect_code("acme", "kim")
    account = directory.accounts.find("acme", "kim")
    assert account and directory.expected_to_give_code(browser)
    if what == "password":
        directory.accounts.change_password(account, OTHER, "")
    elif what == "account":
        directory.accounts.remove("acme", "kim")
        assert not directory.store.rows("SELECT 1 FROM second_factors UNION ALL SELECT 1 FROM recovery_codes")
    else:
        directory.accounts.forget_second_factor("acme", "kim")
    assert directory.expected_to_give_code(browser) is None


def test_who_has_lost_the_app_is_helped_by_an_administrator(directory: Directory) -> None:
    with_second_factor(directory)
    session = session_of(directory)
    directory.accounts.forget_second_factor("acme", "kim")
    assert directory.sessions.person(session) is None
    account = directory.sign_in("acme", "kim", GOOD, HERE)
    assert account and not account.has_second_factor
    with pytest.raises(PeopleError, match="acme/kim has no second factor"):
        directory.accounts.forget_second_factor("acme", "kim")


# -- who must have one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("demanded", "due"),
    [("optional", []), ("administrators", ["root"]), ("everyone", ["kim", "root"]), ("[no", ["kim", "root"])],
)
def test_a_tenant_says_who_must_have_a_second_factor_and_a_file_with_a_mistake_says_everyone(
    directory: Directory, home: Home, demanded: str, due: list[str]
) -> None:
    directory.accounts.add("acme", "root", ["administrator"])
    assert directory.accounts.accept(directory.accounts.invite("acme", "root"), GOOD)
    sessions = {name: session_of(directory, name) for name in ("kim", "root")}
    demand(home, demanded)
    found = {name: directory.sessions.person(session) for name, session in sessions.items()}
    assert [name for name, person in found.items() if person and person.second_factor_due] == due
    assert [name for name, person in found.items() if person and not person.permissions] == due
    for name in due:
        with_second_factor(directory, name)
        person = directory.sessions.person(sessions[name])
        assert person and person.permissions and not person.second_factor_due


def test_tokens_and_single_sign_on_are_not_asked(directory: Directory, home: Home) -> None:
    demand(home, "everyone")
    token = directory.tokens.find(directory.tokens.make("acme", "shop", ["read"], by="kim"))
    assert token
    for identity in (Identity.of_token(token), Identity("acme", "kim", How.OIDC, ("reviewer",))):
        person = directory.sessions.person(directory.sessions.begin(identity))
        assert person and person.permissions and not person.second_factor_due


@pytest.mark.parametrize(
    "text", ["security: {second_factor: always}", "security: {two: everyone}", "security: [everyone]", "security: yes"]
)
def test_a_mistake_in_what_a_tenant_demands_is_one_line(home: Home, text: str) -> None:
    demand(home, "optional")
    (home.bots / "acme" / "faq.yaml").write_text("language: en\n", encoding="utf-8")
    before = load_bot(home.bots, "acme.faq").config_hash()
    demand(home, "everyone")
    assert load_bot(home.bots, "acme.faq").config_hash() == before, "no bot is made anew for it"
    (home.bots / "acme" / "_tenant.yaml").write_text(text, encoding="utf-8")
    for read in (lambda: tenant_security(home.bots, "acme"), lambda: load_bot(home.bots, "acme.faq")):
        with pytest.raises(BotError, match=r"_tenant.yaml: security: .* optional, administrators, everyone$"):
            read()


# -- pages --------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(home: Home, directory: Directory, clock: Clock) -> Iterator[TestClient]:
    """Somebody at the service, which goes by the test's clock too."""
    with services_by(clock), TestClient(create_app(home), LOOPBACK, follow_redirects=False) as found:
        yield found


def give_password(browser: TestClient, **more: str) -> Response:
    return send_sign_in(browser, {"tenant": "acme", "name": "kim", "password": GOOD} | more)


def give_code(browser: TestClient, code: str, back: str = "/") -> Response:
    return send_form(browser, "/sign-in/code", "/sign-in/code", {"code": code, "next": back})


def post(browser: TestClient, act: str, **fields: str) -> Response:
    return browser.post(f"/account/second-factor{act}", data=fields | {"csrf": csrf(browser)}, headers=OWN)


def set_up(browser: TestClient, directory: Directory) -> tuple[pyotp.TOTP, list[str]]:
    """Sets a second factor up on the page; gives the app and the recovery codes."""
    assert post(browser, "", password="wrong").status_code == 403
    page = post(browser, "", password=GOOD).text
    address, typed = re.search(r'href="(otpauth:[^"]+)"', page), re.search(r'class="secret">([\w ]+)<', page)
    assert address and typed and f'<path stroke="#000" d="{drawn(unescape(address[1]))}"/>' in page
    app = pyotp.parse_uri(unescape(address[1]))
    assert isinstance(app, pyotp.TOTP) and (app.issuer, app.name) == ("Chatbots", "acme/kim")
    assert app.secret == typed[1].replace(" ", "")
    wrong = post(browser, "/confirm", code="12345")
    done = post(browser, "/confirm", code=app.at(directory.store.now()))
    assert (wrong.status_code, done.status_code) == (403, 200)
    assert not [page for page in (wrong.text, done.text) if typed[1] in page or app.secret in page]
    assert csrf(browser) in done.text
    return app, re.findall(r"<li><code>([a-z2-7-]+)</code>", done.text)


def drawn(text: str) -> str:
    """The lines of a text's QR code."""
    picture = ElementTree.fromstring(segno.make(text, micro=False).svg_inline())
    return picture.findall("path")[-1].attrib["d"]


def code_of(app: pyotp.TOTP, directory: Directory) -> str:
    """The code of now, although it was used already: a test waits for no next one."""
    directory.store.change("UPDATE second_factors SET step = 1")
    return app.at(directory.store.now())


def is_in(browser: TestClient) -> bool:
    return browser.get("/account").status_code == 200


def test_somebody_sets_a_second_factor_up_and_is_asked_for_it_from_then_on(
    browser: TestClient, directory: Directory, home: Home
) -> None:
    give_password(browser)
    elsewhere = session_of(directory)
    app, codes = set_up(browser, directory)
    assert len(codes) == RECOVERY_CODES and directory.sessions.person(elsewhere) is None and is_in(browser)
    page = browser.get("/account").text
    assert app.secret not in page and codes[0] not in page and f"left: {RECOVERY_CODES}." in page
    browser.post("/sign-out", data={"csrf": csrf(browser)}, headers=OWN)
    half = give_password(browser, next="/review")
    assert (half.status_code, half.headers["location"]) == (303, "/sign-in/code?next=%2Freview")
    assert not is_in(browser)
    assert give_code(browser, "000000", "/review").status_code == 403 and not is_in(browser)
    arrived = give_code(browser, code_of(app, directory), "/review")
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/review") and is_in(browser)
    assert 'name="token"' in browser.get("/sign-in/code").text, "the password has to be given again"
    text = AuditLog(home.root, "acme").path.read_text(encoding="utf-8")
    assert not [secret for secret in (app.secret, *codes, *map(plain, codes)) if secret in text]
    noted = [(entry["event"], entry["outcome"]) for entry in AuditLog(home.root, "acme").entries()]
    assert noted == [
        *(("sign_in", "done"), ("sign_in", "refused"), ("sign_in", "done")),
        *(("second_factor_set", "done"), ("sign_out", "done")),
        *(("sign_in", "halfway"), ("sign_in", "refused"), ("sign_in", "done")),
    ]


def test_a_recovery_code_signs_in_without_the_app_once(browser: TestClient, directory: Directory, home: Home) -> None:
    give_password(browser)
    _, codes = set_up(browser, directory)
    for expected in (303, 403):
        browser.cookies.clear()
        give_password(browser)
        assert give_code(browser, codes[0]).status_code == expected
    assert "recovery_code_used" in [entry["event"] for entry in AuditLog(home.root, "acme").entries()]


def test_somebody_who_tries_codes_out_has_to_wait(browser: TestClient, directory: Directory) -> None:
    with_second_factor(directory)
    give_password(browser)
    answers = [give_code(browser, "000000") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1 and 'action="/sign-in/code"' in answers[-1].text


def test_somebody_at_an_open_browser_who_tries_passwords_out_has_to_wait(browser: TestClient) -> None:
    give_password(browser)
    answers = [post(browser, act, password="wrong", code="000000") for act in ("", "/off") * 3]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1 and "Too many attempts" in answers[-1].text


def test_a_link_for_the_password_is_no_way_around_the_second_factor(browser: TestClient, directory: Directory) -> None:
    app = with_second_factor(directory)
    link = directory.accounts.invite("acme", "kim")
    fields = {"link": link, "password": OTHER, "again": OTHER}
    sent = send_form(browser, f"/password?link={link}", "/password", fields)
    assert sent.headers["location"].startswith("/sign-in/code") and not is_in(browser)
    assert give_code(browser, code_of(app, directory)).status_code == 303 and is_in(browser)


def test_turning_it_off_needs_the_password_and_a_code(browser: TestClient, directory: Directory) -> None:
    give_password(browser)
    app, _ = set_up(browser, directory)
    for password, code in (("wrong", code_of(app, directory)), (GOOD, "000000"), (GOOD, "")):
        assert post(browser, "/off", password=password, code=code).status_code == 403
    assert post(browser, "", password=GOOD).headers["location"] == "/account", "another app cannot take its place"
    assert post(browser, "/off", password=GOOD, code=code_of(app, directory)).status_code == 303
    browser.cookies.clear()
    assert give_password(browser).headers["location"] == "/" and is_in(browser)


def test_who_signed_in_without_a_password_sets_none_up(browser: TestClient, directory: Directory) -> None:
    session = directory.sessions.begin(Identity("acme", "kim", How.OIDC, ("reviewer",)))
    browser.cookies.set("chatbot-session-80", session)
    assert "second-factor" not in browser.get("/account").text
    for act in ("", "/confirm", "/off"):
        assert post(browser, act, code="1", password=GOOD).status_code == 403


@pytest.mark.parametrize("language", ["en", "ko"])
def test_who_must_have_one_and_has_none_is_led_to_set_it_up(
    browser: TestClient, home: Home, directory: Directory, language: str
) -> None:
    demand(home, "everyone")
    browser.headers["Accept-Language"] = language
    assert give_password(browser).headers["location"] == "/"
    assert browser.get("/").headers["location"] == "/account"
    for path in ("/service", "/review"):
        assert browser.get(path, headers={"Accept": "text/html"}).headers["location"] == "/account"
        assert "second factor first" in browser.get(path).json()["detail"]
    page = browser.get("/account").text
    assert 'action="/account/second-factor"' in page and 'action="/account/password"' not in page
    changed = {"csrf": csrf(browser), "password": GOOD, "new": OTHER, "again": OTHER}
    assert browser.post("/account/password", data=changed, headers=OWN).status_code == 403
    set_up(browser, directory)
    assert browser.get("/review").status_code == 200 and 'action="/account/password"' in browser.get("/account").text


# -- forms of those who have not signed in ------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [None, "", "0" * 64, "é", "another browser's"])
def test_a_form_that_was_not_made_for_this_browser_signs_nobody_in(
    home: Home, browser: TestClient, directory: Directory, sent: str | None
) -> None:
    with TestClient(create_app(home), LOOPBACK) as other:
        theirs = re.search(r'name="csrf" value="(\w+)"', other.get("/sign-in").text)
    assert theirs
    carried = {} if sent is None else {"csrf": theirs[1] if sent.startswith("another") else sent}
    link = directory.accounts.invite("acme", "kim")
    app = with_second_factor(directory)
    for cookie in (False, True):
        if cookie:
            give_password(browser)
        forms = {
            "/sign-in": {"tenant": "acme", "name": "kim", "password": GOOD},
            "/password": {"link": link, "password": OTHER, "again": OTHER},
            "/sign-in/code": {"code": code_of(app, directory)},
        }
        for path, fields in forms.items():
            answer = browser.post(path, data=fields | carried, headers=OWN)
            assert answer.status_code == 403 and "open for too long" in answer.text, path
    assert not is_in(browser) and directory.accounts.invited(link)
    assert give_code(browser, code_of(app, directory)).status_code == 303


def test_the_cookie_of_such_a_form_is_kept_from_scripts_and_other_sites_and_made_anew_by_the_password(
    browser: TestClient, home: Home, directory: Directory
) -> None:
    with TestClient(create_app(home, origin=Origin(PUBLIC)), PUBLIC) as outside:
        safe = outside.get("/sign-in").headers["set-cookie"]
        assert safe.startswith("__Host-chatbot-browser=") and "Secure" in safe.split("; ")
    cookie = browser.get("/sign-in").headers["set-cookie"]
    assert cookie.startswith("chatbot-browser-80=") and {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert "set-cookie" not in browser.get("/").headers, "it stays the same, for a form in another window"
    with_second_factor(directory)
    assert give_password(browser).headers["set-cookie"].partition(";")[0] != cookie.partition(";")[0]
