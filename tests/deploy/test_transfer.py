"""A deployment that was made in one home and is brought to another one: staging and production."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from small_bot import SmallBot, row

from chatbot_assets.commands import UserError
from chatbot_assets.commands.ask import run as ask
from chatbot_assets.commands.import_deployment import describe
from chatbot_assets.commands.import_deployment import run as import_deployment
from chatbot_assets.commands.promote import run as promote
from chatbot_assets.commands.status import describe as say_status
from chatbot_assets.commands.status import run as status
from chatbot_assets.explain.explanation import explain_turn
from chatbot_assets.quality.audit import audit_table

QUESTION = "Tell me about my parcel"
PICKY = """
from chatbot_assets.deploy.verification import Verification


class NotInProduction:
    def __call__(self, folder, config, sample):
        return Verification("production" not in str(folder), f"{len(sample)} turns", None)
"""


@pytest.fixture
def production(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A home without any data, whose bot file is that of the small bot; commands work on it."""
    bot = SmallBot(tmp_path / "production")
    bot.configure()
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    return bot


def bring(staging: SmallBot, deployment: str | None = None) -> dict[str, Any]:
    return import_deployment(
        staging.key, staging.home.root, deployment=deployment, reason="tried by five people", actor="kim"
    )


def test_a_deployment_is_the_same_in_both_homes_and_answers_alike(bot: SmallBot, production: SmallBot) -> None:
    report = bring(bot)
    assert bot.live and production.live
    assert report["event"] == "live" and report["deployment_id"] == bot.live.deployment_id
    assert (production.live.deployment_id, production.live.model_id) == (bot.live.deployment_id, bot.live.model_id)
    assert (production.live.config, production.live.metrics) == (bot.live.config, bot.live.metrics)
    assert [row["event"] for row in production.rows("deployments")] == ["candidate", "verified", "live"]
    assert {row["actor"] for row in production.rows("deployments")} == {"kim"}
    assert "is automatic; tried by five people" in describe(report)
    assert production.state.blocked == "it has no data here; its deployments are imported"
    assert "; it has no data here; its deployments are imported" in say_status(status()), "that keeps it from nothing"
    assert {item.table for item in production.state.stale}.isdisjoint({"models", "evaluations", "deployments"})
    answer = ask(production.key, QUESTION)
    assert (answer["intent"], answer["deployment_id"]) == ("delivery", bot.live.deployment_id)
    for name in ("models", "evaluations", "deployments"):
        assert [found for found in audit_table(production.lake, production.key, name) if not found.passed] == []
        assert production.record(name).notes["imported"]["from"] == str(bot.home.lake)


def test_what_is_here_already_is_not_brought_again(bot: SmallBot, production: SmallBot) -> None:
    bring(bot)
    with pytest.raises(UserError, match="is here already, and live"):
        bring(bot)
    assert len(production.rows("deployments")) == 3


def test_with_a_manual_policy_here_it_waits_for_promote(bot: SmallBot, production: SmallBot) -> None:
    production.configure(deploy={"policy": "manual"})
    report = bring(bot)
    assert report["event"] == "verified" and production.live is None
    assert f"put it live: ./chatbot promote {bot.key}" in describe(report)
    promote(production.key, reason="Monday", actor="lee")
    assert production.live and production.live.deployment_id == report["deployment_id"]


def test_a_deployment_that_this_machine_cannot_verify_is_rejected(
    configured: Callable[..., SmallBot], production: SmallBot, write_module: Callable[[str, str], str]
) -> None:
    write_module("picky", PICKY)
    staging = configured(deploy={"verification": {"use": "picky:NotInProduction"}})
    assert bring(staging)["event"] == "rejected"
    assert production.live is None
    assert [row["event"] for row in production.rows("deployments")] == ["candidate", "rejected"]


def test_a_deployment_is_named_by_the_beginning_of_its_id(bot: SmallBot, production: SmallBot) -> None:
    with pytest.raises(UserError, match=r"no verified deployment ffff in .*deployments; is it the right home"):
        bring(bot, "ffff")
    assert bot.live
    assert bring(bot, bot.live.deployment_id[:8])["deployment_id"] == bot.live.deployment_id


def test_what_is_no_other_home_is_told(bot: SmallBot, production: SmallBot, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no home: it has no folder 'lake'"):
        bring(SmallBot(tmp_path / "nothing"))
    production.home.lake.mkdir(parents=True)
    with pytest.raises(UserError, match="is this home itself"):
        bring(production)


def test_an_answer_of_production_is_explained_there_as_it_would_be_in_staging(
    bot: SmallBot, production: SmallBot
) -> None:
    """Also when staging is gone, and for a deployment that is no longer live; what is here is not copied again."""
    turns = []
    for number in range(2):
        report = bring(bot)
        assert report["lineage"]["bytes"] > 0 and report["lineage"]["missing"] == 0
        assert f"copied to explain its answers: {report['lineage']['files']} files, " in describe(report)
        turns.append(ask(production.key, QUESTION) | {"text": QUESTION, "served_at": datetime.now(UTC)})
        turns[-1] |= {"latency_ms": 1.0, "candidates": json.dumps(turns[-1]["candidates"])}
        if number == 0:
            wanted = [explain_turn(bot.lake, bot.home.cache, bot.key, turns[0])]
            first = report["lineage"]["files"]
            bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
            assert bot.refresh().success
        else:
            wanted.append(explain_turn(bot.lake, bot.home.cache, bot.key, turns[1]))
            assert report["lineage"]["files"] < first
    shutil.rmtree(bot.root)
    for turn, there in zip(turns, wanted, strict=True):
        here = explain_turn(production.lake, production.home.cache, production.key, turn)
        assert here["limits"] == [] and here["evidence"]["rows"]
        assert here["evidence"] == there["evidence"]
        assert {name: found["data_version"] for name, found in here["versions"].items()} == {
            name: found["data_version"] for name, found in there["versions"].items()
        }
        assert here["evidence"]["rows"][0]["origins"][0]["file"] == "home.jsonl"
    assert production.state.blocked == "it has no data here; its deployments are imported"
