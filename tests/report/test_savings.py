"""What was saved, and how sure that is: by hand, by properties, and by simulated traffic whose truth is known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.report.said import Answered, Opinions
from gateway.report.savings import REQUESTS_MIN, SAID_MIN, Cells, Savings, savings

SMALL, STRONG = Answered("easy", "small"), Answered("hard", "strong")
NEAR, FAQ = Answered("easy", hit="hit-semantic"), Answered("faq")


def traffic(
    answered: Answered, baseline: int, cost: int, *, hours: int = 60, each: int = 10, cells: Cells | None = None
) -> Cells:
    """So many requests of one price in every hour, under the name of their route."""
    cells = cells or Cells("hours")
    for hour in range(hours):
        cells.add(answered.route, answered, "answer", hour, requests=each, baseline=each * baseline, cost=each * cost)
    return cells


def whole(cells: Cells, opinions: dict[Answered, Opinions] | None = None) -> Savings:
    return savings(cells, opinions or {})[1]


def known(saved: Savings) -> tuple[int, int, int]:
    assert saved.saved_nusd is not None and saved.low_nusd is not None and saved.high_nusd is not None
    return saved.saved_nusd, saved.low_nusd, saved.high_nusd


def test_traffic_of_the_baseline_alone_saves_nothing() -> None:
    assert known(whole(traffic(STRONG, 500, 500))) == (0, 0, 0)


def test_and_loses_its_overhead_and_what_failed_tries_cost() -> None:
    cells = traffic(STRONG, 500, 510)
    for hour in range(60):
        cells.add("hard", STRONG, "answer", hour, overhead=7)
    assert known(whole(cells)) == (-60 * 107, -60 * 107, -60 * 107)


def test_what_nobody_judged_is_unproven_and_not_in_the_number() -> None:
    found = whole(traffic(SMALL, 500, 100, cells=traffic(FAQ, 500, 0)))
    assert (known(found), found.unproven_nusd) == ((300_000,) * 3, 600 * 400)


def test_where_it_hangs_on_what_nobody_judged_there_is_no_number() -> None:
    found = whole(traffic(SMALL, 500, 100))
    assert (found.saved_nusd, found.low_nusd, found.method, found.unproven_nusd) == (None, None, None, 600 * 400)
    assert found.reason is not None and found.reason.startswith("not enough data: ")
    even = traffic(STRONG, 500, 500, cells=traffic(SMALL, 500, 100))
    even.add("hard", STRONG, "answer", 0, overhead=600 * 400 - 1)
    assert whole(even).saved_nusd is None, "what is known is a loss, and what is not may be more than that"
    even.add("hard", STRONG, "answer", 0, overhead=1)
    assert whole(even).saved_nusd == -600 * 400, "a loss, however good the answers were"


def test_too_few_opinions_prove_nothing() -> None:
    said = {SMALL: Opinions(SAID_MIN - 1, 0)}
    assert whole(traffic(SMALL, 500, 100), said).unproven_nusd == 600 * 400


def test_a_bad_answer_saved_nothing_and_was_paid_all_the_same() -> None:
    found = whole(traffic(SMALL, 500, 100), {SMALL: Opinions(90, 10)})
    saved, low, high = known(found)
    assert saved == 600 * (0.9 * 500 - 100)
    assert low < saved < high and found.unproven_nusd == 0
    assert 600 * (0.8 * 500 - 100) < low and high < 600 * (0.97 * 500 - 100)


def test_answers_that_are_mostly_bad_are_a_loss() -> None:
    assert known(whole(traffic(SMALL, 500, 400), {SMALL: Opinions(20, 20)}))[2] < 0


def test_opinions_on_what_was_no_cheaper_change_nothing() -> None:
    assert known(whole(traffic(STRONG, 500, 500), {STRONG: Opinions(0, 100)})) == (0, 0, 0)


@pytest.mark.parametrize("hit", [NEAR, FAQ, Answered("easy", hit="hit-exact")])
def test_hits_count_unless_they_were_found_wrong(hit: Answered) -> None:
    assert known(whole(traffic(hit, 500, 0))) == (300_000, 300_000, 300_000)
    assert known(whole(traffic(hit, 500, 0), {hit: Opinions(0, 1)}))[0] == 300_000, "one voice is not enough"
    saved, low, high = known(whole(traffic(hit, 500, 0), {hit: Opinions(15, 5)}))
    assert low < saved == 225_000 < high


def test_one_kind_of_answer_says_nothing_of_another() -> None:
    cells = traffic(SMALL, 500, 100, cells=traffic(NEAR, 500, 0))
    found = whole(cells, {NEAR: Opinions(95, 5), Answered("other", "small"): Opinions(95, 5)})
    assert known(found)[0] == 0.95 * 300_000 and found.unproven_nusd == 240_000


def test_failed_answers_save_nothing_and_cost_what_they_cost() -> None:
    cells = traffic(STRONG, 500, 500)
    cells.add("hard", Answered("hard"), "failed", 3, requests=1, baseline=900, cost=100)
    assert known(whole(cells))[0] == -100
    cells.add("hard", Answered("hard"), "failed", 4, requests=1, baseline=0, cost=2_000)
    assert known(whole(cells))[0] == 900 - 2_100


def test_a_cheap_model_that_fails_half_the_time_before_the_baseline_is_asked_again_is_a_loss() -> None:
    cells = traffic(STRONG, 500, 500)
    for hour in range(60):
        cells.add("easy", SMALL, "failed", hour, requests=10, baseline=10 * 500, cost=10 * 100)
    saved, _, high = known(whole(cells))
    assert saved == -600 * 100 and high < 0


def test_what_the_gateway_asks_and_idle_machines_are_netted_the_latter_without_chance() -> None:
    cells = traffic(FAQ, 500, 0)
    cells.add("(idle)", Answered(""), "fixed", 0, cost=100_000)
    cells.add("faq", Answered("faq", "small"), "upkeep", 1, cost=50)
    rows, found = savings(cells, {})
    saved, low, high = known(found)
    assert saved == 300_000 - 100_000 - 50 and high - low < 400, "only the upkeep varies"
    assert rows["(idle)"].saved_nusd is None


def test_little_traffic_is_said_to_be_too_little() -> None:
    found = whole(traffic(FAQ, 500, 0, hours=REQUESTS_MIN - 1, each=1))
    assert (found.saved_nusd, found.method) == (None, None)
    assert found.reason == f"not enough data: {REQUESTS_MIN - 1} requests, {REQUESTS_MIN} are needed"
    few = whole(traffic(FAQ, 500, 0, hours=3, each=100))
    assert few.saved_nusd is None and few.reason is not None and "too few hours" in few.reason
    rows, nothing = savings(Cells("hours"), {})
    assert rows == {} and nothing.saved_nusd is None and nothing.as_json()["saved_usd"] is None


def test_lines_add_up_to_all_of_it_and_times_have_blocks_of_their_own() -> None:
    rng = np.random.default_rng(3)
    days = Cells("hours")
    for hour in range(72):
        days.add(f"day {hour // 24}", FAQ, "answer", hour, requests=40, baseline=int(rng.integers(100, 200)) * 40)
    rows, found = savings(days, {}, are_times=True)
    assert sum(known(row)[0] for row in rows.values()) == known(found)[0]
    shared, _ = savings(days, {})
    widths = [(known(rows[name])[2] - known(rows[name])[1], known(shared[name])[2] - known(shared[name])[1]) for name in rows]
    assert all(own < drawn for own, drawn in widths), "else the interval is about how many hours a day has"


amounts = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6)), min_size=30, max_size=60)


@given(amounts, st.integers(2, 1_000), st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_it_scales_lies_in_its_interval_and_is_the_plain_sum_when_all_is_proven(
    found: list[tuple[int, int, int]], times: int, good: int, bad: int
) -> None:
    def of(scale: int) -> Savings:
        cells = Cells("hours")
        for hour, (baseline, cost, overhead) in enumerate(found):
            money = {"baseline": scale * baseline, "cost": scale * cost, "overhead": scale * overhead}
            cells.add("r", SMALL, "answer", hour, requests=1, **money)
        return whole(cells, {SMALL: Opinions(good, bad)})

    one, many = of(1), of(times)
    gross, overhead = sum(b - c for b, c, _ in found), sum(o for *_, o in found)
    if good + bad < SAID_MIN and gross > overhead:
        assert (one.saved_nusd, one.unproven_nusd, many.saved_nusd, many.unproven_nusd) == (None, gross, None, times * gross)
        return
    assert known(one)[1] <= known(one)[0] <= known(one)[2]
    assert [times * n for n in known(one)] == pytest.approx(list(known(many)), abs=times)
    if gross <= 0 or (good >= SAID_MIN and bad == 0):
        assert known(one)[0] == gross - overhead
    elif good + bad < SAID_MIN:
        assert (known(one)[0], one.unproven_nusd) == (-overhead, gross)


def test_the_interval_covers_what_it_should() -> None:
    """In how many of 200 simulated weeks the true expected saving is inside: 95 % are wanted."""
    rng = np.random.default_rng(5)
    hours, quality, baseline, cost, runs = 100, 0.85, 1_000, 200, 200
    truth = hours * 8 * (quality * baseline - cost)
    inside = 0
    for _ in range(runs):
        cells = Cells("hours")
        for hour, count in enumerate(rng.poisson(8, hours)):
            cells.add("r", SMALL, "answer", hour, requests=int(count), baseline=int(count) * baseline, cost=int(count) * cost)
        good = int(rng.binomial(80, quality))
        _, low, high = known(whole(cells, {SMALL: Opinions(good, 80 - good)}))
        inside += low <= truth <= high
    assert 0.92 <= inside / runs <= 0.98, inside / runs


def test_a_great_many_lines_are_done_in_a_moment() -> None:
    cells = Cells("hours")
    rng = np.random.default_rng(0)
    for line in range(200):
        for hour in range(168):
            cells.add(f"k{line}", SMALL, "answer", hour, requests=30, baseline=int(rng.integers(900)), cost=100, overhead=1)
    began = time.process_time()
    rows, found = savings(cells, {SMALL: Opinions(80, 20)})
    assert time.process_time() - began < 5
    assert len(rows) == 200 and found.requests == 200 * 168 * 30
