"""What is normal for a model: learned soon, followed when it drifts, and not moved by a spike."""

import math
import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.health.distribution import EDGES, Distribution, Histogram
from gateway.health.pace import ENOUGH, HALF_LIFE_S, PEAK_S, RENEW_SHARE, Pace, bucket
from tests.health.clock import Clock


def fed(
    pace: Pace, clock: Clock, times: list[float], tokens_in: int = 100, is_stream: bool = True, every_s: float = 0.05
) -> Pace:
    for seconds in times:
        clock.now += every_s
        pace.answered(tokens_in, is_stream, seconds)
    return pace


def usual(count: int, median_s: float = 0.2, sigma: float = 0.5, seed: int = 1) -> list[float]:
    """Log-normal times, as models have them."""
    draw = random.Random(seed)
    return [median_s * math.exp(draw.gauss(0.0, sigma)) for _ in range(count)]


# The distribution.


@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=200), st.sampled_from([0.1, 0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_is_right_to_the_width_of_a_bin(values: list[float], q: float) -> None:
    histogram = Histogram(0.0, 1e9, 10**9)
    for value in values:
        histogram.add(0.0, value)
    exact = sorted(values)[math.ceil(q * len(values) - 1e-9) - 1]
    assert Distribution([histogram]).quantile(q) == pytest.approx(exact, rel=0.05)


def test_values_beyond_its_ends_are_taken_for_the_ends() -> None:
    histogram = Histogram(0.0, 1e9, 10**9)
    for value in (0.0, 1e-9, 1e9):
        histogram.add(0.0, value)
    assert histogram.total == 3.0
    assert Distribution([histogram]).quantile(0.99) > 1e4


def test_weights_that_grow_for_ever_are_renewed() -> None:
    histogram = Histogram(0.0, 1.0, 1)
    for second in range(1, 501):
        histogram.add(float(second), 2.0)
    assert histogram.total == pytest.approx(2.0)
    assert math.isfinite(sum(histogram.weights()))


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(1e-3, 1e4), st.sampled_from([0.1, 1.0])), min_size=1, max_size=50))
def test_each_observation_weighs_what_has_not_faded_of_it(observations: list[tuple[float, float, float]]) -> None:
    histogram, now = Histogram(0.0, 60.0, 3), 0.0
    expected: dict[int, float] = {}
    for passed_s, value, weight in observations:
        now += passed_s
        kept = 0.5 ** min(passed_s / 60.0, 1 / 3)
        expected = {place: held * kept for place, held in expected.items()}
        place = bisect_right(EDGES, value)
        expected[place] = expected.get(place, 0.0) + weight
        histogram.add(now, value, weight)
    held = {place: weight for place, weight in enumerate(histogram.weights()) if weight}
    assert held == pytest.approx(expected, rel=1e-9)
    assert histogram.total == pytest.approx(sum(expected.values()), rel=1e-9)


# What is normal.


@pytest.mark.parametrize("is_stream", [True, False])
def test_nothing_is_normal_before_there_is_enough(is_stream: bool) -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.quantile_s(0.5, 100, is_stream) is None
    fed(pace, clock, [0.2] * (int(ENOUGH) - 1), is_stream=is_stream)
    assert pace.quantile_s(0.5, 100, is_stream) is None
    fed(pace, clock, [0.2] * 2, is_stream=is_stream)
    assert pace.quantile_s(0.5, 100, is_stream) == pytest.approx(0.2, rel=0.05)
    assert pace.quantile_s(0.5, 100, not is_stream) is None, "streams and whole answers are apart"


def test_a_distribution_is_read_anew_once_a_fiftieth_of_it_is_new() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, [0.2] * 2000)
    read = pace.normal(100, True)
    assert read is not None
    for _ in range(int(2000 * RENEW_SHARE) - 2):
        fed(pace, clock, [5.0])
        assert pace.normal(100, True) is read
    fed(pace, clock, [5.0] * 4)
    assert pace.normal(100, True) is not read
    assert pace.quantile_s(0.99, 100, True) == pytest.approx(5.0, rel=0.05)


def test_quantiles_are_those_of_what_was_seen() -> None:
    clock = Clock()
    times = usual(5000)
    pace = fed(Pace(clock), clock, times)
    for q in (0.5, 0.9, 0.95, 0.99):
        assert pace.quantile_s(q, 100, True) == pytest.approx(sorted(times)[int(q * 5000)], rel=0.1)


def test_sizes_are_apart_and_a_larger_one_speaks_for_those_below() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, [0.2] * 30, tokens_in=100)
    fed(pace, clock, [2.0] * 30, tokens_in=16_000)
    assert [bucket(n) for n in (1, 256, 257, 1024, 16_000, 10**9)] == [0, 0, 1, 1, 3, 7]
    assert pace.quantile_s(0.5, 200, True) == pytest.approx(0.2, rel=0.05)
    assert pace.quantile_s(0.5, 2_000, True) == pytest.approx(2.0, rel=0.05)
    assert pace.quantile_s(0.5, 60_000, True) == pytest.approx(8.0, rel=0.05), "four times the prompt, four times the time"


def test_sizes_of_which_none_is_known_well_speak_together() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, [0.2] * 12, tokens_in=100)
    fed(pace, clock, [0.2] * 12, tokens_in=1000)
    assert pace.quantile_s(0.5, 100, True) == pytest.approx(0.2, rel=0.05)


def test_drift_is_followed_within_hours() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, usual(7200, 0.2), every_s=0.5)
    fed(pace, clock, usual(7200, 0.5), every_s=0.5)
    median_s = pace.quantile_s(0.5, 100, True)
    assert median_s is not None and 0.35 < median_s < 0.52, "an hour of the new, two half-lives"


def test_a_spike_does_not_become_normal() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, usual(20_000))
    before_s = pace.quantile_s(0.5, 100, True)
    fed(pace, clock, usual(1200, 2.0))  # a minute
    after_s = pace.quantile_s(0.5, 100, True)
    assert before_s is not None and after_s is not None and after_s < 1.15 * before_s


def test_what_is_held_is_learned_slowly_but_not_never() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, usual(20_000))
    pace.hold(clock.now + 1e9)
    fed(pace, clock, usual(3600, 2.0), every_s=0.5)  # half an hour: would be half of what is known
    median_s = pace.quantile_s(0.5, 100, True)
    assert median_s is not None and median_s < 0.3
    fed(pace, clock, usual(36_000, 2.0), every_s=0.5)
    median_s = pace.quantile_s(0.5, 100, True)
    assert median_s is not None and median_s > 1.5


def test_rare_traffic_is_remembered_by_number() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, [0.2] * 50, every_s=HALF_LIFE_S)
    assert pace.quantile_s(0.5, 100, True) == pytest.approx(0.2, rel=0.05)


def test_speed_is_the_median_over_answers() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.tokens_per_s is None
    for _ in range(30):
        pace.spoke(100, 2.0)
    for _ in range(10):
        pace.spoke(100, 50.0)
    for _ in range(100):
        pace.spoke(2, 50.0)  # too short to tell
        pace.spoke(100, 0.0)
    assert pace.tokens_per_s == pytest.approx(50.0, rel=0.05)


def test_reading_takes_what_writing_leaves() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.reading_share(100, 4.0) == 0.0, "nothing is known of the model's speed"
    for _ in range(30):
        pace.spoke(100, 2.0)  # 50 tokens/s
    assert pace.reading_share(100, 4.0) == pytest.approx(0.5, abs=0.03)
    assert pace.reading_share(0, 4.0) == 1.0
    assert pace.reading_share(1000, 4.0) == 0.0, "it was quicker than usual"
    assert pace.reading_share(10, 0.0) == 0.0


def test_what_is_broken_off_counts_as_what_it_would_have_become() -> None:
    """Attempts that are given up at their 95th percentile must not make it fall."""
    clock = Clock()
    pace = fed(Pace(clock), clock, usual(2000))
    p95_s = pace.quantile_s(0.95, 100, True)
    for seconds in usual(40_000, seed=2):
        clock.now += 0.05
        now_s = pace.quantile_s(0.95, 100, True)
        assert now_s is not None
        if seconds > now_s:
            pace.waited(100, True, now_s)
        else:
            pace.answered(100, True, seconds)
    assert p95_s is not None and pace.quantile_s(0.95, 100, True) == pytest.approx(p95_s, rel=0.1)


def test_broken_off_before_anything_like_it_was_seen_it_counts_as_that_much() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, [0.2] * 30)
    for _ in range(60):
        pace.waited(100, True, 5.0)
    assert pace.quantile_s(0.5, 100, True) == pytest.approx(5.0, rel=0.05)
    assert pace.latency_s == pytest.approx(5.0)


def test_an_idle_model_is_as_loaded_as_it_usually_is() -> None:
    clock = Clock()
    pace = fed(Pace(clock), clock, usual(1000), every_s=1.0)
    clock.now += 3600
    assert 0.15 < pace.latency_s < 0.3


def test_latency_rises_at_once_and_fades() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.latency_s == 0.0
    fed(pace, clock, [0.1] * 20)
    assert pace.latency_s == pytest.approx(0.1)
    fed(pace, clock, [3.0])
    assert pace.latency_s == pytest.approx(3.0)
    fed(pace, clock, [0.1])
    assert 2.8 < pace.latency_s < 3.0
    clock.now += PEAK_S
    assert pace.latency_s < 1.2
    fed(pace, clock, [0.1] * 400, every_s=0.1)
    assert pace.latency_s == pytest.approx(0.1, rel=0.2)
