"""The port between whoever speaks HTTP with a client and a hot route: one request that came in, and the way of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

from gateway.reply import ClientStalled, Headers
from gateway.tenant import Tenant

SEND_S = 60.0  # a client that reads nothing for this long is gone, whatever its connection says

STREAM: Final[Headers] = [("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache")]

Pending = Awaitable[None] | None
"""None: done. Else to be awaited until the client has made room; raises ClientStalled.

Not a coroutine always: nearly every client has room, and this is asked with each event of a stream.
"""


class Exchange(Protocol):
    """Answered by `whole`, or by `start`, `write`…, `end`. headers: names in lower case. query: without its question mark.

    is_complete: the last bytes are out, or on their way. Nothing is raised where the client has left: whoever answers it is
    cancelled for that, as long as it is not complete.
    """

    id: str
    headers: dict[bytes, bytes]
    query: bytes
    tenant: Tenant
    is_complete: bool

    def whole(self, status: int, body: bytes, headers: Headers) -> Pending:
        """The whole answer, in JSON."""
        ...

    def start(self, headers: Headers) -> Pending:
        """A stream of events begins."""
        ...

    def write(self, data: bytes) -> Pending:
        """More of it; not empty."""
        ...

    def end(self, data: bytes) -> Pending:
        """The last of it, which may be empty."""
        ...


async def taken(room: Awaitable[None]) -> None:
    """Once the client has made room. Raises ClientStalled when it takes longer than SEND_S."""
    try:
        async with asyncio.timeout(SEND_S):
            await room
    except TimeoutError as exc:
        raise ClientStalled from exc
