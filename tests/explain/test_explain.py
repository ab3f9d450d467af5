"""Explaining served turns: the evidence, where each row came from, and what was deployed, also long afterwards."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from explained_bot import ADDRESS, History, tokens_of, vacuum_all_but_what_is_kept
from fastapi.testclient import TestClient
from service import running
from small_bot import KEY, OTHER, SmallBot, small_rows, wait_for

from chatbot_assets.cli import main
from chatbot_assets.commands import UserError
from chatbot_assets.explain.explanation import explain_turn, find_turn
from chatbot_assets.explain.lineage import versions_of
from chatbot_assets.explain.words import Words
from serving.address import announced
from serving.app import create_app


def explained(history: History, turn: str, bot: SmallBot | None = None) -> dict[str, Any]:
    bot = bot or history.bot
    found = find_turn(bot.lake, KEY, history.turns[turn])
    assert found is not None
    report = explain_turn(bot.lake, bot.home.cache, KEY, found)
    assert json.loads(json.dumps(report)) == report, "it is plain JSON"
    return report


def command(bot: SmallBot, key: str, turn: str, *options: str) -> Result:
    folders = {"CHATBOT_HOME": str(bot.home.root), "CHATBOT_BOTS": str(bot.home.bots)}
    return CliRunner(env=folders).invoke(main, ["explain", key, turn, *options])


# -- what the bot went by -----------------------------------------------------------------------------------------


def test_an_answer_leads_back_to_the_lines_of_files_that_taught_it(history: History) -> None:
    found = explained(history, "old")
    assert (found["turn"]["intent"], found["turn"]["category"]) == ("delivery", "answered")
    rows = found["evidence"]["rows"]
    assert [row["kind"] for row in rows] == ["utterance"] * len(rows) and len(rows) >= 3
    assert [row["similarity"] for row in rows] == sorted((row["similarity"] for row in rows), reverse=True)
    assert [row["gave_the_answer"] for row in rows].count(True) == 1
    landed = {found["text"]: number for number, found in enumerate(small_rows(), 1)}
    for one in rows:
        (origin,) = one["origins"]
        assert (origin["kind"], origin["file"], origin["decision"]) == ("landed", "home.jsonl", None)
        assert origin["line"] == landed[origin["text"]] and origin["arrived_at"]
        assert one["verdict"]["verdict"] in ("keep", "review", "relabel") and one["intent"] == "delivery"


def test_the_n_grams_and_parts_of_a_linear_model_add_up_to_its_margin(history: History) -> None:
    weighing = explained(history, "old")["evidence"]["weighing"]
    assert weighing["preferred"] == weighing["intent"] == "delivery" != weighing["next_intent"]
    assert sum(weighing["parts"].values()) == pytest.approx(weighing["margin"], abs=1e-4)
    named = [one["ngram"] for one in weighing["ngrams"]]
    assert any(ngram.strip() in "parcel" for ngram in named)
    weights = [one["weight"] for one in weighing["ngrams"]]
    assert weights == sorted(weights, reverse=True) and min(weights) > 0


def test_a_text_that_was_taught_word_for_word_is_said_to_be(history: History) -> None:
    found = explained(history, "taught")
    assert found["turn"]["score"] == 1
    assert any("word for word" in sentence for sentence in found["summary"])
    assert found["evidence"]["rows"][0]["similarity"] == pytest.approx(1, abs=0.01)


def test_a_failed_turn_says_what_fitted_best_and_from_where_the_bot_answers(history: History) -> None:
    found = explained(history, "failed")
    assert found["turn"]["category"] == "failed" and found["turn"]["intent"] is None
    assert found["turn"]["score"] < found["evidence"]["thresholds"]["suggest"]
    assert any("had not understood" in sentence for sentence in found["summary"])


def test_a_correction_is_shown_with_who_decided_it_and_why(history: History) -> None:
    found = explained(history, "corrected")
    assert found["turn"]["intent"] == "delivery"
    (origin,) = found["evidence"]["rows"][0]["origins"]
    assert (origin["kind"], origin["turn_id"]) == ("served", history.turns["failed"])
    assert origin["decision"]["reviewer"] == "kim" and origin["decision"]["intent"] == "delivery"
    assert any("kim decided on" in said and "it names our carrier" in said for said in found["summary"])


def test_paraphrases_are_shown_with_their_rule_and_their_parent_s_origin(history: History) -> None:
    rows = explained(history, "paraphrased")["evidence"]["rows"]
    paraphrases = [row for row in rows if row["kind"] == "paraphrase"]
    assert paraphrases and all(row["rule"] for row in paraphrases)
    assert all(row["parent"]["origins"][0]["file"] in ("home.jsonl", "more.jsonl") for row in paraphrases)


def test_a_row_that_several_files_hold_has_all_of_them_as_origins(history: History) -> None:
    found = explained(history, "repeated")
    files = [[origin["file"] for origin in row.get("origins", ())] for row in found["evidence"]["rows"]]
    assert ["home.jsonl", "more.jsonl"] in files


# -- what was deployed --------------------------------------------------------------------------------------------


def test_a_turn_names_its_deployment_those_around_it_and_what_had_changed(history: History) -> None:
    first, second, third = history.deployments
    old, newer = (explained(history, turn)["deployment"] for turn in ("old", "corrected"))
    assert (old["deployment_id"], old["before"], old["after"]["deployment_id"]) == (first, None, second)
    assert (newer["before"]["deployment_id"], newer["after"]["deployment_id"]) == (first, third)
    assert [event["event"] for event in newer["events"]] == ["candidate", "verified", "live"]
    assert {"dialogues", "utterances"} <= set(newer["changed_since_before"]["tables"])
    assert newer["changed_since_before"]["configuration"] == {"augment.up_to": {"before": 0, "now": 20}}
    assert newer["live"]["actor"].startswith("run ") and newer["live"]["reason"]


def test_versions_are_those_that_the_model_learnt_from_and_not_those_of_now(history: History) -> None:
    found = explained(history, "old")
    assert found["versions"]["utterances"]["version"] == 0
    assert set(found["versions"]) >= {"dialogues", "utterances", "embeddings", "labels", "paraphrases", "models"}
    assert found["versions"]["models"]["made_from"]["embeddings"] == found["versions"]["embeddings"]["version"]
    assert all(made["code_version"] for name, made in found["versions"].items() if name != "review_decisions")
    newest = history.bot.table("utterances").last()
    assert newest and newest.version > 0


def test_versions_that_hold_something_else_than_was_recorded_are_not_taken_for_it(history: History) -> None:
    lake = history.bot.lake
    recorded = {name: {"version": 0, "data_version": "of another lake"} for name in ("models", "utterances")}
    assert versions_of(lake, KEY, recorded) == {}
    dialogues = lake.table(KEY, "dialogues").at(0)
    assert dialogues is not None
    recorded["dialogues"] = {"version": 0, "data_version": dialogues.data_version}
    assert versions_of(lake, KEY, recorded) == {"dialogues": dialogues}


# -- long afterwards ----------------------------------------------------------------------------------------------


def test_the_lake_alone_is_enough(history: History, tmp_path: Path) -> None:
    bot = history.bot.copy(tmp_path)
    before = explained(history, "old")
    for folder in (bot.home.cache, bot.home.dagster, bot.home.bots, bot.home.landing(KEY)):
        shutil.rmtree(folder, ignore_errors=True)
    assert explained(history, "old", bot) == before


def test_beyond_the_retention_rows_are_shown_as_they_are_now_and_it_is_said(history: History, tmp_path: Path) -> None:
    bot = history.bot.copy(tmp_path)
    before = explained(history, "old")
    assert vacuum_all_but_what_is_kept(bot) > 0
    found = explained(history, "old", bot)
    assert any("beyond the bot's retention" in limit for limit in found["limits"]) and found["summary"][-1:]
    assert [one["text"] for one in found["evidence"]["rows"]] == [one["text"] for one in before["evidence"]["rows"]]
    assert all(one["origins"] for one in found["evidence"]["rows"])
    assert found["deployment"] == before["deployment"] and found["versions"] == before["versions"]


# -- the command, the route and the page --------------------------------------------------------------------------


def test_the_command_speaks_plainly_first_and_gives_json_when_asked(history: History) -> None:
    done = command(history.bot, KEY, history.turns["old"])
    assert done.exit_code == 0, done.output
    first_line = done.stdout.splitlines()[0]
    assert first_line.startswith("On ") and "“My parcel is wrong”" in first_line
    for said in ("line ", "home.jsonl", history.deployments[0], "utterances", "Margin of delivery"):
        assert said in done.stdout
    report = json.loads(command(history.bot, KEY, history.turns["old"], "--json").stdout)
    assert report == explained(history, "old")


def test_the_command_speaks_the_language_that_is_asked_for(history: History) -> None:
    english = command(history.bot, KEY, history.turns["old"]).stdout
    korean = command(history.bot, KEY, history.turns["old"], "--language", "ko").stdout
    assert "질문이 들어왔고" in korean.splitlines()[0] and "학습한 내용" in korean
    assert len(korean.splitlines()) == len(english.splitlines()), "it says the same"
    wrong = command(history.bot, KEY, history.turns["old"], "--language", "xx")
    assert wrong.exit_code == 2 and "'en', 'ko'" in wrong.output


def test_the_command_asks_the_service_that_runs_and_says_the_same(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = history.bot.copy(tmp_path)
    turn = history.turns["old"]
    alone = json.loads(command(bot, KEY, turn, "--json").stdout)
    tokens_of(bot)
    with announced(bot.home, "http://127.0.0.1:9"):
        assert json.loads(command(bot, KEY, turn, "--json").stdout) == alone, "nobody answers there"
    with running(bot) as address, announced(bot.home, address):
        monkeypatch.setattr("chatbot_assets.commands.explain.SERVICE_SECONDS", 120.0)
        monkeypatch.setattr("chatbot_assets.commands.explain._from_lake", None)
        assert json.loads(command(bot, KEY, turn, "--json").stdout) == alone
        assert command(bot, KEY, turn, "--language", "ko").stdout.splitlines()[0].endswith(").")
        monkeypatch.undo()
        done = command(bot, KEY, "0" * 32)
        assert isinstance(done.exception, UserError) and "served no turn" in str(done.exception)


def test_whole_words_are_named_before_letters_inside_words(history: History) -> None:
    found = explained(history, "old")
    inside = {"ngram": "n th", "kind": "letters", "weight": 9.0}

    def said(*ngrams: dict[str, Any]) -> str:
        evidence = found["evidence"] | {"weighing": found["evidence"]["weighing"] | {"ngrams": ngrams}}
        guessed = found["turn"] | {"score": 0.9}
        return " ".join(Words().summary(found | {"evidence": evidence, "turn": guessed}))

    assert "in the wording: “parcel”." in said(inside, inside | {"ngram": "parcel", "kind": "words"})
    assert "in the wording: “n th” (letters inside words)." in said(inside)


@pytest.mark.parametrize("turn", ["0" * 32, "no turn", "'; DROP TABLE"])
def test_an_unknown_turn_is_one_line(history: History, turn: str) -> None:
    done = command(history.bot, KEY, turn)
    assert isinstance(done.exception, UserError)
    assert "served no turn" in str(done.exception) and "\n" not in str(done.exception)


@pytest.fixture(scope="module")
def client(history: History) -> Iterator[TestClient]:
    with TestClient(create_app(history.bot.home), ADDRESS, raise_server_exceptions=False) as found:
        wait_for(lambda: found.get("/readyz").status_code == 200)
        yield found


def headers_of(history: History, tenant: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens_of(history.bot)[tenant]}"}


def test_the_route_explains_to_the_tenant_and_to_nobody_else(history: History, client: TestClient) -> None:
    address = f"/v1/bots/{KEY}/turns/{history.turns['old']}/explain"
    assert client.get(address, headers=headers_of(history, "acme")).json() == explained(history, "old")
    assert client.get(address).status_code == 401
    for tenant, wrong in (
        ("globex", address),
        ("acme", address.replace(KEY, OTHER)),
        ("acme", address.replace(history.turns["old"], "0" * 32)),
    ):
        response = client.get(wrong, headers=headers_of(history, tenant))
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


def test_a_turn_that_is_not_written_yet_is_explained_too(history: History, client: TestClient) -> None:
    headers = headers_of(history, "acme")
    said = {"session_id": "two", "text": "I need parcel news <now>"}
    turn = client.post(f"/v1/bots/{KEY}/chat", json=said, headers=headers).json()["turn_id"]
    found = client.get(f"/v1/bots/{KEY}/turns/{turn}/explain", headers=headers).json()
    assert found["turn"]["text"] == said["text"]
    assert found["deployment"]["deployment_id"] == history.deployments[-1] and found["deployment"]["after"] is None
    served_at = datetime.fromisoformat(found["turn"]["served_at"])
    assert datetime.now(UTC) - served_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("language", "heading", "decided"),
    [("en", "Why this answer?", "kim decided on"), ("ko", "왜 이렇게 답했나요?", "kim 님이 결정")],
)
def test_the_page_says_it_in_the_reader_s_language(
    history: History, client: TestClient, language: str, heading: str, decided: str
) -> None:
    headers = headers_of(history, "acme") | {"Accept-Language": language}
    page = client.get(f"/bots/{KEY}/turns/{history.turns['corrected']}", headers=headers)
    assert page.status_code == 200 and f"<h1>{heading}</h1>" in page.text
    assert decided in page.text and "home.jsonl" in page.text
    for sentence in Words(language).summary(explained(history, "corrected")):
        assert sentence in unescape(page.text)
    assert client.get(f"/bots/{KEY}/turns/{'0' * 32}", headers=headers).status_code == 404
