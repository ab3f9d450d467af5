"""Who meets a canary, what the history of deployments says of a trial, and how one is judged."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_assets.bot import Deploy
from chatbot_assets.deploy.life import after_verified
from chatbot_assets.deploy.record import Deployment, History, Trial
from chatbot_assets.deploy.share import is_chosen
from chatbot_assets.deploy.trial import Compared, decide
from chatbot_assets.deploy.watch import Conduct

START = datetime(2026, 11, 1, tzinfo=UTC)
LIMITS = Deploy()


# -- who is chosen ------------------------------------------------------------------------------------------------


@given(deployment=st.text(max_size=40), share=st.floats(0.01, 0.99))
def test_the_share_of_the_sessions_that_meet_a_canary_is_the_one_asked_for(deployment: str, share: float) -> None:
    sessions = 1_000
    met = sum(is_chosen("acme.faq", deployment, f"session-{number}", share) for number in range(sessions))
    assert abs(met - share * sessions) < 6 * math.sqrt(share * (1 - share) * sessions)


@given(session=st.text(), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_who_meets_a_canary_meets_it_with_a_greater_share_too(session: str, shares: tuple[float, float]) -> None:
    small, great = sorted(shares)
    assert is_chosen("acme.faq", "d", session, great) or not is_chosen("acme.faq", "d", session, small)


def test_the_choice_is_the_same_in_every_process_and_another_one_for_each_deployment_and_bot() -> None:
    chosen = [is_chosen("acme.faq", "d1", f"s{number}", 0.5) for number in range(12)]
    assert chosen == [bool(int(digit)) for digit in "100011011000"], "as every release has chosen"
    for bot, deployment in (("acme.faq", "d2"), ("acme.help", "d1")):
        assert chosen != [is_chosen(bot, deployment, f"s{number}", 0.5) for number in range(12)]


# -- the history --------------------------------------------------------------------------------------------------


def past(*life: str) -> History:
    """A history of events like ``old live``, a minute apart."""
    config = json.dumps({"deploy": {"canary": {"share": 0.25}}})
    rows: list[dict[str, Any]] = []
    for minute, words in enumerate(life):
        identity, event = words.split()
        rows.append(
            {"deployment_id": identity, "event": event, "at": START + timedelta(minutes=minute), "config": config}
            | {"model_id": "m", "config_hash": "", "code_revision": "", "metrics": "{}", "data_versions": "{}"}
            | {"actor": "a test", "reason": ""}
        )
    return History(len(rows), tuple(rows))


NEW = ("old live", "new candidate", "new verified")


@pytest.mark.parametrize(
    ("life", "tried", "waiting"),
    [
        (NEW, None, "new"),
        ((*NEW, "new canary"), "new", None),
        ((*NEW, "new shadow"), "new", None),
        ((*NEW, "new canary", "new live"), None, None),
        ((*NEW, "new canary", "new rolled_back"), None, None),
        ((*NEW, "new shadow", "new rejected"), None, None),
        ((*NEW, "new shadow", "new verified"), None, "new"),
        ((*NEW, "new canary", "older live"), None, "new"),
        ((*NEW, "new canary", "newer candidate", "newer verified", "newer canary"), "newer", None),
        ((*NEW, "new canary", "newer candidate", "newer rejected"), "new", None),
        ((*NEW, "new canary", "newer candidate", "newer verified"), "new", "newer"),
        ((*NEW, "new shadow", "new canary"), "new", None),
        ((*NEW, "new canary", "new rolled_back", "new canary"), "new", None),
    ],
    ids=lambda value: ", ".join(value[2:]) if isinstance(value, tuple) else str(value),
)
def test_what_is_tried_and_what_waits_follow_from_the_events(
    life: tuple[str, ...], tried: str | None, waiting: str | None
) -> None:
    found = past(*life)
    assert (found.trial.deployment.deployment_id if found.trial else None) == tried
    assert (found.waiting["deployment_id"] if found.waiting else None) == waiting


def test_a_trial_says_its_share_and_since_when() -> None:
    trial = past(*NEW, "new canary").trial
    assert trial and trial.share == 0.25
    assert str(trial) == "canary: 25 % of sessions since 2026-11-01 00:03 UTC"
    shadow = past(*NEW, "new shadow").trial
    assert shadow and shadow.share == 1.0, "the default, for a deployment that was made before there were shadows"


@pytest.mark.parametrize("policy", ["canary", "shadow"])
def test_a_first_deployment_goes_live_at_once_since_there_is_nothing_to_compare_it_with(policy: str) -> None:
    assert (after_verified(policy, History(-1, ())) or ("",))[0] == "live"
    assert (after_verified(policy, past("old live")) or ("",))[0] == policy
    assert after_verified("manual", past("old live")) is None


# -- the judgement ------------------------------------------------------------------------------------------------


def fares(turns: int, failed: int = 0, p95_ms: float = 5.0) -> Conduct:
    return Conduct(turns, failed, 0, 0, p95_ms)


def trial_of(kind: str) -> Trial:
    return Trial(kind, Deployment("new", "m", START, "", {"deploy": {}}, "", {}, {}))


@pytest.mark.parametrize(
    ("canary", "live", "hours", "event"),
    [
        (fares(199), fares(2000), 5.0, None),
        (fares(200, 10), fares(2000, 100), 0.5, None),
        (fares(200, 10), fares(2000, 100), 1.0, "live"),
        (fares(200, 40), fares(2000, 100), 1.0, "rolled_back"),
        (fares(200, p95_ms=90.0), fares(2000), 1.0, "rolled_back"),
        (fares(50, 30), fares(500, 20), 0.1, "rolled_back"),
        (fares(50, 8), fares(500, 25), 0.1, None),
        (fares(50, p95_ms=900.0), fares(500), 0.1, None),
        (fares(30, 30), fares(300, 0), 0.1, None),
        (fares(3, 3), fares(30, 0), 72.0, "live"),
        (fares(25, 20), fares(250, 5), 72.0, "rolled_back"),
    ],
    ids=[
        *("too-few-turns", "too-early", "as-good", "fails-more", "slower", "fails-so-much-that-it-is-ended-early"),
        *(
            "a-doubt-is-no-reason-to-end-early",
            "its-first-turns-are-slow",
            "nothing-is-known-of-so-few",
            "quiet-bot",
            "quiet-bot-but-bad",
        ),
    ],
)
def test_a_canary_is_judged_by_its_turns_its_time_and_the_live_one(
    canary: Conduct, live: Conduct, hours: float, event: str | None
) -> None:
    assert decide(trial_of("canary"), Compared(canary, live, hours), LIMITS).event == event


@pytest.mark.parametrize(("share", "least", "most"), [(0.1, 0.0, 0.02), (0.3, 0.95, 1.0)], ids=["as-good", "worse"])
def test_however_often_one_looks_chance_ends_few_canaries_and_bad_ones_are_found(
    share: float, least: float, most: float
) -> None:
    random, trials, ended = np.random.default_rng(7), 200, 0
    for _ in range(trials):
        canary = np.cumsum(random.random(200) < share)
        live = np.cumsum(random.random(1800) < 0.1)
        looks = (
            Compared(fares(n, int(canary[n - 1])), fares(9 * n, int(live[9 * n - 1])), n / 200)
            for n in range(5, 201, 5)
        )
        ended += any(decide(trial_of("canary"), look, LIMITS).event == "rolled_back" for look in looks)
    assert least <= ended / trials <= most


def test_a_judgement_says_why_in_words() -> None:
    found = decide(trial_of("canary"), Compared(fares(200, 40), fares(2000, 100), 2.0), LIMITS)
    assert not found.is_good
    assert found.said == (
        "the canary fares worse: 20% of 200 turns failed, for the live one it is 5% of 2,000 "
        "(200 turns in 2.0 hours, beside 2,000 of the live one)"
    )
    quiet = decide(trial_of("canary"), Compared(fares(3), fares(30), 80.0), LIMITS)
    assert "time of 72 hours is over: few users, 3 turns in 80.0 hours" in quiet.said


@pytest.mark.parametrize(
    ("then", "failed", "turns", "event"),
    [
        ("manual", 20, 500, "verified"),
        ("automatic", 20, 500, "live"),
        ("automatic", 200, 500, "rejected"),
        ("automatic", 20, 499, None),
    ],
)
def test_a_shadow_waits_goes_live_or_is_rejected(then: str, failed: int, turns: int, event: str | None) -> None:
    limits = Deploy.model_validate({"shadow": {"then": then}})
    compared = Compared(fares(turns, failed), fares(turns, 20), 1.0, differing=7)
    found = decide(trial_of("shadow"), compared, limits)
    assert found.event == event and f"{turns:,} turns, 7 of them answered otherwise" in found.said
