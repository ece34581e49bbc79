"""The connections of a client: those under way, and by where they lead those that wait for their next call."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from gateway.http1.address import Origin
from gateway.http1.connection import Connection
from gateway.http1.dialing import Dialer
from gateway.http1.failures import ConnectFailed, ConnectTimeout, Disconnected

IDLE_S: Final = 30.0  # many servers close theirs after 60 s
CLOSE_S: Final = 1.0


class Pool:
    """Of one event loop. The connection that was used last is used next, so that those too many grow old and are closed.

    As many calls may be under way as are made: how many is a policy's decision. idle_s: a connection is closed before it has not
    been used for so long.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_s: float = IDLE_S) -> None:
        self._loop, self._dialer, self._idle_s = loop, Dialer(loop), idle_s
        self._open: set[Connection] = set()
        self._idle: dict[Origin, dict[Connection, None]] = {}  # the last is the one that was used last
        self._tick = 0  # instead of a look at the clock for each call
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._emptied: asyncio.Future[None] | None = None

    @property
    def open_count(self) -> int:
        """How many connections there are, under way or not."""
        return len(self._open)

    @property
    def idle_count(self) -> int:
        return sum(map(len, self._idle.values()))

    def take(self, origin: Origin) -> Connection | None:
        """A connection to there that nobody uses; None if one has to be opened."""
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.popitem()
            if connection.is_open:
                return connection
        return None

    async def open(self, origin: Origin, connect_s: float) -> Connection:
        """A new connection. connect_s: for name look-up, TCP, the proxy and TLS together. Raises CallFailed."""
        try:
            async with asyncio.timeout(connect_s):
                connection = await self._dialer.dial(origin, self)
        except TimeoutError as exc:
            raise ConnectTimeout(f"no connection within {connect_s:g} s") from exc
        if not connection.is_open:
            raise Disconnected("closed as soon as it was open")
        if self._is_closed:
            connection.abort()
            raise ConnectFailed("the client was closed")
        self._open.add(connection)
        return connection

    def keep(self, connection: Connection) -> None:
        connection.idle_since = self._tick
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = {}
        idle[connection] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._idle_s / 2, self._sweep)

    def withdraw(self, connection: Connection) -> None:
        if idle := self._idle.get(connection.origin):
            idle.pop(connection, None)

    def closed(self, connection: Connection) -> None:
        self.withdraw(connection)
        self._open.discard(connection)
        if self._emptied is not None and not self._open and not self._emptied.done():
            self._emptied.set_result(None)

    async def aclose(self) -> None:
        """Close all. Calls that are under way fail."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._dialer.aclose()
        if not self._open:
            return
        self._emptied = self._loop.create_future()
        for connection in list(self._open):
            connection.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._emptied

    def _sweep(self) -> None:
        """Close what was not used in the whole of the last tick, which is half of the time allowed."""
        self._tick += 1
        for origin, idle in list(self._idle.items()):
            for connection in list(idle):
                if connection.idle_since >= self._tick - 1:
                    break  # those behind it were used later
                connection.abort()
            if not idle:
                del self._idle[origin]
        self._timer = self._loop.call_later(self._idle_s / 2, self._sweep) if self._idle else None
