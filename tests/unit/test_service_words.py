"""What the service page says: every kind of trouble and event, in each language, in words that planners know."""

import re
import string
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.automation import BotState, Obstacle, Stale
from chatbot_assets.collect.landing import LandingFile
from chatbot_assets.deploy.record import LIFE, History
from chatbot_assets.explain.words import SPOKEN
from chatbot_assets.tables import TABLES
from resources.attempts import Attempt
from resources.costs import StepCost
from resources.requests import Asked
from serving.overview.bots import BotOverview
from serving.overview.events import FILE_KINDS, Event, newest_events
from serving.overview.trouble import KINDS, Trouble, troubles
from serving.pages.service.speech import Speech

NBSP = "\u00a0"
NOW = datetime(2026, 5, 20, 14, 5, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
JARGON = re.compile(
    r"\b(\w+Error|\w+Exception|traceback|gate|champion|None|null|yaml|json|delta|commit|hash|pipeline|asset|stale|run)\b"
    rf"|\b({'|'.join(TABLES)})\b|[a-z]_[a-z]|[0-9a-f]{{8}}|[{{}}]",
    re.IGNORECASE,
)
FACTS = {"at": NOW, "count": 3, "who": "Kim", "why": "seen", "made": 3, "of": 12, "name": "a.csv", "rejected": 2}
FACTS |= {"person": "Lee", "share": 0.1}
EVENTS = [*LIFE, *FILE_KINDS.values(), "canary_taken_back", "shadow_taken_back", "refresh_failed", "decided", "undone"]
FAILURE = "models failed: numpy.linalg.LinAlgError: Singular matrix in line 4 of 0x7f00deadbeef"


def speech(language: str) -> Speech:
    return Speech(language, SEOUL)


def file(name: str) -> LandingFile:
    return LandingFile(name, f"/landing/{name}", 1, 0, NOW.timestamp())


def state(**own: Any) -> BotState:
    return BotState("acme.faq", dict.fromkeys(TABLES), **{"stale": (), "blocked": None} | own)


def failed(kind: Any, count: int = 3, retry_at: datetime | None = None) -> BotState:
    attempt = Attempt("cause", count, "run", NOW, kind, FAILURE, "models")
    return state(blocked=FAILURE, obstacle="failed", attempt=attempt, retry_at=retry_at)


def stale(*reasons: str, table: str = "models") -> tuple[Stale, ...]:
    return (Stale(table, reasons),)


SOON = NOW + timedelta(minutes=10)
STATES = {
    "no_data": state(blocked="waiting for data: land a file", obstacle="no_data", stale=stale("never made")),
    "nothing_to_learn": state(blocked="no row that can teach the bot", obstacle="nothing_to_learn"),
    "failed_verification": state(blocked="the new model failed its verification", obstacle="failed_verification"),
    "refused": state(
        blocked="refused: macro_f1 …", obstacle="refused", stale=stale("models changed", table="deployments")
    ),
    "imported": state(blocked="its deployments are imported", obstacle="imported"),
    "failed_lasting": failed("lasting"),
    "failed_passing": failed("passing", retry_at=SOON),
    "failed_often": failed("unknown", retry_at=SOON),
    "retrying": state(attempt=Attempt("cause", 1, "run", NOW, "unknown", FAILURE), retry_at=SOON),
    "new_files": state(unread=(file("a.csv"), file("b.csv")), stale=stale("2 unread landing files", table="dialogues")),
    "gathering": state(unread=(file("a.csv"),), gather_until=SOON),
    "settings": state(stale=stale("configuration changed")),
    "code": state(stale=stale("code of train changed")),
    "decisions": state(stale=stale("review_decisions changed", table="utterances")),
    "first": state(stale=stale("never made")),
    "unfinished": state(stale=stale("embeddings changed")),
    "asked": state(asked=Asked("Kim", "new wording", NOW)),
}


@pytest.mark.parametrize("kind", STATES)
def test_a_state_of_a_bot_is_told_as_its_kind_of_trouble_and_as_nothing_else(kind: str) -> None:
    assert [one.kind for one in troubles(STATES[kind], History(-1, ()), {}, False, NOW)] == [kind]


def test_a_bot_that_is_up_to_date_has_no_trouble_and_a_queue_that_waits_is_none() -> None:
    for well in (state(), state(stale=stale("conversations changed", table="review_queue"))):
        assert troubles(well, History(-1, ()), {}, False, NOW) == ()


def test_while_an_update_is_under_way_nothing_else_about_it_is_told() -> None:
    found = troubles(STATES["new_files"], History(-1, ()), {}, True, NOW)
    assert [one.kind for one in found] == ["refreshing"]


def test_what_somebody_must_do_is_told_first() -> None:
    found = troubles(STATES["new_files"], History(-1, ()), {"labels": "12 rows differ"}, False, NOW)
    assert [one.kind for one in found] == ["damaged", "new_files"]
    assert BotOverview("acme.faq", troubles=found).state == "stopped"


def test_every_obstacle_of_the_platform_is_a_kind_of_trouble() -> None:
    assert set(get_args(Obstacle)) - {"failed"} <= set(KINDS)


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_sentence_without_jargon_and_says_what_to_do_if_somebody_must(kind: str, language: str) -> None:
    sentence = speech(language).trouble(Trouble(kind, KINDS[kind], FACTS, FAILURE))
    assert sentence.detail == FAILURE
    assert sentence.says and bool(sentence.do) >= (KINDS[kind] == "act")
    assert not JARGON.search(f"{sentence.says} {sentence.do}")


@given(st.sampled_from(sorted(STATES)), st.sampled_from(SPOKEN), st.text(string.printable, max_size=40))
def test_no_words_of_a_failure_come_into_a_sentence(kind: str, language: str, words: str) -> None:
    """Whatever the platform says of a failure stays in the part for developers."""
    marked = f"ValueError: <{words}>"
    attempt = STATES[kind].attempt and Attempt("c", 3, "r", NOW, STATES[kind].attempt.kind, marked, "models")
    changed = BotState(**{**vars(STATES[kind]), "attempt": attempt, "blocked": STATES[kind].blocked and marked})
    for trouble in troubles(changed, History(-1, ()), {}, False, NOW):
        sentence = speech(language).trouble(trouble)
        assert "ValueError" not in f"{sentence.says}{sentence.do}"
        assert not JARGON.search(f"{sentence.says} {sentence.do}")


@pytest.mark.parametrize("language", SPOKEN)
@pytest.mark.parametrize("kind", EVENTS)
def test_each_event_has_a_sentence(kind: str, language: str) -> None:
    for facts in (FACTS | {"who": "", "accuracy": None}, FACTS | {"accuracy": 0.93}, FACTS | {"who": ""}):
        said = speech(language).event(Event(NOW, kind, dict(facts)))
        assert said and "{" not in said


def test_numbers_times_and_shares_are_written_as_each_language_does() -> None:
    english, korean = speech("en"), speech("ko")
    assert (english.moment(NOW), korean.moment(NOW)) == ("20 May 2026, 23:05", "2026년 5월 20일 23:05")
    assert (english.day(date(2026, 5, 3)), korean.day(date(2026, 5, 3))) == ("3 May 2026", "2026년 5월 3일")
    assert (english.share(0.931, 1), korean.share(0.931, 1)) == (f"93.1{NBSP}%", "93.1%")
    assert (english.seconds(75.2), korean.seconds(9.04)) == (f"1{NBSP}min 15{NBSP}s", "9.0초")
    assert english.number(12345) == korean.number(12345) == "12,345"
    assert english.counted(english["facts"]["judged"], 1) == "1 verdict"
    assert english.moment(None) == english.share(None) == "–"


@given(st.floats(0, 1))
def test_a_share_is_nothing_or_all_only_if_it_is(share: float) -> None:
    said = speech("en").share(share)
    assert (said == f"0{NBSP}%") == (share == 0)
    assert (said == f"100{NBSP}%") == (share == 1)


@pytest.mark.parametrize("language", SPOKEN)
def test_each_step_of_an_update_has_a_name(language: str) -> None:
    no_steps = {"dialogues", "rejected", "landing_files", "conversations", "review_decisions", "shadow_answers"}
    steps = {"landing", *TABLES} - no_steps
    names = {speech(language).step(StepCost(step)) for step in steps}
    assert len(names) == len(steps) and not any(JARGON.search(name) for name in names)
    assert speech(language).step(StepCost("of a user's own")) not in names


def event(name: str, minute: int, deployment: str = "d1", actor: str = "run 1") -> dict[str, Any]:
    return {
        **dict.fromkeys(("model_id", "config_hash", "code_revision"), "x"),
        "deployment_id": deployment,
        "event": name,
        "at": NOW + timedelta(minutes=minute),
        "actor": actor,
        "reason": "why",
        "config": '{"deploy": {}}',
        "metrics": '{"accuracy": 0.9}',
        "data_versions": "{}",
    }


def test_events_of_one_moment_are_told_as_one_the_newest_first() -> None:
    past = [
        *(event(name, 0) for name in ("candidate", "verified", "live")),
        *(event(name, 5, "d2") for name in ("candidate", "rejected")),
        *(event(name, 9, actor="Kim") for name in ("rolled_back", "live")),
    ]
    read = {"source_file": "a.csv", "status": "read", "rows": 1, "rejected": 0, "read_at": NOW - timedelta(minutes=1)}
    told = newest_events(History(1, tuple(past)), [read])
    assert [one.kind for one in told] == ["rolled_back", "rejected", "live", "file_read"]
    assert speech("en").event(told[0]) == "Kim took the live model back: “why”"
    assert speech("en").event(told[2]) == f"A new model went live; it recognises 90.0{NBSP}% of new texts."
    assert speech("en").event(told[3]) == "The file a.csv was read: 1 row."


def test_a_trial_is_told_while_it_goes_on_and_after_it_was_taken_back() -> None:
    begun = [event("live", 0), event("verified", 5, "d2"), event("canary", 5, "d2")]
    ended = [*begun, event("rolled_back", 65, "d2", actor="trials (sensor)")]
    for past, kind in ((begun, "canary"), (ended, "canary_taken_back")):
        (trouble,) = troubles(state(), History(1, tuple(past)), {}, False, NOW)
        assert (trouble.kind, trouble.weight) == (kind, "know")
    shown = troubles(state(), History(1, tuple(begun)), {}, False, NOW)[0]
    assert f"answers 10{NBSP}% of the chats since 20 May 2026, 23:10" in speech("en").trouble(shown).says
    told = newest_events(History(1, tuple(ended)), [])
    assert [one.kind for one in told] == ["canary_taken_back", "canary", "live"]
    again = [*ended, event("candidate", 99, "d3"), event("verified", 99, "d3"), event("live", 99, "d3")]
    assert troubles(state(), History(1, tuple(again)), {}, False, NOW) == ()


def test_a_shadow_that_was_taken_back_is_told_from_a_model_that_failed_its_checks() -> None:
    past = [event("live", 0), event("shadow", 5, "d2"), event("rejected", 65, "d2", actor="trials (sensor)")]
    past += [event("candidate", 70, "d3"), event("rejected", 70, "d3")]
    told = newest_events(History(1, tuple(past)), [])
    assert [one.kind for one in told] == ["rejected", "shadow_taken_back", "shadow", "live"]


def decision(minute: int, reviewer: str, turns: int = 1, action: str = "modify") -> dict[str, Any]:
    at = NOW + timedelta(minutes=minute)
    return {"reviewer": reviewer, "action": action, "turn_ids": ["t"] * turns, "decided_at": at}


def test_many_decisions_of_a_person_hide_nothing_else() -> None:
    past = History(1, (event("live", 3),))
    decisions = [
        *(decision(minute, "kim", 2) for minute in (0, 1, 4, 5)),
        decision(6, "lee"),
        decision(7, "lee", 3, "undo"),
    ]
    failure = Attempt("cause", 3, "run", NOW + timedelta(minutes=2), "passing", FAILURE, "models")
    told = newest_events(past, [], [failure], decisions)
    said = [speech("en").event(one) for one in told]
    assert said == [
        "lee took a decision back.",
        "lee decided on 1 turn in the review.",
        "kim decided on 4 turns in the review.",
        f"A new model went live; it recognises 90.0{NBSP}% of new texts.",
        "An update failed, 3 times in a row.",
        "kim decided on 4 turns in the review.",
    ]
