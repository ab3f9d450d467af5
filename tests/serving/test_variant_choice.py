"""How the variant that serves is chosen: the fastest one that answers as well, recorded with its deployment."""

from collections.abc import Callable

import pytest
from small_bot import Refreshed, SmallBot

from chatbot_assets.bot import Embed
from chatbot_assets.deploy.record import served_config
from chatbot_assets.embed import REFERENCE
from chatbot_assets.embed.onnx_encoder import OnnxEncoder
from chatbot_assets.embed.variants import Speed
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.rows import TrainingRows, read_rows
from chatbot_assets.validate import variant_choice
from chatbot_assets.validate.evaluation import reply_to, sample_replies
from chatbot_assets.validate.variant_choice import Choice, choose_variant
from resources.delta_io import PinnedTable
from resources.model_store import unpack
from resources.spark import SparkEngine
from serving.bots import load_live
from serving.responder import Responder

OWN = """
import numpy as np

from chatbot_assets.embed.encoders import MultilingualEncoder


class Own(MultilingualEncoder):
    def variants(self):
        return {name: lambda name=name: Variant(self, name) for name in ("broken", "exact")}


class Variant:
    dimension = 512

    def __init__(self, reference, name):
        self.reference, self.name = reference, name

    def encode(self, texts):
        vectors = self.reference.encode(texts)
        return np.roll(vectors, 7, axis=1) if self.name == "broken" else vectors
"""


@pytest.fixture(scope="module")
def deployed(first: tuple[SmallBot, Refreshed], engine: SparkEngine) -> tuple[Responder, TrainingRows]:
    """The small bot as the reference answers, and its held-out rows."""
    bot = first[0]
    assert bot.live
    folder = unpack(bot.table("models"), bot.live.model_id, bot.home.cache)
    tables = [bot.table(name) for name in ("utterances", "embeddings")]
    pinned = [PinnedTable(table, table.last(), engine) for table in tables]
    return Responder(folder, served_config(bot.live.config, {})), read_rows(*pinned, "test")


@pytest.fixture
def choose(
    deployed: tuple[Responder, TrainingRows],
    write_module: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], Choice]:
    """Chooses among variants of an encoder of the user's own, the broken one being the fastest by far."""
    own = ModuleRef(use=f"{write_module('own_variants', OWN)}:Own")
    speeds = {name: Speed(ms, 90.0) for name, ms in ((REFERENCE, 9.0), ("broken", 1.0), ("exact", 2.0))}
    monkeypatch.setattr(variant_choice, "measured_speeds", lambda *_: speeds)

    def chosen(wanted: str) -> Choice:
        responder, rows = deployed
        replies = reply_to(responder, rows)
        return choose_variant(responder, own, wanted, rows, replies, sample_replies(rows, replies), 0.02)

    return chosen


def test_a_fast_variant_that_answers_otherwise_is_passed_over(choose: Callable[[str], Choice]) -> None:
    found = choose("auto")
    assert (found.variant, found.loss_points, found.changed) == ("exact", 0.0, 0.0)


def test_a_broken_variant_does_not_serve_even_when_the_bot_file_names_it(choose: Callable[[str], Choice]) -> None:
    found = choose("broken")
    assert found.variant == REFERENCE
    assert found.reason.startswith("broken: ") and "held-out rows" in found.reason


def test_a_variant_that_is_not_there_is_named_with_those_that_are(choose: Callable[[str], Choice]) -> None:
    found = choose("onnx-cuda")
    assert found.variant == REFERENCE
    assert found.reason == "onnx-cuda is not available here (there are: reference, broken, exact)"


def test_the_reference_serves_when_the_bot_file_says_so_or_nothing_is_held_out(
    choose: Callable[[str], Choice], deployed: tuple[Responder, TrainingRows]
) -> None:
    assert choose(REFERENCE).variant == REFERENCE
    responder, rows = deployed
    assert choose_variant(responder, Embed().encoder, "auto", rows.take([]), [], [], 0.02).variant == REFERENCE


def test_a_deployment_tells_its_variant_with_figures_and_is_served_by_it(first: tuple[SmallBot, Refreshed]) -> None:
    bot = first[0]
    assert bot.live
    serving = bot.live.metrics["serving"]
    assert serving["variant"] in {REFERENCE, "onnx", "onnx-int8"} and serving["reason"]
    assert serving["hardware"]["cores"] >= 1 and serving["speeds"][REFERENCE]["single_ms"] > 0
    assert bot.live.served_config["serve"] == {"variant": serving["variant"]}
    live = load_live(bot.home, bot.key)
    assert live
    assert isinstance(live.responder._encoder, OnnxEncoder) == (serving["variant"] != REFERENCE)


def test_a_deployment_from_before_there_were_variants_is_served_by_the_reference() -> None:
    assert served_config({"embed": {}}, {"accuracy": 0.9}) == {"embed": {}, "serve": {"variant": REFERENCE}}
