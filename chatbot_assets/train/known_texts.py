"""The utterances that a bot was taught, with their answers, searched by likeness in meaning.

Those with an intent are searched within their intent, exactly; questions that have an answer and no intent, by an index
over all of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chatbot_assets.train.contracts import Floats, IndexBuilder, VectorIndex
from chatbot_assets.train.rows import TrainingRows
from chatbot_assets.train.strings import Strings, TextPlaces, load_strings, save_strings

RESULT_LIBRARIES = ["numpy", "safetensors"]
ARRAYS, INTENTS, INDEX = "known_texts.safetensors", "intents.json", "index"
TEXTS, ANSWERS = "texts.arrow", "answers.arrow"
NO_PLACE = -1
"""Stands where there is no text."""


@dataclass(frozen=True)
class KnownTexts:
    """The utterances that a bot learnt from, by intent, within it those with an answer first; questions come last.

    ``vectors`` (labelled texts, dimension) are L2-normalised. ``starts`` and ``stops`` (intents) are the places of each
    intent's first text and of the one behind its last, and ``answered`` (intents) of the one behind its last with an
    answer. ``answer_of`` (texts) gives each text's place in ``answers`` (-1: it has none); ``ids`` are the utterances'
    ids. ``index`` holds the vectors of the questions, the texts from place ``len(vectors)`` on. ``taught`` finds the
    texts that were taught word for word.
    """

    vectors: Floats
    ids: Strings
    texts: Strings
    answer_of: NDArray[np.int32]
    answers: Strings
    intents: list[str]
    starts: NDArray[np.int64]
    answered: NDArray[np.int64]
    stops: NDArray[np.int64]
    taught: TextPlaces
    index: VectorIndex | None = None
    _intent_places: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_intent_places", {intent: place for place, intent in enumerate(self.intents)})

    @classmethod
    def of(cls, rows: TrainingRows, index: IndexBuilder | None = None) -> "KnownTexts":
        """The utterances among the rows, in an order that depends on their contents alone; paraphrases are left out.

        Without an ``index`` the questions cannot be searched.
        """
        used = [
            place
            for place, parent in enumerate(rows.parents)
            if parent is None and (rows.intents[place] is not None or rows.answers[place] is not None)
        ]
        used.sort(
            key=lambda place: (
                rows.intents[place] is None,
                rows.intents[place] or "",
                rows.answers[place] is None,
                rows.ids[place],
            )
        )
        sorted_rows = rows.take(used)
        answers = sorted({answer for answer in sorted_rows.answers if answer is not None})
        answer_place: dict[str | None, int] = {answer: place for place, answer in enumerate(answers)}
        answer_of = np.array([answer_place.get(answer, NO_PLACE) for answer in sorted_rows.answers], np.int32)
        labels = [intent for intent in sorted_rows.intents if intent is not None]
        intents, starts, counts = np.unique(labels, return_index=True, return_counts=True)
        has_answer = np.concatenate([[0], np.cumsum(answer_of >= 0)])
        stops = starts + counts
        questions = sorted_rows.vectors[len(labels) :]
        return cls(
            vectors=np.ascontiguousarray(sorted_rows.vectors[: len(labels)], np.float32),
            ids=Strings.of(sorted_rows.ids),
            texts=Strings.of(sorted_rows.texts),
            answer_of=answer_of,
            answers=Strings.of(answers),
            intents=intents.tolist(),
            starts=starts.astype(np.int64),
            answered=(starts + has_answer[stops] - has_answer[starts]).astype(np.int64),
            stops=stops.astype(np.int64),
            taught=TextPlaces.of(_taught(sorted_rows.texts, starts.tolist(), stops.tolist())),
            index=index.build(questions) if index and len(questions) else None,
        )

    @property
    def questions(self) -> int:
        """How many texts have an answer but no intent."""
        return len(self.ids) - len(self.vectors)

    def place_of(self, text: str) -> int:
        """The place of a text that was taught word for word, or -1; a text of several intents was not."""
        place = self.taught.find(text, self.texts)
        return NO_PLACE if place is None else place

    def is_question(self, place: int) -> bool:
        """Whether the text at a place has an answer but no intent; False where there is no text."""
        return place >= len(self.vectors)

    def intent(self, place: int) -> str | None:
        """The intent of a known text, if it has one; None where there is no text."""
        if place == NO_PLACE or self.is_question(place):
            return None
        return self.intents[int(np.searchsorted(self.stops, place, side="right"))]

    def answer(self, place: int) -> str | None:
        """The answer of a known text, if it has one."""
        return self.answers[self.answer_of[place]] if self.answer_of[place] >= 0 else None

    def nearest_of_intents(self, intents: Sequence[str], vectors: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """For each vector (n, dimension) the nearest text of the intent at the same position.

        Gives the cosines (n) with the nearest texts, and the places (n) of the nearest texts that have an answer, or
        of the nearest ones where the intent has no answer; 0 and -1 for an intent without a known text.
        """
        similarities = np.zeros(len(intents), np.float32)
        places = np.full(len(intents), NO_PLACE, np.int64)
        asked: dict[str, list[int]] = {}
        for row, intent in enumerate(intents):
            asked.setdefault(intent, []).append(row)
        for intent, rows in asked.items():
            block = self._intent_places.get(intent)
            if block is None:
                continue
            start, answered, stop = int(self.starts[block]), int(self.answered[block]), int(self.stops[block])
            likeness = vectors[rows] @ self.vectors[start:stop].T
            similarities[rows] = likeness.max(axis=1)
            eligible = likeness[:, : answered - start] if answered > start else likeness
            places[rows] = start + eligible.argmax(axis=1)
        return similarities, places

    def nearest_questions(self, vectors: Floats, k: int) -> list[list[tuple[int, float]]]:
        """For each vector (n, dimension) the questions that are nearest, at most one for each of at most k answers.

        Each is a place and its cosine, the nearest first.
        """
        if self.index is None:
            return [[] for _ in vectors]
        wanted = 2 * k
        found: list[list[tuple[int, float]]] = [[] for _ in vectors]
        waiting = list(range(len(vectors)))
        while waiting:
            similarities, places = self.index.search(vectors[waiting], wanted)
            for row, likeness, near in zip(waiting, similarities, places, strict=True):
                found[row] = self._distinct_answers(likeness, near, k)
            waiting = [row for row in waiting if len(found[row]) < k] if wanted < self.questions else []
            wanted *= 4
        return found

    def _distinct_answers(self, similarities: Floats, places: NDArray[np.int64], k: int) -> list[tuple[int, float]]:
        found: dict[int, tuple[int, float]] = {}
        for row in np.lexsort((places, -similarities)):
            if places[row] == NO_PLACE:
                continue
            place = len(self.vectors) + int(places[row])
            found.setdefault(int(self.answer_of[place]), (place, float(similarities[row])))
            if len(found) == k:
                break
        return list(found.values())

    def save(self, folder: Path) -> None:
        """Writes the folder; equal contents give equal bytes."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "vectors": self.vectors.astype(np.float16),
            "answer_of": self.answer_of,
            "starts": self.starts,
            "answered": self.answered,
            "stops": self.stops,
            "taught_hashes": self.taught.hashes,
            "taught_places": self.taught.places,
        }
        save_file(arrays, folder / ARRAYS)
        save_strings(folder / TEXTS, {"ids": self.ids, "texts": self.texts})
        save_strings(folder / ANSWERS, {"answers": self.answers})
        (folder / INTENTS).write_text(json.dumps(self.intents, ensure_ascii=False), encoding="utf-8")
        if self.index is not None:
            self.index.save(folder / INDEX)

    @classmethod
    def load(cls, folder: Path, index: IndexBuilder) -> "KnownTexts":
        """The inverse of :meth:`save`; ``index`` is a module like the one that the texts were built with.

        Texts, ids, answers and the index's vectors stay in their files, mapped into memory.
        """
        from safetensors.numpy import load_file

        arrays = load_file(folder / ARRAYS)
        texts = load_strings(folder / TEXTS)
        has_questions = len(texts["ids"]) > len(arrays["vectors"])
        return cls(
            vectors=arrays["vectors"].astype(np.float32),
            ids=texts["ids"],
            texts=texts["texts"],
            answer_of=arrays["answer_of"],
            answers=load_strings(folder / ANSWERS)["answers"],
            intents=json.loads((folder / INTENTS).read_text(encoding="utf-8")),
            starts=arrays["starts"],
            answered=arrays["answered"],
            stops=arrays["stops"],
            taught=TextPlaces(arrays["taught_hashes"], arrays["taught_places"]),
            index=index.load(folder / INDEX) if has_questions else None,
        )


def _taught(texts: Sequence[str], starts: Sequence[int], stops: Sequence[int]) -> dict[str, int]:
    """The first place of each text, without those of several intents, whose blocks begin and end so."""
    places = {text: place for place, text in reversed(list(enumerate(texts)))}
    for start, stop in zip(starts, stops, strict=True):
        for text in texts[start:stop]:
            if places.get(text, stop) < start:
                del places[text]
    return places
