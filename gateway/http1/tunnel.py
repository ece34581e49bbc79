"""A proxy asked to pass bytes on to a server (CONNECT, RFC 9110, 9.3.6), so that TLS is between that server and us alone."""

from __future__ import annotations

import asyncio
import re
from typing import Final, cast

from gateway.http1.address import Origin
from gateway.http1.failures import ConnectFailed

ANSWER_BYTES_MAX: Final = 64 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9])[ \r\n]")
_YES: Final = re.compile(rb"HTTP/1\.[01] 2")


class Tunnel(asyncio.Protocol):
    """Of one connection to a proxy, until the proxy has said yes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._answered: asyncio.Future[bytes] = loop.create_future()
        self._came = b""
        self._transport: asyncio.Transport | None = None

    async def open(self, origin: Origin, credentials: bytes) -> None:
        """Raises ConnectFailed."""
        assert self._transport is not None
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        at = f"{host}:{origin.port}".encode("ascii")
        authorization = b"proxy-authorization: %b\r\n" % credentials if credentials else b""
        self._transport.write(b"CONNECT %b HTTP/1.1\r\nhost: %b\r\n%b\r\n" % (at, at, authorization))
        answer = await self._answered
        status = _STATUS.match(answer)
        if status is None:
            raise ConnectFailed("the proxy did not answer in HTTP")
        if not status[1].startswith(b"2"):
            raise ConnectFailed(f"the proxy refused with status {int(status[1])}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # not by isinstance: uvloop's are no subclass of it

    def data_received(self, data: bytes) -> None:
        self._came += data
        end = self._came.find(b"\r\n\r\n")
        if self._answered.done():
            return
        if end >= 0:
            # In TLS the client speaks first: what comes behind the answer already is not the server's.
            is_all = end + 4 == len(self._came)
            self._answered.set_result(self._came if is_all or not _YES.match(self._came) else b"")
        elif len(self._came) > ANSWER_BYTES_MAX:
            self._answered.set_result(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answered.done():
            self._answered.set_exception(ConnectFailed(f"the proxy closed the connection{f': {exc}' if exc else ''}"))
            self._answered.exception()  # seen: whoever would have waited for it may be gone
