"""From columns to a probability, and from a budget to a bar."""

import numpy as np
import pytest

from classifiers.pairs.measure import Share, auc, bar_at, hit_rate_at, served, stream_hit_rate
from classifiers.pairs.model import NEVER, Curve, PairModel, bar_of, curve_of, wilson_upper
from classifiers.pairs.trees import grow

RNG = np.random.default_rng(4)
ROWS = RNG.normal(size=(900, 4)).astype(np.float32)
LABELS = (ROWS[:, 0] + 0.5 * ROWS[:, 1] * ROWS[:, 2] + 0.3 * RNG.normal(size=900) > 0).astype(np.int64)
NAMES = ("cosine", "x", "y", "objects")


def model(seed: int = 1) -> PairModel:
    trees, scale = grow(ROWS, LABELS, np.ones(900), NAMES, seed)
    return PairModel(trees, scale, np.array([0.5, 0, 0, 0]), 1.2, -0.1)


def test_trees_learn_and_grow_the_same_from_the_same() -> None:
    one, other = model(), model()
    assert auc(one.probability(ROWS), LABELS) > 0.95
    for name, array in one.arrays().items():
        assert np.array_equal(array, other.arrays()[name]), name


def test_rows_are_judged_alike_alone_and_together() -> None:
    found = model().trees
    together = found.predict_rows(ROWS[:20])
    assert np.array_equal(together, np.array([found.predict(row) for row in ROWS[:20]]))


def test_a_likeness_never_speaks_against() -> None:
    rows = np.repeat(ROWS[:1], 50, axis=0)
    rows[:, 0] = np.linspace(-3, 3, 50)
    assert (np.diff(model().margin(rows)) > 0).all()


def test_arrays_are_the_way_back() -> None:
    first = model()
    again = PairModel.from_arrays(first.arrays())
    assert np.array_equal(first.probability(ROWS), again.probability(ROWS))


def scores_and_labels(n: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    scores = RNG.uniform(size=n)
    return scores, (RNG.uniform(size=n) < scores).astype(np.int64)


def test_a_bar_keeps_its_budget_on_pairs_that_it_was_not_chosen_on() -> None:
    curve = curve_of(*scores_and_labels())
    scores, labels = scores_and_labels(40_000)
    for budget in (0.05, 0.1, 0.2):
        at = served(scores, labels, curve.bar(budget))
        assert at.wrong.value <= budget
        assert at.wrong.whole > 100


def test_a_bar_rises_as_the_budget_falls_and_ends_in_never() -> None:
    curve = curve_of(*scores_and_labels())
    bars = [curve.bar(budget) for budget in (0.3, 0.2, 0.1, 0.05, 0.02, 0.001, 0.0)]
    assert bars == sorted(bars)
    assert bars[-1] == NEVER > 1


def test_every_curve_must_allow_a_bar() -> None:
    easy = Curve(np.array([0.9, 0.6]), np.array([900.0, 1000.0]), np.array([0.0, 0.0]))
    hard = Curve(np.array([0.95, 0.7]), np.array([900.0, 1000.0]), np.array([0.0, 300.0]))
    assert easy.bar(0.05) == 0.6
    assert bar_of([easy, hard], 0.05) == 0.95
    assert bar_of([], 0.05) == bar_of([easy], float("nan")) == NEVER


def test_what_the_labels_noise_explains_does_not_count_as_wrong() -> None:
    scores, hits, wrong = np.array([0.9, 0.6]), np.array([2_000.0, 3_000.0]), np.array([60.0, 900.0])
    assert Curve(scores, hits, wrong).bar(0.01) == NEVER
    assert Curve(scores, hits, wrong, noise=0.03).bar(0.01) == 0.9
    # Where the noise would excuse them, the wrong hits are still counted against the budget.
    assert Curve(scores, hits, wrong, noise=0.3).bar(0.01) == 0.6
    many = np.array([60.0, 105.0])
    assert Curve(scores, hits, many, noise=0.03).bar(0.03) == 0.6
    assert Curve(scores, hits, many + 60, noise=0.03).bar(0.03) == NEVER


def test_curves_survive_their_arrays() -> None:
    curve = curve_of(*scores_and_labels(), noise=0.02)
    again = Curve.from_arrays(curve.arrays())
    assert [curve.bar(b) for b in (0.05, 0.1)] == [again.bar(b) for b in (0.05, 0.1)]
    assert again.noise == 0.02


def test_wilson_is_above_the_share() -> None:
    assert wilson_upper(np.array([0.0]), np.array([100.0]))[0] == pytest.approx(0.0263, abs=1e-3)


def test_measures() -> None:
    scores, labels = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0])
    assert auc(scores, labels) == 0.75
    assert auc(np.ones(4), labels) == 0.5
    at = served(scores, labels, 0.65)
    assert (at.wrong.part, at.wrong.whole, at.right.value, at.false.value) == (1, 3, 1.0, 0.5)
    many = np.linspace(1, 0, 100)
    same = (many > 0.5).astype(int)
    assert hit_rate_at(many, same, 0.95) == 1.0
    assert bar_at(many, 1 - same, 0.95) == np.inf
    assert stream_hit_rate(many, same.astype(bool), np.ones(100, bool), 1.0) == 0.5
    assert str(Share(0, 0)) == "none"
    assert Share(0, 100).interval[1] == pytest.approx(0.037, abs=1e-3)
