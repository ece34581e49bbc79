"""Budgets counted in memory: the port's suite, and the promise that no more is spent than the budget and what was on its way."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.budgets import memory
from gateway.budgets.base import Account, Ask, Charge, Counts
from gateway.budgets.memory import MemoryCounts
from gateway.policy.budgets import Period
from tests.contract.budgets_suite import AT, BudgetsSuite, account


class TestMemoryCounts(BudgetsSuite):
    @pytest.fixture(autouse=True)
    def _told(self) -> None:
        self.changed = []

    async def counts(self) -> Counts:
        return MemoryCounts(lambda of, nusd, at: self.changed.append((of, nusd)))

    async def settled(self, counts: Counts) -> None:
        """At once."""


PERIODS = [Period(86_400, "day"), Period(7 * 86_400, "week"), Period(31 * 86_400, "month"), Period(3600), Period(100 * 3600)]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 40)),
        st.tuples(st.just("settle"), st.integers(0, 3), st.integers(0, 60)),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 59.0, 3600.0, 86_400.0, 20 * 86_400.0])),
    ),
    max_size=60,
)


@given(st.sampled_from(PERIODS), st.integers(1, 100), st.integers(0, 2**31), STEPS)
def test_no_more_is_spent_than_the_budget_and_what_answers_cost_beyond_what_was_reserved(
    period: Period, ceiling: int, start: int, steps: list[tuple[str, float, int]]
) -> None:
    async def scenario() -> None:
        counts, of, at = MemoryCounts(lambda *_: None), account(period=period), float(start)
        counts.fill_now(of.family, {}, at)
        held: list[tuple[str, int, float]] = []
        entries: list[tuple[float, int]] = []  # the ledger: when it began, what it cost
        beyond = 0
        for n, (what, *args) in enumerate(steps):
            if what == "wait":
                at += args[0]
            elif what == "ask":
                amount = int(args[0])
                reply = await counts.reserve(f"h{n}", [Ask(of, amount, ceiling)], at, 60)
                window = of.frame(at)
                spent = sum(nusd for began, nusd in entries if began // of.bucket_s >= window.oldest)
                assert reply.states[0].spent_nusd == spent, "the same as the ledger"
                assert reply.states[0].reserved_nusd == sum(reserved for _, reserved, _ in held)
                standing = reply.states[0].standing_nusd
                assert reply.is_held == (standing < ceiling and standing + amount <= ceiling)
                if reply.is_held:
                    held.append((f"h{n}", amount, at))
                elif amount <= ceiling and not held:
                    wait_s = reply.states[0].wait_s(Ask(of, amount, ceiling), at)
                    assert wait_s is not None
                    later = await counts.reserve("later", [Ask(of, amount, ceiling)], at + wait_s, 60)
                    assert later.is_held, "when it was told to come again it passes"
                    counts.settle([Charge(of, 0, at, at, "later", amount)])
                    at += wait_s
            elif held:
                hold, reserved, began = held.pop(int(args[0]) % len(held))
                cost = int(args[1])
                counts.settle([Charge(of, cost, began, at, hold, reserved)])
                entries.append((began, cost))
                beyond += max(cost - reserved, 0)
        for begin in [began for began, _ in entries]:
            frame = of.frame(begin)
            together = sum(nusd for began, nusd in entries if frame.oldest <= began // of.bucket_s <= frame.now)
            assert together <= ceiling + beyond

    asyncio.run(scenario())


def test_a_holder_forgotten_for_others_is_one_that_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "HOLDERS_MAX", 2)
    counts = MemoryCounts(lambda *_: None)
    family = account().family
    counts.fill_now(family, {}, AT)
    asyncio.run(counts.reserve("h", [Ask(account("busy"), 5)], AT, 60))
    for n in range(5):
        counts.settle([Charge(Account(family, f"k{n}"), 1, AT, AT)])
    assert "busy" in counts.holders(family)
    assert len(counts.holders(family)) == 2
