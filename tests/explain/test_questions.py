"""Explaining a bot that has answers and no intents: the retrieved question, and the line it stands on."""

import pytest
from explained_bot import ask
from small_bot import SmallBot, small_rows

from chatbot_assets.explain.explanation import explain_turn, find_turn


@pytest.mark.parametrize("asked", ["Tell me about bill", "Tell me something about a parcel"])
def test_the_retrieved_question_is_named_with_its_line(questions: SmallBot, asked: str) -> None:
    turn = find_turn(questions.lake, questions.key, ask(questions, one=asked)["one"])
    assert turn is not None
    found = explain_turn(questions.lake, questions.home.cache, questions.key, turn)
    assert found["evidence"]["kind"] == "question" and found["evidence"]["weighing"] is None
    row = found["evidence"]["rows"][0]
    assert len(found["evidence"]["rows"]) == len(found["evidence"]["candidates"])
    assert row["gave_the_answer"] == (turn["category"] == "answered") and row["similarity"] == pytest.approx(
        turn["score"]
    )
    (origin,) = row["origins"]
    lines = [text["text"] for text in small_rows()]
    assert (origin["file"], lines[origin["line"] - 1]) == ("pairs.jsonl", origin["text"])
    assert row["answer"] == found["evidence"]["candidates"][0]["answer"] and not found["limits"]
    assert any(f"“{row['text']}”" in sentence for sentence in found["summary"])


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> SmallBot:
    bot = SmallBot(tmp_path_factory.mktemp("questions"))
    bot.configure(messages={"similar": "Do you mean", "failed": "Sorry"})
    bot.land("pairs.jsonl", [{"text": found["text"], "answer": found["answer"]} for found in small_rows()])
    assert bot.refresh().success
    return bot
