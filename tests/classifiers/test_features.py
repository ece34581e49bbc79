"""Hand features: finite for any text, bounded in work, and each says what its name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.text.features import COURTESY, FEATURE_NAMES, TABLE, features
from classifiers.text.scan import CLASS_NAMES, HEAD_CHARS, TAIL_CHARS
from classifiers.text.word_groups import GROUPS

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=400)


def named(text: str) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, features(text).tolist(), strict=True))


def test_names_are_unique():
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)


@settings(deadline=None, max_examples=200)
@given(text=ANY_TEXT)
def test_any_text_gives_finite_features_of_one_shape(text):
    row = features(text)
    assert row.shape == (len(FEATURE_NAMES),)
    assert row.dtype == np.float32
    assert np.isfinite(row).all()


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_shares_are_between_zero_and_one(text):
    shares = [value for name, value in named(text).items() if name.startswith("share_")]
    assert all(0 <= share <= 1 for share in shares)


@given(text=ANY_TEXT)
@settings(deadline=None)
def test_the_same_text_gives_the_same_features(text):
    assert np.array_equal(features(text), features(text))


def test_of_a_long_text_only_head_and_tail_are_read():
    head, tail = "start. " * (HEAD_CHARS // 7 + 1), " end" * (TAIL_CHARS // 4)
    one, other = named(head + "x" * 9_000 + tail), named(head + "9 [} " * 1_800 + tail)
    assert one == other
    assert one["log_chars"] > np.log(9_000)


def test_the_tail_of_a_long_text_is_read():
    assert named("word " * 4_000 + "Prove it?")["log_hard_verb"] > 0


@pytest.mark.parametrize("text", ["a" * 9_000, "!" * 9_000, " " * 9_000, "\n- " * 3_000, "1" * 9_000, "'" * 9_000])
def test_repeated_characters_are_no_trap(text):
    assert np.isfinite(features(text)).all()


def test_a_stretched_greeting_is_a_greeting():
    assert named("heyyyyy")["log_greeting"] == named("hey")["log_greeting"] > 0


def test_a_greeting_before_a_task_is_told_from_a_greeting():
    assert named("hi, prove that the root of two is irrational")["greeted_then_more"] == 1
    assert named("hi there, how are you?")["greeted_then_more"] == 0


def test_code_and_maths_and_choices_are_seen():
    assert named("```python\ndef f():\n    return 1\n```")["log_fence"] > 0
    assert named("```python\ndef f():\n    return 1\n```")["log_code_mark"] > 0
    assert named("Let $x^2 \\in G$")["log_latex"] > 0
    assert named("Which?\nA. one\nB. two\nC. three")["log_choices"] == pytest.approx(np.log(4))


def test_the_share_of_other_scripts_is_told():
    assert named("你好")["share_non_ascii"] == 1
    assert named("hello")["share_non_ascii"] == 0


def test_every_listed_word_is_in_the_first_group_that_lists_it():
    for word, group in TABLE.items():
        assert group == next(name for name, words in GROUPS.items() if word in words.split())


def test_courtesies_are_the_first_groups():
    assert tuple(GROUPS)[: len(COURTESY)] == COURTESY


def test_every_character_class_but_other_is_a_feature():
    assert {f"share_{name}" for name in CLASS_NAMES[1:]} <= set(FEATURE_NAMES)
