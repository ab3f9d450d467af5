"""The review page over real tables: what waits is shown, decided once, taken back, and nobody else's business."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from small_bot import KEY, OTHER, SmallBot, wait_for

from chatbot_assets.bot import bot_file
from chatbot_assets.feedback.deciding import undo_decision
from chatbot_assets.feedback.decision_log import DecisionLog
from serving.app import create_app
from serving.people.directory import Directory
from serving.review.desk import Desk

PAYLOAD = "<script>alert('eels')</script> for my hovercraft"
UNKNOWN = "What about the moon"
ASKED = [UNKNOWN, "what about the moon?", "What about the MOON", PAYLOAD, "Which eels do you recommend"]


@pytest.fixture(scope="module")
def reviewed(served: SmallBot, tokens: dict[str, str]) -> SmallBot:
    """The small bot after users asked it what it does not know."""
    app = create_app(served.home)
    headers = {"Authorization": f"Bearer {tokens['acme']}"}
    with TestClient(app, "http://127.0.0.1", headers=headers) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        for number, text in enumerate(ASKED):
            turn = client.post(f"/v1/bots/{KEY}/chat", json={"session_id": f"s{number // 3}", "text": text}).json()
            client.post(f"/v1/bots/{KEY}/turns/{turn['turn_id']}/feedback", json={"satisfied": False})
    assert served.refresh(select=["review_queue"]).success
    return served


@pytest.fixture(scope="module")
def asked(reviewed: SmallBot) -> Iterator[TestClient]:
    """The service, asked with a token that may review."""
    token = Directory(reviewed.home).tokens.make("acme", "reviewer", ["read", "review"], by="the tests")
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_app(reviewed.home), "http://127.0.0.1", headers=headers, follow_redirects=False) as client:
        yield client


@pytest.fixture
def own(asked: TestClient, reviewed: SmallBot) -> Iterator[TestClient]:
    """The service, asked by the small bot's tenant; what a test decides is taken back after it."""
    yield asked
    log = DecisionLog.of(reviewed.table("review_decisions"))
    for row in log.newest(100):
        if row["action"] != "undo" and not log.undone_by(row["decision_id"]):
            undo_decision(reviewed.lake, KEY, row["decision_id"], "the test")


def page(client: TestClient, **query: str) -> str:
    response = client.get("/review", params={"bot": KEY, "kind": "dissatisfied"} | query)
    assert response.status_code == 200, response.text
    return response.text


def group_of(client: TestClient, text: str) -> str:
    row = re.search(
        rf'data-group="(\w+)"(?:(?!data-group).)*?{re.escape(text)}', page(client), re.DOTALL | re.IGNORECASE
    )
    assert row, f"no row says {text}"
    return row[1]


def decide(client: TestClient, text: str, action: str, **fields: str) -> int:
    form = {"row_kind": "dissatisfied", "group": group_of(client, text), "action": action, "back": f"/review?bot={KEY}"}
    return client.post(f"/review/{KEY}/decisions", data=form | fields).status_code


def test_turns_that_say_the_same_are_one_row_with_their_number(own: TestClient) -> None:
    shown = page(own)
    assert "5 turns in 3 groups" in shown
    assert shown.count('class="row"') == 3
    assert "3 times" in shown


def test_a_users_text_is_shown_as_text(own: TestClient) -> None:
    shown = page(own)
    assert "&lt;script&gt;alert(&#39;eels&#39;)" in shown
    assert "<script>alert" not in shown


def test_a_decision_takes_the_whole_group_out_of_the_queue_and_can_be_taken_back(own: TestClient) -> None:
    assert decide(own, "moon", "modify", intent="weather") == 303
    assert "MOON" not in page(own)
    decided = page(own, state="modified")
    assert "3 times" in decided
    assert "<strong>weather</strong>" in decided
    undo = re.search(r'action="(/review/[^"]+/undo)"', decided)
    assert undo
    assert own.post(undo[1], data={"back": f"/review?bot={KEY}"}).status_code == 303
    assert "MOON" in page(own)
    assert own.post(undo[1], data={"back": f"/review?bot={KEY}"}).status_code == 409


def test_of_two_who_decide_on_a_row_the_second_is_told(own: TestClient) -> None:
    group = group_of(own, "moon")
    form = {"row_kind": "dissatisfied", "group": group, "action": "exclude", "back": f"/review?bot={KEY}"}
    assert own.post(f"/review/{KEY}/decisions", data=form).status_code == 303
    second = own.post(f"/review/{KEY}/decisions", data=form)
    assert second.status_code == 409
    assert "Somebody has decided on these rows already" in second.text


def test_several_rows_are_put_off_at_once(own: TestClient) -> None:
    groups = [group_of(own, "moon"), group_of(own, "recommend")]
    form = {"row_kind": "dissatisfied", "group": groups, "action": "hold", "back": f"/review?bot={KEY}"}
    assert own.post(f"/review/{KEY}/decisions", data=form).status_code == 303
    assert "1 turn in 1 group" in page(own)
    assert page(own, state="on_hold").count('class="row"') == 2


@pytest.mark.parametrize(
    ("action", "fields", "says"),
    [
        ("modify", {}, "Choose the right intent or answer"),
        ("modify", {"intent": "wether"}, "did you mean weather"),
        ("accept", {}, "Nothing is suggested for"),
        ("burn", {}, "The action “burn” is unknown"),
        ("modify", {"answer": "x" * 3000}, "may have 2,000 characters"),
        ("hold", {"row_kind": "angry"}, "row_kind: “angry” is none of"),
        ("hold", {"group": "0" * 32}, "Somebody has decided on these rows already, or they are gone"),
    ],
)
def test_an_incomplete_decision_is_refused_in_words_and_changes_nothing(
    own: TestClient, action: str, fields: dict[str, str], says: str
) -> None:
    form = {"row_kind": "dissatisfied", "group": group_of(own, "moon"), "action": action, "back": f"/review?bot={KEY}"}
    response = own.post(f"/review/{KEY}/decisions", data=form | fields)
    assert response.status_code in (409, 422)
    assert says in response.text
    assert "MOON" in page(own)


@pytest.mark.parametrize(
    ("language", "fields", "says"),
    [
        ("ko", {"intent": "wether"}, "이 봇에는 “wether” 의도가 없습니다. 비슷한 의도: weather"),
        ("ko", {}, "맞는 의도나 답변을 고르거나 새로 쓰세요."),
        ("en", {"intent": "wether"}, "did you mean weather"),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_refused_decision_is_told_in_the_reader_s_language(
    own: TestClient, language: str, fields: dict[str, str], says: str, accept: str
) -> None:
    form = {"row_kind": "dissatisfied", "group": group_of(own, "moon"), "action": "modify"}
    headers = {"Accept-Language": language, "Accept": accept}
    response = own.post(f"/review/{KEY}/decisions", data=form | fields, headers=headers)
    assert response.status_code == 422
    assert says in (response.text if accept == "text/html" else response.json()["detail"])


def test_what_somebody_put_off_is_not_counted_as_waiting(own: TestClient, reviewed: SmallBot) -> None:
    desk = Desk(reviewed.home)
    assert desk.waiting(KEY) == 5
    assert decide(own, "moon", "hold") == 303
    assert desk.waiting(KEY) == 2
    assert reviewed.refresh(select=["review_queue"]).success
    assert desk.waiting(KEY) == 2, "the queue still has them"
    assert desk.waiting("acme.none") == 0


def test_a_new_intent_is_taken_when_it_is_said_to_be_one(own: TestClient) -> None:
    assert decide(own, "moon", "modify", intent="astronomy", new="1") == 303


def test_words_and_times_narrow_what_is_shown(own: TestClient) -> None:
    assert "1 turn in 1 group" in page(own, search="RECOMMEND")
    assert "Nothing waits here" in page(own, until="2020-01-01")
    assert "3 turns in 1 group" in page(own, search="the moon?"), "a group is shown with all its turns"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"zone": "Mars/Olympus"}, "Write one like Asia/Seoul"),
        ({"since": "yesterday"}, "Write one like 2026-01-31"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "before it begins"),
        ({"kind": "angry"}, "is none of failed"),
        ({"page": "0"}, "The first one is 1"),
    ],
)
def test_an_address_that_makes_no_sense_is_told_so_on_the_page(
    own: TestClient, query: dict[str, str], says: str
) -> None:
    response = own.get("/review", params={"bot": KEY} | query)
    assert response.status_code == 422
    assert says in response.text and 'class="tabs"' in response.text


def test_the_conversation_around_a_turn_is_shown(own: TestClient) -> None:
    turn = re.search(rf'href="(/review/{KEY}/turns/\w+)"', page(own, search="eels'"))
    assert turn
    shown = own.get(turn[1]).text
    assert len(re.findall("<li[ >]", shown)) == 2
    assert "recommend" in shown


def test_the_page_offers_what_the_bot_can_say_already(own: TestClient) -> None:
    found = own.get(f"/review/{KEY}/known", params={"search": "wea"}).json()["known"]
    assert [known["intent"] for known in found] == ["weather"]


def test_the_page_speaks_korean_to_whoever_asks_for_it(own: TestClient) -> None:
    shown = own.get("/review", params={"bot": KEY}, headers={"Accept-Language": "ko-KR,ko;q=0.9"})
    assert "실패한 대화" in shown.text
    refused = own.get("/review", params={"bot": KEY, "zone": "Mars"}, headers={"Accept-Language": "ko"})
    assert "“Mars” 시간대가 없습니다." in refused.text and "There is" not in refused.text


def test_another_tenants_queue_is_nobodys_business(own: TestClient) -> None:
    assert OTHER not in page(own)
    assert own.get("/review", params={"bot": OTHER}).status_code == 422
    form = {"row_kind": "failed", "group": "0" * 32, "action": "hold", "back": "/review"}
    assert own.post(f"/review/{OTHER}/decisions", data=form).status_code == 404
    assert own.post(f"/review/{OTHER}/decisions/{'0' * 32}/undo", data={}).status_code == 404
    assert own.get(f"/review/{OTHER}/known").status_code == 404
    assert own.get(f"/review/{OTHER}/turns/{'0' * 32}").status_code == 404


def test_who_may_only_read_sees_the_queue_and_no_buttons(own: TestClient, tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['acme']}"}
    shown = own.get("/review", params={"bot": KEY, "kind": "dissatisfied"}, headers=headers).text
    assert "MOON" in shown
    assert "/decisions" not in shown
    assert own.post(f"/review/{KEY}/decisions", data={}, headers=headers).status_code == 403


def test_without_a_credential_there_is_no_page(own: TestClient) -> None:
    assert own.get("/review", headers={"Authorization": ""}).status_code == 401


def test_a_mistake_in_the_bots_file_does_not_stop_reviewing_and_whoever_asks_for_an_effect_is_told_of_it(
    own: TestClient, reviewed: SmallBot
) -> None:
    path = bot_file(reviewed.home.bots, KEY)
    before = path.read_text(encoding="utf-8")
    form = {"row_kind": "dissatisfied", "group": group_of(own, "moon"), "intent": "weather"}
    try:
        path.write_text(before + "trian: {}\n", encoding="utf-8")
        assert "MOON" in page(own)
        told = own.post(f"/review/{KEY}/effect", data=form)
        assert told.status_code == 422 and "trian" in told.text
    finally:
        path.write_text(before, encoding="utf-8")
    assert own.post(f"/review/{KEY}/effect", data=form).status_code == 200
