"""The responder: one model's answers, the same alone as among others and the same as validation measured."""

import numpy as np
import pytest
from small_bot import KEY, Refreshed, SmallBot, row, small_rows

from serving.bots import load_live
from serving.responder import ANSWERED, CANDIDATES, FAILED, SIMILAR, Responder


@pytest.fixture(scope="module")
def responder(first: tuple[SmallBot, Refreshed]) -> Responder:
    live = load_live(first[0].home, KEY)
    assert live is not None
    return live.responder


def test_the_bot_s_own_questions_are_answered(responder: Responder) -> None:
    rows = [found for found in small_rows() if found["text"] != "Who handles parcel"]
    replies = responder.respond([found["text"] for found in rows])
    right = [reply.intent == found["intent"] for reply, found in zip(replies, rows, strict=True)]
    assert np.mean(right) > 0.95
    assert {reply.category for reply in replies} <= {ANSWERED, SIMILAR, FAILED}
    for reply in replies:
        if reply.category == ANSWERED:
            assert reply.answer == f"This is what we know about {reply.intent}."


def test_an_answer_does_not_depend_on_the_texts_that_are_asked_with_it(responder: Responder) -> None:
    texts = [found["text"] for found in small_rows()[:12]]
    together = responder.respond(texts)
    for text, reply in zip(texts, together, strict=True):
        alone = responder.respond([text])[0]
        assert (alone.intent, alone.category, alone.answer) == (reply.intent, reply.category, reply.answer)
        assert alone.score == pytest.approx(reply.score, abs=1e-3)


def test_writing_and_spacing_that_the_normaliser_levels_make_no_difference(responder: Responder) -> None:
    plain, loud = responder.respond(["tell me about parcel", "  TELL ME   about PARCEL "])
    assert (plain.intent, plain.answer, plain.score) == (loud.intent, loud.answer, loud.score)


def test_candidates_are_distinct_and_go_from_the_likeliest_down(responder: Responder) -> None:
    (reply,) = responder.respond(["Tell me about parcel"])
    scores = [candidate.score for candidate in reply.candidates]
    assert len(reply.candidates) == CANDIDATES
    assert len({candidate.id for candidate in reply.candidates}) == CANDIDATES
    assert scores == sorted(scores, reverse=True)


def test_no_text_gives_no_reply_and_an_empty_one_is_not_understood(responder: Responder) -> None:
    assert responder.respond([]) == []
    (reply,) = responder.respond([" \u200b "])
    assert (reply.category, reply.intent, reply.candidates) == (FAILED, None, ())


def test_a_bot_with_answers_alone_gives_the_answer_of_the_closest_known_question(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    bot = SmallBot(tmp_path_factory.mktemp("answers"))
    bot.configure()
    bot.land("pairs.jsonl", [{"text": found["text"], "answer": found["answer"]} for found in small_rows()])
    assert bot.refresh().success
    live = load_live(bot.home, KEY)
    assert live is not None
    (reply,) = live.responder.respond(["Tell me about my parcel"])
    assert reply.candidates[0].answer == "This is what we know about delivery."
    assert reply.intent is None
    answers = [candidate.answer for candidate in reply.candidates]
    assert len(answers) == len(set(answers)), "one candidate for each answer"
    assert reply.category in (ANSWERED, SIMILAR)


def test_what_was_landed_last_is_answered_by_the_next_deployment(bot: SmallBot) -> None:
    frames = ("Is my {} welcome", "May I bring a {}", "What about the {}", "Can a {} come in", "I have a {} with me")
    pets = [frame.format(pet) for pet in ("parrot", "puppy", "kitten", "hamster") for frame in frames]
    bot.land("pets.jsonl", [row(text, "pets", "Every pet is welcome.") for text in pets])
    before = load_live(bot.home, KEY)
    assert bot.refresh().success
    after = load_live(bot.home, KEY)
    assert before and after and bot.live and after.deployment == bot.live != before.deployment
    assert after.responder.respond(["Is my hamster welcome"])[0].candidates[0].answer == "Every pet is welcome."
    assert before.responder.respond(["Is my hamster welcome"])[0].candidates[0].intent != "pets"
