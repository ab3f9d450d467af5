"""Paraphrases, label verdicts and review decisions in the whole graph: what they do to what the bot learns."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from small_bot import KEY, SmallBot, row, small_rows

from chatbot_assets.feedback.deciding import Decision, write_decision
from chatbot_assets.process.utterances import OVERRULED, TAKEN_OUT
from chatbot_assets.quality.findings import NOTES
from serving.bots import load_live

QUESTION = "zebra stripes qwerty"


def ask(bot: SmallBot, text: str) -> Any:
    live = load_live(bot.home, bot.key)
    assert live is not None
    return live.responder.respond([text])[0]


def serve(bot: SmallBot, turn_id: str, text: str) -> None:
    """Notes a turn as the service does."""
    reply = ask(bot, text)
    bot.table("conversations").append_rows(
        [
            {"turn_id": turn_id, "text": text, "category": reply.category, "score": reply.score, "candidates": "[]"}
            | {"served_at": datetime.now(UTC), "answer": reply.answer}
        ]
    )


# -- review -------------------------------------------------------------------------------------------------------


def test_a_failed_turn_that_a_person_corrects_is_answered_after_the_next_refresh(bot: SmallBot) -> None:
    bot.configure(review={"every_minutes": 0})
    serve(bot, "t1", QUESTION)
    assert ask(bot, QUESTION).category != "answered"
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    assert [(found["turn_id"], found["kind"]) for found in bot.rows("review_queue")] == [("t1", "failed")]

    answer = "Seashells are welcome on Sundays."
    decision = Decision(("t1",), "modify", "invoice", answer, "kim")
    write_decision(bot.lake, KEY, decision)
    assert {item.table for item in bot.state.stale} == {"utterances", "review_queue"} and bot.state.needs_refresh
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    reply = ask(bot, QUESTION)
    assert (reply.intent, reply.answer, reply.category) == ("invoice", answer, "answered")
    assert bot.rows("review_queue") == [], "what is decided does not come back"
    [taught] = [found for found in bot.rows("utterances") if found["text"] == QUESTION]
    assert taught["reviewed"] and taught["sources"] == ["t1"] and taught["split"] == "train"


def test_a_decision_on_a_landed_row_overrules_its_label_and_those_of_equal_texts(bot: SmallBot) -> None:
    [first] = [found for found in bot.rows("dialogues", "turn_id", "text") if found["text"] == "What is bill"]
    bot.land("again.jsonl", [row("what is BILL", "invoice")])
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    write_decision(bot.lake, KEY, Decision((first["turn_id"],), "modify", "refund", None, "kim"))
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    found = {one["intent"]: one for one in bot.rows("utterances") if one["text"] == "what is bill"}
    assert found["refund"]["reviewed"] and found["refund"]["excluded"] is None
    assert found["invoice"]["excluded"] == OVERRULED


def test_rows_that_land_after_a_decision_are_overruled_by_it_too(bot: SmallBot) -> None:
    [first] = [found for found in bot.rows("dialogues", "turn_id", "text") if found["text"] == "What is bill"]
    write_decision(bot.lake, KEY, Decision((first["turn_id"],), "modify", "refund", None, "kim"))
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    bot.land("again.jsonl", [row("what is BILL", "invoice"), row("Where is my umbrella", "weather")])
    refreshed = bot.refresh()
    assert refreshed.assets["utterances"]["rows_in"] == 3, "only the new rows and the correction were looked at"
    found = {one["intent"]: one["excluded"] for one in bot.rows("utterances") if one["text"] == "what is bill"}
    assert found == {"refund": None, "invoice": OVERRULED}


def test_what_a_review_decided_about_a_row_counts_when_the_row_lands_again(bot: SmallBot) -> None:
    turns = {found["text"]: found["turn_id"] for found in bot.rows("dialogues", "turn_id", "text")}
    write_decision(bot.lake, KEY, Decision((turns["What is bill"],), "exclude", None, None, "kim"))
    write_decision(bot.lake, KEY, Decision((turns["Explain bill to me"],), "modify", "invoice", None, "kim"))
    assert bot.refresh().success
    before = {one["text"]: (one["excluded"], one["reviewed"]) for one in bot.rows("utterances")}
    bot.land("again.jsonl", [row("what is BILL", "invoice"), row("EXPLAIN bill to me", "invoice")])
    assert bot.refresh().success
    assert {one["text"]: (one["excluded"], one["reviewed"]) for one in bot.rows("utterances")} == before
    assert before["what is bill"] == (TAKEN_OUT, False) and before["explain bill to me"] == (None, True)


def test_what_is_made_of_new_files_alone_equals_what_is_made_of_all(bot: SmallBot, tmp_path: Any) -> None:
    more = [row("Where is my umbrella", "weather"), small_rows()[3], row("what IS bill", "invoice")]
    bot.land("more.jsonl", more)
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    at_once = SmallBot(tmp_path / "a home with blanks, 한글")
    at_once.configure()
    at_once.land("home.jsonl", small_rows())
    at_once.land("more.jsonl", more)
    refreshed = at_once.refresh()
    assert refreshed.success, refreshed.failure or refreshed.error
    assert at_once.data_versions()["utterances"] == bot.data_versions()["utterances"]
    key = "utterance_id"
    assert sorted(bot.rows("utterances"), key=lambda one: one[key]) == sorted(
        at_once.rows("utterances"), key=lambda one: one[key]
    )
    assert bot.record("utterances").row_hash == at_once.record("utterances").row_hash
    notes, others = bot.record("utterances").notes, at_once.record("utterances").notes
    assert {**notes, NOTES: []} == {**others, NOTES: []}, "but for the comparison with the commit before"


# -- paraphrases --------------------------------------------------------------------------------------------------


@pytest.fixture
def augmented(configured: Callable[..., SmallBot]) -> SmallBot:
    """The small bot with the English rules; each of its intents is small."""
    return configured(augment={"up_to": 20})


def test_paraphrases_fill_small_intents_up_and_follow_their_parents(augmented: SmallBot) -> None:
    parents = {found["utterance_id"]: found for found in augmented.rows("utterances")}
    found = augmented.rows("paraphrases")
    kept = [one for one in found if one["kept"]]
    assert kept and all(one["reason"] for one in found if not one["kept"])
    for one in found:
        parent = parents[one["parent_id"]]
        assert parent["split"] == "train" and one["intent"] == parent["intent"]
    texts = {parent["text"] for parent in parents.values()}
    assert not texts & {one["text"] for one in kept}, "what is kept is new"
    sizes: dict[str, int] = {}
    for rows in (kept, [one for one in parents.values() if one["split"] == "train" and not one["excluded"]]):
        for one in rows:
            sizes[one["intent"]] = sizes.get(one["intent"], 0) + 1
    assert max(sizes.values()) <= 20
    manifest = augmented.record("models").notes["manifest"]
    assert manifest["rows"] == sum(parents[one]["split"] == "train" for one in parents)
    assert manifest["paraphrases"] == len(kept)


def test_a_new_row_of_a_small_intent_is_the_only_one_that_is_paraphrased(augmented: SmallBot) -> None:
    augmented.land("more.jsonl", [row("Can you show me the umbrella", "weather")])
    assert augmented.refresh().assets["paraphrase_candidates"]["rows_computed"] == 1


def test_the_paraphrases_of_a_row_that_is_taken_out_leave_with_it(augmented: SmallBot) -> None:
    [kept, *_] = [one for one in augmented.rows("paraphrases") if one["kept"]]
    [parent] = [one for one in augmented.rows("utterances") if one["utterance_id"] == kept["parent_id"]]
    write_decision(augmented.lake, KEY, Decision(tuple(parent["sources"]), "exclude", None, None, "kim"))
    assert augmented.refresh().success
    assert parent["utterance_id"] not in {one["parent_id"] for one in augmented.rows("paraphrases")}


# -- labels -------------------------------------------------------------------------------------------------------


def test_every_utterance_in_use_has_a_verdict_and_held_out_ones_are_never_dropped(bot: SmallBot) -> None:
    verdicts = {one["utterance_id"]: one for one in bot.rows("labels")}
    used = {one["utterance_id"]: one for one in bot.rows("utterances") if one["excluded"] is None}
    assert set(verdicts) == set(used)
    held_out = [verdicts[one]["verdict"] for one in used if used[one]["split"] == "test"]
    assert held_out and set(held_out) <= {"keep", "review"}


DROPPING = """
from chatbot_assets.denoise.judge import Verdict

class Judge:
    def __call__(self, rows):
        relabelled = Verdict(0.1, "relabel", "weather")
        return [
            Verdict(0.0, "drop", None) if text == "what is bill" and not reviewed
            else relabelled if text == "explain bill to me"
            else Verdict(1.0, "keep", None)
            for text, reviewed in zip(rows.texts, rows.reviewed)
        ]
"""


def test_dropped_rows_are_not_learnt_and_relabelled_ones_under_their_new_label(
    bot: SmallBot, write_module: Any
) -> None:
    before = bot.record("models").notes["manifest"]["rows"]
    write_module("own_dropping", DROPPING)
    bot.configure(denoise={"judge": {"use": "own_dropping:Judge"}})
    refreshed = bot.refresh()
    assert refreshed.success, refreshed.error
    assert bot.record("models").notes["manifest"]["rows"] == before - 1
    live = load_live(bot.home, KEY)
    assert live is not None
    assert ask(bot, "explain bill to me").intent == "weather"

    bot.configure(denoise={"judge": {"use": "own_dropping:Judge"}, "policy": "manual"})
    refreshed = bot.refresh()
    assert "labels" not in refreshed.committed
    assert bot.record("models").notes["manifest"]["rows"] == before, "verdicts are only shown"
