"""The feedback route: what users think of a turn reaches its row, whenever and by whichever process it was served."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from small_bot import KEY, OTHER, SmallBot, wait_for
from test_app import LOOPBACK, ask, assert_is_problem
from unsure_bot import UNCLEAR, UNSURE, unsure_bot

from serving.app import create_app
from serving.conversations import new_turn_id
from serving.tokens import ensure_tokens


@pytest.fixture(scope="module")
def served(tenants: SmallBot, tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    """The home of both tenants, and in it a bot that offers suggestions: a service would load one half copied."""
    copy = tenants.copy(tmp_path_factory.mktemp("served"))
    unsure_bot(copy.root)
    return copy


@pytest.fixture(scope="module")
def unsure(served: SmallBot) -> SmallBot:
    """A bot that offers suggestions, beside the small one."""
    return SmallBot(served.root, UNSURE)


def chat(client: TestClient, headers: dict[str, str], text: str, key: str = KEY) -> dict[str, Any]:
    answer: dict[str, Any] = client.post(f"/v1/bots/{key}/chat", json=ask(text), headers=headers).json()
    return answer


def address(turn_id: str, key: str = KEY) -> str:
    return f"/v1/bots/{key}/turns/{turn_id}/feedback"


def row_of(bot: SmallBot, turn_id: str) -> dict[str, Any]:
    """The turn's row, once it is there."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [row for row in bot.rows("conversations") if row["turn_id"] == turn_id]
        return bool(found)

    wait_for(look)
    assert len(found) == 1
    return found[0]


def test_a_user_s_verdict_is_in_the_turn_s_row_a_moment_later(
    client: TestClient, headers: dict[str, str], served: SmallBot
) -> None:
    turn = chat(client, headers, "My parcel is wrong")
    response = client.post(address(turn["turn_id"]), json={"satisfied": False}, headers=headers)
    assert (response.status_code, response.json()) == (200, {"turn_id": turn["turn_id"], "satisfied": False})
    wait_for(lambda: row_of(served, turn["turn_id"])["satisfied"] is False)

    for _ in range(2):
        response = client.post(address(turn["turn_id"]), json={"satisfied": True}, headers=headers)
        assert response.status_code == 200
    wait_for(lambda: row_of(served, turn["turn_id"])["satisfied"] is True)
    assert row_of(served, turn["turn_id"])["text"] == "My parcel is wrong"


def test_suggestions_come_with_their_answers_and_the_chosen_one_is_kept(
    client: TestClient, headers: dict[str, str], unsure: SmallBot
) -> None:
    turn = chat(client, headers, UNCLEAR, UNSURE)
    assert turn["category"] == "similar" and turn["answer"] == unsure.bot.messages.similar
    assert sorted(candidate["id"] for candidate in turn["candidates"]) == ["coffee", "tea"]
    for candidate in turn["candidates"]:
        assert set(candidate) == {"id", "intent", "text", "answer", "score"}
        assert candidate["answer"] == f"This is what we know about {candidate['intent']}."
    chosen = turn["candidates"][1]["id"]
    response = client.post(address(turn["turn_id"], UNSURE), json={"chosen_candidate": chosen}, headers=headers)
    assert response.json() == {"turn_id": turn["turn_id"], "chosen_candidate": chosen}
    wait_for(lambda: row_of(unsure, turn["turn_id"])["chosen_candidate"] == chosen)
    assert row_of(unsure, turn["turn_id"])["satisfied"] is None


def test_what_was_not_shown_cannot_have_been_chosen(client: TestClient, headers: dict[str, str]) -> None:
    answered, failed = chat(client, headers, "My parcel is wrong"), chat(client, headers, "qzx vvk wjjq 774")
    assert (answered["category"], failed["category"]) == ("answered", "failed")
    for turn, candidate in ((answered, "no-such-intent"), (failed, "delivery")):
        response = client.post(address(turn["turn_id"]), json={"chosen_candidate": candidate}, headers=headers)
        assert f"'{candidate}' was not among" in assert_is_problem(response, 422)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "body: send satisfied"),
        ({"satisfied": None}, "body: send satisfied"),
        ({"satisfied": "yes"}, "satisfied: "),
        ({"satisfied": 1}, "satisfied: "),
        ({"chosen_candidate": ""}, "chosen_candidate: "),
        ({"chosen_candidate": "x" * 1001}, "chosen_candidate: "),
        ({"satisfied": True, "stars": 5}, "stars: Extra inputs are not permitted"),
        ([], "body: "),
    ],
    ids=["nothing", "null", "text", "number", "empty", "too-long", "unknown-field", "list"],
)
def test_feedback_that_is_not_as_agreed_is_refused_with_the_field_and_why(
    client: TestClient, headers: dict[str, str], body: Any, detail: str
) -> None:
    turn = chat(client, headers, "My parcel is wrong")
    response = client.post(address(turn["turn_id"]), json=body, headers=headers)
    assert assert_is_problem(response, 422).startswith(detail)


@pytest.mark.parametrize("turn_id", ["absent", "'", "0" * 32, "%2e%2e", "-"])
def test_a_turn_that_was_never_served_is_not_there(client: TestClient, headers: dict[str, str], turn_id: str) -> None:
    assert_is_problem(client.post(address(turn_id), json={"satisfied": True}, headers=headers), 404)


@pytest.mark.parametrize("key", ["acme", "acme.", "acme..", "acme.nothing", "acme.FAQ", "..", "."])
def test_a_bot_that_does_not_exist_has_served_no_turn(
    client: TestClient, headers: dict[str, str], key: str, served: SmallBot
) -> None:
    before = sorted(served.home.lake.glob("*/*"))
    assert_is_problem(client.post(address(new_turn_id(), key), json={"satisfied": True}, headers=headers), 404)
    assert sorted(served.home.lake.glob("*/*")) == before


def test_a_turn_of_another_tenant_looks_like_one_that_was_never_served(
    client: TestClient, headers: dict[str, str], tokens: dict[str, str], served: SmallBot
) -> None:
    theirs = {"Authorization": f"Bearer {tokens['globex']}"}
    turn = chat(client, theirs, "My parcel is wrong", OTHER)
    absent = new_turn_id()
    refused = client.post(address(turn["turn_id"], OTHER), json={"satisfied": False}, headers=headers)
    never = client.post(address(absent, OTHER), json={"satisfied": False}, headers=headers)
    assert assert_is_problem(refused, 404) == assert_is_problem(never, 404).replace(absent, turn["turn_id"])
    assert_is_problem(client.post(address(turn["turn_id"]), json={"satisfied": False}, headers=headers), 404)
    assert_is_problem(client.post(address(turn["turn_id"], OTHER), json={"satisfied": False}), 401)
    assert row_of(SmallBot(served.root, OTHER), turn["turn_id"])["satisfied"] is None


def test_feedback_finds_a_turn_that_was_served_before_the_service_was_started_again(bot: SmallBot) -> None:
    headers = {"Authorization": f"Bearer {ensure_tokens(bot.home.root / 'tokens.json', {'acme'})['acme']}"}
    with TestClient(create_app(bot.home), LOOPBACK) as first:
        wait_for(lambda: first.get("/readyz").status_code == 200)
        turn = chat(first, headers, "My parcel is wrong")
    chosen = turn["candidates"][0]["id"]
    with TestClient(create_app(bot.home), LOOPBACK) as second:
        said = {"satisfied": False, "chosen_candidate": chosen}
        assert second.post(address(turn["turn_id"]), json=said, headers=headers).status_code == 200
    row = row_of(bot, turn["turn_id"])
    assert (row["satisfied"], row["chosen_candidate"]) == (False, chosen)
