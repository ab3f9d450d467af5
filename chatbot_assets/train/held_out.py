"""Shows how far a classifier can be trusted: what it makes of texts, and of whole intents, that it has not seen."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chatbot_assets.train.contracts import Floats, IntentLearner
from chatbot_assets.train.known_texts import KnownTexts
from chatbot_assets.train.rows import TrainingRows

Progress = Callable[[str], None]


@dataclass(frozen=True)
class HeldOut:
    """What a classifier made of m utterances it had not seen, some of them of intents that it did not know.

    Each array is (m,): the margin of the top intent, the cosine similarity of that intent's nearest known text,
    whether the top intent is right, and whether the row's intent was unknown to the classifier.
    """

    top_margins: Floats
    similarities: Floats
    correct: npt.NDArray[np.bool_]
    is_out_of_scope: npt.NDArray[np.bool_]


def pseudo_out_of_scope(
    rows: TrainingRows,
    learner: IntentLearner,
    *,
    parts: int = 4,
    rounds: int | None = None,
    most: int = 4000,
    progress: Progress | None = None,
) -> HeldOut:
    """Shows what out-of-scope turns look like to a bot that has none: leaves texts and whole intents out of training.

    Each round trains without one part of the utterances, their paraphrases and one part of the intents, all chosen by
    hash, and scores at most `most` of the utterances left out; paraphrases are never scored. `rounds` None means one
    round from 4,000 rows on and `parts` rounds below. Each row has an intent; their order does not matter. What comes
    back is what `calibration.Confidence` and `calibration.calibrate_thresholds` are fitted on.
    """
    rows = rows.take(sorted(range(len(rows.ids)), key=lambda place: (rows.texts[place], rows.ids[place])))
    text_of = {name: text for name, text, parent in zip(rows.ids, rows.texts, rows.parents, strict=True) if not parent}
    sources = [text_of.get(parent or name, "") for name, parent in zip(rows.ids, rows.parents, strict=True)]
    of_text = np.array([_part(text, parts) for text in sources])
    of_intent = np.array([_part(f"intent {intent}", parts) for intent in rows.intents])
    is_utterance = np.array([parent is None for parent in rows.parents])
    found = []
    for part in range(rounds or (1 if len(rows.ids) >= 4000 else parts)):
        held = np.flatnonzero((of_text == part) & is_utterance)[:most]
        rest = np.flatnonzero((of_text != part) & (of_intent != part))
        if not len(held) or not is_utterance[rest].any():
            continue
        if progress:
            progress(f"without part {part + 1} of {parts} of the texts and of the intents")
        found.append(_scored(learner, rows.take(rest.tolist()), rows.take(held.tolist())))
    none = HeldOut(np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.bool_), np.zeros(0, np.bool_))
    found.insert(0, none)
    return HeldOut(
        np.concatenate([one.top_margins for one in found]),
        np.concatenate([one.similarities for one in found]),
        np.concatenate([one.correct for one in found]),
        np.concatenate([one.is_out_of_scope for one in found]),
    )


def _scored(learner: IntentLearner, rest: TrainingRows, held: TrainingRows) -> HeldOut:
    classifier = learner.fit(
        rest.texts, rest.tokens, rest.vectors, [str(intent) for intent in rest.intents], rest.weights
    )
    margins = classifier.margins(held.texts, held.tokens, held.vectors)
    top = [classifier.intents[place] for place in margins.argmax(1)]
    similarities, _ = KnownTexts.of(rest).nearest_of_intents(top, held.vectors)
    known = set(classifier.intents)
    return HeldOut(
        np.asarray(margins.max(1), np.float32),
        similarities,
        np.array([guess == intent for guess, intent in zip(top, held.intents, strict=True)]),
        np.array([intent not in known for intent in held.intents]),
    )


def _part(text: str, parts: int) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % parts
