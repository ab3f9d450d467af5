"""The questions and queries of ``bench answers``: real texts, all distinct, and no query among the questions."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.answers import best_likeness, questions_and_queries, recall
from chatbot_assets.train.answer_index import FaissIndex

SINGLE = ["turn on the light", "play some jazz", "what time is it"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, texts in (("train", [*SINGLE, "Wake me up", SINGLE[0]]), ("dev", ["wake me up", "set an alarm"])):
        lines = [json.dumps({"text": text}) + "\n" for text in texts]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def test_questions_are_single_texts_and_then_pairs_and_never_a_query(data: Path) -> None:
    questions, singles, queries = questions_and_queries(data, 8)
    assert questions[:singles] == SINGLE and queries == ["wake me up", "set an alarm"]
    assert len(set(questions)) == 8
    assert all(
        any(text.startswith(one) and text.endswith(other) for one in SINGLE for other in SINGLE) for text in questions
    )
    assert questions_and_queries(data, 8)[0] == questions


def test_a_folder_without_queries_is_refused_in_words(data: Path) -> None:
    (data / "dev.jsonl").unlink()
    with pytest.raises(ValueError, match=r"holds no dev\.jsonl"):
        questions_and_queries(data, 8)


def test_more_questions_than_the_texts_make_are_refused_in_words(data: Path) -> None:
    with pytest.raises(ValueError, match="make no more than 9 questions; give a smaller --answers"):
        questions_and_queries(data, 10)


def test_recall_is_the_share_of_queries_whose_nearest_vector_was_found() -> None:
    vectors, queries = np.eye(4, dtype=np.float16), np.eye(4, dtype=np.float32)
    best = best_likeness(vectors, queries)
    assert recall(FaissIndex().build(vectors.astype(np.float32)), queries, best) == 1.0
    assert recall(FaissIndex().build(vectors[:3].astype(np.float32)), queries, best) == 0.75
