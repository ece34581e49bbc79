"""A limit that moves: it holds as asyncio.timeout does, in the same company, with one timer for all waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.deadline import Deadline
from gateway.draining import Drain
from gateway.errors import ShuttingDown
from tests.virtual_time import run


def now() -> float:
    return asyncio.get_running_loop().time()


async def told(work: Callable[[Deadline], Awaitable[None]]) -> tuple[str, float, int]:
    """How the work ends, when, and how many cancellations its task is left with."""
    deadline = Deadline(now)
    task = asyncio.current_task()
    assert task is not None
    try:
        await work(deadline)
    except BaseException as exc:
        return type(exc).__name__, now(), task.cancelling()
    finally:
        deadline.close()
    return "done", now(), task.cancelling()


@pytest.mark.parametrize(("after_s", "takes_s", "ends"), [(3, 9, ("TimeoutError", 3, 0)), (9, 3, ("done", 3, 0))])
def test_a_wait_ends_at_the_limit_and_not_before(after_s: float, takes_s: float, ends: Any) -> None:
    async def work(deadline: Deadline) -> None:
        deadline.at = now() + after_s
        with deadline:
            await asyncio.sleep(takes_s)

    assert run(told(work)) == ends


def test_a_limit_that_moves_on_is_not_over_when_the_first_one_was() -> None:
    async def work(deadline: Deadline) -> None:
        for _ in range(10):
            deadline.at = now() + 5
            with deadline:
                await asyncio.sleep(4)
        with deadline:  # 1 s is left of the last limit
            await asyncio.sleep(4)

    assert run(told(work)) == ("TimeoutError", 41, 0)


def test_a_limit_that_comes_nearer_holds() -> None:
    async def work(deadline: Deadline) -> None:
        for left_s in (100, 2):
            deadline.at = now() + left_s
            with deadline:
                await asyncio.sleep(3)

    assert run(told(work)) == ("TimeoutError", 5, 0)


def test_between_two_waits_no_limit_holds() -> None:
    async def work(deadline: Deadline) -> None:
        deadline.at = now() + 1
        with deadline:
            await asyncio.sleep(0)
        await asyncio.sleep(50)
        deadline.at = now() + 2
        with deadline:
            await asyncio.sleep(3)

    assert run(told(work)) == ("TimeoutError", 52, 0)


def test_another_task_may_wait_next() -> None:
    async def scenario() -> list[tuple[str, float, int]]:
        deadline = Deadline(now)

        async def one() -> tuple[str, float, int]:
            async def work(_: Deadline) -> None:
                deadline.at = now() + 4
                with deadline:
                    await asyncio.sleep(3 if now() < 3 else 9)

            return await told(work)

        try:
            return [await asyncio.create_task(one()) for _ in range(2)]
        finally:
            deadline.close()

    assert run(scenario()) == [("done", 3, 0), ("TimeoutError", 7, 0)]


def test_a_cancellation_by_somebody_else_goes_on_as_one() -> None:
    async def work(deadline: Deadline) -> None:
        deadline.at = now() + 5
        with deadline:
            await asyncio.sleep(9)

    async def scenario(cancelled_at: float) -> tuple[str, float, int]:
        task = asyncio.create_task(told(work))
        asyncio.get_running_loop().call_later(cancelled_at, task.cancel)
        return await task

    assert run(scenario(2)) == ("CancelledError", 2, 1)
    assert run(scenario(5)) == ("CancelledError", 5, 1), "both at the same time"


def test_limits_nest_with_each_other_and_with_asyncios_and_the_drain() -> None:
    async def nested(outer_s: float, inner_s: float, broken_off_at: float) -> list[str]:
        drain, outer, inner, heard = Drain(), Deadline(now), Deadline(now), []
        asyncio.get_running_loop().call_later(broken_off_at, drain.break_off)
        outer.at, inner.at = now() + outer_s, now() + inner_s
        try:
            with drain.breakable():
                async with asyncio.timeout(20):
                    try:
                        with outer:
                            try:
                                with inner:
                                    await asyncio.sleep(50)
                            except TimeoutError:
                                heard.append("inner")
                            await asyncio.sleep(50)
                    except TimeoutError:
                        heard.append("outer")
                    await asyncio.sleep(50)
        except TimeoutError:
            heard.append("asyncio")
        except ShuttingDown:
            heard.append("drain")
        outer.close()
        inner.close()
        task = asyncio.current_task()
        assert task is not None and not task.cancelling()
        return heard

    assert run(nested(10, 5, 99)) == ["inner", "outer", "asyncio"]
    assert run(nested(5, 10, 99)) == ["outer", "asyncio"]
    assert run(nested(30, 30, 99)) == ["asyncio"]
    assert run(nested(30, 5, 7)) == ["inner", "drain"]
    assert run(nested(5, 5, 7)) == ["outer", "drain"], "when both are over, the outer one ends the wait"


def test_what_is_raised_inside_is_raised() -> None:
    async def work(deadline: Deadline) -> None:
        deadline.at = now() + 5
        with deadline:
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                raise KeyError from None  # as clean-up may

    assert run(told(work)) == ("KeyError", 5, 0)


def test_whoever_is_through_when_the_limit_comes_is_not_cancelled_later() -> None:
    async def work(deadline: Deadline) -> None:
        deadline.at = now() + 5
        with deadline:
            try:
                await asyncio.sleep(9)
            except asyncio.CancelledError:
                pass  # the cancellation was taken for something else
        await asyncio.sleep(1)

    assert run(told(work)) == ("done", 6, 0)


def test_many_waits_take_one_timer() -> None:
    async def scenario() -> int:
        loop, set_ = asyncio.get_running_loop(), 0
        call_later = loop.call_later

        def counted(delay: float, callback: Any, *args: Any, **more: Any) -> asyncio.TimerHandle:
            nonlocal set_
            set_ += callback.__name__ == "_ring"
            return call_later(delay, callback, *args, **more)

        loop.call_later = counted  # type: ignore[method-assign]
        deadline = Deadline(now)
        for _ in range(1000):
            deadline.at = now() + 30
            with deadline:
                await asyncio.sleep(0.001)
        deadline.close()
        await asyncio.sleep(100)
        return set_

    assert run(scenario()) == 1
