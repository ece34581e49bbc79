"""The columns of a pair: the same both ways, finite for any text, and telling what they are named for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.pairs.blocks import static_embedder
from classifiers.pairs.features import NAMES, PairFeatures
from classifiers.pairs.view import ARTICLES, RARITY_BUCKETS, View, Words, bucket

FEATURES = PairFeatures(static_embedder(), np.full(RARITY_BUCKETS, 0.5, np.float32))
QUESTIONS = (
    "How do I get from Ghent to Bruges?", "What is a tort?", "Is tea better than coffee?", "café 12 km", "don't", "", "?!",
    "今天", "the the the", "What's 3 + 4?", "\ud800 how",
)  # fmt: skip
texts = st.one_of(st.sampled_from(QUESTIONS), st.text(max_size=60), st.text("aA bB.?'1-", max_size=30))


def of(a: str, b: str) -> dict[str, float]:
    return dict(zip(NAMES, FEATURES.rows(a, [b], [0.9])[0].tolist(), strict=True))


def test_every_column_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES) == FEATURES.rows("a b", ["c"], [0.1]).shape[1]


@settings(max_examples=200, deadline=None)
@given(texts, texts)
def test_columns_are_finite_and_the_same_both_ways(a: str, b: str) -> None:
    one, other = FEATURES.rows(a, [b], [0.5]), FEATURES.rows(b, [a], [0.5])
    assert np.isfinite(one).all()
    assert np.array_equal(one, other)


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    kept = ["What is a tort law?", "How do I cook rice?", ""]
    together = FEATURES.rows("What is a tort?", kept, [0.9, 0.1, 0.0])
    alone = [FEATURES.rows("What is a tort?", [text], [c])[0] for text, c in zip(kept, [0.9, 0.1, 0.0], strict=True)]
    assert np.array_equal(together, np.array(alone))


def test_no_neighbours_are_no_rows() -> None:
    assert FEATURES.rows("What is a tort?", [], []).shape == (0, len(NAMES))


@pytest.mark.parametrize(
    ("a", "b", "slips"),
    [
        ("What is the price of a stamp?", "what's price of stamp", 0),
        ("How can't I sleep?", "how can not i sleep", 0),
        ("How do I calculate interest?", "How do I claculate interest?", 1),
        ("Quick question - who won in 2022?", "who won in 2022", 0),
    ],
)
def test_articles_contractions_dashes_and_slips_are_form_alone(a: str, b: str, slips: int) -> None:
    found = of(a, b)
    assert (found["surface_apart"], found["surface_slips"]) == (0, slips)


def test_other_words_are_apart() -> None:
    assert of("Where do foxes sleep?", "Where do foxes hunt?")["surface_apart"] == 2
    assert of("How do I sew?", "How can I sew?")["surface_how"] == 2
    assert of("Why do I sew?", "Why can I sew?")["surface_how"] == 0


def test_arguments_that_changed_places_show_in_order_and_context() -> None:
    same = of("How do I fly from Oslo to Bergen?", "how do i fly from oslo to bergen")
    turned = of("How do I fly from Oslo to Bergen?", "How do I fly from Bergen to Oslo?")
    assert (same["inversions"], same["is_only_form"]) == (0, 1)
    assert turned["inversions"] > 0
    assert turned["context_worst"] < same["context_worst"]
    assert turned["is_same_bag"] == 1
    assert turned["objects_order"] == 1


def test_numbers_names_negations_and_opposites_are_counted() -> None:
    assert of("List 3 rivers", "List 4 rivers")["numbers_only_max"] == 1
    assert of("How is life in Norway?", "How is life in Sweden?")["names_only_min"] == 1
    assert of("Why do cats purr?", "Why do cats not purr?")["negations_apart"] == 1
    assert of("How do I open the valve?", "How do I close the valve?")["opposites"] > 0


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    rarity = np.full(RARITY_BUCKETS, 0.2, np.float32)
    rarity[bucket("walrus")] = 0.9
    words = Words(static_embedder(), rarity)
    view = View("the old walrus", words)
    assert view.weights[2] > view.weights[1] > view.weights[0] > 0
    assert "the" in ARTICLES


def test_long_texts_are_bounded() -> None:
    rows = FEATURES.rows("why " * 900, ["how " * 900], [0.4])
    assert np.isfinite(rows).all()
