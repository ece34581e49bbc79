"""CPU work on a body: on the event loop while the body is small, in a thread beyond. Called by whoever translates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

# Decoding and translating 64 kB takes 1-2 ms when it is many messages (an image much less).
INLINE_BYTES_MAX = 64 * 1024

T = TypeVar("T")


async def offloaded(work: Callable[[bytes], T], body: bytes) -> T:
    """work(body), without holding the loop up. Raises what `work` raises."""
    return work(body) if len(body) <= INLINE_BYTES_MAX else await asyncio.to_thread(work, body)
