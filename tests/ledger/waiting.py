"""Waiting for what another task or thread is about to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool], within_s: float = 15.0) -> None:
    """Returns when it holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of the test
            await asyncio.sleep(0.005)
