"""The figures of an evaluation: by hand, against scikit-learn, and within their ranges."""

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.validate.metrics import EvaluatedRow, evaluate, matthews_correlation

INTENTS = st.sampled_from(["pay", "ship", "return", "hours"])
ROWS = st.builds(
    EvaluatedRow,
    expected_intent=st.none() | INTENTS,
    top_intent=INTENTS,
    served_intent=st.none() | INTENTS,
    expected_answer=st.none() | st.sampled_from(["a", "b"]),
    ranked_answers=st.lists(st.sampled_from(["a", "b", "c"]), max_size=6),
    latency_ms=st.none() | st.floats(0, 1000),
    has_intent=st.booleans(),
)


def test_a_small_example_by_hand() -> None:
    figures = evaluate(
        [
            EvaluatedRow("pay", "pay", "pay", "a", ["a", "b"], 1.0),
            EvaluatedRow("pay", "ship", "ship", "b", ["a", "b"], 3.0),
            EvaluatedRow("ship", "ship", None),
            EvaluatedRow(None, "pay", None),
            EvaluatedRow(None, "pay", "pay"),
        ]
    )
    assert figures["accuracy"] == 2 / 3
    assert figures["served_accuracy"] == 2 / 5
    assert figures["in_scope_accuracy"] == 1 / 3
    assert figures["out_of_scope_recall"] == figures["out_of_scope_precision"] == 1 / 2
    assert figures["answer_recall_at_1"] == 1 / 2 and figures["answer_recall_at_5"] == 1
    assert figures["per_intent"]["pay"] == {"precision": 1, "recall": 1 / 2, "f1": 2 / 3, "support": 2}
    assert figures["p50_ms"] == 2.0


def test_figures_without_rows_are_none_and_never_zero() -> None:
    assert {name for name, value in evaluate([]).items() if value is not None} == {"rows", "per_intent"}
    only_answers = evaluate([EvaluatedRow(expected_answer="a", ranked_answers=["b"], has_intent=False)])
    assert only_answers["answer_recall_at_1"] == 0
    assert only_answers["accuracy"] is only_answers["mcc"] is only_answers["out_of_scope_recall"] is None


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, max_size=30))
def test_every_figure_stays_in_its_range(rows: list[EvaluatedRow]) -> None:
    figures = evaluate(rows)
    for name, value in figures.items():
        if name not in ("rows", "per_intent", "mcc", "p50_ms", "p99_ms") and value is not None:
            assert 0 <= value <= 1, name
    assert figures["mcc"] is None or -1 - 1e-9 <= figures["mcc"] <= 1 + 1e-9
    assert sum(scores["support"] for scores in figures["per_intent"].values()) == sum(
        row.has_intent and row.expected_intent is not None for row in rows
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(INTENTS, INTENTS), min_size=1, max_size=40))
def test_correlation_and_f1_agree_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    expected, given_ = [a for a, _ in pairs], [b for _, b in pairs]
    figures = evaluate([EvaluatedRow(a, b, b) for a, b in pairs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isclose(figures["macro_f1"], f1_score(expected, given_, average="macro", zero_division=0))
        assert np.isclose(figures["mcc"] or 0.0, matthews_corrcoef(expected, given_), atol=1e-9)


def test_correlation_is_undefined_when_one_side_never_varies() -> None:
    assert matthews_correlation(np.array([1, 1]), np.array([1, 2])) is None
    assert matthews_correlation(np.array([1, 2]), np.array([1, 2])) == 1.0
