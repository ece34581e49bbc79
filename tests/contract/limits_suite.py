"""What every limiter must do. A backend's test module subclasses LimitsSuite and says how to open one, and how time passes."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

import pytest

from gateway.limits.base import Ask, Hold, Limiter, LimitExceeded, Window
from gateway.policy.limits import Unit

Scenario = Callable[[Limiter], Awaitable[None]]


def window(limit: int, length_s: int = 60, holder: str = "abc", unit: Unit = "requests", place: int = 0) -> Window:
    return Window("key", holder, holder, unit, limit, length_s, place)


async def refused(limiter: Limiter, *asks: Ask) -> LimitExceeded:
    """How these were refused, as they must be."""
    with pytest.raises(LimitExceeded) as caught:
        await limiter.reserve(asks)
    return caught.value


async def passes(limiter: Limiter, *asks: Ask) -> bool:
    try:
        await limiter.reserve(asks)
    except LimitExceeded:
        return False
    return True


class LimitsSuite:
    """open: a limiter that counts where the others that are opened count, called in a running loop. wait: let time pass."""

    def open(self) -> Limiter:
        raise NotImplementedError

    async def wait(self, seconds: float) -> None:
        raise NotImplementedError

    async def settled(self, limiter: Limiter) -> None:
        """Return once what was settled is counted."""
        raise NotImplementedError

    def check(self, scenario: Scenario) -> None:
        async def opened() -> None:
            limiter = self.open()
            try:
                await scenario(limiter)
            finally:
                await limiter.aclose()

        asyncio.run(opened())

    def test_as_many_pass_as_the_limit_says_and_none_more(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            three = window(3)
            held = [await limiter.reserve([Ask(three, 1)]) for _ in range(3)]
            assert [hold.levels[0].remaining for hold in held] == [2, 1, 0]
            exceeded = await refused(limiter, Ask(three, 1))
            assert (exceeded.status, exceeded.code, exceeded.window) == (429, "rate_limit_exceeded", three)
            assert exceeded.levels[0].remaining == 0
            assert await passes(limiter, Ask(window(3, holder="def"), 1)), "another key has its own"
            assert await passes(limiter, Ask(window(3, unit="tokens"), 1)), "another unit too"
            assert await passes(limiter, Ask(window(3, length_s=1), 1)), "another length too"

        self.check(scenario)

    def test_after_the_time_that_is_said_it_passes_and_not_before(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            two = window(2, 2)
            await limiter.reserve([Ask(two, 1)])
            await self.wait(0.7)
            await limiter.reserve([Ask(two, 1)])
            first = (await refused(limiter, Ask(two, 1))).retry_after_s
            both = (await refused(limiter, Ask(two, 2))).retry_after_s
            assert first is not None and both is not None
            assert 2 - 0.7 - 0.5 < first <= 2 + 2 / 60 - 0.6
            assert both == pytest.approx(first + 0.7, abs=0.3)
            await self.wait(first - 0.2)
            assert not await passes(limiter, Ask(two, 1))
            await self.wait(0.25)
            assert await passes(limiter, Ask(two, 1))

        self.check(scenario)

    def test_refused_requests_are_not_counted(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            one = window(1, 1)
            await limiter.reserve([Ask(one, 1)])
            for _ in range(20):
                await refused(limiter, Ask(one, 1))
            await self.wait(1.1)
            assert await passes(limiter, Ask(one, 1))

        self.check(scenario)

    def test_all_windows_are_counted_or_none(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            requests, tokens = window(10), window(100, unit="tokens")
            await limiter.reserve([Ask(requests, 1), Ask(tokens, 90)])
            exceeded = await refused(limiter, Ask(requests, 1), Ask(tokens, 20))
            assert [level.remaining for level in exceeded.levels] == [9, 10]
            assert exceeded.window == tokens
            assert await passes(limiter, Ask(requests, 9), Ask(tokens, 10))

        self.check(scenario)

    def test_of_several_that_are_spent_the_longest_wait_is_said(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            short, long = window(1, 1), window(1, 3600, place=1)
            await limiter.reserve([Ask(short, 1), Ask(long, 1)])
            exceeded = await refused(limiter, Ask(short, 1), Ask(long, 1))
            assert exceeded.window == long
            assert exceeded.retry_after_s is not None and 3500 < exceeded.retry_after_s <= 3600 + 60
            assert "key 'abc' may send 1 request an hour (limits[1] of the policy); try again in 36" in exceeded.message

        self.check(scenario)

    def test_more_than_the_limit_never_passes_and_says_so(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            exceeded = await refused(limiter, Ask(window(100, 10, unit="tokens"), 101), Ask(window(5), 1))
            assert exceeded.retry_after_s is None
            assert exceeded.message == (
                "key 'abc' may use 100 tokens in 10 s (limits[0] of the policy), and this request may need 101; "
                "send less, or ask for fewer with `max_tokens`"
            )

        self.check(scenario)

    def test_what_was_not_used_is_given_back(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            requests, tokens = window(3), window(100, unit="tokens")
            hold = await limiter.reserve([Ask(requests, 1), Ask(tokens, 90)])
            hold.settle(15)
            await self.settled(limiter)
            exceeded = await refused(limiter, Ask(requests, 1), Ask(tokens, 90))
            assert [level.remaining for level in exceeded.levels] == [2, 85], "the request itself stays counted"
            nothing = await limiter.reserve([Ask(requests, 1), Ask(tokens, 80)])
            nothing.settle(0)
            await self.settled(limiter)
            assert await passes(limiter, Ask(tokens, 85))

        self.check(scenario)

    def test_what_was_used_on_top_is_counted_even_over_the_limit(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            tokens = window(100, 2, unit="tokens")
            hold = await limiter.reserve([Ask(tokens, 10)])
            await self.wait(0.5)
            hold.settle(150)
            await self.settled(limiter)
            exceeded = await refused(limiter, Ask(tokens, 1))
            assert exceeded.levels[0].remaining == 0
            # 140 came half a second later, and hold the limit until they leave it.
            assert exceeded.retry_after_s == pytest.approx(2, abs=0.3)
            assert not await passes(limiter, Ask(tokens, 0)), "it is over the limit"
            await self.wait(exceeded.retry_after_s + 0.05)
            assert await passes(limiter, Ask(tokens, 100))

        self.check(scenario)

    def test_what_has_left_its_window_is_not_given_back(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            tokens = window(100, 1, unit="tokens")
            old = await limiter.reserve([Ask(tokens, 100)])
            await self.wait(1.1)
            await limiter.reserve([Ask(tokens, 100)])
            old.settle(0)
            await self.settled(limiter)
            assert not await passes(limiter, Ask(tokens, 1))

        self.check(scenario)

    def test_a_hold_is_settled_once(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            hold = await limiter.reserve([Ask(window(5), 1)])
            hold.settle(5)
            with pytest.raises(AssertionError):
                hold.settle(5)

        self.check(scenario)

    def test_another_limit_on_the_same_window_goes_on_counting(self) -> None:
        """As when the policy is changed while it is in force."""

        async def scenario(limiter: Limiter) -> None:
            old = window(5)
            for _ in range(3):
                await limiter.reserve([Ask(old, 1)])
            assert (await limiter.reserve([Ask(dataclasses.replace(old, limit=10, place=3), 1)])).levels[0].remaining == 6
            assert not await passes(limiter, Ask(dataclasses.replace(old, limit=4), 1))

        self.check(scenario)

    def test_how_long_until_all_is_left_again_is_told(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            hold = await limiter.reserve([Ask(window(5, 60), 1)])
            assert 59 < hold.levels[0].reset_s <= 61
            unused = await refused(limiter, Ask(window(5, 60, holder="new"), 6))
            assert unused.levels[0].reset_s == 0

        self.check(scenario)

    def test_of_two_hundred_at_once_exactly_as_many_pass_as_may(self) -> None:
        async def scenario(limiter: Limiter) -> None:
            other = self.open()
            try:
                seventy, tokens = window(70, 3600), window(10_000, 3600, unit="tokens")

                async def one(n: int) -> Hold | None:
                    try:
                        return await (limiter, other)[n % 2].reserve([Ask(seventy, 1), Ask(tokens, 10)])
                    except LimitExceeded:
                        return None

                held = await asyncio.gather(*(one(n) for n in range(200)))
                passed = [hold for hold in held if hold is not None]
                assert len(passed) == 70
                assert sorted(hold.levels[0].remaining for hold in passed) == list(range(70))
                assert (await refused(limiter, Ask(seventy, 1), Ask(tokens, 10))).levels[1].remaining == 10_000 - 700
            finally:
                await other.aclose()

        self.check(scenario)
