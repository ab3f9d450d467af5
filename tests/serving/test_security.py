"""The whole application against strangers, other tenants, missing permissions and hostile input, route by route.

Routes are taken from the application itself, so one that is added is tried by itself.
"""

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from one_reviewer import GOOD, Clock, services_by
from payloads import PAYLOAD, PAYLOAD_NAME
from service import running
from small_bot import KEY, OTHER, SECRET, SmallBot, wait_for
from test_pages import OWN, csrf, send_form, send_sign_in
from test_people import COMMON

from chatbot_assets.auditing import note_events
from chatbot_assets.feedback.deciding import Decision, write_decision
from resources.audit import AuditLog
from resources.lakehouse import Lake
from resources.tenancy import NotYoursError, TenantLake, owns
from serving.app import create_app
from serving.origin import Origin
from serving.people.directory import Directory, first_administrator
from serving.people.roles import Permission
from serving.review.filters import KINDS

LOOPBACK = "http://127.0.0.1"
PUBLIC_URL = "https://chat.example.com"
PUBLIC = {
    *("/", "/sign-in", "/sign-in/code", "/sign-out", "/password"),
    *("/healthz", "/readyz", "/metrics", "/README.md", "/docs/{name}"),
}
"""What a stranger may ask for."""
FORMS = [
    *("/sign-out", "/account/password", "/account/sign-out-everywhere", f"/bots/{KEY}/chat"),
    *(f"/account/second-factor{act}" for act in ("", "/confirm", "/off")),
    *(f"/review/{KEY}/{act}" for act in ("decisions", "effect", f"decisions/{'0' * 32}/undo")),
]
"""What forms of somebody who has signed in are sent to."""
FEW = settings(
    max_examples=8,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MANY = settings(FEW, max_examples=30)


@pytest.fixture(scope="module", autouse=True)
def still() -> Iterator[Clock]:
    """The clock that people sign in by, which stands still: nobody's wait ends while a test is held up."""
    clock = Clock(time.time())
    with services_by(clock):
        yield clock


@pytest.fixture(scope="module")
def app(client: TestClient) -> Any:
    return client.app


@pytest.fixture(scope="module")
def directory(served: SmallBot, still: Clock) -> Directory:
    """Both tenants have an administrator, who may do everything there."""
    found = Directory(served.home, still)
    for tenant in ("acme", "globex"):
        link = first_administrator(found, tenant)
        assert link and found.accounts.accept(link, GOOD)
    return found


@pytest.fixture(autouse=True)
def nobody_waits(directory: Directory) -> None:
    """Forms that were sent at random before do not count as somebody's attempts to guess a password."""
    directory.store.change("DELETE FROM attempts")


@pytest.fixture
def administrator(client: TestClient, directory: Directory) -> TestClient:
    """The browser of the first tenant's administrator."""
    return signed_in(client, "acme")


@pytest.fixture(scope="module")
def all_powers(directory: Directory) -> dict[str, str]:
    """The headers of a program that may do everything in the first tenant."""
    token = directory.tokens.make("acme", "may do everything", list(Permission), by="a test")
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def their_turn(client: TestClient, tokens: dict[str, str]) -> str:
    """A turn that the other tenant's bot has served."""
    asked = {"session_id": "theirs", "text": "Tell me about parcel"}
    theirs = {"Authorization": f"Bearer {tokens['globex']}"}
    answer = client.post(f"/v1/bots/{OTHER}/chat", json=asked, headers=theirs).json()
    assert answer["answer"] == SECRET
    return str(answer["turn_id"])


def signed_in(client: TestClient, tenant: str, password: str = GOOD) -> TestClient:
    client.cookies.clear()
    form = {"tenant": tenant, "name": "admin", "password": password}
    response = send_sign_in(client, form)
    assert response.status_code == 303, response.text
    return client


def operations(app: Any) -> list[Any]:
    """Every route of the application, as its schema describes it."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) > 15
    return found


def filled(path: str, key: str, turn: str) -> str:
    known = {"{key}": key, "{turn_id}": turn, "{decision_id}": "0" * 32, "{name}": "tables.md"}
    for name, value in known.items():
        path = path.replace(name, value)
    assert "{" not in path
    return path


# -- who may ask for what -----------------------------------------------------------------------------------------


def test_a_stranger_gets_nothing_but_the_public_routes(client: TestClient, app: Any) -> None:
    client.cookies.clear()
    for operation in operations(app):
        path = filled(operation.path, KEY, "0" * 32)
        response = client.request(operation.method, path, json={}, headers=OWN, follow_redirects=False)
        if operation.path not in PUBLIC:
            assert response.status_code == 401, operation.label
        assert SECRET not in response.text and OTHER not in response.text


def test_a_token_without_the_permission_gets_nothing_of_a_tenant(
    client: TestClient, app: Any, directory: Directory
) -> None:
    client.cookies.clear()
    token = directory.tokens.make("acme", "administers alone", [Permission.ADMIN], by="a test")
    for operation in operations(app):
        if operation.path in PUBLIC:
            continue
        path = filled(operation.path, KEY, "0" * 32)
        response = client.request(operation.method, path, json={}, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 403, operation.label


def test_whoever_must_set_up_a_second_factor_gets_nothing_before(
    client: TestClient, app: Any, directory: Directory, served: SmallBot
) -> None:
    rules = served.home.bots / "acme" / "_tenant.yaml"
    rules.write_text("security: {second_factor: administrators}\n", encoding="utf-8")
    try:
        signed_in(client, "acme")
        form = {"csrf": csrf(client), "session": "s", "text": "Tell me about parcel"}
        for operation in operations(app):
            if operation.path in PUBLIC or operation.path.startswith("/account"):
                continue
            sent = {"data": form} if operation.method.upper() == "POST" else {}
            path = filled(operation.path, KEY, "0" * 32)
            response = client.request(operation.method, path, headers=OWN, follow_redirects=False, **sent)
            assert response.status_code == 403 and "second factor first" in response.json()["detail"], operation.label
    finally:
        rules.unlink()


def test_a_scoped_token_may_do_what_its_scope_says_alone(client: TestClient, directory: Directory) -> None:
    client.cookies.clear()
    token = directory.tokens.make("acme", "chats alone", [Permission.CHAT], by="a test")
    headers = {"Authorization": f"Bearer {token}"}
    asked = {"session_id": "s", "text": "My parcel is wrong"}
    assert client.post(f"/v1/bots/{KEY}/chat", json=asked, headers=headers).status_code == 200
    assert "'read'" in client.get("/v1/bots", headers=headers).json()["detail"]
    directory.tokens.revoke("acme", "chats alone")
    assert client.post(f"/v1/bots/{KEY}/chat", json=asked, headers=headers).status_code == 401


# -- tenants ------------------------------------------------------------------------------------------------------


def test_no_route_shows_another_tenant_anything_to_a_token(
    client: TestClient, app: Any, all_powers: dict[str, str], their_turn: str
) -> None:
    client.cookies.clear()
    tried = 0

    def try_it(operation: Any) -> None:
        @FEW
        @given(case=operation.as_strategy())
        def asked(case: Any) -> None:
            nonlocal tried
            body = case.body if isinstance(case.body, dict | list) else None
            path = filled(operation.path, OTHER, their_turn)
            response = client.request(operation.method, path, json=body, headers=all_powers, follow_redirects=False)
            assert SECRET not in response.text, operation.label
            if "{key}" in operation.path:
                tried += 1
                assert response.status_code in (404, 422), operation.label
            else:
                assert OTHER not in response.text, operation.label

        asked()

    for operation in operations(app):
        try_it(operation)
    assert tried > 10


def test_no_route_shows_another_tenant_anything_to_a_session(
    administrator: TestClient, app: Any, their_turn: str
) -> None:
    form = {"csrf": csrf(administrator), "session": "s", "text": "Tell me about parcel"}
    body = {"session_id": "s", "text": "Tell me about parcel"}
    for operation in operations(app):
        if operation.path in ("/sign-out", "/account/sign-out-everywhere"):
            continue
        path = filled(operation.path, OTHER, their_turn)
        for sent in ({"data": form}, {"json": body}, {"json": {"satisfied": True}}, {"json": {"texts": ["parcel"]}}):
            sent = sent if operation.method.upper() == "POST" else {}
            response = administrator.request(operation.method, path, headers=OWN, follow_redirects=False, **sent)
            assert SECRET not in response.text, operation.label
            if "{key}" in operation.path:
                assert response.status_code in (403, 404, 422), operation.label
            else:
                assert OTHER not in response.text, operation.label


def test_the_other_tenant_s_turn_is_as_it_was(served: SmallBot, their_turn: str, client: TestClient) -> None:
    rows = SmallBot(served.root, OTHER).rows("conversations", "turn_id", "satisfied")
    assert [row["satisfied"] for row in rows if row["turn_id"] == their_turn] in ([], [None])


def test_a_tenant_s_lake_opens_no_other_tenant_s_table(served: SmallBot) -> None:
    lake = TenantLake(served.home.lake, "acme")
    assert lake.table(KEY, "utterances").last()
    for key in (OTHER, "acme.../globex.help", "acme./../globex/help", "acme.x/../../globex/help", "", "acme", "acme."):
        with pytest.raises(NotYoursError):
            lake.table(key, "utterances")
        with pytest.raises(NotYoursError), lake.writing(key):
            pass
    assert not owns("acme", "acme2.faq") and not owns("acme", OTHER) and owns("acme", KEY)
    assert isinstance(lake, Lake)


def test_the_audit_log_of_a_tenant_names_no_other(administrator: TestClient, served: SmallBot) -> None:
    entries = list(AuditLog(served.home.root, "acme").entries())
    assert entries and {entry["tenant"] for entry in entries} == {"acme"}
    assert "globex" not in str(entries)


def test_deployments_and_decisions_are_noted_once_whoever_made_them(served: SmallBot) -> None:
    (turn, *_) = served.rows("dialogues", "turn_id", "text")
    write_decision(Lake(served.home.lake), KEY, Decision((turn["turn_id"],), "exclude", None, None, "kim", "why not"))
    note_events(served.home, "acme")
    log = note_events(served.home, "acme")
    noted = [entry for entry in log.entries() if entry["how"] == "table"]
    assert [entry["event"] for entry in noted][-2:] == ["deployment_live", "decision"]
    assert served.live and noted[-2]["about"] == served.live.deployment_id
    assert (noted[-1]["actor"], noted[-1]["bot"]) == ("kim", KEY)
    assert len({entry["row"] for entry in noted}) == len(noted)
    assert log.check().problem is None
    text = log.path.read_text(encoding="utf-8")
    assert OTHER not in text and turn["text"] not in text and "why not" not in text


def test_what_is_counted_names_no_tenant_and_is_for_this_machine_alone(client: TestClient, their_turn: str) -> None:
    text = client.get("/metrics").text
    assert "chatbot_turns_total" in text
    for header in ("X-Forwarded-For", "Forwarded", "Via"):
        assert client.get("/metrics", headers={header: "192.0.2.1"}).status_code == 404


# -- sessions of browsers -----------------------------------------------------------------------------------------


def test_people_sign_in_with_tenant_name_and_password(administrator: TestClient) -> None:
    page = administrator.get("/").text
    assert f'id="{KEY}"' in page and "admin" in page and OTHER not in page


@pytest.mark.parametrize(
    ("tenant", "name", "password"),
    [
        ("acme", "admin", "wrong"),
        ("acme", "nobody", GOOD),
        ("nobody", "admin", GOOD),
        ("", "", ""),
        ("é", "\x00", "\n"),
    ],
)
def test_every_mistake_at_sign_in_says_the_same(
    client: TestClient, directory: Directory, tenant: str, name: str, password: str
) -> None:
    client.cookies.clear()
    directory.store.change("DELETE FROM attempts")
    form = {"tenant": tenant, "name": name, "password": password}
    response = send_sign_in(client, form)
    assert response.status_code == 403 and "set-cookie" not in response.headers
    assert re.findall(r'role="alert">(.+?)<', response.text) == ["Customer, account or password is wrong."]


def test_too_many_attempts_are_told_to_wait(client: TestClient, directory: Directory) -> None:
    client.cookies.clear()
    form = {"tenant": "acme", "name": "somebody", "password": "wrong"}
    answers = [send_sign_in(client, form) for _ in range(6)]
    directory.store.change("DELETE FROM attempts")
    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


def test_signing_in_gives_a_new_session_and_ends_the_one_before(client: TestClient, directory: Directory) -> None:
    client.cookies.clear()
    client.cookies.set("chatbot-session-80", "chosen-by-somebody-else")
    (first,) = session_ids(signed_in(client, "acme"))
    assert first != "chosen-by-somebody-else"
    form = {"tenant": "acme", "name": "admin", "password": GOOD}
    send_sign_in(client, form)
    (second,) = session_ids(client)
    assert second != first and directory.sessions.person(first) is None


def session_ids(client: TestClient) -> list[str]:
    return [cookie.value or "" for cookie in client.cookies.jar if cookie.name.startswith("chatbot-session")]


def test_signing_out_ends_the_session_on_the_server(administrator: TestClient, directory: Directory) -> None:
    (session,) = session_ids(administrator)
    administrator.post("/sign-out", data={"csrf": csrf(administrator)}, headers=OWN)
    assert directory.sessions.person(session) is None


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("sent", [None, "", "0" * 64, "é"])
def test_a_form_of_another_session_does_nothing(administrator: TestClient, path: str, sent: str | None) -> None:
    form = {"session": "s", "text": "hi"} | ({"csrf": sent} if sent is not None else {})
    response = administrator.post(path, data=form, headers=OWN, follow_redirects=False)
    assert response.status_code == 403 and "not of this session" in response.json()["detail"]
    assert administrator.get("/account").status_code == 200


def test_no_form_is_forgotten_above(app: Any) -> None:
    by_strangers = {"/sign-in", "/sign-in/code", "/password"}
    sent = {
        filled(operation.path, KEY, "0" * 32)
        for operation in operations(app)
        if operation.method.upper() == "POST" and not operation.path.startswith("/v1/")
    }
    assert sent - by_strangers == set(FORMS)


def test_every_form_of_somebody_who_signed_in_carries_the_csrf_token(administrator: TestClient) -> None:
    for path in ("/", "/account", "/service", f"/service/{KEY}", "/review", f"/review?bot={KEY}&state=excluded"):
        forms = re.findall(r'<form[^>]*method="post".*?</form>', administrator.get(path).text, re.S)
        assert forms and all('name="csrf"' in form for form in forms)


def test_a_changed_password_ends_the_other_browsers_and_needs_the_old_one(
    administrator: TestClient, served: SmallBot, directory: Directory
) -> None:
    with TestClient(create_app(served.home), LOOPBACK) as elsewhere:
        signed_in(elsewhere, "acme")
        form = {"csrf": csrf(administrator), "password": "wrong", "new": GOOD + "!", "again": GOOD + "!"}
        assert administrator.post("/account/password", data=form, headers=OWN).status_code == 403
        form["password"] = GOOD
        for new, again in (("short", "short"), (GOOD + "!", GOOD)):
            weak = form | {"new": new, "again": again}
            assert administrator.post("/account/password", data=weak, headers=OWN).status_code == 403
        assert elsewhere.get("/account").status_code == 200
        changed = administrator.post("/account/password", data=form, headers=OWN, follow_redirects=False)
        assert changed.status_code == 303 and administrator.get("/account").status_code == 200
        assert elsewhere.get("/account").status_code == 401
    account = directory.accounts.find("acme", "admin")
    assert account
    directory.accounts.change_password(account, GOOD, "")


def test_a_one_time_link_sets_a_password_and_signs_in(client: TestClient, directory: Directory) -> None:
    client.cookies.clear()
    directory.accounts.add("acme", "lee", ["planner"])
    link = directory.accounts.invite("acme", "lee")
    page = client.get("/password", params={"link": link})
    assert page.status_code == 200 and "lee" in page.text
    form = {"link": link, "password": GOOD, "again": GOOD}

    def send(**other: str) -> int:
        return send_form(client, f"/password?link={link}", "/password", form | other).status_code

    assert send(again="x") == send(password="x", again="x") == 403
    common = send_form(
        client, f"/password?link={link}", "/password", form | dict.fromkeys(("password", "again"), COMMON)
    )
    assert common.status_code == 403 and "is a common one" in common.text
    assert send() == 303
    assert "planner" in client.get("/account").text
    assert client.post("/password", data=form | {"csrf": csrf(client)}, headers=OWN).status_code == 404
    assert client.get("/password", params={"link": link}).status_code == 404


def test_only_the_service_s_own_names_are_answered_to(served: SmallBot) -> None:
    app = create_app(served.home, origin=Origin(PUBLIC_URL))
    for address, status in ((PUBLIC_URL, 200), (LOOPBACK, 200), ("https://evil.example", 421)):
        with TestClient(app, address) as found:
            assert found.get("/sign-in").status_code == status
    with TestClient(app, PUBLIC_URL) as outside:
        assert outside.get("/metrics").status_code == 404


@pytest.mark.parametrize(
    "url", ["http://chat.example.com", "https://", "https://a/b", "https://u@a", "chat.example.com"]
)
def test_a_public_address_that_is_no_https_origin_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CHATBOT_PUBLIC_URL", url)
    with pytest.raises(ValueError, match="must be like https"):
        Origin.from_environment()


# -- hostile input ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(served: SmallBot, tokens: dict[str, str]) -> Iterator[str]:
    with running(served) as found:
        yield found


def test_no_route_fails_whatever_is_sent(app: Any, address: str, all_powers: dict[str, str]) -> None:
    tried = 0
    for operation in operations(app):

        @MANY
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
        def wrong(case: Any) -> None:
            nonlocal tried
            tried += 1
            send(case)

        @MANY
        @given(case=operation.as_strategy())
        def right(case: Any) -> None:
            nonlocal tried
            tried += 1
            if "key" in (case.path_parameters or {}):
                case.path_parameters["key"] = KEY
            send(case)

        def send(case: Any) -> None:
            headers = all_powers | {"Origin": address}
            response = case.call(base_url=address, headers=headers, allow_redirects=False, timeout=120)
            assert response.status_code < 500, f"{case.method} {case.path}: {response.status_code}"

        right()
        if operation.body:
            wrong()
    assert tried > 200


@pytest.mark.parametrize(
    "body", [rb'{"session_id": "\ud800", "text": "hi \udc00"}', b"{", b"\xff", b"[" * 60_000, b"1e999"]
)
@pytest.mark.parametrize("path", [f"/v1/bots/{KEY}/chat", f"/v1/bots/{KEY}/verification", f"/v1/bots/{OTHER}/chat"])
def test_a_body_that_is_no_text_is_refused(client: TestClient, headers: dict[str, str], path: str, body: bytes) -> None:
    sent = headers | {"Content-Type": "application/json"}
    assert 400 <= client.post(path, content=body, headers=sent).status_code < 500


def test_no_form_fails_whatever_is_in_it(administrator: TestClient, app: Any) -> None:
    paths = [
        operation.path for operation in operations(app) if operation.method.upper() == "POST" and not operation.body
    ]
    assert {"/sign-in", "/password", "/account/password"} <= set(paths)
    assert {path for path in paths if path.startswith("/review/")}
    names = ["tenant", "name", "password", "new", "again", "link", "token", "session", "text", "next"]
    names += ["action", "group", "row_kind", "picked", "intent", "answer", "reason", "back"]

    words = st.one_of(
        st.text(), st.sampled_from(["modify", "accept", "hold", "undo", *KINDS, "0" * 32, "/review?page=x"])
    )

    @settings(FEW, max_examples=120)
    @given(path=st.sampled_from(paths), form=st.dictionaries(st.sampled_from(names), words), signed=st.booleans())
    def sent(path: str, form: dict[str, str], signed: bool) -> None:
        page = administrator.get("/account")
        token = re.search(r'name="csrf" value="(\w+)"', page.text)
        carried = {"csrf": token[1]} if signed and token else {}
        address = filled(path, KEY, "0" * 32)
        response = administrator.post(address, data=form | carried, headers=OWN, follow_redirects=False)
        assert response.status_code < 500, path

    sent()


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hostile: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        own = tag == "script" and given.get("src") in ("/static/pages.js", "/static/review.js")
        if (tag in ("script", "img", "iframe", "object") and not own) or any(n.startswith("on") for n in given):
            self.hostile.append(tag)
        if any((given.get(name) or "").lower().startswith("javascript:") for name in ("href", "src", "action")):
            self.hostile.append(tag)


def hostile_tags(html: str) -> list[str]:
    parser = _Tags()
    parser.feed(html)
    return parser.hostile


def test_payloads_in_texts_answers_descriptions_and_file_names_are_shown_as_text(
    client: TestClient, directory: Directory
) -> None:
    assert hostile_tags(PAYLOAD) == ["img", "script"]
    signed_in(client, "globex")
    start = client.get("/").text
    form = {"csrf": csrf(client), "session": PAYLOAD, "text": f"What is forecast {PAYLOAD}"}
    said = client.post(f"/bots/{OTHER}/chat", data=form, headers=OWN).text
    turn = re.search(r'data-turn="(\w+)"', said)
    assert turn
    why = client.get(f"/bots/{OTHER}/turns/{turn[1]}").text
    shown = PAYLOAD.replace("<", "&lt;").replace(">", "&gt;")
    name = PAYLOAD_NAME.replace("<", "&lt;").replace(">", "&gt;")
    assert shown in start and f"Rain {shown}" in said and shown in why and name in why
    for page in (start, said, why):
        assert hostile_tags(page) == []


def test_payloads_of_users_and_reviewers_are_shown_as_text_on_the_pages_of_service_and_review(
    served: SmallBot, client: TestClient, directory: Directory
) -> None:
    signed_in(client, "globex")
    token, other = csrf(client), SmallBot(served.root, OTHER)
    for text in (f"Nobody knows {PAYLOAD}", f"What is forecast {PAYLOAD} now"):
        form = {"csrf": token, "session": "hostile", "text": text}
        said = client.post(f"/bots/{OTHER}/chat", data=form, headers=OWN).text
        turn = re.search(r'data-turn="(\w+)"', said)
        assert turn
        told = client.post(f"/v1/bots/{OTHER}/turns/{turn[1]}/feedback", json={"satisfied": False}, headers=OWN)
        assert told.status_code == 200

    def judged() -> list[bool | None]:
        return [row["satisfied"] for row in other.rows("conversations") if row["session_id"] == "hostile"]

    wait_for(lambda: judged() == [False, False])
    assert other.refresh(select=["review_queue"]).success
    landed = [(row["turn_id"],) for row in other.rows("dialogues", "turn_id")[:2]]
    lake = Lake(served.home.lake)
    write_decision(lake, OTHER, Decision(landed[0], "modify", PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD), new_intent=True)
    write_decision(lake, OTHER, Decision(landed[1], "exclude", None, None, PAYLOAD, PAYLOAD))
    review, around = f"/review?bot={OTHER}", f"/review/{OTHER}/turns/{turn[1]}"
    pages = [f"/service/{OTHER}", f"{review}&state=modified", f"{review}&state=excluded", around]
    pages += [f"{review}&kind={kind}" for kind in ("failed", "dissatisfied")]
    shown = {path: client.get(path).text for path in pages}
    escaped = PAYLOAD.replace("<", "&lt;").replace(">", "&gt;")
    assert all(escaped in shown[path] for path in pages[:4]) and any(escaped in shown[path] for path in pages[4:])
    asked = f"{review}&search={quote(PAYLOAD)}", f"{review}&zone={quote(PAYLOAD)}", f"/?next={quote(PAYLOAD)}"
    for page in (*shown.values(), *(client.get(path).text for path in asked)):
        assert hostile_tags(page) == []
    found = client.get(f"/review/{OTHER}/known", params={"search": "rain"})
    assert found.headers["content-type"] == "application/json" and PAYLOAD in found.json()["known"][0]["answer"]


# -- the way back -------------------------------------------------------------------------------------------------


def test_a_strangers_browser_is_led_to_sign_in_and_back_and_a_program_is_refused(
    client: TestClient, app: Any, directory: Directory
) -> None:
    client.cookies.clear()
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    pages = ["/service", f"/service/{KEY}", "/review", f"/review/{KEY}/turns/x", f"/bots/{KEY}/turns/x", "/account"]
    for path in pages:
        led = client.get(f"{path}?a=1&b=2", headers=browser, follow_redirects=False)
        assert (led.status_code, led.headers["location"]) == (303, f"/?next={quote(path, safe='')}%3Fa%3D1%26b%3D2")
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Accept": "text/html; fragment=around"}).status_code == 401
        assert client.get(path, headers=browser | {"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/v1/bots", headers=browser).status_code == 401
    page = client.get("/service?period=30", headers=browser).text
    back = re.findall(r'name="next" value="([^"]+)"', page)
    assert back == ["/service?period=30"] * 2
    form = {"tenant": "acme", "name": "admin", "password": "wrong", "next": back[0]}
    again = send_sign_in(client, form)
    directory.store.change("DELETE FROM attempts")
    assert again.status_code == 403 and 'value="/service?period=30"' in again.text
    arrived = send_sign_in(client, form | {"password": GOOD})
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/service?period=30")
    already = client.get("/?next=/review", follow_redirects=False)
    assert (already.status_code, already.headers["location"]) == (303, "/review")


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "x"]
)
def test_signing_in_leads_to_no_other_site(client: TestClient, directory: Directory, elsewhere: str) -> None:
    client.cookies.clear()
    assert "evil" not in client.get("/", params={"next": elsewhere}).text
    form = {"tenant": "acme", "name": "admin", "password": GOOD, "next": elsewhere}
    response = send_sign_in(client, form)
    assert response.headers["location"] == "/"
    assert client.get("/", params={"next": elsewhere}, follow_redirects=False).headers["location"] == "/"


def test_json_is_never_taken_for_a_page(client: TestClient, tokens: dict[str, str]) -> None:
    client.cookies.clear()
    headers = {"Authorization": f"Bearer {tokens['globex']}", "Accept": "text/html"}
    response = client.get("/v1/bots", headers=headers)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
