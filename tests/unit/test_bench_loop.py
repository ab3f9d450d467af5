"""The benchmark of the review loop: what it draws, how its arms choose, and what it prints."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import loop
from bench.labelled import Labelled
from chatbot_assets.feedback.ordering import Known

INTENTS = np.array(["on", "off", "buy"] * 20)


def waiting(texts: list[str], shares: list[list[float]]) -> loop.Queue:
    count = len(texts)
    rows = Labelled(texts, [text.split() for text in texts], np.eye(count, dtype=np.float32), INTENTS[:count])
    known = Known(["good morning"], np.ones((1, count), np.float32) / np.float32(count**0.5))
    return loop.Queue(rows, known, np.log(np.array(shares, np.float32)), np.array(shares, np.float32))


def test_each_row_is_known_from_the_start_or_comes_once() -> None:
    traffic = loop.Traffic.draw(INTENTS, seed=3, rows=5, batches=4)
    assert sorted(np.concatenate([traffic.start, *traffic.batches]).tolist()) == list(range(len(INTENTS)))
    assert np.unique(INTENTS[traffic.start], return_counts=True)[1].tolist() == [5, 5, 5]


def test_one_decision_settles_the_turns_that_say_the_same_and_the_surest_turn_waits() -> None:
    queue = waiting(
        ["turn it on please", "buy bread", "Turn it on, please!", "off"],
        [[0.5, 0.4, 0.1], [0.98, 0.01, 0.01], [0.5, 0.4, 0.1], [0.6, 0.3, 0.1]],
    )
    chosen = loop.by_order(queue, 2, np.random.default_rng(0))
    assert sorted(sorted(group.tolist()) for group in chosen) == [[0, 2], [3]]


def test_the_smallest_margin_comes_first() -> None:
    queue = waiting(["a", "b", "c"], [[0.8, 0.1, 0.1], [0.4, 0.35, 0.25], [0.5, 0.3, 0.2]])
    assert [group.tolist() for group in loop.by_margin(queue, 2, np.random.default_rng(0))] == [[1], [2]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "en-US"
    folder.mkdir()
    rows = [
        {"text": f"{verb} the {thing} {number}", "intent": verb}
        for verb in ("open", "close", "paint")
        for thing in ("door", "window", "box")
        for number in range(6)
    ]
    for file in ("train.jsonl", "dev.jsonl"):
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


def test_all_arms_are_measured_on_the_same_traffic_and_vectors_are_kept(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--seeds", "2", "--batches", "2", "--decisions", "3", "--processes", "1", "--cache", str(tmp_path / "kept")]
    loop.main(["--data", str(data), *few])
    first = json.loads(capsys.readouterr().out)
    assert {"random", "smallest_margin", "no_review"} == set(first["baseline"])
    curves = [first["figures"]["queue"], *first["baseline"].values()]
    assert len({arm["accuracy_by_batch"][0]["mean"] for arm in curves}) == 1
    assert all(len(arm["accuracy_by_batch"]) == 3 for arm in curves)
    assert first["baseline"]["no_review"]["turns_taught"] == 0 < first["baseline"]["random"]["turns_taught"]
    assert len(first["targets"]) == 3
    kept = sorted((tmp_path / "kept").iterdir())
    loop.main(["--data", str(data), *few])
    assert json.loads(capsys.readouterr().out)["figures"] == first["figures"]
    assert kept and sorted((tmp_path / "kept").iterdir()) == kept


def test_a_number_below_one_is_refused_in_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        loop.main(["--data", str(data), "--processes", "0"])
    assert "at least one" in capsys.readouterr().err
