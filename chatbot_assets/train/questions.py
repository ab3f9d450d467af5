"""The known questions of a bot and their answers, searched by likeness in meaning."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class KnownQuestions:
    """Questions that have an answer.

    ``vectors`` (questions, dimension) are L2-normalised; ``answer_of`` and ``intent_of`` give for each question its place
    in ``answers`` and ``intents`` (-1: the question has no intent); ``ids`` are the utterances' ids.
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
        answers: Sequence[str],
        intents: Sequence[str | None],
        vectors: NDArray[np.float32],
    ) -> "KnownQuestions":
        """From parallel sequences, in an order that depends on their contents alone."""
        order = sorted(range(len(ids)), key=lambda i: ids[i])
        answer_list = sorted(set(answers))
        intent_list = sorted({intent for intent in intents if intent is not None})
        answer_place = {answer: place for place, answer in enumerate(answer_list)}
        intent_place: dict[str | None, int] = {intent: place for place, intent in enumerate(intent_list)}
        return cls(
            vectors=np.ascontiguousarray(vectors[order], np.float32),
            ids=[ids[i] for i in order],
            texts=[texts[i] for i in order],
            answer_of=np.array([answer_place[answers[i]] for i in order], np.int32),
            answers=answer_list,
            intent_of=np.array([intent_place.get(intents[i], -1) for i in order], np.int32),
            intents=intent_list,
        )

    def likeness(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosines (texts, questions)."""
        return vectors @ self.vectors.T

    def save(self, folder: Path) -> None:
        """Writes ``questions.safetensors`` and ``questions.json``; equal contents give equal bytes."""
        from safetensors.numpy import save_file

        arrays = {
            "vectors": self.vectors.astype(np.float16),
            "answer_of": self.answer_of,
            "intent_of": self.intent_of,
        }
        save_file(arrays, folder / "questions.safetensors")
        names = {"ids": self.ids, "texts": self.texts, "answers": self.answers, "intents": self.intents}
        (folder / "questions.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "KnownQuestions":
        """The inverse of :meth:`save`."""
        from safetensors.numpy import load_file

        arrays = load_file(folder / "questions.safetensors")
        names = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
        return cls(
            vectors=arrays["vectors"].astype(np.float32),
            answer_of=arrays["answer_of"],
            intent_of=arrays["intent_of"],
            **names,
        )
