"""A connection on which nothing goes on, closed after a while."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Idling(Protocol):
    """The connection."""

    transport: asyncio.Transport

    @property
    def is_answering(self) -> bool:
        """A request is being answered, or its body is awaited, which has a bound of its own."""
        ...

    @property
    def is_amid_request(self) -> bool:
        """A part of a request is here, and more of it is to come."""
        ...


class Idleness:
    """Closes the connection `limit_s` after `since`, the loop's time when it was last answered on.

    One timer that looks, when it rings, how long there was nothing: none is set anew for each request. Who is slow to send the
    head of a request, or to read an answer, gets the same time once more; for reading as often as some of it was read.
    """

    def __init__(self, connection: Idling, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        self._connection, self._loop, self._limit_s = connection, loop, limit_s
        self.since = loop.time()
        self._prolonged: float | None = None  # `since`, as set here
        self._unsent = 0
        self._timer = loop.call_later(limit_s, self._rings)

    def cancel(self) -> None:
        """The connection is gone."""
        self._timer.cancel()

    def _rings(self) -> None:
        now, connection = self._loop.time(), self._connection
        if connection.is_answering:
            self.since = now
        ends = self.since + self._limit_s
        if now < ends:
            self._timer = self._loop.call_at(ends, self._rings)
            return
        unsent = connection.transport.get_write_buffer_size()
        is_first = self.since != self._prolonged
        if (unsent and (is_first or unsent < self._unsent)) or (connection.is_amid_request and is_first):
            self._unsent, self._prolonged, self.since = unsent, now, now
            self._timer = self._loop.call_at(now + self._limit_s, self._rings)
        elif unsent:
            connection.transport.abort()
        else:
            connection.transport.close()
