"""What a ranking is worth: cases done by hand, and what must hold for any."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.measure.routing_metrics import curve, interval, percentiles, routing_metrics

WEAK, STRONG = np.array([1.0, 0.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])  # only the second prompt gains


def test_equal_scores_are_the_random_router():
    found = routing_metrics(np.zeros(4), WEAK, STRONG, cost_ratio=0.0)
    assert found["apgr"] == pytest.approx(0.5)
    assert found["cpt50"] == pytest.approx(0.5) and found["cpt80"] == pytest.approx(0.8)


def test_the_one_prompt_that_gains_found_at_once():
    found = routing_metrics(np.array([0.0, 9.0, 0.0, 0.0]), WEAK, STRONG, cost_ratio=0.1)
    # PGR rises to 1 over the first quarter of the calls, and stays there.
    assert found["apgr"] == pytest.approx(0.875)
    assert found["cpt50"] == pytest.approx(0.125)
    # 95 % of 0.75 is 0.7125: 0.2125 of the way from 0.5 up, of the 0.25 that the first quarter brings.
    assert found["strong_calls_at_q"] == pytest.approx(0.2125)
    assert found["cost_saved_at_q"] == pytest.approx(1 - (0.2125 + 0.7875 * 0.1))


def test_without_a_gap_there_is_nothing_to_recover():
    found = routing_metrics(np.arange(4.0), STRONG, WEAK)
    assert math.isnan(found["apgr"]) and math.isnan(found["cpt50"])


QUALITIES = st.lists(st.tuples(st.floats(-5, 5), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=2)


@given(QUALITIES)
def test_a_curve_runs_from_all_weak_to_all_strong(rows):
    score, weak, strong = map(np.array, zip(*rows, strict=True))
    found = curve(score, weak, strong)
    assert found.share[0] == 0 and found.share[-1] == 1
    assert (np.diff(found.share) > 0).all()
    assert found.quality[0] == pytest.approx(weak.mean()) and found.quality[-1] == pytest.approx(strong.mean())


@given(QUALITIES)
def test_ranking_by_the_outcome_is_never_beaten(rows):
    score, weak, strong = map(np.array, zip(*rows, strict=True))
    if strong.mean() > weak.mean() + 1e-6:
        best = routing_metrics(strong - weak, weak, strong)["apgr"]
        assert routing_metrics(score, weak, strong)["apgr"] <= best + 1e-9
        backwards = routing_metrics(-score, weak, strong)["apgr"]
        assert routing_metrics(score, weak, strong)["apgr"] + backwards == pytest.approx(1)


def test_an_interval_holds_the_value_and_narrows_with_more_rows():
    rng = np.random.default_rng(3)

    def width(n):
        values = rng.normal(size=n)
        low, high = interval(lambda drawn: {"mean": float(values[drawn].mean())}, n)["mean"]
        assert low < values.mean() < high
        return high - low

    assert width(400) < 0.7 * width(100)
    assert interval(lambda drawn: {"n": float(len(drawn))}, 5)["n"] == (5.0, 5.0)


def test_percentiles_pass_over_what_is_no_number():
    assert percentiles(np.array([np.nan, 2.0, 2.0])) == (2.0, 2.0)
    assert all(map(math.isnan, percentiles(np.array([np.nan]))))
