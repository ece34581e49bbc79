"""From a wanted quality or share to a threshold, and whether the printed interval keeps its word."""

import numpy as np
import pytest

from classifiers.errors import DataError
from classifiers.measure.dial import for_quality, for_share, settle


def traffic(n, seed):
    """n prompts of which the harder ones gain; the score knows the difficulty with noise."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    weak = (rng.random(n) > hard).astype(float)
    strong = (rng.random(n) > 0.3 * hard).astype(float)
    return np.clip(hard + rng.normal(0, 0.15, n), 0, 1), weak, strong


def test_quality_asked_for_is_kept_with_the_fewest_strong_calls():
    score, weak, strong = traffic(2000, 1)
    setting = settle(for_quality(0.95), score, weak, strong)
    assert setting.kept >= 0.95
    last = score[score >= setting.threshold].min()
    assert np.where(score > last, strong, weak).mean() < 0.95 * strong.mean() <= setting.quality
    assert 0 < setting.strong_share < 1


def test_the_threshold_has_the_decimals_that_a_policy_holds_and_the_numbers_are_of_that_one():
    score, weak, strong = traffic(2000, 1)
    setting = settle(for_quality(0.95), score, weak, strong)
    assert setting.threshold == float(f"{setting.threshold:.6f}")
    assert setting.strong_share == (score >= setting.threshold).mean()


def test_prompts_that_score_alike_reach_the_threshold_that_was_set_by_them():
    _, weak, strong = traffic(200, 2)
    setting = settle(for_quality(0.95), np.full(200, 0.0658625081823), weak, strong)
    assert (setting.threshold, setting.strong_share) == (0.065862, 1.0)


def test_share_asked_for_is_not_passed():
    score, weak, strong = traffic(1000, 2)
    setting = settle(for_share(0.3), score, weak, strong)
    assert 0.29 < setting.strong_share <= 0.3


def test_no_share_means_no_strong_call_even_for_a_sure_score():
    score, weak, strong = traffic(200, 2)
    score[:50] = 1.0
    assert settle(for_share(1e-9), score, weak, strong).strong_share == 0.0


def test_the_whole_share_is_everything():
    score, weak, strong = traffic(200, 2)
    assert settle(for_share(1.0), score, weak, strong).strong_share == 1.0


def test_a_score_that_knows_nothing_still_keeps_the_quality():
    _, weak, strong = traffic(500, 3)
    setting = settle(for_quality(0.95), np.full(500, 0.5), weak, strong)
    assert (setting.strong_share, setting.kept) == (1.0, 1.0)


def test_new_rows_fall_into_the_printed_interval_as_often_as_it_says():
    inside = 0
    for seed in range(40):
        score, weak, strong = traffic(1200, seed)
        setting = settle(for_quality(0.95), score[:600], weak[:600], strong[:600], seed)
        fresh = float(np.where(score[600:] >= setting.threshold, strong[600:], weak[600:]).mean())
        low, high = setting.quality_interval
        inside += low <= fresh <= high
    assert inside >= 36  # 95 % of 40 is 38; under 36 has a chance of 5 %


def test_too_few_rows_are_refused():
    score, weak, strong = traffic(20, 4)
    with pytest.raises(DataError, match="20 graded rows"):
        settle(for_quality(0.95), score, weak, strong)
