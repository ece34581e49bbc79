"""When two answers say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cascade.agreement import say_the_same, words_of

SAME = [
    ("Paris", "paris."),
    ("Paris", "The capital of France is Paris."),
    ("**Paris**", "It is Paris!"),
    ("1,000", "1000"),
    ("12.0", "12"),
    ("seven", "7"),
    ("3 + 4 = 7", "The sum is 7."),
    ("First add 3 and 4.\nThat makes 7.", "Adding both numbers, we get 7"),
    ("Yes, because it is warm there.", "Yes."),
    ('{"a": 1, "b": [2]}', '{"b": [2], "a": 1}'),
    ("[1, 2]", "[1,2]"),
    ("The quick brown fox jumps over the dog today", "A quick brown fox jumps over a dog today"),
    ("Because of the wind.\nAnswer: north", "It turns in winter.\nAnswer: north"),
    ("", ""),
]
DIFFERENT = [
    ("Paris", "Lyon"),
    ("Paris", "It is not Paris."),
    ("7", "8"),
    ("The sum is 7.", "The sum is 8."),
    ("Yes, because it is warm there.", "No, because it is warm there."),
    ('{"a": 1}', '{"a": 2}'),
    ("[1, 2]", "[2, 1]"),
    ("Cats sleep all day long and hunt at night", "Trains run late whenever it snows in March"),
    ("Paris", ""),
    ("...", "Paris"),
    ("-3", "3"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_thing_in_other_words(one: str, other: str) -> None:
    assert say_the_same(one, other)
    assert say_the_same(other, one)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_another_thing(one: str, other: str) -> None:
    assert not say_the_same(one, other)
    assert not say_the_same(other, one)


@given(st.text(), st.text())
def test_it_is_total_symmetric_and_reflexive(one: str, other: str) -> None:
    assert say_the_same(one, one)
    assert say_the_same(one, other) == say_the_same(other, one)


def test_words_are_bare() -> None:
    assert words_of("The *answer*: 1,234.50, isn’t it?") == ["answer", "1234.5", "isn't", "it"]
