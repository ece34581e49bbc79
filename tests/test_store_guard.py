"""Waiting for a store's reply: 50 ms while it is silent, on while it answers others, and never thrown away if it is there.

The breaker and its probes are tested with the cache, in tests/cache/test_guarded.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.errors import StoreUnavailable
from gateway.outages import Effects, Outages
from gateway.store_guard import BEHIND_S, DEADLINE_S, StoreGuard
from tests.virtual_time import run

EFFECTS = Effects(away="is away", met="met a fault", keys="k:", server="another one")


def scene(scenario: Callable[[StoreGuard, list[str]], Awaitable[None]]) -> None:
    """A guard whose pings are never answered, and the causes that metrics were told; in virtual time."""

    async def silent() -> float:
        await asyncio.sleep(1e6)
        return 0.0

    async def opened() -> None:
        causes: list[str] = []
        clock = asyncio.get_running_loop().time
        outages = Outages("the store", EFFECTS, logging.getLogger("turnout.test"), clock)
        guard = StoreGuard(silent, outages, causes.append, clock=clock)
        await scenario(guard, causes)
        await guard.aclose()

    run(opened())


def after(seconds: float, value: Any = "said") -> asyncio.Future[Any]:
    """A reply that comes then."""
    loop = asyncio.get_running_loop()
    reply: asyncio.Future[Any] = loop.create_future()
    loop.call_later(seconds, lambda: reply.done() or reply.set_result(value))
    return reply


def test_a_reply_in_time_is_given() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        assert await guard.reply(lambda: after(0.0)) == "said"
        assert await guard.reply(lambda: after(DEADLINE_S - 0.001)) == "said"
        assert causes == []

    scene(scenario)


def test_a_call_for_which_no_time_is_left_is_not_made_and_no_fault_of_the_store() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        asked = []

        async def call() -> None:
            asked.append(True)

        with pytest.raises(StoreUnavailable, match="no time left"):
            await guard.call(call, -0.6)
        assert (asked, causes, guard.is_open) == ([], ["timeout"], False)

    scene(scenario)


def test_silence_opens_the_breaker_and_the_next_are_spared_the_wait() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        clock = asyncio.get_running_loop().time
        with pytest.raises(StoreUnavailable, match="no reply within 50 ms"):
            await guard.reply(lambda: after(0.2))
        assert clock() == pytest.approx(DEADLINE_S)
        with pytest.raises(StoreUnavailable, match="no reply within 50 ms"):
            await guard.reply(lambda: after(0.0))
        assert clock() == pytest.approx(DEADLINE_S)
        assert (causes, guard.is_open) == (["timeout"], True)

    scene(scenario)


def test_while_others_are_answered_waiting_goes_on() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        others = [asyncio.create_task(guard.reply(lambda n=n: after(n * 0.03))) for n in range(1, 9)]
        assert await guard.reply(lambda: after(0.25)) == "said"
        assert await asyncio.gather(*others) == ["said"] * 8
        assert causes == []

    scene(scenario)


def test_but_not_for_ever() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        clock = asyncio.get_running_loop().time

        async def one(n: int) -> str:
            await asyncio.sleep(n * 0.02)
            return await guard.reply(lambda: after(0.01))

        others = [asyncio.create_task(one(n)) for n in range(80)]
        with pytest.raises(StoreUnavailable):
            await guard.reply(lambda: after(1e3))
        assert BEHIND_S < clock() <= BEHIND_S + 2 * DEADLINE_S
        await asyncio.gather(*others)
        assert (causes, guard.is_open) == (["timeout"], False), "the store answers"

    scene(scenario)


def test_a_reply_that_lay_there_while_the_process_was_held_up_is_taken() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        loop: Any = asyncio.get_running_loop()
        reply: asyncio.Future[str] = loop.create_future()

        def held_up() -> None:
            loop._jumping.now += 0.4  # nothing else ran
            loop.call_later(0.005, reply.set_result, "said")  # what came meanwhile is read after

        loop.call_later(0.01, held_up)
        assert await guard.reply(lambda: reply) == "said"
        assert causes == []

    scene(scenario)


def test_a_fault_is_raised_and_noted() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        with pytest.raises(StoreUnavailable, match="refused"):
            await guard.reply(lambda: after(0.0, StoreUnavailable("connection", "refused")))
        assert (causes, guard.is_open) == (["connection"], True)

    scene(scenario)


def test_a_caller_who_leaves_takes_the_wait_along() -> None:
    async def scenario(guard: StoreGuard, causes: list[str]) -> None:
        reply = after(0.04)
        waiting = asyncio.create_task(guard.reply(lambda: reply))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert reply.cancelled()
        assert (causes, guard.is_open) == ([], False)

    scene(scenario)
