"""The routes that are not hot, made once the gateway serves: importing FastAPI takes as long as all the rest of a start."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from gateway.edge.asgi import ASGIApp, Receive, Scope, Send

log = logging.getLogger("turnout.edge")

AFTER_S: Final = 0.5  # from the start: the first answers have the interpreter to themselves


class LateApi:
    """An ASGI application that is made in a thread: AFTER_S after the start, or when it is first asked, whichever comes first.

    make: imports and builds it. A mistake in it is logged then, and fails every request here, readiness among them.
    app: None until it is made. Owned by the application's lifespan, inside of which it is created.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self.app: ASGIApp | None = None
        self._is_wanted = asyncio.Event()
        self._making = asyncio.create_task(self._made(), name="late-api")
        self._making.add_done_callback(_ended)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app or await self.made())(scope, receive, send)

    async def made(self) -> ASGIApp:
        """The application itself, as soon as it can be had."""
        self._is_wanted.set()
        return await asyncio.shield(self._making)  # which others wait for as well

    async def aclose(self) -> None:
        """A thread cannot be stopped: wait for it, if it has begun."""
        if not self._is_wanted.is_set():
            self._making.cancel()
        await asyncio.gather(self._making, return_exceptions=True)

    async def _made(self) -> ASGIApp:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(AFTER_S):
                await self._is_wanted.wait()
        self._is_wanted.set()
        self.app = await asyncio.to_thread(self._make)
        return self.app


def _ended(task: asyncio.Task[ASGIApp]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.error("only the routes that call models are served, by a mistake of the gateway's", exc_info=exc)
