"""What every backend of budgets' counts must do. A backend's test class inherits this and gives `counts` and `settled`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.budgets.base import Account, Ask, Charge, Counts, Family, Unknown
from gateway.policy.budgets import Period

DAY = Period(86_400, "day")
MONTH = Period(31 * 86_400, "month")
TWO_HOURS = Period(7200)
AT = datetime(2026, 11, 22, 16, 30, tzinfo=UTC).timestamp()


def account(holder: str = "a", period: Period = DAY) -> Account:
    return Account(Family("key", None, period), holder)


def ask(amount: int, ceiling: int | None = None, of: Account | None = None) -> Ask:
    return Ask(of or account(), amount, ceiling)


class BudgetsSuite:
    """changed: what was told of each account, in turn."""

    changed: list[tuple[Account, int]]

    async def counts(self) -> Counts:
        """Counts over the same store each time, with `key` by day, month and two hours filled and empty."""
        raise NotImplementedError

    async def settled(self, counts: Counts) -> None:
        """Returns when all that was settled is counted."""
        raise NotImplementedError

    async def empty(self) -> Counts:
        counts = await self.counts()
        for period in (DAY, MONTH, TWO_HOURS):
            await counts.fill(account(period=period).family, dict, AT)
        return counts

    async def standing(self, counts: Counts, of: Account | None = None, at: float = AT) -> tuple[int, int]:
        [state] = await counts.states([of or account()], at)
        return state.spent_nusd, state.reserved_nusd

    def test_what_is_reserved_is_settled_by_the_truth(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()
            reply = await counts.reserve("h", [ask(60, 100)], AT, 60)
            assert reply.is_held
            assert await self.standing(counts) == (0, 60)
            counts.settle([Charge(account(), 25, AT, AT, "h", 60)])
            await self.settled(counts)
            assert await self.standing(counts) == (25, 0)
            assert self.changed[-1] == (account(), 25)
            await counts.aclose()

        asyncio.run(scenario())

    def test_all_is_reserved_or_nothing(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()
            assert (await counts.reserve("one", [ask(90, 100)], AT, 60)).is_held
            other = account("b")
            reply = await counts.reserve("two", [ask(5, 1000, other), ask(11, 100)], AT, 60)
            assert not reply.is_held
            assert [(s.spent_nusd, s.reserved_nusd) for s in reply.states] == [(0, 0), (0, 90)]
            assert await self.standing(counts, other) == (0, 0)
            assert (await counts.reserve("two", [ask(5, 1000, other), ask(10, 100)], AT, 60)).is_held
            await counts.aclose()

        asyncio.run(scenario())

    def test_nothing_passes_a_ceiling_that_is_reached_and_anything_passes_without_one(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()
            counts.settle([Charge(account(), 100, AT, AT)])
            await self.settled(counts)
            assert not (await counts.reserve("free", [ask(0, 100)], AT, 60)).is_held
            assert (await counts.reserve("free", [ask(0, 101)], AT, 60)).is_held
            assert (await counts.reserve("any", [ask(10**15)], AT, 60)).is_held
            assert await self.standing(counts) == (100, 10**15)
            await counts.aclose()

        asyncio.run(scenario())

    def test_what_was_never_filled_is_unknown_and_then_begins_where_the_ledger_is(self) -> None:
        async def scenario() -> None:
            counts = await self.counts()
            with pytest.raises(Unknown) as caught:
                await counts.reserve("h", [ask(1, 100)], AT, 60)
            assert set(caught.value.families) == {account().family}
            hour = int(AT // 3600)
            await counts.fill(account().family, lambda: {"a": {hour: 30, hour - 1: 20}, "b": {hour - 30: 5}}, AT)
            assert await self.standing(counts) == (50, 0)
            assert await self.standing(counts, account("b")) == (0, 0), "of another day"
            assert not (await counts.reserve("h", [ask(51, 100)], AT, 60)).is_held
            assert sorted(counts.holders(account().family)) == ["a", "b"]
            await counts.aclose()

        asyncio.run(scenario())

    def test_a_second_look_at_the_ledger_takes_nothing_away_and_counts_nothing_twice(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()
            counts.settle([Charge(account(), 70, AT - 7200, AT)])
            await self.settled(counts)
            hours = {int((AT - 7200) // 3600): 60, int((AT - 10_800) // 3600): 7}
            for _ in range(2):
                await counts.fill(account().family, lambda: {"a": hours}, AT)
                assert await self.standing(counts) == (77, 0), "what is lost of hours long over is made up"
            await counts.aclose()

        asyncio.run(scenario())

    def test_a_new_day_begins_with_nothing_spent_and_what_began_before_is_the_old_ones(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()
            eve = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
            asks = [ask(50, 60), ask(50, 60, account(period=MONTH)), ask(50, 60, account(period=TWO_HOURS))]
            assert (await counts.reserve("h", asks, eve, 60)).is_held
            counts.settle([Charge(one.account, 50, eve, eve + 10, "h", 50) for one in asks])
            await self.settled(counts)
            for of, expected in ((account(), 0), (account(period=MONTH), 0), (account(period=TWO_HOURS), 50)):
                assert await self.standing(counts, of, eve + 10) == (expected, 0)
            assert (await counts.reserve("i", asks[:2], eve + 1, 60)).is_held
            assert not (await counts.reserve("j", asks[2:], eve + 7200, 60)).is_held
            assert (await counts.reserve("j", asks[2:], eve + 7200 + 120, 60)).is_held
            await counts.aclose()

        asyncio.run(scenario())

    def test_a_charge_may_take_back(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()
            counts.settle([Charge(account(), 100, AT, AT), Charge(account(), -40, AT, AT)])
            await self.settled(counts)
            assert await self.standing(counts) == (60, 0)
            await counts.aclose()

        asyncio.run(scenario())

    def test_of_many_at_once_no_more_pass_than_fit(self) -> None:
        async def scenario() -> None:
            counts = await self.empty()

            async def one(n: int) -> bool:
                reply = await counts.reserve(f"h{n}", [ask(7, 100), ask(7, 70, account("all"))], AT, 60)
                await asyncio.sleep(0)
                return reply.is_held

            held = await asyncio.gather(*(one(n) for n in range(200)))
            assert sum(held) == 10
            assert await self.standing(counts) == (0, 70)
            await counts.aclose()

        asyncio.run(scenario())
