"""Fitting to a deployment's own pairs, and from nothing."""

import itertools
import random

import numpy as np
import pytest

from classifiers.errors import DataError
from classifiers.pairs.fit import fit_new
from classifiers.pairs.generate import generate, variants
from classifiers.pairs.labelled import Pair
from classifiers.pairs.measure import auc
from classifiers.pairs.model import bar_of, curves_of
from classifiers.pairs.refit import fit_verifier, scores_of
from classifiers.pairs.verifier import shipped

THINGS = (
    "invoice", "parcel", "voucher", "contract", "ticket", "meter", "deposit", "badge", "licence", "router", "card", "locker",
    "permit", "subscription", "refund", "warranty",
)  # fmt: skip
# Of this deployment's questions those with a number of another order are the same: its answers do not depend on the asker.
WISHES = (
    ("where is my {}", "my {} has not come, where is it"),
    ("how do i renew my {}", "my {} runs out, what now"),
    ("i want to hand back the {}", "may a {} be returned"),
    ("who do i ask about a broken {}", "the {} does not work, who helps"),
)


def own_pairs() -> list[Pair]:
    """The same wish in other words, and another wish or thing in like words."""
    pairs = []
    for thing, (one, other) in itertools.product(THINGS, WISHES):
        pairs.append((one.format(thing), other.format(thing), 1))
    for (thing, other), (one, _) in itertools.product(itertools.pairwise(THINGS), WISHES):
        pairs.append((one.format(thing), one.format(other), 0))
    for thing, (one, other) in itertools.product(THINGS, itertools.pairwise(WISHES)):
        pairs.append((one[0].format(thing), other[0].format(thing), 0))
    return [Pair(a, b, label, "own", a) for a, b, label in pairs]


def test_a_deployments_own_pairs_make_it_better_on_those_held_out() -> None:
    pairs = own_pairs()
    random.Random(3).shuffle(pairs)
    labels = np.array([pair.label for pair in pairs])
    base = shipped("wordllama")
    before = auc(scores_of(base, pairs, lambda done: None), labels)
    fitted = fit_verifier(pairs, base, 7)
    assert auc(fitted.held_out, labels) > before + 0.02
    again = fit_verifier(pairs, base, 7)
    for name, array in fitted.arrays.items():
        assert np.array_equal(array, again.arrays[name]), name


def test_own_pairs_can_only_add_to_what_a_bar_must_keep() -> None:
    pairs = own_pairs()
    base = shipped("wordllama")
    fitted = fit_verifier([*pairs, *(Pair(p.text_a, p.text_a + " please", 0, "own", p.text_a) for p in pairs[:60])], base, 7)
    curves = curves_of(fitted.arrays)
    assert len(curves) == len(base.curves) + 1
    # Sixty courtesies that were judged to be other questions: nothing is as safe as it seemed.
    assert bar_of(curves, 0.01) > base.bar(0.01)


def test_too_few_pairs_are_refused_with_what_is_missing() -> None:
    with pytest.raises(DataError, match="40 or more, 10 of each label"):
        fit_verifier(own_pairs()[:30], shipped("wordllama"), 7)
    with pytest.raises(DataError, match="100 pairs, 100 of them the same"):
        fit_verifier([Pair(f"a {i}", f"b {i}", 1, "own", "") for i in range(100)], shipped("wordllama"), 7)


@pytest.mark.timeout(120)  # trains a verifier
def test_a_verifier_learns_from_nothing_the_same_from_the_same() -> None:
    pairs = own_pairs()
    labels = np.array([pair.label for pair in pairs])
    fitted = fit_new(pairs, "wordllama", 3, lambda done, what: None)
    assert auc(fitted.held_out, labels) > 0.7
    again = fit_new(pairs, "wordllama", 3, lambda done, what: None)
    for name, array in fitted.arrays.items():
        assert np.array_equal(array, again.arrays[name]), name


def test_made_pairs_swap_arguments_or_leave_the_meaning() -> None:
    chance = random.Random(0)
    assert ("Which is warmer, fleece or wool?", 1) in variants("Which is warmer, wool or fleece?", chance)
    assert ("In winter, how do bees live?", 1) in variants("How do bees live in winter?", chance)
    assert ("Is Berta taller than Anna?", 0) not in variants("Is Anna older?", chance)
    turned = list(variants("Did Clara overtake Magda?", chance))
    assert turned == [("Did Magda overtake Clara?", 0)]


def test_made_pairs_are_the_same_from_the_same() -> None:
    texts = [f"Which {a} suits a {b} in {c}?" for a in THINGS[:5] for b in THINGS[5:9] for c in ("Oslo", "Bergen")]
    one = generate(texts, 20, 1)
    assert one == generate(list(reversed(texts)), 20, 1)
    assert one != generate(texts, 20, 2)
    assert [sum(label == wanted for *_, label in one) for wanted in (0, 1)] == [20, 20]
    assert all(a != b for a, b, _ in one)
