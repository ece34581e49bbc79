"""Budgets counted in a real Redis: the port's suite, two replicas and two processes on one budget, crashes, lost keys."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.budgets.base import Account, Ask, Charge, Counts, Unknown
from gateway.budgets.memory import MemoryCounts
from gateway.budgets.redis import RedisCounts
from gateway.budgets.shared import SharedCounts
from gateway.redis_link import RedisLink
from tests.contract.budgets_suite import AT, DAY, MONTH, TWO_HOURS, BudgetsSuite, account
from tests.redis_server import RedisServer


def unexpected(cause: str) -> None:
    raise AssertionError(f"a fault of Redis: {cause}")


def shared(redis: RedisServer, changed: list[tuple[Account, int]] | None = None) -> SharedCounts:
    """deadline_s: long enough for a machine that is busy with other things."""
    told = [] if changed is None else changed
    return SharedCounts(
        RedisCounts(RedisLink(redis.url)), lambda of, nusd, at: told.append((of, nusd)), unexpected, deadline_s=5.0
    )


async def settled(counts: SharedCounts) -> None:
    async with asyncio.timeout(10):
        while counts.owed:  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.005)


class TestSharedCounts(BudgetsSuite):
    @pytest.fixture(autouse=True)
    def _on(self, redis: RedisServer) -> None:
        self.redis, self.changed = redis, []

    async def counts(self) -> Counts:
        return shared(self.redis, self.changed)

    async def settled(self, counts: Counts) -> None:
        assert isinstance(counts, SharedCounts)
        await settled(counts)


def test_two_replicas_hold_one_budget(redis: RedisServer) -> None:
    async def scenario() -> None:
        one, two = shared(redis), shared(redis)
        await asyncio.gather(*(counts.fill(account().family, dict, AT) for counts in (one, two)))

        async def request(n: int) -> int:
            counts = (one, two)[n % 2]
            reply = await counts.reserve(f"r{n}", [Ask(account(), 30, 1000)], AT, 60)
            if not reply.is_held:
                return 0
            await asyncio.sleep(0.001 * (n % 5))
            counts.settle([Charge(account(), 20, AT, AT, f"r{n}", 30)])
            return 20

        paid = sum(await asyncio.gather(*(request(n) for n in range(200))))
        await asyncio.gather(settled(one), settled(two))
        for counts in (one, two):
            [state] = await counts.states([account()], AT)
            assert (state.spent_nusd, state.reserved_nusd) == (paid, 0)
        assert 600 <= paid <= 1000
        await asyncio.gather(one.aclose(), two.aclose())

    asyncio.run(scenario())


SPEND = """
import asyncio, sys
from gateway.budgets.base import Ask, Charge
from gateway.budgets.redis import RedisCounts
from gateway.budgets.shared import SharedCounts
from gateway.redis_link import RedisLink
from tests.contract.budgets_suite import AT, account

async def spend(url, name):
    counts = SharedCounts(RedisCounts(RedisLink(url)), lambda *_: None, print, deadline_s=5.0)
    await counts.fill(account().family, dict, AT)
    paid = 0
    for n in range(200):
        if (await counts.reserve(f"{name}{n}", [Ask(account(), 9, 1000)], AT, 60)).is_held:
            counts.settle([Charge(account(), 7, AT, AT, f"{name}{n}", 9)])
            paid += 7
    while counts.owed:
        await asyncio.sleep(0.01)
    await counts.aclose()
    print(paid)

asyncio.run(spend(*sys.argv[1:]))
"""


def test_two_processes_hold_one_budget(redis: RedisServer) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", SPEND, redis.url]
    running = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, cwd=root) for name in "ab"]
    said = [process.communicate(timeout=15)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    paid = sum(int(text) for text in said)
    assert 1000 - 9 < paid <= 1000, "two at once, and yet to the last that fits"


def test_what_a_process_that_is_gone_had_reserved_lapses(redis: RedisServer) -> None:
    async def scenario() -> None:
        gone, here = shared(redis), shared(redis)
        await gone.fill(account().family, dict, AT)
        assert (await gone.reserve("lost", [Ask(account(), 80, 100)], AT, 0.3)).is_held
        await gone.aclose()  # settles nothing
        assert not (await here.reserve("mine", [Ask(account(), 30, 100)], AT, 60)).is_held
        async with asyncio.timeout(10):
            while not (await here.reserve("mine", [Ask(account(), 30, 100)], AT, 60)).is_held:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.05)
        [state] = await here.states([account()], AT)
        assert (state.spent_nusd, state.reserved_nusd) == (0, 30)
        here.settle([Charge(account(), 12, AT, AT, "lost", 80)])  # it was there after all: what it cost counts, once
        await settled(here)
        [state] = await here.states([account()], AT)
        assert (state.spent_nusd, state.reserved_nusd) == (12, 30)
        await here.aclose()

    asyncio.run(scenario())


def test_a_batch_that_is_sent_twice_counts_once(redis: RedisServer) -> None:
    async def scenario() -> None:
        counts = RedisCounts(RedisLink(redis.url))
        charges = [Charge(account(), 5, AT, AT), Charge(account(period=MONTH), 5, AT, AT)]
        assert await counts.settle("batch", charges) == {account(): 5, account(period=MONTH): 5}
        assert await counts.settle("batch", charges) == {}
        assert await counts.settle("another", charges[:1]) == {account(): 10}
        await counts.aclose()

    asyncio.run(scenario())


def test_a_redis_that_lost_its_keys_is_filled_from_the_ledger_by_one(redis: RedisServer) -> None:
    async def scenario() -> None:
        one, two, reads = shared(redis), shared(redis), []

        def read() -> dict[str, dict[int, int]]:
            reads.append(1)
            time.sleep(0.1)
            return {"a": {int(AT // 3600): 70}}

        async def known(counts: SharedCounts) -> bool:
            try:
                return (await counts.reserve("x", [Ask(account(), 31, 100)], AT, 60)).is_held
            except Unknown:
                await counts.fill(account().family, read, AT)
                return await known(counts)

        await one.fill(account().family, dict, AT - 60)
        one.settle([Charge(account(), 70, AT - 60, AT - 50)])
        await settled(one)
        redis.command("FLUSHALL")
        assert await asyncio.gather(known(one), known(two)) == [False, False]
        late = Charge(account(), 70, AT - 60, AT - 50)  # booked before the ledger was read: it is in there
        two.settle([late])
        two.settle([Charge(account(), 3, AT, AT + 1)])
        await settled(two)
        [state] = await one.states([account()], AT)
        assert state.spent_nusd == 73
        await asyncio.gather(one.aclose(), two.aclose())

    asyncio.run(scenario())


def test_what_only_the_ledger_has_is_made_up_when_its_hour_is_over_for_long(redis: RedisServer) -> None:
    async def scenario() -> None:
        counts, hour = shared(redis), int(AT // 3600)
        await counts.fill(account().family, dict, AT - 60)
        counts.settle([Charge(account(), 70, AT, AT)])
        await settled(counts)
        await counts.fill(account().family, lambda: {"a": {hour: 80, hour - 1: 5, hour - 3: 50}}, AT)
        [state] = await counts.states([account()], AT)
        assert dict(state.buckets) == {hour: 70, hour - 3: 50}, "the others may be on their way to Redis"
        await counts.aclose()

    asyncio.run(scenario())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 40), st.sampled_from([None, 50, 100])),
        st.tuples(st.just("settle"), st.integers(0, 3), st.integers(-5, 60)),
        st.tuples(st.just("wait"), st.sampled_from([59, 3600, 86_400]), st.just(None)),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.integers(1_700_000_000, 2**31), STEPS)
def test_redis_and_memory_say_the_same(redis: RedisServer, start: int, steps: list[tuple[str, int, int | None]]) -> None:
    accounts = [account(period=period) for period in (DAY, MONTH, TWO_HOURS)]

    async def scenario() -> None:
        redis.command("FLUSHALL")
        at, held = float(start), []
        both: list[Counts] = [shared(redis), MemoryCounts(lambda *_: None)]
        for counts in both:
            for one in accounts:
                await counts.fill(one.family, dict, at)
        for n, (what, number, more) in enumerate(steps):
            if what == "wait":
                at += number
            elif what == "ask":
                asks = [Ask(one, number, more) for one in accounts]
                theirs, ours = [await counts.reserve(f"h{n}", asks, at, 3600) for counts in both]
                assert theirs == ours
                if ours.is_held:
                    held.append((f"h{n}", number, at))
            elif held:
                hold, reserved, began = held.pop(number % len(held))
                for counts in both:
                    counts.settle([Charge(one, more or 0, began, at, hold, reserved) for one in accounts])
                assert isinstance(both[0], SharedCounts)
                await settled(both[0])
        theirs_now, ours_now = [await counts.states(accounts, at) for counts in both]
        assert theirs_now == ours_now
        await asyncio.gather(*(counts.aclose() for counts in both))

    asyncio.run(scenario())
