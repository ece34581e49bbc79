"""What the gateway asked on its own account: whose money it is."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.ledger.booking import settle_background
from gateway.policy.catalog import Model, TokenPrice
from gateway.usage import Usage
from tests.ledger.entries import entry

PRICE = TokenPrice(input=2_000, output=4_000, cached_input=2_000, cache_write=2_000, source="a test")  # 2 and 4 nano-USD
MODELS = {
    "known": Model("known", "p", "known-1", price=PRICE, context_tokens=None),
    "unknown": Model("unknown", "p", "unknown-1", price=None, context_tokens=None),
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
