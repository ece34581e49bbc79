"""What the gateway asked on its own account: whose money it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.ledger.booking import settle, settle_background
from gateway.policy.catalog import BusyPrice, Model, PriceFrom, TokenPrice
from gateway.pricing.cost import cost_nusd
from gateway.usage import Usage
from tests.ledger.entries import entry

PRICE = TokenPrice(input=2_000, output=4_000, cached_input=2_000, cache_write=2_000, source="a test")  # 2 and 4 nano-USD
MODELS = {
    "known": Model("known", "p", "known-1", price=PRICE, context_tokens=None),
    "unknown": Model("unknown", "p", "unknown-1", price=None, context_tokens=None),
    "by time": Model("by time", "p", "by-time-1", price=BusyPrice(10**9, source="a test"), context_tokens=None),
}


def settled(purpose: Any, *attempts: Attempt, overhead_nusd: int = 0) -> Entry:
    one = entry("b-1", purpose=purpose, of="r-1", overhead_nusd=overhead_nusd)
    settle_background(one, attempts, MODELS)
    return one


def answered_by(model: str) -> Attempt:
    return Attempt("p", model, usage=Usage(10, 5), ttft_ms=3.0)


def test_all_of_an_audit_is_overhead() -> None:
    failed = Attempt("p", "known", outcome="error", usage=Usage(1, 1))
    audit = settled("audit", failed, answered_by("known"), overhead_nusd=7)
    assert (audit.cost_nusd, audit.overhead_nusd, audit.baseline_nusd) == (0, 7 + 6 + 40, 0)
    assert audit.saved_nusd == -53
    assert [a.cost_nusd for a in audit.attempts] == [6, 40]
    assert (audit.usage, audit.ttft_ms) == (Usage(10, 5), 3.0)


def test_a_refresh_is_a_cost_with_nothing_to_compare_it_to() -> None:
    refresh = settled("refresh", answered_by("known"))
    assert (refresh.cost_nusd, refresh.overhead_nusd, refresh.baseline_nusd, refresh.saved_nusd) == (40, 0, 0, -40)


@pytest.mark.parametrize("purpose", ["audit", "refresh"])
def test_an_unknown_price_makes_the_cost_unknown(purpose: str) -> None:
    one = settled(purpose, answered_by("known"), answered_by("unknown"))
    assert (one.cost_nusd, one.saved_nusd) == (None, None)
    assert one.overhead_nusd == (40 if purpose == "audit" else 0)  # what is known of it


@pytest.mark.parametrize("purpose", ["audit", "refresh"])
def test_nothing_asked_costs_nothing(purpose: str) -> None:
    one = settled(purpose)
    assert (one.cost_nusd, one.overhead_nusd, one.baseline_nusd, one.usage) == (0, 0, 0, None)


def test_a_hedge_that_lost_is_overhead_and_every_other_attempt_is_cost() -> None:
    attempts = [
        Attempt("p", "known", outcome="error", usage=Usage(1, 1)),
        Attempt("p", "known", outcome="lost_hedge", usage=Usage(100, 0, estimated=True)),
        Attempt("p", "known", outcome="unconvincing", usage=Usage(1, 2), ttft_ms=1.0),
        Attempt("p", "known", outcome="cancelled", usage=Usage(2, 1), ttft_ms=1.0),
        answered_by("known"),
    ]
    one = entry("b-1", overhead_nusd=7)  # what looking in the cache cost
    settle(one, attempts, MODELS, MODELS["known"], attempts[-1])
    assert [a.cost_nusd for a in one.attempts] == [6, 200, 10, 8, 40]
    assert (one.cost_nusd, one.overhead_nusd, one.baseline_nusd) == (6 + 10 + 8 + 40, 7 + 200, 40)
    assert one.saved_nusd == 40 - 64 - 207


def test_a_hedge_without_a_price_makes_the_cost_unknown() -> None:
    attempts = [Attempt("p", "unknown", outcome="lost_hedge", usage=Usage(100, 0)), answered_by("known")]
    one = entry("b-1", overhead_nusd=7)
    settle(one, attempts, MODELS, MODELS["known"], attempts[-1])
    assert (one.cost_nusd, one.overhead_nusd, one.saved_nusd) == (None, 7, None)


@given(
    st.sampled_from(sorted(MODELS)),
    st.sampled_from(sorted(MODELS)),
    st.sampled_from([None, Usage(10, 5), Usage(10, 5, cached_input=4), Usage(10, 5, unpriced="web_search_requests")]),
    st.sampled_from([None, "continue"]),
)
def test_the_baseline_costs_what_its_tokens_would_whoever_answered(
    by: str, baseline: str, usage: Usage | None, seam: Any
) -> None:
    first = Attempt("p", by, outcome="error", usage=Usage(7, 1), ttft_ms=1.0)
    answering = Attempt("p", by, usage=usage, ttft_ms=3.0, busy_s=2.0, seam=seam)
    one = entry("b-1")
    settle(one, [first, answering], MODELS, MODELS[baseline], answering)
    assert one.baseline_nusd == cost_nusd(MODELS[baseline].price, one.usage)


@pytest.mark.parametrize(("at", "nusd"), [(999.0, 40), (1000.0, 80), (5000.0, 80)])
def test_an_entry_is_priced_by_what_held_when_it_was_made(at: float, nusd: int) -> None:
    dearer = TokenPrice(input=4_000, output=8_000, cached_input=4_000, cache_write=4_000, source="a test")
    dated = Model("known", "p", "known-1", None, dearer, prices=(PriceFrom(0.0, PRICE), PriceFrom(1000.0, dearer)))
    one, other, models = entry("b-1", at=at), entry("b-2", at=at), {"known": dated}
    settle(one, [answered_by("known")], models, dated)
    settle_background(other, [answered_by("known")], models)
    assert (one.cost_nusd, one.baseline_nusd, other.cost_nusd) == (nusd, nusd, other.cost_nusd)
    assert sum(a.cost_nusd or 0 for a in other.attempts) == nusd
