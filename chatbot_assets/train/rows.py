"""The rows that a model learns from or is measured on, with their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from chatbot_assets.embed.vectors import text_id, unpack_vectors

if TYPE_CHECKING:
    from resources.delta_io import PinnedTable


@dataclass(frozen=True)
class TrainingRows:
    """Parallel columns of utterances; ``vectors`` is (rows, dimension)."""

    ids: Sequence[str]
    texts: Sequence[str]
    tokens: Sequence[Sequence[str]]
    intents: Sequence[str | None]
    answers: Sequence[str | None]
    vectors: NDArray[np.float32]

    def take(self, places: Sequence[int]) -> "TrainingRows":
        """The rows at the given places."""
        return TrainingRows(
            [self.ids[place] for place in places],
            [self.texts[place] for place in places],
            [self.tokens[place] for place in places],
            [self.intents[place] for place in places],
            [self.answers[place] for place in places],
            self.vectors[list(places)],
        )


def read_rows(utterances: "PinnedTable", embeddings: "PinnedTable", split: str) -> TrainingRows:
    """The utterances in use of one split, in the order of their ids."""
    table = utterances.arrow("utterance_id", "text", "tokens", "intent", "answer", "split", "excluded")
    used = pc.and_(pc.equal(table.column("split"), split), pc.is_null(table.column("excluded")))
    table = table.filter(used).sort_by("utterance_id")
    texts = table.column("text").to_pylist()
    vectors = embeddings.arrow("text_id", "vector")
    places = pc.index_in(pa.array([text_id(text) for text in texts], pa.string()), vectors.column("text_id"))
    found = unpack_vectors(vectors.column("vector").take(places)) if texts else np.zeros((0, 0), np.float32)
    return TrainingRows(
        ids=table.column("utterance_id").to_pylist(),
        texts=texts,
        tokens=table.column("tokens").to_pylist(),
        intents=table.column("intent").to_pylist(),
        answers=table.column("answer").to_pylist(),
        vectors=found,
    )
