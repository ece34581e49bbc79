"""Staying with a model or not: the arithmetic of a lost prompt cache."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.affinity import Pinned, pinned_of, stay
from gateway.policy.catalog import BusyPrice, Rates, Tier, TokenPrice
from gateway.policy.model import Facts


def price(input: float, output: float, cached: float | None = None) -> TokenPrice:
    """US dollars per million tokens."""
    pusd = [round(usd * 1e6) for usd in (input, output, input if cached is None else cached, input)]
    return TokenPrice(*pusd, source="test")


DEAR = price(3.00, 15.00, cached=0.30)
CHEAP = price(0.80, 4.00)
AGENT = Pinned("dear", "session", cached_tokens=40_000, new_tokens=500, output_tokens=200)


def test_a_cheaper_model_can_cost_more_because_the_move_throws_away_a_warm_prefix() -> None:
    # staying: 40,000 × 0.30 + 500 × 3.00 + 200 × 15.00 = $0.0165; going: 40,500 × 0.80 + 200 × 4.00 = $0.0332
    found = stay(AGENT, DEAR, "cheap", CHEAP)
    assert found.stays
    assert found.why == ("staying with 'dear' costs about $0.016500, going to 'cheap' $0.033200, with 40000 tokens still cached")


def test_the_same_move_pays_once_the_prefix_is_cold() -> None:
    cold = Pinned("dear", "session", cached_tokens=0, new_tokens=40_500, output_tokens=200)
    assert not stay(cold, DEAR, "cheap", CHEAP).stays


def test_the_same_move_pays_where_the_provider_gives_no_discount() -> None:
    assert not stay(AGENT, price(3.00, 15.00), "cheap", CHEAP).stays


def test_a_short_prefix_does_not_hold_a_long_answer() -> None:
    essay = Pinned("dear", "session", cached_tokens=2_000, new_tokens=100, output_tokens=4_000)
    assert not stay(essay, DEAR, "cheap", CHEAP).stays


def test_what_staying_costs_is_what_a_request_of_that_length_costs() -> None:
    # Above 200,000 tokens the pinned model asks twice as much: 199,000 × 0.60 + 2,000 × 6.00 + 200 × 30.00 = $0.1374.
    tiers = (Tier(200_000, Rates(6_000_000, 30_000_000, 600_000, 6_000_000)),)
    tiered = TokenPrice(3_000_000, 15_000_000, 300_000, 3_000_000, "test", tiers=tiers)
    long = Pinned("dear", "session", cached_tokens=199_000, new_tokens=2_000, output_tokens=200)
    other = price(0.50, 1.00)  # 201,000 × 0.50 + 200 × 1.00 = $0.1007
    assert stay(long, DEAR, "cheap", other).stays
    found = stay(long, tiered, "cheap", other)
    assert not found.stays
    assert found.why == "staying with 'dear' costs about $0.137400, going to 'cheap' $0.100700"


def test_a_dearer_choice_is_a_wish_for_quality_and_is_followed() -> None:
    found = stay(Pinned("cheap", "session", 40_000, 500, 200), CHEAP, "dear", DEAR)
    assert not found.stays
    assert "the policy wants the dearer one" in found.why


def test_a_choice_that_costs_the_same_gains_nothing() -> None:
    assert stay(Pinned("one", "session", 0, 100, 100), CHEAP, "other", CHEAP).stays


@pytest.mark.parametrize("unknown", [None, BusyPrice(1_000, "GPU-hours, measured")])
def test_without_token_prices_there_is_nothing_known_to_lose(unknown: BusyPrice | None) -> None:
    assert not stay(AGENT, unknown, "cheap", CHEAP).stays
    assert not stay(AGENT, DEAR, "cheap", unknown).stays


@pytest.mark.parametrize("other", [None, CHEAP, DEAR])
def test_a_tool_loop_stays_whatever_it_costs(other: TokenPrice | None) -> None:
    assert stay(Pinned("cheap", "tool-loop", 0, 100, 100), CHEAP, "other", other).stays


COUNTS = st.integers(0, 200_000)
PRICES = st.builds(price, st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))


@given(COUNTS, COUNTS, COUNTS, PRICES, PRICES)
def test_more_cache_never_makes_it_worth_leaving(cached: int, new: int, output: int, one: TokenPrice, other: TokenPrice) -> None:
    if one.cached_input <= one.input and stay(Pinned("a", "session", 0, cached + new, output), one, "b", other).stays:
        assert stay(Pinned("a", "session", cached, new, output), one, "b", other).stays


@given(COUNTS, COUNTS, COUNTS, st.sampled_from(["session", "tool-loop"]))
def test_a_pin_survives_the_way_through_the_facts(cached: int, new: int, output: int, by: str) -> None:
    pinned = Pinned("m", by, cached, new, output)  # type: ignore[arg-type]
    assert pinned_of(Facts({"model": "auto", **pinned.facts()})) == pinned


def test_no_pin_is_no_pin() -> None:
    assert pinned_of(Facts({"model": "auto"})) is None
