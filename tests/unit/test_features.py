"""The n-gram vectoriser: what it learns, how it scales, and that it survives any text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot_assets.train.features import NgramConfig, NgramVectorizer

TEXTS = ["play a song", "play the radio", "turn on the light", "turn the light off"]
TOKENS = [text.split() for text in TEXTS]


@pytest.fixture(scope="module")
def fitted() -> NgramVectorizer:
    return NgramVectorizer.fit(TEXTS, TOKENS, NgramConfig())


def test_each_group_of_a_row_has_its_configured_length() -> None:
    config = NgramConfig(word_weight=2.0, char_weight=0.5)
    vectorizer = NgramVectorizer.fit(TEXTS, TOKENS, config)
    rows = vectorizer.transform(TEXTS, TOKENS).toarray()
    words = len(vectorizer.hashes[0])
    assert np.allclose(np.linalg.norm(rows[:, :words], axis=1), 2.0, atol=1e-6)
    assert np.allclose(np.linalg.norm(rows[:, words:], axis=1), 0.5, atol=1e-6)


def test_it_agrees_with_scikit_learn() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    ours = NgramVectorizer.fit(TEXTS, TOKENS, NgramConfig(word_weight=0.0)).transform(TEXTS, TOKENS)
    theirs = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True).fit_transform(TEXTS)
    assert np.allclose((ours @ ours.T).toarray(), (theirs @ theirs.T).toarray(), atol=1e-6)


def test_rare_n_grams_are_left_out_of_a_large_corpus_only() -> None:
    config = NgramConfig(min_rows=2, small=4)
    kept = [
        gram for gram, _ in NgramVectorizer.fit(TEXTS, TOKENS, config).describe("play a song", ["play", "a", "song"])
    ]
    assert "play" in kept and "song" not in kept
    small = NgramVectorizer.fit(TEXTS[:3], TOKENS[:3], config)
    assert "song" in [gram for gram, _ in small.describe("play a song", ["play", "a", "song"])]


def test_the_order_of_the_texts_does_not_matter(fitted: NgramVectorizer) -> None:
    turned = NgramVectorizer.fit(TEXTS[::-1], TOKENS[::-1], NgramConfig())
    for name, array in fitted.arrays().items():
        assert np.array_equal(array, turned.arrays()[name])


def test_describe_names_exactly_the_columns_of_the_row(fitted: NgramVectorizer) -> None:
    named = fitted.describe("turn the song off", ["turn", "the", "song", "off"])
    row = fitted.transform(["turn the song off"], [["turn", "the", "song", "off"]])
    assert {column for _, column in named} == set(row.indices.tolist())
    assert {"turn", "turn the", "tur"} <= {gram for gram, _ in named}
    assert "the song" not in {gram for gram, _ in named}


def test_texts_without_a_word_are_rows_of_zeros(fitted: NgramVectorizer) -> None:
    rows = fitted.transform(["", "   ", "한국어"], [[], [], ["한국어"]])
    assert rows.shape == (3, fitted.n_features)
    assert rows.nnz == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_text_becomes_finite_numbers_and_the_arrays_round_trip(fitted: NgramVectorizer, texts: list[str]) -> None:
    tokens = [text.split() for text in texts]
    again = NgramVectorizer.from_arrays(fitted.arrays(), fitted.config)
    rows = again.transform(texts, tokens)
    assert rows.dtype == np.float32 and np.isfinite(rows.data).all()
    assert (rows != fitted.transform(texts, tokens)).nnz == 0
    if texts:
        assert NgramVectorizer.fit(texts, tokens, NgramConfig()).transform(texts, tokens).shape[0] == len(texts)


def test_a_text_has_the_same_row_alone_and_in_company(fitted: NgramVectorizer) -> None:
    together = fitted.transform(TEXTS, TOKENS)
    for place, (text, words) in enumerate(zip(TEXTS, TOKENS, strict=True)):
        assert (fitted.transform([text], [words]) != together[place]).nnz == 0


@pytest.mark.parametrize("width", [2, 7, 150])
def test_rows_are_multiplied_as_scipy_multiplies_them(fitted: NgramVectorizer, width: int) -> None:
    weights = np.random.default_rng(0).normal(size=(fitted.n_features, width)).astype(np.float32)
    texts = [*TEXTS, "", "한국어"]
    tokens = [text.split() for text in texts]
    product = fitted.rows(texts, tokens) @ weights
    np.testing.assert_array_equal(product, fitted.transform(texts, tokens) @ weights)


def test_texts_and_tokens_of_different_lengths_are_refused(fitted: NgramVectorizer) -> None:
    with pytest.raises(ValueError, match="1 texts, but tokens of 0"):
        fitted.transform(["a"], [])
