"""Breaking off: only what is inside the block, told from a cancellation by anybody else."""

from __future__ import annotations

import asyncio

import pytest

from gateway.draining import Drain
from gateway.errors import ShuttingDown, status_of


def test_work_that_is_broken_off_raises_and_its_task_is_not_cancelled() -> None:
    async def scenario() -> None:
        drain = Drain()
        heard: list[str] = []

        async def work() -> str:
            try:
                with drain.breakable():
                    async with asyncio.timeout(10):
                        await asyncio.sleep(10)
            except ShuttingDown as exc:
                assert (status_of(exc), exc.code, exc.retry_after_s) == (503, "shutting_down", 1)
                await asyncio.sleep(0)  # it can still say so
                heard.append(exc.code)
            return "done"

        tasks = [asyncio.create_task(work()) for _ in range(3)]
        await asyncio.sleep(0)
        assert drain.break_off() == 3
        assert await asyncio.gather(*tasks) == ["done"] * 3
        assert heard == ["shutting_down"] * 3
        assert not any(task.cancelling() for task in tasks)
        assert drain.break_off() == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("is_broken_off", [False, True])
def test_a_cancellation_by_somebody_else_goes_on_as_one(is_broken_off: bool) -> None:
    async def scenario() -> None:
        drain = Drain()

        async def work() -> None:
            with drain.breakable():
                await asyncio.sleep(10)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()  # the client has left
        if is_broken_off:
            drain.break_off()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(scenario())


def test_what_has_left_the_block_is_not_broken_off() -> None:
    async def scenario() -> None:
        drain = Drain()

        async def work() -> str:
            with drain.breakable():
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)  # booked, and on its way out
            return "done"

        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        assert drain.break_off() == 0
        assert await task == "done"

    asyncio.run(scenario())
