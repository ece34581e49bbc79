"""Courtesies go, requests stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.text.courtesy import AFTER, BEFORE, without_courtesies


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("hi could you please help me change my pin thanks", "change my pin"),
        ("hey there i was wondering if you could show my balance please", "show my balance"),
        ("good morning when do you open", "when do you open"),
        ("cancel it please thank you", "cancel it"),
        ("thank you", "thank you"),
        ("hi", "hi"),
        ("hello please", "hello please"),
        ("hi there thanks", "hi there"),
        ("", ""),
        ("what can i ask you", "what can i ask you"),
    ],
)
def test_what_is_left_is_what_is_wanted(text: str, left: str) -> None:
    assert " ".join(without_courtesies(text.split())) == left


@given(st.lists(st.sampled_from([*" ".join((*BEFORE, *AFTER)).split(), "open", "account"]), max_size=12))
def test_a_run_of_the_words_is_left_and_never_a_single_one_of_many(words: list[str]) -> None:
    left = list(without_courtesies(words))
    assert any(words[i : i + len(left)] == left for i in range(len(words) - len(left) + 1))
    assert len(left) >= min(len(words), 2)
    assert list(without_courtesies(left)) == left
