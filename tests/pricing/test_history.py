"""From one map to the next: what changes, what cannot be believed, and what is kept of the older prices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.catalog import price_at
from gateway.policy.grammar import day
from gateway.pricing.history import Changes, changes, doubts, merged
from gateway.pricing.listing import Earlier, Listed, ListedTariff, ListedTier
from tests.pricing.tables import priced

NONE = Changes((), (), (), (), ())


def test_each_kind_of_change_is_told_apart() -> None:
    before = {
        "same": priced(1, 2, context=9),
        "dearer": priced(1, 2),
        "cheaper": priced(5, 5),
        "longer": priced(1, 2),
        "left": priced(1, 2),
        "long gone": priced(1, 2, gone="2026-01-01"),
        "back": priced(1, 2, gone="2026-01-01"),
    }
    after = {
        "same": priced(1, 2, context=10, capabilities=["tools"]),
        "dearer": priced(1, 3),
        "cheaper": priced(5, 4),
        "longer": priced(1, 2, tiers=[ListedTier(above=9, input=2, output=3)]),
        "back": priced(1, 2),
        "first": priced(1, 2),
    }
    assert changes(before, after) == Changes(
        new=("back", "first"), gone=("left",), dearer=("dearer",), cheaper=("cheaper",), changed=("longer",)
    )


@pytest.mark.parametrize(
    "other",
    [
        priced(1000, 2000, cached_input=1000),  # said or not, it is the same
        priced(1000, 2000, cache_write=1000, output_max=5),
    ],
)
def test_what_costs_the_same_has_not_changed(other: Listed) -> None:
    assert changes({"m": priced(1000, 2000)}, {"m": other}) == NONE


def test_a_price_that_changes_is_kept_with_the_day_until_which_it_held() -> None:
    first = merged({}, {"m": priced(9, 9)}, "2026-01-01")
    second = merged(first, {"m": priced(6, 9, service={"batch": ListedTariff(input=3, output=4)})}, "2026-02-01")
    third = merged(second, {"m": priced(4, 8)}, "2026-05-01")
    assert third["m"] == priced(
        4,
        8,
        was=[
            Earlier(input=9, output=9, until="2026-02-01"),
            Earlier(input=6, output=9, service={"batch": ListedTariff(input=3, output=4)}, until="2026-05-01"),
        ],
    )


def test_a_price_that_does_not_change_leaves_no_trace_and_takes_what_else_is_new() -> None:
    before = {"m": priced(1, 2, was=[Earlier(input=5, output=5, until="2026-01-01")])}
    found = merged(before, {"m": priced(1, 2, context=9)}, "2026-02-01")
    assert found["m"] == priced(1, 2, context=9, was=before["m"].was)


def test_what_held_for_no_day_is_not_kept() -> None:
    morning = merged({"m": priced(9, 9)}, {"m": priced(1, 1)}, "2026-02-01")
    evening = merged(morning, {"m": priced(2, 2)}, "2026-02-01")
    assert evening["m"] == priced(2, 2, was=[Earlier(input=9, output=9, until="2026-02-01")])


def test_a_model_that_is_gone_keeps_its_last_price_until_it_is_back() -> None:
    gone = merged({"m": priced(1, 2)}, {}, "2026-02-01")
    still = merged(gone, {}, "2026-03-01")
    assert gone["m"] == still["m"] == priced(1, 2, gone="2026-02-01")
    assert merged(still, {"m": priced(1, 2)}, "2026-04-01")["m"] == priced(1, 2)
    assert merged(still, {"m": priced(1, 3)}, "2026-04-01")["m"].was == [Earlier(input=1, output=2, until="2026-04-01")]


days = st.dates().map(str)


@given(st.lists(st.tuples(days, st.integers(1, 3)), min_size=1, max_size=6, unique_by=lambda one: one[0]))
def test_every_price_is_found_again_on_the_days_on_which_it_was_read(readings: list[tuple[str, int]]) -> None:
    readings = sorted(readings)
    models: dict[str, Listed] = {}
    for date, rate in readings:
        models = merged(models, {"m": priced(rate, rate)}, date)
    prices = models["m"].prices("test")
    assert [one.since for one in prices] == sorted({one.since for one in prices}) or readings[0][0] < "1970-01-02"
    for date, rate in readings:
        if date >= "1970-01-02":
            assert price_at(prices, day(date)).input == rate
    assert merged(models, {"m": priced(rate, rate)}, readings[-1][0]) == models  # once more changes nothing


# Belief.


def test_a_source_that_lacks_most_models_is_not_believed() -> None:
    before = {f"m{n}": priced(1, 2) for n in range(10)} | {"long gone": priced(1, 2, gone="2026-01-01")}
    assert doubts(before, {f"m{n}": priced(1, 2) for n in range(5)}) == []
    (why,) = doubts(before, {f"m{n}": priced(1, 2) for n in range(4)})
    assert why == "it lacks 6 of the 10 models that have a price now"


@pytest.mark.parametrize(
    ("before", "after", "is_believed"),
    [
        (priced(1000, 1000), priced(100_000, 1000), True),
        (priced(1000, 1000), priced(100_001, 1000), False),
        (priced(1000, 1000), priced(1000, 9), False),
        (priced(1000, 1000), priced(1000, 10), True),
        (priced(1000, 0), priced(1000, 0), True),  # an embedding model
        (priced(1000, 0), priced(1000, 1), False),
    ],
)
def test_a_price_that_moves_by_more_than_a_hundred_times_is_not_believed(
    before: Listed, after: Listed, is_believed: bool
) -> None:
    assert doubts({"m": before, "n": before}, {"m": after, "n": before}) == (
        [] if is_believed else ["1 prices moved by more than 100 times: m"]
    )
