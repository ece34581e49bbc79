"""From probabilities to a word: the bar, the threshold, and what is unlike anything seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.judging.class_rule import FAMILIAR_MIN, classed, merged
from gateway.policy.model import UNSURE
from gateway.policy.schema import ClassifierSpec
from tests.judging.fakes import verdict

PLAIN = ClassifierSpec(abstain_below=0.6)
DIAL = ClassifierSpec(abstain_below=0.6, strong_above=0.3)


def word(rule: ClassifierSpec, skip: float, small: float, strong: float, familiarity: float = 1.0) -> tuple[str, float]:
    found = classed({"skip": skip, "small": small, "strong": strong}, rule, familiarity)
    return found.name, found.confidence


@pytest.mark.parametrize(
    ("skip", "small", "strong", "said"),
    [
        (0.1, 0.7, 0.2, ("small", 0.7)),
        (0.6, 0.3, 0.1, ("skip", 0.6)),
        (0.1, 0.35, 0.55, (UNSURE, 0.55)),
        (0.59, 0.21, 0.2, (UNSURE, 0.59)),
    ],
)
def test_the_likeliest_class_or_unsure_under_the_bar(skip: float, small: float, strong: float, said: tuple[str, float]) -> None:
    assert word(PLAIN, skip, small, strong) == said


@pytest.mark.parametrize(
    ("skip", "small", "strong", "said"),
    [
        (0.0, 0.69, 0.31, ("strong", 0.31)),
        (0.0, 0.71, 0.29, ("small", 0.71)),
        (0.5, 0.34, 0.16, ("strong", 0.16)),  # 0.32 of what is not skip; skip itself is under its bar
        (0.6, 0.1, 0.3, ("skip", 0.6)),
    ],
)
def test_the_dial_splits_what_is_not_skip(skip: float, small: float, strong: float, said: tuple[str, float]) -> None:
    assert word(DIAL, skip, small, strong) == said


def test_skip_takes_at_least_one_half() -> None:
    assert word(ClassifierSpec(abstain_below=0.1, strong_above=0.5), 0.4, 0.35, 0.25)[0] == "small"


@pytest.mark.parametrize("rule", [PLAIN, DIAL])
def test_what_is_unlike_the_training_data_is_unsure_with_the_reason(rule: ClassifierSpec) -> None:
    found = classed({"skip": 0.0, "small": 0.9, "strong": 0.1}, rule, 0.01)
    assert (found.name, found.is_unfamiliar) == (UNSURE, True)
    assert found.why == "it is unlike what the classifier was trained on (familiarity 0.01)"


@pytest.mark.parametrize("rule", [PLAIN, DIAL])
def test_small_talk_need_not_be_like_what_was_graded(rule: ClassifierSpec) -> None:
    assert word(rule, 0.9, 0.1, 0.0, familiarity=0.0) == ("skip", 0.9)
    assert word(rule, 0.1, 0.9, 0.0, familiarity=0.0)[0] == UNSURE


def test_skip_is_of_the_last_turn_and_the_rest_is_shared_as_the_whole_says() -> None:
    last, whole = verdict(skip=0.2, small=0.8), verdict(skip=0.5, small=0.1, strong=0.4)
    assert merged(last, whole) == pytest.approx({"skip": 0.2, "small": 0.16, "strong": 0.64})
    assert merged(None, whole) == pytest.approx({"skip": 0.0, "small": 0.2, "strong": 0.8})
    assert merged(last, last) == last.classes


SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))


@given(SHARES, st.none() | SHARES, st.none() | st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_any_verdict_has_a_word(
    whole: tuple[float, float, float],
    last: tuple[float, float, float] | None,
    strong_above: float | None,
    bar: float,
    familiarity: float,
) -> None:
    rule = ClassifierSpec(abstain_below=bar, strong_above=strong_above)
    classes = merged(None if last is None else verdict(*last), verdict(*whole))
    found = classed(classes, rule, familiarity)
    assert found.name in ("skip", "small", "strong", UNSURE)
    assert (found.why is None) is (found.name != UNSURE)
    assert found.is_unfamiliar is (familiarity < FAMILIAR_MIN and found.name != "skip")
    if last is None:
        assert found.name != "skip"
