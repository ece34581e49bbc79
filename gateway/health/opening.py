"""Have replicas tell each other of their breakers, through Redis, whose library is imported only then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from gateway.health.model import Sharing

log = logging.getLogger("turnout.health")


@contextlib.asynccontextmanager
async def open_sharing(redis_url: str | None) -> AsyncIterator[Sharing | None]:
    """What replicas share in the Redis at this URL, be it there already or not; None without a URL.

    Raises ValueError for a URL that cannot be used.
    """
    if redis_url is None:
        yield None
        return
    from gateway.health.board import Board
    from gateway.redis_link import RedisLink

    link = RedisLink(redis_url)
    board = Board(link)
    running = asyncio.create_task(board.run(), name="board")
    running.add_done_callback(_ended)
    try:
        yield board
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)  # one that failed has been logged
        await link.aclose()


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.error("replicas no longer tell each other which models fail, by a mistake of the gateway's", exc_info=exc)
