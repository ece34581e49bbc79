"""A claim by itself: what it asks of the books."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from gateway.attempt import Attempt
from gateway.budgets.base import Ask, Charge, Reply, State
from gateway.budgets.claim import Claim, Payer
from gateway.budgets.errors import BudgetExceeded
from gateway.budgets.rules import Rules
from gateway.budgets.usual import COLD_TOKENS, UsualOutput
from gateway.ledger.base import Entry
from gateway.policy.budgets import BudgetRule, Period
from gateway.policy.model import Plan, Timeouts
from gateway.request import ChatRequest
from gateway.usage import Usage
from tests.budgets.test_most import MODELS, plan, request

DAY = Period(86_400, "day")
RULE = BudgetRule(0, "key", None, 10**9, DAY, 1.0, "refuse")


class Books:
    """Has room for all that is asked for, or else nothing is left."""

    now = 1.0

    def __init__(self, *, has_room: bool = True) -> None:
        self.has_room = has_room
        self.leases_s: list[float] = []
        self.charges: list[Charge] = []

    async def reserve(self, hold: str, asks: Sequence[Ask], at: float, lease_s: float) -> Reply:
        self.leases_s.append(lease_s)
        spent = 0 if self.has_room else 10**9
        held = self.has_room or all(ask.ceiling_nusd is None for ask in asks)
        return Reply(held, tuple(State(ask.account, spent, 0) for ask in asks))

    async def states(self, accounts: Sequence[object], at: float) -> list[State]:
        raise AssertionError("a claim that is no trial reserves")

    def settle(self, charges: Sequence[Charge]) -> None:
        self.charges += charges

    def reached(self, rule: BudgetRule) -> None:
        assert not self.has_room


def claim_of(books: Books, *rules: BudgetRule, what: ChatRequest | None = None, usual: UsualOutput | None = None) -> Claim:
    return Claim(books, Rules(rules or [RULE]), MODELS, what or request(), Payer("k", None, {}), 0.0, "h", usual or UsualOutput())


def test_a_reservation_outlives_the_longest_that_its_request_may_take() -> None:
    books, long = Books(), msgspec.structs.replace(plan("dear"), timeouts=Timeouts(total_s=900.0))
    assert isinstance(asyncio.run(claim_of(books).within(long)), Plan)
    assert books.leases_s == [960.0]


def test_what_a_request_cost_that_nobody_knows_is_what_was_reserved_for_it() -> None:
    books = Books()
    claim = claim_of(books)
    asyncio.run(claim.within(plan("dear")))
    entry = Entry(request_id="r", at=0.0, dialect="", requested_model="m", stream=False, key="k", policy_hash="", draw=0.0)
    entry.cost_nusd, entry.overhead_nusd = None, 7
    claim.settle(entry)
    [charge] = books.charges
    assert (charge.nusd, charge.reserved_nusd, charge.hold) == (2507, 2500, "h")


def test_what_answers_come_to_that_nothing_bounds_is_learned_by_model_for_each_of_those_wanted() -> None:
    tried = [
        Attempt("p", "dear", "error", usage=None),
        Attempt("p", "dear", "error", usage=Usage(input=100)),
        Attempt("p", "cheap", usage=Usage(input=100, output=5999)),
    ]
    entry = Entry(request_id="r", at=0.0, dialect="", requested_model="m", stream=False, key="k", policy_hash="", draw=0.0)
    entry.attempts = tried
    usual = UsualOutput()
    claim_of(Books(), what=request(100, "50"), usual=usual).settle(entry)
    assert usual.of("cheap", 1.0) == COLD_TOKENS, "those that a request holds short say nothing of others"
    claim_of(Books(), what=request(100, "null", ', "n": 2'), usual=usual).settle(entry)
    assert (usual.of("cheap", 1.0), usual.of("dear", 1.0)) == (3000, COLD_TOKENS)


def test_of_several_that_are_reached_what_refuses_all_comes_before_another_route_and_that_before_what_is_free() -> None:
    week = Period(7 * 86_400, "week")
    free = replace(RULE, place=0, keeps_free=True)
    other = replace(RULE, place=1, period=week, then="route", route="easy")
    all_ = replace(RULE, place=2, period=Period(3600), per="gateway")
    for rules in itertools.permutations([free, other, all_]):
        with pytest.raises(BudgetExceeded) as refused:
            asyncio.run(claim_of(Books(has_room=False), *rules).within(plan("dear")))
        assert refused.value.rule is all_
    for rules in itertools.permutations([free, other]):
        assert asyncio.run(claim_of(Books(has_room=False), *rules).within(plan("dear"))) is other
    claim = claim_of(Books(has_room=False), free)
    left = asyncio.run(claim.within(plan("dear", "busy")))
    assert isinstance(left, Plan) and left.targets == ("busy",) and claim.refusal is not None
