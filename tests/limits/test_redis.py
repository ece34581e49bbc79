"""Limits counted in a real Redis: the port's suite by its own clock and by one that is set, and against those in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import StoreUnavailable
from gateway.limits.base import Ask, Correction, Limiter, LimitExceeded, Window
from gateway.limits.memory import MemoryLimits
from gateway.limits.redis import RESERVE, SETTLE, RedisCounts
from gateway.limits.shared import SharedLimits
from gateway.redis_link import Command, RedisLink
from tests.contract.limits_suite import LimitsSuite, passes, refused, window
from tests.redis_server import RedisServer

MICROS = 1_000_000
START_US = 1_790_000_000_123_456


def set_by_hand(script: str) -> str:
    """The script with a clock that stands still until it is set."""
    assert script.count("redis.call('TIME')") == 1
    return script.replace("redis.call('TIME')", "redis.call('MGET', 'clock:s', 'clock:us')")


def set_clock(redis: RedisServer, us: int) -> None:
    redis.command("MSET", "clock:s", str(us // MICROS), "clock:us", str(us % MICROS))


def shared(redis: RedisServer, *, is_set_by_hand: bool = False) -> SharedLimits:
    """deadline_s: long enough for a machine that is busy with other things."""
    scripts = (set_by_hand(RESERVE), set_by_hand(SETTLE)) if is_set_by_hand else (RESERVE, SETTLE)
    return SharedLimits(RedisCounts(RedisLink(redis.url), *scripts), failed=unexpected, deadline_s=5.0)


def unexpected(cause: str) -> None:
    raise AssertionError(f"Redis failed: {cause}")


class RedisSuite(LimitsSuite):
    async def settled(self, limiter: Limiter) -> None:
        assert isinstance(limiter, SharedLimits)
        async with asyncio.timeout(5):
            while limiter.owed:  # noqa: ASYNC110 - nobody else waits for it
                await asyncio.sleep(0.005)


class TestSharedLimits(RedisSuite):
    """By the clock of Redis."""

    @pytest.fixture(autouse=True)
    def _redis(self, redis: RedisServer) -> None:
        self.redis = redis

    def open(self) -> Limiter:
        return shared(self.redis)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class TestSharedLimitsBySetClock(RedisSuite):
    @pytest.fixture(autouse=True)
    def _redis(self, redis: RedisServer) -> None:
        self.redis, self.us = redis, START_US
        set_clock(redis, self.us)

    def open(self) -> Limiter:
        return shared(self.redis, is_set_by_hand=True)

    async def wait(self, seconds: float) -> None:
        self.us += round(seconds * MICROS)
        set_clock(self.redis, self.us)


STEPS = st.lists(
    st.tuples(st.floats(0, 0.1) | st.sampled_from([0.0, 1 / 60, 1.0, 61 / 60]), st.integers(0, 6), st.integers(0, 6)), max_size=25
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([1, 7, 60, 86_400]), st.integers(1, 15), STEPS)
def test_redis_counts_as_memory_does(redis: RedisServer, length_s: int, limit: int, steps: list[tuple[float, int, int]]) -> None:
    """To the µs: what is let through, what is left, and how long to wait."""
    redis.command("FLUSHALL")
    counted = [window(limit, length_s), window(2 * limit, 10 * length_s, unit="tokens")]

    async def scenario() -> None:
        us = START_US
        link = RedisLink(redis.url)
        remote = RedisCounts(link, set_by_hand(RESERVE), set_by_hand(SETTLE), trip_s=20.0)  # the machine may be busy
        local = MemoryLimits(lambda: us / MICROS)
        for pause, amount, truth in steps:
            us += round(pause * length_s * MICROS)
            set_clock(redis, us)
            asks = [Ask(counted[0], 1), Ask(counted[1], amount)]
            said = await remote.reserve(asks)
            assert isinstance(said, list)
            try:
                hold = await local.reserve(asks)
            except LimitExceeded as exc:
                assert [one.level.remaining for one in said] == [level.remaining for level in exc.levels]
                assert any(one.is_refused for one in said)
                waits = [one.wait_s for one in said if one.is_refused]
                assert exc.retry_after_s == (None if None in waits else pytest.approx(max(w for w in waits if w), abs=2e-6))
            else:
                assert not any(one.is_refused for one in said)
                assert [one.level.remaining for one in said] == [level.remaining for level in hold.levels]
                assert [one.level.reset_s for one in said] == pytest.approx([level.reset_s for level in hold.levels], abs=2e-6)
                hold.settle(truth)
                if truth != amount:
                    await remote.settle([Correction(counted[1], said[1].bucket, truth - amount)])
        await link.aclose()

    asyncio.run(scenario())


def test_a_script_that_redis_has_forgotten_is_sent_again(redis: RedisServer) -> None:
    async def scenario() -> None:
        limiter = shared(redis)
        for _ in range(3):
            await limiter.reserve([Ask(window(5), 1)])
            redis.command("SCRIPT", "FLUSH")
        assert (await limiter.reserve([Ask(window(5), 1)])).levels[0].remaining == 1
        await limiter.aclose()

    asyncio.run(scenario())


class CountingLink(RedisLink):
    """With the number of round trips."""

    trips = 0

    async def run(self, *commands: Command) -> list[Any]:
        self.trips += 1
        return await super().run(*commands)


def test_a_burst_takes_few_round_trips(redis: RedisServer) -> None:
    """Else the last of them would be late, and counted alone, for no fault of Redis."""

    async def scenario() -> None:
        link = CountingLink(redis.url)
        counts = RedisCounts(link)
        await counts.ping()
        link.trips = 0
        replies = await asyncio.gather(*(counts.reserve([Ask(window(500), 1)]) for _ in range(1000)))
        assert sum(isinstance(reply, list) and not reply[0].is_refused for reply in replies) == 500
        assert link.trips <= 12
        await counts.aclose()

    asyncio.run(scenario())


def test_a_caller_who_left_before_the_round_trip_is_not_counted(redis: RedisServer) -> None:
    async def scenario() -> None:
        counts = RedisCounts(RedisLink(redis.url))
        counts.reserve([Ask(window(5), 1)]).cancel()
        stays = counts.reserve([Ask(window(5), 1)])
        reply = await stays
        assert isinstance(reply, list) and reply[0].level.remaining == 4
        await counts.aclose()

    asyncio.run(scenario())


def test_what_is_kept_ends_with_its_window(redis: RedisServer) -> None:
    async def scenario() -> None:
        limiter = shared(redis)
        for n in range(10):
            holder = f"k{n}"
            hold = await limiter.reserve([Ask(window(5, 1, holder), 1), Ask(window(9, 1, holder, "tokens"), 1)])
            hold.settle(3)
        await limiter.aclose()
        assert redis.command("DBSIZE") == b":20\r\n"
        await asyncio.sleep(1.3)
        assert redis.command("DBSIZE") == b":0\r\n"

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_two_windows(redis: RedisServer) -> None:
    async def scenario() -> None:
        limiter = shared(redis, is_set_by_hand=True)
        one = Ask(window(1, 60), 1)
        set_clock(redis, START_US)
        await limiter.reserve([one])
        set_clock(redis, START_US - 3600 * MICROS)
        assert await passes(limiter, one)
        set_clock(redis, START_US - 3610 * MICROS)
        wait_s = (await refused(limiter, one)).retry_after_s
        assert wait_s is not None and wait_s <= 120
        await limiter.aclose()

    asyncio.run(scenario())


def test_corrections_are_told_in_batches_and_the_rest_when_it_closes(redis: RedisServer) -> None:
    async def scenario() -> None:
        limiter, tokens = shared(redis), window(1_000_000, 3600, unit="tokens")
        holds = [await limiter.reserve([Ask(tokens, 100)]) for _ in range(500)]
        for hold in holds:
            hold.settle(1)
        assert limiter.owed == 500
        await limiter.aclose()
        other = shared(redis)
        assert (await other.reserve([Ask(tokens, 0)])).levels[0].remaining == 1_000_000 - 500
        await other.aclose()

    asyncio.run(scenario())


def test_a_key_that_holds_something_else_is_a_fault_of_its_own(redis: RedisServer) -> None:
    async def scenario() -> None:
        counts = RedisCounts(RedisLink(redis.url))
        redis.command("SET", "turnout:limit:key:requests:60s:abc", "nonsense")
        foreign, well = await asyncio.gather(
            counts.reserve([Ask(window(5), 1)]), counts.reserve([Ask(window(5, holder="def"), 1)])
        )
        assert isinstance(foreign, StoreUnavailable) and foreign.cause == "foreign"
        assert isinstance(well, list) and well[0].level.remaining == 4
        await counts.aclose()

    asyncio.run(scenario())


def test_names_of_any_kind_keep_apart() -> None:
    """The id is all that tells windows apart in Redis."""
    windows = [
        Window(per, holder, "n", unit, 5, length_s, 0)
        for per in ("key", "team", "model")
        for holder in ("a", "a:b", "60s:a", "(key) a")
        for unit in ("requests", "tokens")
        for length_s in (1, 60)
    ]
    assert len({one.id for one in windows}) == len(windows)
