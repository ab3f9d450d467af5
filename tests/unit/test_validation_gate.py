"""The deployment gate on the held-out rows: what refuses a model, and how seldom an equally good one is refused."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from chatbot_assets.golden import GoldenDialogue
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.validate.gate import Gate, NoWorseThanChampion, tarone_factor
from chatbot_assets.validate.golden_gate import CorrectedTurn, Golden, judge_golden
from chatbot_assets.validate.limits import together, within_limits
from serving.responder import ANSWERED, FAILED, SIMILAR, Candidate, Reply

OTHER = "something else"


def held_out(intents: Sequence[str | None]) -> TrainingRows:
    count = len(intents)
    return TrainingRows(
        ids=[str(place) for place in range(count)],
        texts=[f"text {place}" for place in range(count)],
        tokens=[["text"]] * count,
        intents=intents,
        answers=[f"answer {place}" for place in range(count)],
        vectors=np.zeros((count, 1), np.float32),
        parents=[None] * count,
        weights=np.ones(count, np.float32),
    )


def reply(intent: str | None, score: float = 0.9, category: str = ANSWERED, answer: str | None = None) -> Reply:
    candidate = Candidate(intent or "", intent, None, answer, score)
    return Reply(answer, intent if category != FAILED else None, score, category, (candidate,))


def replies(rows: TrainingRows, right: Sequence[bool] | NDArray[np.bool_], score: float = 0.9) -> list[Reply]:
    """Replies with the right intent (or answer) where it is said so."""
    return [
        reply(intent and (intent if good else OTHER), score, answer=answer if good else OTHER)
        for intent, answer, good in zip(rows.intents, rows.answers, right, strict=True)
    ]


def judge(gate: NoWorseThanChampion, rows: TrainingRows, now: Sequence[Reply], before: Sequence[Reply] | None) -> Gate:
    return gate(rows, now, before, minimum_accuracy=0.4, maximum_drop=0.03)


ROWS = held_out([f"intent {place % 4}" for place in range(80)])
ALL = replies(ROWS, [True] * 80)


def test_a_first_model_needs_the_minimum_and_the_rows_that_it_misses_decide() -> None:
    gate = judge(NoWorseThanChampion(), ROWS, replies(ROWS, np.arange(80) < 20), None)
    assert gate.reason.startswith("accuracy 0.250 is below validate.minimum_accuracy 0.4; 60 rows decided it, among")
    assert (gate.passed, len(gate.rows), gate.count) == (False, 10, 60)
    first = gate.rows[0]
    assert (first.rule, first.text, first.wanted, first.challenger, first.champion) == (
        *("minimum_accuracy", "text 20", "intent 0"),
        *(OTHER, None),
    )
    assert judge(NoWorseThanChampion(), ROWS, ALL, None).passed


def test_a_drop_is_refused_with_what_both_models_made_of_the_rows() -> None:
    gate = judge(NoWorseThanChampion(), ROWS, replies(ROWS, np.arange(80) % 8 > 0), ALL)
    assert not gate.passed and "accuracy 0.875 against the champion's 1.000 on 80 held-out rows" in gate.reason
    assert {(row.challenger, row.champion) for row in gate.rows} == {(OTHER, row.wanted) for row in gate.rows[:1]}


def test_a_drop_that_chance_explains_is_none() -> None:
    five = replies(ROWS, np.arange(80) >= 5)
    assert judge(NoWorseThanChampion(), ROWS, five, ALL).passed
    assert not judge(NoWorseThanChampion(significance=0.2), ROWS, five, ALL).passed


def test_one_intent_that_falls_refuses_a_model_that_is_as_good_over_all() -> None:
    now, before = np.ones(80, np.bool_), np.ones(80, np.bool_)
    now[0:40:4] = False
    before[1:40:4] = False
    gate = judge(NoWorseThanChampion(), ROWS, replies(ROWS, now), replies(ROWS, before))
    assert not gate.passed and "intent intent 0 loses 10 of 20 rows and wins 0" in gate.reason
    assert {(row.rule, row.wanted) for row in gate.rows} == {("intent_drop", "intent 0")}
    assert judge(NoWorseThanChampion(intent_drop=0.5), ROWS, replies(ROWS, now), replies(ROWS, before)).passed


def test_scores_that_no_longer_say_how_likely_a_guess_is_right_refuse_a_model() -> None:
    gate = judge(NoWorseThanChampion(), ROWS, replies(ROWS, [True] * 80, 0.3), replies(ROWS, [True] * 80, 0.95))
    assert not gate.passed and "the calibration error rises from 0.050 to 0.700" in gate.reason
    assert judge(NoWorseThanChampion(calibration_rise=0.7), ROWS, replies(ROWS, [True] * 80, 0.3), ALL).passed


def test_a_bot_of_questions_is_compared_by_its_answers() -> None:
    rows = held_out([None] * 40)
    all_right = replies(rows, [True] * 40)
    gate = judge(NoWorseThanChampion(), rows, replies(rows, np.arange(40) >= 10), all_right)
    assert not gate.passed and gate.rows[0].rule == "answers"
    assert judge(NoWorseThanChampion(), rows, all_right, None).passed
    assert judge(NoWorseThanChampion(), held_out([]), [], []).passed


@pytest.mark.parametrize(
    ("differing", "factor"),
    [
        ([], 1),
        ([5], 1),
        ([0, 1, 2, 5], 1),  # only one of the four could ever be significant
        ([9, 9, 9], 3),  # any of the three could be
        ([0] * 100 + [9, 9], 2),
    ],
)
def test_only_tests_that_could_decide_anything_are_corrected_for(differing: list[int], factor: int) -> None:
    assert tarone_factor(differing, 0.05) == factor


def test_equally_good_models_are_refused_no_more_often_than_the_significance_says() -> None:
    """The hardest case: no drop is small enough to be allowed, so that the tests alone decide."""
    draw = np.random.default_rng(7)
    gate = NoWorseThanChampion(significance=0.1, intent_drop=0.0, calibration_rise=0.0)
    rounds, refusals = 200, 0
    for _ in range(rounds):
        rows = held_out([f"intent {place % 20}" for place in range(120)])
        chances = draw.beta(4, 1, 120)  # how likely a model of this kind has each row right
        two = [
            [
                reply(intent if good else OTHER, score)
                for intent, good, score in zip(rows.intents, draw.random(120) < chances, scores, strict=True)
            ]
            for scores in np.clip(chances + draw.normal(0, 0.1, (2, 120)), 0, 1)
        ]
        refusals += not gate(rows, *two, minimum_accuracy=0.0, maximum_drop=0.0).passed
    assert refusals / rounds <= 0.1, "it is 0.1 at most by design"


def test_a_real_loss_of_five_points_is_found() -> None:
    draw = np.random.default_rng(11)
    rows = held_out([f"intent {place % 20}" for place in range(1000)])
    found = 0
    for _ in range(20):
        before = draw.random(1000) < 0.9
        now = np.where(draw.random(1000) < 0.04, ~before, before) & (draw.random(1000) > 0.06)
        found += not judge(NoWorseThanChampion(), rows, replies(rows, now), replies(rows, before)).passed
    assert found == 20


# -- golden dialogues -------------------------------------------------------------------------------------------------

REFUND = GoldenDialogue("money back", "refund")
SONG = GoldenDialogue("sing a song", out_of_scope=True)
HOURS = GoldenDialogue("when", answer="At nine.")


def golden(
    now: Sequence[Reply], before: Sequence[Reply] | None, of: Sequence[GoldenDialogue] = (REFUND,), **rules: float
) -> Golden:
    defaults = {"all_needed": before is None, "minimum_out_of_scope_recall": 0.0}
    return judge_golden(of, now, before, **defaults | rules)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dialogue", "given", "good"),
    [
        (REFUND, reply("refund"), True),
        (REFUND, reply("hours"), False),
        (REFUND, reply("refund", category=SIMILAR), False),
        (SONG, reply("refund", category=SIMILAR), True),
        (SONG, Reply(None, None, 0.0, FAILED, ()), True),
        (SONG, reply("refund"), False),
        (HOURS, reply("hours", answer="At nine."), True),
        (HOURS, reply("hours", answer="At ten."), False),
        (GoldenDialogue("when", "hours", "At nine."), reply("times", answer="At nine."), False),
    ],
)
def test_a_golden_dialogue_is_judged_by_what_the_user_is_served(
    dialogue: GoldenDialogue, given: Reply, good: bool
) -> None:
    assert golden([given], None, [dialogue]).gate.passed is good


def test_what_the_live_model_answers_as_wanted_must_stay_so() -> None:
    found = golden([reply("hours")], [reply("refund")])
    assert found.gate.reason == (
        "0 of 1 golden dialogues answered as wanted; 1 row decided it: 'money back' is refund, taken for hours"
    )
    row = found.gate.rows[0]
    assert (row.rule, row.text, row.wanted, row.challenger, row.champion) == (
        *("golden", "money back", "refund"),
        *("hours", "refund"),
    )


def test_what_the_live_model_fails_too_is_known_and_told_and_refuses_nothing_unless_all_are_needed() -> None:
    wrong = [reply("hours")]
    found = golden(wrong, wrong)
    assert found.gate.passed and found.notes()["known"] == 1
    assert found.gate.reason == "0 of 1 golden dialogues answered as wanted, 1 known to fail, among them 'money back'"
    assert not golden(wrong, wrong, all_needed=True).gate.passed


def test_a_corrected_turn_holds_up_only_what_was_right_about_it_before() -> None:
    corrected = CorrectedTurn("money back", "refund")
    wrong, right = [reply("hours")], [reply("refund")]
    assert golden(wrong, None, [corrected]).gate.passed
    assert golden(wrong, wrong, [corrected], all_needed=True).gate.passed
    assert golden(wrong, right, [corrected]).gate.rows[0].rule == "corrected"


def test_too_many_answers_to_what_is_out_of_scope_refuse_a_model_though_they_are_known() -> None:
    answered, both = [reply("refund"), reply("refund")], [SONG, GoldenDialogue("dance", out_of_scope=True)]
    half = [reply("refund"), reply("refund", category=FAILED)]
    assert golden(half, answered, both).out_of_scope_recall == 0.5
    assert golden(half, answered, both, minimum_out_of_scope_recall=0.5).gate.passed
    refused = golden(half, answered, both, minimum_out_of_scope_recall=0.6).gate
    assert not refused.passed and [row.text for row in refused.rows] == ["sing a song"]
    assert "out-of-scope recall 0.500 is below validate.minimum_out_of_scope_recall 0.6" in refused.reason


def test_a_model_may_be_too_slow_or_too_large() -> None:
    limits = {"maximum_p50_ms": 100.0, "maximum_megabytes": 50.0}
    assert within_limits(None, 50.0, **limits).passed
    assert within_limits(120.0, 60.0, **limits).reason == (
        "a turn takes 120.0 ms (median), more than validate.maximum_p50_ms 100; "
        "the model has 60.0 MB, more than validate.maximum_megabytes 50"
    )


def test_one_refusal_is_enough_and_only_refusals_give_the_reason() -> None:
    verdict = together([Gate(True, "good"), Gate(False, "bad", count=3), Gate(False, "worse")])
    assert verdict == Gate(False, "bad; worse", (), 3)
    assert together([Gate(True, "good"), Gate(True, "")]) == Gate(True, "good")
