"""What is excluded without a score would have had one below every bar, and nothing else is excluded."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.pairs import screen
from classifiers.pairs.blocks import static_embedder
from classifiers.pairs.rules import CHARS_MAX
from classifiers.pairs.tokens import TYPOGRAPHY, _tokens, scan
from classifiers.pairs.verifier import VETOED, shipped, vetoed
from classifiers.pairs.view import WORDS_MAX
from tests.classifiers.pairs.test_verifier import MUST_NOT_SERVE, MUST_SERVE

LONG = "In which year did the old harbour of Leith get its second lighthouse, and who paid for the lamp? " * 6
WORDS = (
    "how do I not increase the a of and Peru Chile price prices 5 7 km mg is can my your please thanks Hi who when it -5 = "
    "f(x) don't cat cats was 'red' red, blue. el los Größe file_name don’t"
).split(" ")


def is_vetoed(asked: str, kept: str) -> bool:
    """By the columns, as scores are."""
    verifier = shipped("wordllama")
    return bool(vetoed(verifier.featurizer.rows(asked, [kept], [0.9]), verifier.featurizer.names)[0])


@pytest.mark.parametrize(("asked", "kept"), MUST_SERVE)
def test_what_must_be_served_is_scored(asked, kept):
    assert shipped("wordllama").excluded(asked, [kept, asked]) == [False, False]


@pytest.mark.parametrize(("asked", "kept"), [*MUST_SERVE, *MUST_NOT_SERVE])
def test_it_is_the_veto_of_scores(asked, kept):
    assert screen.excluded(asked, [kept]) == screen.excluded(kept, [asked]) == [is_vetoed(asked, kept)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12), st.data())
def test_so_it_is_of_any_words(words, data):
    others = data.draw(st.lists(st.sampled_from(WORDS), max_size=3))
    at = data.draw(st.integers(0, len(words)))
    asked, kept = " ".join(words), " ".join(words[:at] + others + words[at + 1 :])
    if asked != kept:
        assert screen.excluded(asked, [kept]) == [is_vetoed(asked, kept)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=WORDS_MAX - 4, max_size=WORDS_MAX + 8), st.data())
def test_so_it_is_of_texts_about_as_long_as_what_is_learned_reads(words, data):
    at = data.draw(st.integers(0, len(words)))
    asked, kept = " ".join(words), " ".join([*words[:at], data.draw(st.sampled_from(WORDS)), *words[at + 1 :]])
    if asked != kept:
        assert screen.excluded(asked, [kept]) == [is_vetoed(asked, kept)]


@pytest.mark.parametrize(
    ("kept", "is_excluded"),
    [
        (LONG.replace("second", "third", 1), True),
        (LONG + "Thanks!", False),  # courtesies and stops are no tokens of it
        (LONG.replace(" ", "  "), False),
        (LONG.upper(), False),
        (LONG + "Why?", True),
        (LONG[:200], True),
    ],
)
def test_of_long_texts_each_word_counts(kept, is_excluded):
    assert screen.excluded(LONG, [kept]) == [is_excluded] == [is_vetoed(LONG, kept)]


def test_texts_too_long_to_be_read_are_the_same_but_for_white_space_or_excluded():
    text = "word " * (CHARS_MAX // 5 + 1)
    assert screen.excluded(text, [text, text.replace(" ", "\n"), text + "more", "word"]) == [False, False, True, True]


def test_what_is_excluded_has_no_score_that_any_budget_serves():
    verifier, encode = shipped("wordllama"), static_embedder().encode
    pairs = [*MUST_NOT_SERVE, *MUST_SERVE, (LONG, LONG + "Why?")]
    out = [(a, b) for a, b in pairs if screen.excluded(a, [b])[0]]
    assert len(out) > len(MUST_NOT_SERVE) / 2
    scores = np.array([verifier.scores(a, [b], [float(encode(a) @ encode(b))])[0] for a, b in out])
    assert scores.max() <= VETOED < min(verifier.bar(budget) for budget in (0.001, 0.01, 0.05, 0.2))


@settings(max_examples=400)
@given(st.text(st.sampled_from("aB\u00e9\u4f60 5.,-_/:+#@!?'()%$\u20ac\n\t\xa0\x1c") | st.characters(codec="utf-8"), max_size=60))
def test_a_text_taken_apart_between_blanks_gives_what_it_gives_whole(text):
    plain = "".join(c for c in text if c not in '"`')
    if unicodedata.normalize("NFC", plain).translate(TYPOGRAPHY) == plain:
        assert scan(plain) == list(_tokens(plain))
