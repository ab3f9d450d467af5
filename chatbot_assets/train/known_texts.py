"""The texts that a bot was taught, with their answers, searched by likeness in meaning."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARRAYS, NAMES = "known_texts.safetensors", "known_texts.json"


@dataclass(frozen=True)
class KnownTexts:
    """The texts that a bot learnt from.

    ``vectors`` (texts, dimension) are L2-normalised; ``answer_of`` and ``intent_of`` give for each text its place in
    ``answers`` and ``intents`` (-1: it has none); ``ids`` are the utterances' ids.
    """

    vectors: NDArray[np.float32]
    ids: list[str]
    texts: list[str]
    answer_of: NDArray[np.int32]
    answers: list[str]
    intent_of: NDArray[np.int32]
    intents: list[str]

    @classmethod
    def build(
        cls,
        ids: Sequence[str],
        texts: Sequence[str],
        answers: Sequence[str | None],
        intents: Sequence[str | None],
        vectors: NDArray[np.float32],
    ) -> "KnownTexts":
        """From parallel sequences, in an order that depends on their contents alone."""
        order = sorted(range(len(ids)), key=lambda place: ids[place])
        answer_names = sorted({answer for answer in answers if answer is not None})
        intent_names = sorted({intent for intent in intents if intent is not None})
        answer_place = {answer: place for place, answer in enumerate(answer_names)}
        intent_place = {intent: place for place, intent in enumerate(intent_names)}
        return cls(
            vectors=np.ascontiguousarray(vectors[order], np.float32),
            ids=[ids[place] for place in order],
            texts=[texts[place] for place in order],
            answer_of=np.array([answer_place.get(answers[place] or "", -1) for place in order], np.int32),
            answers=answer_names,
            intent_of=np.array([intent_place.get(intents[place] or "", -1) for place in order], np.int32),
            intents=intent_names,
        )

    def likeness(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines (n, texts) between vectors (n, dimension) and the known texts."""
        return vectors @ self.vectors.T

    def questions_without_intent(self) -> NDArray[np.intp]:
        """The places of the texts that have an answer but no intent."""
        return np.flatnonzero((self.intent_of < 0) & (self.answer_of >= 0))

    def answer(self, place: int) -> str | None:
        """The answer of a known text, if it has one."""
        return self.answers[self.answer_of[place]] if self.answer_of[place] >= 0 else None

    def save(self, folder: Path) -> None:
        """Writes the folder; equal contents give equal bytes."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "vectors": self.vectors.astype(np.float16),
            "answer_of": self.answer_of,
            "intent_of": self.intent_of,
        }
        save_file(arrays, folder / ARRAYS)
        names = {"ids": self.ids, "texts": self.texts, "answers": self.answers, "intents": self.intents}
        (folder / NAMES).write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "KnownTexts":
        """The inverse of :meth:`save`."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / ARRAYS)
        names = json.loads((folder / NAMES).read_text(encoding="utf-8"))
        return cls(
            vectors=arrays["vectors"].astype(np.float32),
            answer_of=arrays["answer_of"],
            intent_of=arrays["intent_of"],
            **names,
        )
