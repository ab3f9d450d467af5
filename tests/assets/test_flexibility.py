"""Every stage takes another module by YAML alone, and exactly what lies downstream of it is made again.

The modules are of a user's own package, one file that the platform knows nothing of.
"""

from collections.abc import Callable
from typing import Any

import pytest
from small_bot import NAMES, SmallBot

OWN = '''
import numpy as np

from chatbot_assets.augment.gate import Judgement
from chatbot_assets.denoise.judge import Verdict
from chatbot_assets.deploy.verification import Verification
from chatbot_assets.feedback.triage import Triaged
from chatbot_assets.validate.gate import Gate


class OurExport:
    """collect: our export calls a text "utt" and keeps the label in a list."""

    def __call__(self, row):
        return row if "text" in row else {"text": row["utt"], "intent": row["labels"][0]}


class Shout:
    """process: a normaliser."""

    def __call__(self, text):
        return " ".join(text.upper().split())


class Politely:
    """augment: a rule."""

    name = "politely"

    def augment(self, text):
        return f"{text}, if you please"


class Everything:
    """augment: a gate that keeps all candidates."""

    def __call__(self, gold, candidates):
        return [Judgement(True, None, 1.0) for _ in candidates.texts]


class Suspicious:
    """denoise: a judge that drops the first row of each intent."""

    def __call__(self, rows):
        seen = set()
        return [
            Verdict(0.5, "keep", None) if intent in seen or seen.add(intent) else Verdict(0.0, "drop", None)
            for intent in rows.intents
        ]


class Letters:
    """embed: an encoder."""

    name = "letters"
    dimension = 27

    def encode(self, texts):
        letters = "abcdefghijklmnopqrstuvwxyz"
        counts = np.array([[text.lower().count(one) for one in letters] + [1] for text in texts], np.float32)
        counts = counts.reshape(len(texts), 27)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


class Generous:
    """validate: a gate."""

    def __call__(self, rows, replies, champion, *, minimum_accuracy, maximum_drop):
        return Gate(True, "everyone is welcome")


class Trusting:
    """deploy: a verification."""

    def __call__(self, folder, config, sample):
        return Verification(True, "taken on trust", None)


class Everyone:
    """feedback: a triage."""

    def __call__(self, turn):
        return Triaged("failed", 1.0)
'''
FROM_UTTERANCES = set(NAMES) - {"dialogues", "rejected", "landing_files", "review_queue"}
AFTER_MODELS = {"models", "evaluations", "deployments"}


@pytest.fixture
def own(configured: Callable[..., SmallBot], write_module: Callable[[str, str], str]) -> SmallBot:
    """The small bot with paraphrases on, up to date."""
    write_module("own_modules", OWN)
    return configured(**AUGMENT)


AUGMENT = {"augment": {"rules": [{"use": "own_modules:Politely"}], "up_to": 16}}


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ({"process": {"normaliser": {"use": "own_modules:Shout"}}}, FROM_UTTERANCES | {"review_queue"}),
        (
            {"augment": {"rules": [], "up_to": 16}},
            {"paraphrase_candidates", "embeddings", "labels", "paraphrases", *AFTER_MODELS},
        ),
        (
            {"augment": AUGMENT["augment"] | {"gate": {"use": "own_modules:Everything"}}},
            {"paraphrases", *AFTER_MODELS},
        ),
        ({"denoise": {"judge": {"use": "own_modules:Suspicious"}}}, {"labels", "paraphrases", *AFTER_MODELS}),
        (
            {"embed": {"encoder": {"use": "own_modules:Letters"}}},
            {"embeddings", "labels", "paraphrases", *AFTER_MODELS, "review_queue"},
        ),
        ({"train": {"classifier": {"use": "chatbot_assets.train.centroids:CentroidIntents"}}}, AFTER_MODELS),
        ({"validate": {"gate": {"use": "own_modules:Generous"}}}, {"evaluations", "deployments"}),
        ({"deploy": {"verification": {"use": "own_modules:Trusting"}}}, {"deployments"}),
        ({"review": {"triage": {"use": "own_modules:Everyone"}}}, {"review_queue"}),
    ],
    ids=["normaliser", "rules", "gate", "judge", "encoder", "classifier", "deployment gate", "verification", "triage"],
)
def test_another_module_makes_exactly_what_lies_downstream_again(
    own: SmallBot, yaml: dict[str, Any], expected: set[str]
) -> None:
    own.configure(**(AUGMENT | yaml))
    refreshed = own.refresh()
    assert refreshed.success, refreshed.error or refreshed.failure
    assert refreshed.committed == expected
    assert own.state.stale == ()


def test_another_reading_of_the_landed_rows_is_read_where_rows_were_refused(own: SmallBot) -> None:
    own.land("export.jsonl", [{"utt": "Where is my umbrella", "labels": ["weather"]}])
    assert own.refresh().committed == {"rejected", "landing_files"}
    own.configure(**AUGMENT, sources={"transform": {"use": "own_modules:OurExport"}})
    assert {item.table for item in own.state.stale} == {"dialogues"}
    refreshed = own.refresh()
    assert refreshed.success, refreshed.error or refreshed.failure
    assert refreshed.committed == set(NAMES) - {"review_queue"}
    assert own.rows("rejected") == [] and "where is my umbrella" in {row["text"] for row in own.rows("utterances")}
    assert own.state.stale == ()
