"""The rows that a model learns from or is measured on, with their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from chatbot_assets.embed.vectors import vectors_of

if TYPE_CHECKING:
    from resources.delta_io import PinnedTable

VERDICT_COLUMNS = ("utterance_id", "verdict", "suggested_intent")
PARAPHRASE_COLUMNS = ("paraphrase_id", "parent_id", "text", "tokens", "intent", "kept")


@dataclass(frozen=True)
class TrainingRows:
    """Parallel columns of utterances and paraphrases; ``vectors`` is (rows, dimension).

    ``parents`` holds the utterance's id for a paraphrase, None for an utterance; ``weights`` (rows) what a row counts.
    """

    ids: Sequence[str]
    texts: Sequence[str]
    tokens: Sequence[Sequence[str]]
    intents: Sequence[str | None]
    answers: Sequence[str | None]
    vectors: NDArray[np.float32]
    parents: Sequence[str | None]
    weights: NDArray[np.float32]

    def take(self, places: Sequence[int]) -> "TrainingRows":
        """The rows at the given places."""
        return TrainingRows(
            [self.ids[place] for place in places],
            [self.texts[place] for place in places],
            [self.tokens[place] for place in places],
            [self.intents[place] for place in places],
            [self.answers[place] for place in places],
            self.vectors[list(places)],
            [self.parents[place] for place in places],
            self.weights[list(places)],
        )


def read_rows(
    utterances: "PinnedTable",
    embeddings: "PinnedTable",
    split: str,
    labels: "PinnedTable | None" = None,
    paraphrases: "PinnedTable | None" = None,
    paraphrase_weight: float = 1.0,
) -> TrainingRows:
    """The utterances in use of one split, in the order of their ids, and after them the paraphrases that were kept.

    With ``labels``, utterances whose verdict is to drop them are left out and relabelled ones have the suggested
    intent.
    """
    table = utterances.arrow("utterance_id", "text", "tokens", "intent", "answer", "split", "excluded")
    used = pc.and_(pc.equal(table.column("split"), split), pc.is_null(table.column("excluded")))
    rows = table.filter(used).sort_by("utterance_id").to_pylist()
    if labels is not None:
        verdicts = {row["utterance_id"]: row for row in labels.arrow(*VERDICT_COLUMNS).to_pylist()}
        rows = [_as_judged(row, verdicts[row["utterance_id"]]) for row in rows if not _dropped(row, verdicts)]
    answers = {row["utterance_id"]: row["answer"] for row in rows}
    kept = paraphrases.arrow(*PARAPHRASE_COLUMNS).to_pylist() if paraphrases is not None else []
    kept = sorted(
        (row for row in kept if row["kept"] and row["parent_id"] in answers), key=lambda row: str(row["paraphrase_id"])
    )
    texts = [row["text"] for row in (*rows, *kept)]
    return TrainingRows(
        ids=[*(row["utterance_id"] for row in rows), *(row["paraphrase_id"] for row in kept)],
        texts=texts,
        tokens=[row["tokens"] for row in (*rows, *kept)],
        intents=[row["intent"] for row in (*rows, *kept)],
        answers=[*(row["answer"] for row in rows), *(answers[row["parent_id"]] for row in kept)],
        vectors=vectors_of(texts, embeddings.arrow("text_id", "vector")),
        parents=[*(None for _ in rows), *(row["parent_id"] for row in kept)],
        weights=np.array([1.0] * len(rows) + [paraphrase_weight] * len(kept), np.float32),
    )


def _dropped(row: dict[str, Any], verdicts: dict[str, dict[str, Any]]) -> bool:
    return bool(verdicts[row["utterance_id"]]["verdict"] == "drop")


def _as_judged(row: dict[str, Any], verdict: dict[str, Any]) -> dict[str, Any]:
    return row | {"intent": verdict["suggested_intent"]} if verdict["verdict"] == "relabel" else row
