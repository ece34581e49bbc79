"""One request on a connection of ours, and the bytes of its answer."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from gateway.edge.endpoint import Endpoint
from gateway.edge.exchange import STREAM, Pending
from gateway.edge.request_head import RequestHead
from gateway.edge.response_head import STATUS_LINES, header_lines
from gateway.reply import Headers
from gateway.tenant import Tenant

COPY_BYTES_MAX: Final = 65_536  # a larger body is not copied to have one piece with its head
CLOSE: Final = b"connection: close\r\n"
_STREAM_HEAD: Final = STATUS_LINES[200] + b"%b" + header_lines(STREAM)
_WHOLE_HEAD: Final = b"%b%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n"


class Line(Protocol):
    """The connection that exchanges come on.

    answering: the exchange whose turn it is. is_congested: what was written is more than the transport wants. is_last: the
    server ends its connections with their next answers.
    """

    transport: asyncio.Transport
    answering: HttpExchange | None
    is_congested: bool
    is_last: bool

    def common_lines(self) -> bytes:
        """The header lines that all answers of the server have."""
        ...

    async def has_room(self) -> None:
        """Once the transport takes more. Raises ClientStalled, and ends the connection, when the client makes no room."""
        ...

    def answered(self, exchange: HttpExchange) -> None:
        """Its last bytes are out."""
        ...

    def pause_reading(self) -> None:
        """Until `resume_reading`."""
        ...

    def resume_reading(self) -> None:
        """Read on."""
        ...


class Call(Protocol):
    """What answers an exchange that is for none of the hot routes. has_begun: the head of the answer is out."""

    has_begun: bool

    def hear(self) -> None:
        """Look again at how the exchange stands: there is more of the request, or the client has left."""
        ...


class HttpExchange:
    """An Exchange. The connection that it came on fills it, and answers one at a time.

    endpoint: of the hot route that it is for, if any. keeps_alive, awaits_word: as the head says, until it is not so. An answer
    while the client awaits the word is the connection's last: nobody could say what comes next.
    """

    # Where they start, after a plain head; most requests change few of them.
    keeps_alive = is_chunked = True
    awaits_word = False
    call: Call | None = None  # of what is for no hot route
    task: asyncio.Task[None] | None = None  # that answers it
    tenant: Tenant
    id = ""
    told: Headers = []  # in every answer, whoever gives it  # noqa: RUF012
    size = 0  # of the body, as far as it has come
    is_received = False
    is_admitted = False
    is_complete = False
    has_left = False

    def __init__(self, connection: Line, head: RequestHead, endpoint: Endpoint[Any] | None) -> None:
        self.connection, self.head, self.endpoint = connection, head, endpoint
        self.headers, self.query = head.headers, head.query
        self.chunks: list[bytes] = []
        if not head.is_plain:
            self.keeps_alive, self.is_chunked, self.awaits_word = head.keeps_alive, head.is_chunked, head.awaits_word

    def whole(self, status: int, body: bytes, headers: Headers) -> Pending:
        self.is_complete = True
        head = _WHOLE_HEAD % (STATUS_LINES[status], self.common_lines(), len(body), self._lines(headers))
        return self.send(head + body) if len(body) <= COPY_BYTES_MAX else self.send(head, body)

    def start(self, headers: Headers) -> Pending:
        framing = b"transfer-encoding: chunked\r\n\r\n" if self.is_chunked else b"\r\n"
        return self.send(_STREAM_HEAD % self.common_lines() + self._lines(headers) + framing)

    def write(self, data: bytes) -> Pending:
        if self.is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        connection = self.connection
        if connection.answering is self and not connection.is_congested:  # as nearly always: see `send` for the rest
            connection.transport.write(data)
            return None
        return self.send(data)

    def end(self, data: bytes) -> Pending:
        self.is_complete = True
        if self.is_chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        return self.send(data)

    def common_lines(self) -> bytes:
        """The header lines that all answers of the server have."""
        connection = self.connection
        lines = connection.common_lines()
        if connection.is_last or (self.awaits_word and not self.is_received):
            self.keeps_alive = False
        return lines

    def send(self, data: bytes, more: bytes = b"") -> Pending:
        """These bytes as they are; the last ones if it is complete."""
        connection = self.connection
        if connection.answering is not self:
            if self.has_left:
                return None
            raise RuntimeError("an answer has one end")
        if connection.is_congested:
            return self._send_later(data, more)
        connection.transport.write(data)
        if more:
            connection.transport.write(more)
        if self.is_complete:
            connection.answered(self)
        return None

    async def _send_later(self, data: bytes, more: bytes) -> None:
        try:
            await self.connection.has_room()
        except asyncio.CancelledError:
            if data.startswith(b"HTTP/"):  # without its head, nothing that may still be said of an answer is HTTP
                self.connection.transport.abort()
            raise
        pending = self.send(data, more)
        if pending is not None:
            await pending

    def _lines(self, headers: Headers) -> bytes:
        lines = header_lines([*headers, *self.told] if self.told else headers)
        return lines if self.keeps_alive or self.connection.is_last else lines + CLOSE
