"""A stream that is silent shows now and then that somebody is there, so that nothing in between closes the connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.reply import ClientStalled


class Pulse:
    """Calls `beat` whenever nothing was noted for `every_s` seconds.

    Noting something costs a look at the clock: the timer is not set anew for each event, but looks, when it rings, how long
    there was none. INVARIANT: a beat is never sent while the answer itself is: whoever calls `noted` waits for one on its
    way, as `stop` does.
    """

    def __init__(self, beat: Callable[[], Awaitable[None]], every_s: float) -> None:
        self._beat, self._every_s = beat, every_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._beating: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(every_s, self._rings)

    async def every(self, every_s: float) -> None:
        """From now on after so many seconds."""
        if (beating := self.noted()) is not None:
            await beating
        self._every_s = every_s
        self._timer.cancel()
        self._timer = self._loop.call_later(every_s, self._rings)

    def noted(self) -> asyncio.Task[None] | None:
        """Something is about to be sent; once the beat that is on its way is out, if there is one.

        Not a coroutine, since it is called for each event of a stream.
        """
        self._last = self._loop.time()
        return self._beating

    async def stop(self) -> None:
        """No beat from now on."""
        self.cancel()
        if self._beating is not None:
            await self._beating

    def cancel(self) -> None:
        """As `stop`, for whoever sends nothing more."""
        self._timer.cancel()

    def _rings(self) -> None:
        now = self._loop.time()
        if self._beating is not None:  # the client makes no room for it
            self._last = now
        elif now >= self._last + self._every_s:
            self._last = now
            self._beating = self._loop.create_task(self._one())
        self._timer = self._loop.call_at(self._last + self._every_s, self._rings)

    async def _one(self) -> None:
        try:
            # A client that is gone or does not read: whoever answers it finds that out with the next event.
            with contextlib.suppress(ClientStalled, OSError):
                await self._beat()
        finally:
            self._beating = None
