"""What audits and feedback teach: the offsets of routes and entries, and the interval of a share."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache.base import OBSERVATIONS_MAX, Observation
from gateway.cache.evidence import ENTRY_SD, LOG_ODDS_MAX, OFFSET_MAX, ROUTE_SD, log_odds, offset

SEEN = st.lists(st.builds(Observation, st.floats(0, 1), st.booleans()), max_size=OBSERVATIONS_MAX)


def test_nothing_seen_changes_nothing() -> None:
    assert offset([], ROUTE_SD) == 0.0


def test_a_wrong_hit_tightens_and_more_of_them_tighten_more() -> None:
    wrong = Observation(0.99, False)
    found = [offset([wrong] * n, ROUTE_SD) for n in (1, 2, 4, 8)]
    assert found == sorted(found, reverse=True)
    assert -1.0 < found[0] < -0.5
    assert found[-1] < -2.5


def test_an_entry_yields_sooner_than_a_route() -> None:
    wrong = [Observation(0.99, False)]
    assert offset(wrong, ENTRY_SD) < offset(wrong, ROUTE_SD)


def test_sure_hits_that_were_right_loosen_next_to_nothing() -> None:
    assert offset([Observation(0.995, True)] * OBSERVATIONS_MAX, ROUTE_SD) < 0.1


def test_near_misses_that_were_right_loosen_once_there_are_many() -> None:
    few, many = (offset([Observation(0.9, True)] * n, ROUTE_SD) for n in (3, OBSERVATIONS_MAX))
    assert few == 0.0
    assert 0.3 < many <= OFFSET_MAX


def test_one_wrong_outweighs_many_right() -> None:
    assert offset([Observation(0.99, True)] * 20 + [Observation(0.99, False)], ENTRY_SD) < -0.3


@given(SEEN)
def test_offset_is_bounded_and_does_not_depend_on_the_order(seen: list[Observation]) -> None:
    found = offset(seen, ENTRY_SD)
    assert -LOG_ODDS_MAX <= found <= OFFSET_MAX
    assert offset(seen[::-1], ENTRY_SD) == pytest.approx(found, abs=1e-6)


@given(SEEN)
def test_a_wrong_one_more_never_loosens(seen: list[Observation]) -> None:
    assert offset([*seen, Observation(0.9, False)], ROUTE_SD) <= offset(seen, ROUTE_SD) + 1e-9


@pytest.mark.parametrize(("probability", "expected"), [(0.5, 0.0), (0.0, -LOG_ODDS_MAX), (1.0, LOG_ODDS_MAX), (0.9, math.log(9))])
def test_log_odds_are_numbers_everywhere(probability: float, expected: float) -> None:
    assert log_odds(probability) == pytest.approx(expected)
