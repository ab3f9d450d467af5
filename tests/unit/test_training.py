"""Training a model folder: what paraphrases may and may not do, other classifiers and indexes, and equal bytes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from chatbot_assets.bot import Bot, BotError
from chatbot_assets.modules import ModuleRef
from chatbot_assets.train.centroids import CentroidIntents
from chatbot_assets.train.contracts import IntentLearner
from chatbot_assets.train.held_out import pseudo_out_of_scope
from chatbot_assets.train.intent_model import IntentModel, LinearIntents
from chatbot_assets.train.known_texts import KnownTexts
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.train.training import train_model

Floats = npt.NDArray[np.float32]
LINEAR = ModuleRef(use="chatbot_assets.train.intent_model:LinearIntents")
CENTROIDS = ModuleRef(use="chatbot_assets.train.centroids:CentroidIntents")
INDEX = ModuleRef(use="chatbot_assets.train.answer_index:FaissIndex")

THINGS = ["lamp", "radio", "heater", "fan", "oven", "door", "screen", "alarm", "car", "phone", "boiler", "printer"]
FORMS = {"on": "turn on the {}", "off": "switch off my {}", "buy": "order a new {}", "fix": "the {} is broken"}

# A user's own modules, with NumPy alone.
OWN_CLASSIFIER = '''
import json, pathlib
import numpy as np

class Overlap:
    """Names the intent with whose words a text shares most."""
    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness
    def fit(self, texts, tokens, vectors, intents, weights):
        words = {}
        for row, intent in zip(tokens, intents):
            words.setdefault(intent, set()).update(row)
        return Found(words, self.sharpness)
    def load(self, folder):
        words = json.loads((folder / "words.json").read_text("utf-8"))
        return Found({intent: set(own) for intent, own in words.items()}, self.sharpness)

class Found:
    def __init__(self, words, sharpness):
        self.words, self.sharpness, self.intents = words, sharpness, sorted(words)
    def margins(self, texts, tokens, vectors):
        counts = [[len(self.words[intent] & set(row)) for intent in self.intents] for row in tokens]
        return np.array(counts, "float32") * self.sharpness
    def probabilities(self, margins):
        powers = np.exp(margins - margins.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)
    def save(self, folder):
        folder.mkdir(parents=True)
        words = {intent: sorted(own) for intent, own in sorted(self.words.items())}
        (folder / "words.json").write_text(json.dumps(words), "utf-8")
'''
OWN_INDEX = """
import numpy as np

class BruteForce:
    def build(self, vectors):
        return Found(vectors)
    def load(self, folder):
        return Found(np.load(folder / "vectors.npy"))

class Found:
    def __init__(self, vectors):
        self.vectors = vectors
    def search(self, vectors, k):
        products = vectors @ self.vectors.T
        places = np.argsort(-products, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(products, places, 1), places
    def save(self, folder):
        folder.mkdir(parents=True)
        np.save(folder / "vectors.npy", self.vectors)
"""


def vectors(texts: list[str]) -> Floats:
    """Unit vectors that depend on the text alone."""
    rows = [np.random.default_rng(list(text.encode())).standard_normal(8) for text in texts]
    found = np.array(rows, np.float32).reshape(len(texts), 8)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(unit.astype(np.float16), np.float32)


def rows_of(texts: list[str], intents: list[str | None], answers: list[str | None] | None = None) -> TrainingRows:
    return TrainingRows(
        ids=[f"id of {text}" for text in texts],
        texts=texts,
        tokens=[text.split() for text in texts],
        intents=intents,
        answers=answers or [None] * len(texts),
        vectors=vectors(texts),
        parents=[None] * len(texts),
        weights=np.ones(len(texts), np.float32),
    )


def home() -> TrainingRows:
    """Four intents of twelve rows."""
    texts = [form.format(thing) for form in FORMS.values() for thing in THINGS]
    return rows_of(texts, [intent for intent in FORMS for _ in THINGS])


def joined(rows: TrainingRows, more: TrainingRows) -> TrainingRows:
    return TrainingRows(
        ids=[*rows.ids, *more.ids],
        texts=[*rows.texts, *more.texts],
        tokens=[*rows.tokens, *more.tokens],
        intents=[*rows.intents, *more.intents],
        answers=[*rows.answers, *more.answers],
        vectors=np.concatenate([rows.vectors, more.vectors]),
        parents=[*rows.parents, *more.parents],
        weights=np.concatenate([rows.weights, more.weights]),
    )


def paraphrases(rows: TrainingRows) -> TrainingRows:
    """One of each row, which counts half."""
    texts = [f"please {text}" for text in rows.texts]
    more = rows_of(texts, list(rows.intents), list(rows.answers))
    return replace(more, parents=list(rows.ids), weights=np.full(len(texts), 0.5, np.float32))


def train(folder: Path, rows: TrainingRows, **more: Any) -> dict[str, Any]:
    folder.mkdir()
    chosen: dict[str, Any] = {"classifier": LINEAR, "index": INDEX, "answer_precision": 0.9, "suggest_precision": 0.3}
    return train_model(folder, rows, bot="acme.faq", language="en", progress=lambda _: None, **chosen | more)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("classifier", [LINEAR, CENTROIDS], ids=lambda ref: ref.use.partition(":")[2])
def test_equal_rows_give_a_bit_equal_folder(classifier: ModuleRef, tmp_path: Path) -> None:
    questions = rows_of(["is it late", "is it early"], [None, None], ["yes", "no"])
    rows = joined(joined(home(), paraphrases(home())), questions)
    train(tmp_path / "first", rows, classifier=classifier)
    order = np.random.default_rng(0).permutation(len(rows.ids)).tolist()
    train(tmp_path / "second", rows.take(order), classifier=classifier)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_the_manifest_says_which_modules_made_the_model(tmp_path: Path) -> None:
    chosen = ModuleRef.model_validate({"use": LINEAR.use, "with": {"l2": 2.0}})
    manifest = train(tmp_path / "model", home(), classifier=chosen)
    assert manifest["classifier"] == {"use": LINEAR.use, "with": {"l2": 2.0}}
    assert manifest["index"] == {"use": INDEX.use, "with": {}}
    assert manifest["format"] == 3


def test_paraphrases_teach_the_classifier_but_are_no_known_texts(tmp_path: Path) -> None:
    manifest = train(tmp_path / "model", joined(home(), paraphrases(home())))
    known = KnownTexts.load(tmp_path / "model" / "known", INDEX.load())
    assert set(known.texts) == set(home().texts)
    assert (manifest["rows"], manifest["paraphrases"]) == (48, 48)
    learnt = LinearIntents().load(tmp_path / "model" / "intent")
    words = [gram for gram, _ in learnt.vectorizer.describe("please", ["please"])]
    assert "please" in words


def test_a_paraphrase_of_one_intent_counts_as_its_weight_says(tmp_path: Path) -> None:
    light, heavy = paraphrases(home()), replace(paraphrases(home()), weights=np.full(48, 2.0, np.float32))
    train(tmp_path / "light", joined(home(), light))
    train(tmp_path / "heavy", joined(home(), heavy))
    first, second = (LinearIntents().load(tmp_path / name / "intent") for name in ("light", "heavy"))
    own = np.arange(48), [first.intents.index(str(intent)) for intent in light.intents]
    gained = (margins(second, light) - margins(first, light))[own]
    assert gained.mean() > 0


def margins(model: IntentModel, rows: TrainingRows) -> Floats:
    return model.margins(rows.texts, rows.tokens, rows.vectors)


class Recording:
    """A learner that remembers what it was given, and learns it with another."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.asked: list[list[str]] = []

    def fit(self, texts: Any, tokens: Any, vectors: Any, intents: Any, weights: Any) -> Any:
        self.given.append(list(texts))
        found, asked = CentroidIntents().fit(texts, tokens, vectors, intents, weights), self.asked

        class Asked:
            intents = found.intents

            def margins(self, texts: Any, tokens: Any, vectors: Any) -> Any:
                asked.append(list(texts))
                return found.margins(texts, tokens, vectors)

        return Asked()

    def load(self, folder: Path) -> Any:
        raise NotImplementedError


def test_calibration_never_scores_a_paraphrase_nor_learns_one_of_a_text_that_it_scores() -> None:
    learner = Recording()
    rows = joined(home(), paraphrases(home()))
    pseudo_out_of_scope(rows, learner)
    scored = [text for texts in learner.asked for text in texts]
    assert sorted(scored) == sorted(home().texts)  # each utterance is left out in one round
    for learnt, asked in zip(learner.given, learner.asked, strict=True):
        assert not set(learnt) & {*asked, *(f"please {text}" for text in asked)}
        assert any(text.startswith("please") for text in learnt)


@pytest.mark.parametrize("learner", [LinearIntents(), CentroidIntents()], ids=lambda learner: type(learner).__name__)
def test_rows_of_intents_left_out_look_out_of_scope(learner: IntentLearner) -> None:
    found = pseudo_out_of_scope(home(), learner)
    assert len(found.top_margins) == 48
    assert found.is_out_of_scope.any() and not (found.correct & found.is_out_of_scope).any()
    if isinstance(learner, LinearIntents):  # the vectors here say nothing about intents, and centroids read them alone
        assert found.top_margins[found.is_out_of_scope].mean() < found.top_margins[~found.is_out_of_scope].mean()


def test_a_bot_with_one_intent_never_loses_its_whole_scope() -> None:
    found = pseudo_out_of_scope(rows_of(["yes", "no", "maybe", "sure"], ["talk"] * 4), LinearIntents())
    assert not found.is_out_of_scope.any()


def test_rows_without_intent_or_answer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no row has an intent or an answer"):
        train(tmp_path / "model", rows_of(["what"], [None]))


def test_a_classifier_and_an_index_of_the_users_own_package_make_the_model(
    tmp_path: Path, write_module: Callable[[str, str], str]
) -> None:
    write_module("shop.words", OWN_CLASSIFIER)
    write_module("shop.brute", OWN_INDEX)
    write_module("shop.__init__", "")
    classifier = ModuleRef.model_validate({"use": "shop.words:Overlap", "with": {"sharpness": 2.0}})
    index = ModuleRef(use="shop.brute:BruteForce")
    rows = joined(home(), rows_of(["is it late", "is it early"], [None, None], ["yes", "no"]))
    manifest = train(tmp_path / "model", rows, classifier=classifier, index=index)
    assert manifest["classifier"] == {"use": "shop.words:Overlap", "with": {"sharpness": 2.0}}
    assert manifest["confidence"]["rows"] == 48
    assert {"intent/words.json", "known/index/vectors.npy"} <= set(contents(tmp_path / "model"))


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (
            {"classifier": {"use": LINEAR.use, "with": {"l3": 4}}},
            "train.classifier: l3: unknown parameter; allowed: ngrams, vector_weight, l2, iterations, temperature",
        ),
        (
            {"classifier": {"use": LINEAR.use, "with": {"ngrams": {"words": 4}}}},
            "train.classifier: ngrams.words: unknown parameter; allowed: word_ngrams, char_ngrams,",
        ),
        ({"classifier": {"use": LINEAR.use, "with": {"l2": -1}}}, "train.classifier: l2: Input should be greater than"),
        ({"index": {"use": INDEX.use, "with": {"m": 4}}}, "train.index: m: unknown parameter; allowed: exact_up_to,"),
        ({"classifier": {"use": "chatbot_assets.train.nowhere:X", "with": {"a": 1}}}, "cannot be imported"),
        ({"model": {"l2": 4}}, "train.model: unknown key; allowed: classifier, index, answer_precision"),
    ],
)
def test_a_mistake_in_the_parameters_is_one_line_when_the_bot_is_read(
    write_bot: Callable[..., Bot], train: dict[str, Any], said: str
) -> None:
    with pytest.raises(BotError) as error:
        write_bot(train=train)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_module_from_elsewhere_is_not_imported_when_the_bot_is_read(write_bot: Callable[..., Bot]) -> None:
    bot = write_bot(train={"classifier": {"use": "not_installed.words:Overlap", "with": {"sharpness": 2}}})
    assert bot.train.classifier.parameters == {"sharpness": 2}
