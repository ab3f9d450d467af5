"""Golden dialogues in the real graph: what they make stale, whom they refuse, and where one reads why."""

import json
from typing import Any

import pytest
from small_bot import SmallBot, row

from chatbot_assets.bot import golden_file
from chatbot_assets.commands.check import run as check
from chatbot_assets.commands.status import describe
from chatbot_assets.commands.status import run as status
from chatbot_assets.feedback.deciding import Decision, write_decision

WISH = "I would like my money back"


@pytest.fixture
def guarded(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A refreshed bot that commands find, with a golden dialogue that its live model answers as wanted."""
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    write_golden(bot, {"text": WISH, "intent": "refund", "note": "what we are asked most"})
    return bot


def write_golden(bot: SmallBot, *rows: dict[str, Any]) -> None:
    golden_file(bot.home.bots, bot.key).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def golden_metrics(bot: SmallBot) -> dict[str, float | None]:
    rows = bot.rows("evaluations")
    newest = max(found["evaluated_at"] for found in rows)
    golden = [one for one in rows if one["slice_kind"] == "golden" and one["evaluated_at"] == newest]
    return {one["metric"]: one["value"] for one in golden}


def test_a_golden_file_makes_its_bot_s_evaluations_stale_and_changes_nothing_that_is_deployed(
    guarded: SmallBot,
) -> None:
    live, events = guarded.live, guarded.rows("deployments")
    assert [(item.table, item.reasons) for item in guarded.state.stale] == [("evaluations", ("configuration changed",))]
    refreshed = guarded.refresh()
    assert refreshed.success, refreshed.error
    assert refreshed.committed == {"evaluations", "deployments"}
    assert (guarded.live, guarded.rows("deployments")) == (live, events)
    assert golden_metrics(guarded) == {"as_wanted": 1.0, "out_of_scope_recall": None}
    assert "1 of 1 golden dialogues answered as wanted" in guarded.record("evaluations").notes["gate"]["reason"]
    assert guarded.state.stale == ()
    assert guarded.refresh().committed == set()


def test_a_model_that_forgets_a_golden_dialogue_is_refused_with_the_row_wherever_one_looks(guarded: SmallBot) -> None:
    live = guarded.live
    guarded.configure(denoise={"policy": "manual"})  # else the mistake would be mended on the way
    guarded.land("mistaken.jsonl", [row(WISH, "weather")])
    refused = guarded.refresh()
    assert not refused.success and guarded.live == live
    check_result = next(one for one in refused.result.get_asset_check_evaluations() if not one.passed)
    decided = check_result.metadata["decided_by"].value
    wanted = {"rule": "golden", "text": WISH, "wanted": "refund", "challenger": "weather", "champion": "refund"}
    assert decided == [wanted]
    report = status(guarded.key)
    assert report["bots"][0]["refused"]["rows"] == decided
    assert "golden dialogues answered as wanted; 1 row decided it: " in report["bots"][0]["blocked"]
    assert describe(report).splitlines()[-1] == (
        f"    golden: '{WISH}' is refund; the new model: weather; the live one: refund"
    )
    assert "rows that decided" in refused.assets["evaluations"]


def test_what_the_live_model_fails_too_is_told_and_with_the_policy_all_refused(guarded: SmallBot) -> None:
    write_golden(guarded, {"text": "How do I get my bill", "intent": "weather"})
    assert guarded.refresh().success
    assert status(guarded.key)["bots"][0]["golden"]["known"] == 1
    answers = check(answers=True)
    assert not answers["ok"] and answers["answers"][0]["failed"] == [
        {"text": "How do I get my bill", "wanted": "weather", "given": "invoice", "note": ""}
    ]
    guarded.configure(validate={"golden": "all"})
    assert not guarded.refresh().success
    write_golden(guarded)
    assert guarded.refresh().success and check(answers=True)["ok"]


def test_a_turn_that_a_person_corrected_is_a_golden_dialogue_from_then_on(guarded: SmallBot) -> None:
    write_golden(guarded)
    learnt = {found["text"]: found for found in guarded.rows("utterances") if found["split"] == "train"}
    turn = next(found for found in guarded.rows("dialogues") if found["text"].lower() in learnt)
    decision = Decision((turn["turn_id"],), "modify", "weather", None, "kim", None)
    write_decision(guarded.lake, guarded.key, decision, new_intent=False, again=False)
    refreshed = guarded.refresh()
    assert refreshed.success, refreshed.error or refreshed.failure
    assert guarded.record("evaluations").notes["golden"] == {"rows": 1, "as_wanted": 1, "known": 0, "first_known": []}
