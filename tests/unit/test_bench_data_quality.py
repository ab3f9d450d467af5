"""The benchmarks of label noise and of paraphrases: what they draw, count and print."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import noise, paraphrase
from bench.intervals import interval, paired
from bench.labelled import Labelled, data_folders

INTENTS = np.array(["on", "off", "buy", "fix"] * 25)
FORMS = {"on": "turn on the {}", "off": "switch off my {}", "buy": "order a new {}", "fix": "the {} is broken"}
THINGS = ["lamp", "radio", "heater", "fan", "oven", "door", "screen", "alarm"]


def labelled(count: int) -> Labelled:
    return Labelled(
        [f"text {place}" for place in range(count)],
        [["text", str(place)] for place in range(count)],
        np.eye(count, dtype=np.float32),
        INTENTS[:count],
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "en-US"
    folder.mkdir()
    rows: list[dict[str, str | None]] = [
        {"text": form.format(thing), "intent": intent} for intent, form in FORMS.items() for thing in THINGS
    ]
    rows.append({"text": "sing me a song", "intent": None})
    for file in ("train.jsonl", "dev.jsonl"):
        (folder / file).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder


def test_the_interval_of_known_figures_is_students() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert found["mean"] == 2.0 and found["runs"] == 3
    assert found["high"] - 2 == pytest.approx(4.302652 / np.sqrt(3), abs=1e-4)
    assert interval([0.5]) == {"mean": 0.5, "low": None, "high": None, "runs": 1}
    with pytest.raises(ValueError, match="at least one"):
        interval([])


def test_pairs_that_differ_by_the_same_have_no_spread() -> None:
    assert paired([1.0, 2.0, 5.0], [0.5, 1.5, 4.5]) == {"mean": 0.5, "low": 0.5, "high": 0.5, "runs": 3}
    with pytest.raises(ValueError):
        paired([1.0], [1.0, 2.0])


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 0.99), st.integers(0, 99))
def test_exactly_the_asked_share_of_labels_is_wrong(rate: float, seed: int) -> None:
    noisy = noise.with_noise(INTENTS, rate, seed)
    assert (noisy != INTENTS).sum() == round(rate * len(INTENTS))
    assert set(noisy) <= set(INTENTS)
    assert np.array_equal(noisy, noise.with_noise(INTENTS, rate, seed))


def test_shares_that_are_not_defined_are_left_out() -> None:
    wrong = np.array([True, True, False, False])
    found = noise.found_share(np.array([True, False, True, False]), wrong, "x")
    assert found == {"x_flagged": 0.5, "x_precision": 0.5, "x_recall": 0.5}
    assert noise.found_share(~wrong, np.zeros(4, np.bool_), "x") == {"x_flagged": 0.5}


def test_the_drawn_rows_and_the_others_are_as_many_of_each_intent_and_never_the_same() -> None:
    drawn = paraphrase.draw(labelled(100), 5, seed=1)
    for rows in (drawn.gold, drawn.more):
        assert {str(name): int((rows.intents == name).sum()) for name in np.unique(rows.intents)} == dict.fromkeys(
            FORMS, 5
        )
    assert not set(drawn.gold.texts) & set(drawn.more.texts)
    assert drawn.gold.texts != paraphrase.draw(labelled(100), 5, seed=2).gold.texts


def test_stock_augmenters_make_as_many_texts_as_asked_the_same_for_a_seed() -> None:
    texts = [form.format(thing) for form in FORMS.values() for thing in THINGS]
    made = paraphrase.by_nlpaug(texts, 40, seed=3)
    assert len(made) == 40 and all(text != texts[place] for place, _, text in made)
    assert made == paraphrase.by_nlpaug(texts, 40, seed=3) != paraphrase.by_nlpaug(texts, 40, seed=4)


def test_the_noise_benchmark_prints_one_report(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise.main(["--data", str(data), "--rates", "0.0,0.2", "--seeds", "2", "--cross-validated-rows", "30"])
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "noise" and found["targets"] == []
    pooled = found["figures"]["rates"]["0.2"]["pooled"]
    assert pooled["judged_minus_stock"]["runs"] == 2 and 0 <= pooled["judged"]["mean"] <= 1
    assert found["figures"]["rates"]["0.0"]["en-US"]["clean"]["runs"] == 1
    assert 0 <= found["baseline"]["cross_validated"]["en-US"]["stock_cv_recall"] <= 1


def test_the_paraphrase_benchmark_prints_one_report(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paraphrase.main(["--data", str(data), "--shots", "2", "--seeds", "2"])
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "paraphrase"
    pooled = found["figures"]["shots"]["2"]["pooled"]
    assert pooled["gold_rows"]["mean"] == 2 * len(FORMS)
    assert pooled["kept"]["mean"] == pooled["stock_rows"]["mean"] <= pooled["candidates"]["mean"]
    assert pooled["twice_gold_minus_gold"]["runs"] == 2


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (noise.main, ["--rates", "many"]),
        (noise.main, ["--rates", "1.5"]),
        (paraphrase.main, ["--shots", "few"]),
        (paraphrase.main, ["--shots", "5", "--seeds", "0"]),
    ],
)
def test_arguments_that_make_no_sense_are_one_line(
    main: object, arguments: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    with pytest.raises(SystemExit):
        main(["--data", str(data), *arguments])
    assert "error: " in capsys.readouterr().err


def test_a_folder_without_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        noise.main(["--data", str(tmp_path)])
    assert "has no train.jsonl" in capsys.readouterr().err


def test_a_folder_of_data_folders_stands_for_all_of_them(data: Path) -> None:
    (data.parent / "notes").mkdir(exist_ok=True)
    assert data_folders([data.parent]) == data_folders([data]) == [data]
