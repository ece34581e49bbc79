"""Limits counted in memory: the port's suite, and the promise that no window of the length ever holds more than the limit."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.limits import memory
from gateway.limits.base import BUCKETS, Ask, Limiter, LimitExceeded
from gateway.limits.memory import MemoryLimits
from tests.contract.limits_suite import LimitsSuite, window

MICROS = 1_000_000


class Clock:
    """Integer µs, so that nothing is lost in between."""

    def __init__(self, us: int = 0) -> None:
        self.us = us

    def __call__(self) -> float:
        return self.us / MICROS


class TestMemoryLimits(LimitsSuite):
    @pytest.fixture(autouse=True)
    def _one_for_all(self) -> None:
        self.clock = Clock(12_345_678)
        self.limits = MemoryLimits(self.clock)

    def open(self) -> Limiter:
        return self.limits

    async def wait(self, seconds: float) -> None:
        self.clock.us += round(seconds * MICROS)

    async def settled(self, limiter: Limiter) -> None:
        """At once."""


LENGTHS = st.sampled_from([1, 7, 60, 3600])
# Pauses as shares of a window's length, many of them about one bucket or one window long.
PAUSES = st.floats(0, 0.1) | st.sampled_from([0.0, 1 / 60, 0.5, 59 / 60, 1.0, 61 / 60]) | st.floats(0, 1.2)


@given(LENGTHS, st.integers(1, 20), st.integers(0, 10**9), st.lists(st.tuples(PAUSES, st.integers(0, 6)), max_size=60))
@example(60, 1, 0, [(0.0, 1), (1.0, 1), (1 / 60, 1)])
def test_no_window_ever_holds_more_than_the_limit_and_nothing_is_refused_without_need(
    length_s: int, limit: int, start_us: int, steps: list[tuple[float, int]]
) -> None:
    async def scenario() -> None:
        clock = Clock(start_us)
        limits, counted = MemoryLimits(clock), window(limit, length_s)
        length_us = length_s * MICROS
        bucket_us = counted.bucket_us
        passed: list[tuple[int, int]] = []  # when and how much: the brute force to compare with

        def within(from_us: int) -> int:
            return sum(amount for at_us, amount in passed if at_us >= from_us)

        for pause, amount in steps:
            clock.us += round(pause * length_us)
            try:
                await limits.reserve([Ask(counted, amount)])
            except LimitExceeded as exc:
                # Only for what is no older than the window and one bucket.
                assert within(clock.us - (BUCKETS + 1) * bucket_us) + amount > limit
                if exc.retry_after_s is None:
                    assert amount > limit
                    continue
                # The time that is said is exact: not a µs earlier.
                at_us = clock.us
                clock.us = at_us + round(exc.retry_after_s * MICROS) - 1
                assert not await fits(limits, Ask(counted, amount))
                clock.us += 1
                assert await fits(limits, Ask(counted, amount))
                passed.append((clock.us, amount))
            else:
                passed.append((clock.us, amount))
            # Closed at both ends, so that no window of this length, wherever it lies, holds more.
            assert within(clock.us - length_us) <= limit

    asyncio.run(scenario())


async def fits(limits: Limiter, ask: Ask) -> bool:
    try:
        await limits.reserve([ask])
    except LimitExceeded:
        return False
    return True


@given(
    st.lists(
        st.tuples(st.floats(0, 0.4), st.integers(1, 30), st.integers(0, 40), st.booleans()),
        max_size=40,
    )
)
def test_what_is_counted_is_what_was_reserved_and_then_what_was_true(steps: list[tuple[float, int, int, bool]]) -> None:
    """Against a list of everything that was ever counted, with corrections in their buckets."""

    async def scenario() -> None:
        clock = Clock()
        limits, counted = MemoryLimits(clock), window(100, 60, unit="tokens")
        book: list[list[int]] = []  # [bucket, tokens]
        for pause, reserve, truth, is_settled in steps:
            clock.us += round(pause * 60 * MICROS)
            now = clock.us // counted.bucket_us
            held = sum(tokens for bucket, tokens in book if bucket >= now - BUCKETS)
            try:
                hold = await limits.reserve([Ask(counted, reserve)])
            except LimitExceeded as exc:
                assert held + reserve > 100
                assert exc.levels[0].remaining == max(100 - held, 0)
                continue
            assert held + reserve <= 100
            assert hold.levels[0].remaining == 100 - held - reserve
            book.append([now, reserve])
            if is_settled:
                clock.us += round(pause * 30 * MICROS)
                hold.settle(truth)
                later = clock.us // counted.bucket_us
                if truth > reserve:
                    book.append([later, truth - reserve])
                elif now >= later - BUCKETS:
                    book[-1][1] = truth

    asyncio.run(scenario())


def test_windows_in_which_nothing_is_left_are_let_go() -> None:
    async def scenario() -> None:
        clock = Clock()
        limits = MemoryLimits(clock)
        for n in range(1000):
            await limits.reserve([Ask(window(5, 1, holder=f"k{n}"), 1)])
        assert kept(limits) == 1000
        clock.us += 2 * MICROS
        for n in range(600):
            await limits.reserve([Ask(window(5, 1, holder=f"new{n}"), 1)])
        assert kept(limits) <= 601

    asyncio.run(scenario())


def test_the_windows_are_bounded_and_the_one_used_longest_ago_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WINDOWS_MAX", 3)

    async def scenario() -> None:
        limits = MemoryLimits(Clock())
        for holder in ("a", "b", "c", "a", "d"):
            await limits.reserve([Ask(window(5, 86_400, holder=holder), 1)])
        assert kept(limits) == 3
        levels = [(await limits.reserve([Ask(window(5, 86_400, holder=h), 1)])).levels[0] for h in ("a", "b")]
        assert [level.remaining for level in levels] == [2, 4]

    asyncio.run(scenario())


def kept(limits: MemoryLimits) -> int:
    return sum(len(windows) for windows in limits._windows.values())
