"""The responder: one model's answers, the same alone as among others and the same as validation measured."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from small_bot import KEY, Refreshed, SmallBot, row, small_rows

from chatbot_assets.feedback.asking import known_to
from chatbot_assets.languages import language_defaults
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.train.training import train_model
from serving.bots import load_live
from serving.responder import ANSWERED, CANDIDATES, FAILED, SIMILAR, TAUGHT, Reply, Responder

Taught = tuple[str, str | None, str | None]
"""A text, its intent and its answer."""
Teach = Callable[..., Responder]
MESSAGES = {"similar": "Did you mean one of these?", "failed": "I did not understand."}
LEARNERS = ["chatbot_assets.train.intent_model:LinearIntents", "chatbot_assets.train.centroids:CentroidIntents"]
QUESTIONS: list[Taught] = [
    ("do you have gift cards", None, "Gift cards are at the counter."),
    ("can I buy a gift card", None, "Gift cards are at the counter."),
    ("is the shop open on sundays", None, "We are closed on Sundays."),
    ("are you open on a sunday", None, "We are closed on Sundays."),
]


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


def test_what_it_has_learnt_is_told_as_long_as_texts_are_prepared_in_the_same_way(
    first: tuple[SmallBot, Refreshed], responder: Responder
) -> None:
    bot = first[0].bot
    known = known_to(responder, bot.effective(), bot)
    assert known is not None and "tell me about parcel" in known.texts
    assert known.vectors.shape[0] == len(known.texts)
    assert np.allclose(np.linalg.norm(known.vectors, axis=1), 1, atol=1e-3)
    assert known_to(responder, {**bot.effective(), "embed": {"encoder": {"use": "another"}}}, bot) is None


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


@pytest.fixture
def teach(tmp_path: Path) -> Teach:
    """Trains and loads a model on a few English rows, without the graph around it."""

    def train(taught: list[Taught], classifier: str = LEARNERS[0]) -> Responder:
        process = language_defaults("en")["process"]
        encoder = {"use": "chatbot_assets.embed.encoders:MultilingualEncoder"}
        normalise, segment = (ModuleRef.model_validate(process[name]).load() for name in ("normaliser", "segmenter"))
        texts = [normalise(text) for text, _, _ in taught]
        rows = TrainingRows(
            ids=[f"id of {text}" for text in texts],
            texts=texts,
            tokens=segment(texts),
            intents=[intent for _, intent, _ in taught],
            answers=[answer for _, _, answer in taught],
            vectors=ModuleRef.model_validate(encoder).load().encode(texts),
            parents=[None] * len(taught),
            weights=np.ones(len(taught), np.float32),
        )
        train_model(
            tmp_path,
            rows,
            bot=KEY,
            language="en",
            classifier=ModuleRef(use=classifier),
            index=ModuleRef(use="chatbot_assets.train.answer_index:FaissIndex"),
            answer_precision=0.9,
            suggest_precision=0.3,
            progress=lambda _: None,
        )
        return Responder(tmp_path, {"process": process, "embed": {"encoder": encoder}, "messages": MESSAGES})

    return train


def labelled(answers: bool = True) -> list[Taught]:
    return [(found["text"], found["intent"], found["answer"] if answers else None) for found in small_rows()]


@pytest.mark.parametrize("classifier", LEARNERS)
def test_any_bundled_classifier_answers(teach: Teach, classifier: str) -> None:
    (reply,) = teach(labelled(), classifier).respond(["what about my parcel"])
    assert reply.candidates[0].intent == "delivery"
    assert reply.candidates[0].answer == "This is what we know about delivery."


def test_what_the_bot_was_taught_word_for_word_is_answered_as_taught(teach: Teach) -> None:
    responder = teach([*labelled(), ("Blorp the fnord", "hours", "At nine."), *QUESTIONS])
    odd, question = responder.respond(["blorp the FNORD", "Do you have gift cards"])
    assert (odd.category, odd.intent, odd.score, odd.answer) == (ANSWERED, "hours", TAUGHT, "At nine.")
    assert (question.category, question.intent, question.answer) == (ANSWERED, None, "Gift cards are at the counter.")


def test_a_bot_with_intents_and_plain_questions_suggests_both(teach: Teach) -> None:
    responder = teach([*labelled(), *QUESTIONS])
    replies = responder.respond(["zzz qqq", "something about nothing", "gift for a sunday"])
    unsure = [reply for reply in replies if reply.category != ANSWERED]
    assert unsure
    for reply in unsure:
        assert {candidate.intent is None for candidate in reply.candidates} == {True, False}
        assert len(reply.candidates) <= CANDIDATES


def test_a_bot_with_intents_alone_names_them_without_answers(teach: Teach) -> None:
    (reply,) = teach(labelled(answers=False)).respond(["what about my parcel"])
    assert reply.candidates[0].intent == "delivery" and len(reply.candidates) == CANDIDATES
    assert all(candidate.answer is None and candidate.text for candidate in reply.candidates)


def test_intents_with_one_and_the_same_answer_are_suggested_once(teach: Teach) -> None:
    (reply,) = teach([(text, intent, "Call us.") for text, intent, _ in labelled()]).respond(["what about my parcel"])
    assert [candidate.answer for candidate in reply.candidates] == ["Call us."]


@pytest.mark.parametrize("taught", [("hello there", "greeting", "Hello!"), ("hello there", None, "Hello!")])
def test_a_bot_of_a_single_row_answers_that_and_nothing_else(teach: Teach, taught: Taught) -> None:
    known, other = teach([taught]).respond(["Hello  there", "what is the weather like"])
    assert (known.category, known.answer) == (ANSWERED, "Hello!")
    assert (other.category, other.answer) == (FAILED, MESSAGES["failed"])
    assert [candidate.answer for candidate in other.candidates] == ["Hello!"]


def test_a_bot_with_one_intent_answers_what_it_was_taught(teach: Teach) -> None:
    responder = teach([(text, "refund", "Money back.") for text, intent, _ in labelled() if intent == "refund"])
    known, other = responder.respond(["Tell me about money back", "what is the weather like"])
    assert (known.category, known.answer) == (ANSWERED, "Money back.")
    assert other.candidates[0].intent == "refund"


def test_the_messages_for_similar_and_failed_are_those_of_the_bot(teach: Teach) -> None:
    responder = teach(labelled())
    asked = ["parcel or invoice forecast", "how is the opening bill", "zzz qqq xxx", "quantum chromodynamics"]
    replies = responder.respond(asked)
    assert {ANSWERED} != {reply.category for reply in replies}
    for reply in replies:
        if reply.category != ANSWERED:
            assert reply.answer == MESSAGES[reply.category]
        answers = [candidate.answer for candidate in reply.candidates]
        assert len(answers) == len(set(answers)) <= CANDIDATES


def spoken(reply: Reply) -> tuple[str | None, str | None, str, list[str]]:
    """What a reply says, without scores: the processor rounds them in the one way or the other."""
    return reply.answer, reply.intent, reply.category, [candidate.id for candidate in reply.candidates]


def test_threads_that_ask_at_once_get_the_replies_that_one_gets(teach: Teach) -> None:
    responder = teach([*labelled(), *QUESTIONS])
    asked = ["what about my parcel", "are you open today", "a card as a gift", "money please"]
    alone = [responder.respond([text])[0] for text in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda place: responder.respond([asked[place % 4]])[0], range(32)))
    for place, reply in enumerate(together):
        assert spoken(reply) == spoken(alone[place % 4])
        assert reply.score == pytest.approx(alone[place % 4].score, abs=1e-3)
