"""Bytes of models that have changed: they never answer a user, and what was deployed before goes on."""

import logging
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_table import assert_seen
from small_bot import SmallBot, row

from chatbot_assets.commands.promote import run as promote
from chatbot_assets.deploy.record import history
from resources.lakehouse import LakeError
from resources.model_store import file_hashes, model_id, unpack
from serving.bots import LiveBots


@pytest.fixture
def waiting(bot: SmallBot, monkeypatch: pytest.MonkeyPatch) -> SmallBot:
    """A bot whose second model is verified and waits to be promoted; commands work on it."""
    bot.configure(deploy={"policy": "manual"})
    bot.land("more.jsonl", [row("Where is my umbrella", "weather")])
    assert bot.refresh().success
    monkeypatch.setenv("CHATBOT_HOME", str(bot.home.root))
    monkeypatch.setenv("CHATBOT_BOTS", str(bot.home.bots))
    return bot


def alter(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def alter_a_chunk_in_the_lake(bot: SmallBot, identity: str) -> None:
    """Changes one bit of the largest chunk, in a file that is whole otherwise."""
    table = bot.table("models")
    for name in table.files():
        rows = pq.read_table(table.path / name).to_pylist()
        largest = max(rows, key=lambda found: len(found["data"]))
        if largest["model_id"] == identity:
            largest["data"] = alter(largest["data"])
            pq.write_table(pa.Table.from_pylist(rows, table.table.schema), table.path / name)


def newest_model(bot: SmallBot) -> str:
    waits = history(bot.table("deployments")).waiting
    assert waits
    return str(waits["model_id"])


def test_a_model_whose_chunk_has_changed_in_the_lake_is_taken_back_and_the_one_before_goes_on(
    waiting: SmallBot,
) -> None:
    before, wrong = waiting.live, newest_model(waiting)
    assert before and before.model_id != wrong
    alter_a_chunk_in_the_lake(waiting, wrong)
    for folder in (waiting.home.cache / "models").glob("*"):
        folder.rename(folder.with_name(f".{folder.name}"))
    bots = LiveBots(waiting.home)
    try:
        bots.wait(120)
        promote(waiting.key, reason="looks good", actor="kim")
        bots.look()
        found = bots.get(waiting.key)
        assert found and found.deployment.model_id == before.model_id
    finally:
        bots.close()
    past = history(waiting.table("deployments"))
    assert past.rollback and past.live and past.live.deployment_id == before.deployment_id
    assert_seen("a model's bytes have changed in the lake", past.rollback["reason"])
    with pytest.raises(LakeError, match="is damaged in the lake"):
        unpack(waiting.table("models"), wrong, waiting.home.cache)


def largest_file(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(alter(path.read_bytes())), Path.unlink])
def test_a_model_whose_file_has_changed_in_the_cache_is_unpacked_anew(
    bot: SmallBot, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    assert bot.live
    identity, models = bot.live.model_id, bot.table("models")
    folder = unpack(models, identity, bot.home.cache)
    damage(largest_file(folder))
    with caplog.at_level(logging.WARNING):
        assert model_id(file_hashes(unpack(models, identity, bot.home.cache))) == identity
    assert_seen("a model's file has changed in the cache", caplog.text)
    assert [path.name for path in folder.parent.iterdir()] == [identity], "nothing is left behind"
