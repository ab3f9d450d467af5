"""What an asset's page shows of a refresh, with real tables."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from base64 import b64decode
from logging import WARNING
from typing import Any

import pytest
from dagster_memory import empty_instance
from small_bot import ENGINE, NAMES, Refreshed, SmallBot, row

from chatbot_assets.showing import tables
from chatbot_assets.showing.tables import DRAWN, SHOWN
from chatbot_assets.tables import TABLES
from resources.environment import SERVICE_URL

DATA = "data:image/svg+xml;base64,"
NASTY = "Is <b>my</b> | parcel *late*"


def pictures(metadata: dict[str, Any]) -> dict[str, str]:
    """The pictures in a materialisation's metadata, as SVG."""
    return {
        name: b64decode(value.partition(DATA)[2].removesuffix(")")).decode()
        for name, value in metadata.items()
        if isinstance(value, str) and DATA in value
    }


@pytest.fixture(scope="module")
def second(first: tuple[SmallBot, Refreshed], tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallBot, Refreshed]:
    """A refresh that brings three rows of one intent, one of them with marks of Markdown and a wrong label."""
    bot = first[0].copy(tmp_path_factory.mktemp("second"))
    new = [row("Where is my parcel now", "delivery"), row("My parcel is late", "delivery"), row(NASTY, "weather")]
    bot.land("more.jsonl", new)
    result = bot.refresh(draws=True)
    assert result.success, result.failure or result.error
    return bot, result


def test_a_first_refresh_shows_each_table_and_draws_pictures(first: tuple[SmallBot, Refreshed]) -> None:
    bot, result = first
    expected = {
        "utterances": "intent sizes",
        "labels": "label quality",
        "evaluations": "confusions",
        "embeddings": "map of the texts",
    }
    for name, metadata in result.assets.items():
        assert metadata["changes"].startswith(f"**{bot.record(name).rows:,} rows added")
        assert "made for the first time" in metadata["changes"]
        assert set(pictures(metadata)) == ({expected[name]} if name in expected else set())
        for svg in pictures(metadata).values():
            assert ET.fromstring(svg).tag.endswith("svg")
    assert "home.jsonl" in result.assets["landing_files"]["newest files"]
    assert "May be deployed" in result.assets["evaluations"]["challenger against champion"]
    assert result.assets["evaluations"]["accuracy"] == bot.record("evaluations").notes["overall"]["accuracy"]


def test_a_refresh_shows_what_changed_and_whether_it_is_better(second: tuple[SmallBot, Refreshed]) -> None:
    _, result = second
    assets = result.assets
    assert "**3 rows added, 0 removed" in assets["utterances"]["changes"]
    assert "| delivery | 2 | 0 | 0 |" in assets["utterances"]["changes"]
    assert "dialogues changed" in assets["utterances"]["changes"]
    assert "a test asked" in assets["utterances"]["changes"]
    assert assets["utterances"]["rows_added"] == 3
    line = next(
        found for found in assets["evaluations"]["challenger against champion"].splitlines() if "| acc" in found
    )
    _, _, challenger, champion, difference, _ = (part.strip() for part in line.split("|"))
    assert float(challenger) - float(champion) == pytest.approx(float(difference), abs=0.002)
    assert set(pictures(assets["deployments"])) == {"metrics over deployments"}
    assert assets["deployments"]["metric history"].count("UTC") == 2


def test_texts_of_users_are_escaped(second: tuple[SmallBot, Refreshed]) -> None:
    _, result = second
    worst = result.assets["labels"]["worst labels"].splitlines()
    assert len(worst) == 2 + 10
    assert any(line.lower().startswith(r"| is &lt;b&gt;my&lt;/b&gt; \| parcel \*late\*") for line in worst)


def test_a_refresh_without_changes_reads_and_draws_nothing(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("something was shown")

    for name in SHOWN:
        monkeypatch.setitem(SHOWN, name, never)
    monkeypatch.setattr("chatbot_assets.asset_pages.charts.load_ahead", never)
    assets = bot.refresh(draws=True).assets
    assert set(assets) == set(NAMES)
    for metadata in assets.values():
        assert metadata["changes"].startswith("Nothing had changed: this is still version 0 of 20")
        assert not pictures(metadata)


def test_the_graph_loads_without_matplotlib() -> None:
    code = "import sys, chatbot_assets.definitions; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_picture_that_cannot_be_drawn_is_no_reason_to_fail(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no colours left")

    monkeypatch.setattr(tables.charts, "bars", broken)
    bot.land("more.jsonl", [row("Where is my parcel now", "delivery")])
    with empty_instance() as instance:
        result = bot.refresh(instance, select=["dialogues", "rejected", "landing_files", "utterances"], draws=True)
        warnings = [log.user_message for log in instance.all_logs(result.result.run_id) if log.level == WARNING]
    assert result.success
    assert "intent sizes" not in result.assets["utterances"]
    assert warnings == ["utterances: its page shows less, since ValueError: no colours left"]


def test_columns_tell_what_they_are_made_from(first: tuple[SmallBot, Refreshed]) -> None:
    _, result = first
    lineage = result.assets["labels"]["dagster/column_lineage"].deps_by_column
    found = {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage["suggested_intent"]}
    assert found == {("utterances", "intent"), ("utterances", "tokens"), ("embeddings", "vector")}
    assert {name for name in result.assets if "dagster/column_lineage" in result.assets[name]} == {
        name for name in result.assets if TABLES[name].inputs
    }


def test_a_page_leads_to_the_bots_file_its_table_and_the_start_page(
    bot: SmallBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SERVICE_URL, "http://127.0.0.1:8000")
    found = bot.refresh(select=["review_queue"]).assets["review_queue"]
    assert found["bot_file"] == str(bot.home.bots / "acme" / "faq.yaml")
    assert found["table_folder"] == str(bot.table("review_queue").path)
    assert found["start_page"] == "http://127.0.0.1:8000/"


def test_every_table_with_pictures_is_shown() -> None:
    assert set(DRAWN) <= set(SHOWN) <= set(NAMES)


@pytest.mark.skipif(ENGINE != "sail", reason="other engines run functions in processes of their own")
def test_each_module_of_a_stage_says_what_it_took(first: tuple[SmallBot, Refreshed]) -> None:
    modules = {name: found["modules"] for name, found in first[1].assets.items()}
    for stage, module, rows in (
        ("utterances", "process.segmenter", 90),
        ("utterances", "process.privacy", 90),
        ("embeddings", "embed.encoder", 90),
        ("labels", "denoise.judge", 90),
    ):
        cost = modules[stage][module]
        assert cost["rows"] == rows and cost["seconds"] >= 0 and cost["rows_per_second"] > 0
    assert modules["models"]["train.classifier"]["seconds"] > 0
