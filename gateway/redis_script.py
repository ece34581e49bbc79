"""Scripts in Redis: called by their hash, and for calls that come together in one round trip."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from gateway.errors import StoreUnavailable
from gateway.redis_link import Argument, RedisLink

TOGETHER_MAX: Final = 100  # calls in a round trip: some 6 ms of Redis
TRIP_S: Final = 0.25  # nobody waits as long; a connection that leads nowhere must be given up before Redis is asked again

T = TypeVar("T")

Call = tuple[Sequence[str], Sequence[Argument]]
"""The keys and the arguments of a script."""


class Script:
    """A script by its hash, loaded where the server does not know it yet."""

    def __init__(self, text: str) -> None:
        self._text, self._hash = text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, link: RedisLink, calls: Sequence[Call]) -> list[Any]:
        """The reply of each call, in one round trip. One that failed has a StoreUnavailable. Raises it if there are none."""
        commands = [("EVALSHA", self._hash, len(keys), *keys, *arguments) for keys, arguments in calls]
        replies = await link.run(*commands)
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, StoreUnavailable) and reply.cause == "noscript"]
        if unknown:
            _, *again = await link.run(("SCRIPT", "LOAD", self._text), *(commands[n] for n in unknown))
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies


class Trips:
    """Calls of one script, each by somebody who waits for its reply.

    Those that come while a round trip is under way go together in the next one: a burst costs few of them, where one for each
    would be late for no fault of Redis. name: of its task. trip_s: after which a round trip is given up.
    """

    def __init__(self, link: RedisLink, script: Script, name: str, trip_s: float = TRIP_S) -> None:
        self._link, self._script, self._name, self._trip_s = link, script, name, trip_s
        self._waiting: deque[tuple[Call, Callable[[Any], Any], asyncio.Future[Any]]] = deque()
        self._trips: asyncio.Task[None] | None = None

    def ask(self, call: Call, read: Callable[[Any], T]) -> asyncio.Future[T | StoreUnavailable]:
        """What `read` makes of the reply, or a StoreUnavailable. One that is cancelled before its trip is not asked."""
        reply: asyncio.Future[T | StoreUnavailable] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, read, reply))
        if self._trips is None or self._trips.done():
            self._trips = asyncio.create_task(self._travel(), name=self._name)
        return reply

    async def aclose(self) -> None:
        """Make no further trip. The link is whose it was."""
        if self._trips is not None:
            self._trips.cancel()
            await asyncio.gather(self._trips, return_exceptions=True)

    async def _travel(self) -> None:
        """Round trips, until nobody waits for one."""
        while self._waiting:
            together = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER_MAX))]
            batch = [one for one in together if not one[2].done()]  # others are not waited for any more
            try:
                async with asyncio.timeout(self._trip_s):
                    replies = await self._script.run(self._link, [call for call, _, _ in batch]) if batch else []
            except (StoreUnavailable, TimeoutError) as exc:
                cause = exc.cause if isinstance(exc, StoreUnavailable) else "timeout"
                replies = [StoreUnavailable(cause, str(exc) or "no reply in time") for _ in batch]
            for (_, read, reply), said in zip(batch, replies, strict=True):
                if not reply.done():
                    reply.set_result(said if isinstance(said, StoreUnavailable) else read(said))


async def ping(link: RedisLink, key: str) -> float:
    """Seconds that a round trip takes. A write to this key, since one that can only be read cannot count.

    Raises StoreUnavailable.
    """
    await link.run(("PING",))  # to be connected
    began = time.perf_counter()
    [reply] = await link.run(("SET", key, 1, "PX", 1000))
    if isinstance(reply, StoreUnavailable):
        raise reply
    return time.perf_counter() - began
