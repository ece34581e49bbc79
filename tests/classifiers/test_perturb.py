"""Variants differ from the text in what their kind says, come out the same each time, and work on any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.shipped.perturb import FIT, HELD_OUT, KINDS, TYPO_SHARE_MAX, WORDINGS, perturb, variants
from classifiers.text.normalise import normalise

TEXT = 'Describe how "glaciers" carve valleys, and why the ice doesn\'t melt at the bottom. Is it friction?'
INVISIBLE = (
    "lower",
    "upper",
    "title",
    "double_spaces",
    "no_break_spaces",
    "lookalikes",
    "full_width",
    "zero_width",
    "curly_quotes",
)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_a_text_and_gives_the_same_again(kind):
    assert perturb(TEXT, kind, 1) == perturb(TEXT, kind, 1) != TEXT


@pytest.mark.parametrize("kind", INVISIBLE)
def test_what_carries_no_meaning_is_undone_by_normalising(kind):
    for seed in range(20):
        assert normalise(perturb(TEXT, kind, seed)) == normalise(TEXT)


@pytest.mark.parametrize("kind", ["typo_swap", "typo_drop", "typo_double"])
def test_typos_are_few_and_leave_the_ends_of_words(kind):
    words = " ".join([TEXT] * 10).split(" ")
    spoilt = perturb(" ".join(words), kind, 2).split(" ")
    changed = [(old, new) for old, new in zip(words, spoilt, strict=True) if old != new]
    assert 0 < len(changed) <= TYPO_SHARE_MAX * len(words) + 1
    assert all(old[0] == new[0] and old[-1] == new[-1] and abs(len(old) - len(new)) <= 1 for old, new in changed)


@pytest.mark.parametrize("kind", WORDINGS)
def test_training_and_measuring_share_no_wording(kind):
    fitted, held_out = ({perturb(TEXT, kind, seed, half) for seed in range(200)} for half in (FIT, HELD_OUT))
    assert len(fitted) == len(WORDINGS[kind][FIT])
    assert len(held_out) == len(WORDINGS[kind][HELD_OUT])
    assert not fitted & held_out
    assert all(TEXT in variant for variant in fitted | held_out)


def test_braces_in_the_text_are_kept():
    assert "f({x})" in perturb("what does f({x}) do with {}", "polite_before", 3)


def test_a_greeting_is_not_made_a_request():
    made_requests = {"routing_up", "routing_down", "polite_before", "polite_after", "json_template", "instruction_template"}
    assert made_requests <= set(variants("hello there"))
    assert not made_requests & set(variants("hello there", is_small_talk=True))


def test_variants_leave_out_what_comes_out_the_same():
    assert "lower" not in variants("all lower case words")
    assert TEXT not in variants(TEXT).values()


@given(st.text(st.characters(), max_size=200), st.sampled_from(sorted(KINDS)), st.sampled_from([FIT, HELD_OUT]))
def test_any_text_can_be_varied(text, kind, half):
    assert isinstance(perturb(text, kind, 0, half), str)
