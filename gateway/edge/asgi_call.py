"""One request on a connection of ours that an ASGI application answers: everything but the hot routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.edge.asgi import ASGIApp, Message, RawHeaders, Scope
from gateway.edge.http_exchange import CLOSE, HttpExchange
from gateway.edge.response_head import STATUS_LINES
from gateway.reply import ClientStalled

log = logging.getLogger("turnout.edge")

BODY_BYTES_HELD: Final = 65_536  # of a body that the application does not read
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS: Final = (204, 304)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class AsgiCall:
    """`run` calls the application; the connection calls `hear` when there is more of the request, or the client has left."""

    def __init__(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        self._heard = asyncio.Event()
        self.has_begun = self._has_given_all = False
        self._is_chunked = self._is_bodiless = False
        self._length: int | None = None  # what is left of it

    def hear(self) -> None:
        """Look again at how the exchange stands."""
        self._heard.set()
        if sum(map(len, self._exchange.chunks)) > BODY_BYTES_HELD:
            self._exchange.connection.pause_reading()

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Answer it, whatever happens."""
        exchange = self._exchange
        try:
            await app(scope, self.receive, self.send)
        except ClientStalled:
            log.info("%s %r: the client stopped reading its answer", exchange.head.method, exchange.head.path)
        except Exception:  # the last resort, as on the hot route
            log.exception("%s %r failed by a mistake of the gateway's", exchange.head.method, exchange.head.path)
        if exchange.has_left or exchange.is_complete:
            return
        if self.has_begun:
            exchange.connection.transport.close()  # which tells that it is not whole
            return
        said = b"Internal Server Error"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(said))]
        with contextlib.suppress(ClientStalled):  # it will not hear it
            await self.send({"type": "http.response.start", "status": 500, "headers": [*headers, (b"connection", b"close")]})
            await self.send({"type": "http.response.body", "body": said})

    async def receive(self) -> Message:
        exchange, connection = self._exchange, self._exchange.connection
        if exchange.awaits_word and not self.has_begun:
            exchange.awaits_word = False
            if connection.answering is exchange:
                connection.transport.write(CONTINUE)
        while not (exchange.has_left or exchange.is_complete):
            if exchange.chunks or (exchange.is_received and not self._has_given_all):
                body, self._has_given_all = b"".join(exchange.chunks), exchange.is_received
                exchange.chunks.clear()
                return {"type": "http.request", "body": body, "more_body": not exchange.is_received}
            if not exchange.is_received:
                connection.resume_reading()
            self._heard.clear()
            await self._heard.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        exchange = self._exchange
        if message["type"] == "http.response.start":
            if self.has_begun:
                raise RuntimeError("an answer has one start")
            data = self._head(message["status"], message.get("headers", []))
            self.has_begun = True
        else:
            is_last = not message.get("more_body", False)
            data = self._body(message.get("body", b""), is_last=is_last)
            exchange.is_complete = is_last
        if (pending := exchange.send(data)) is not None:
            await pending
        if exchange.is_complete:
            self._heard.set()

    def _head(self, status: int, headers: RawHeaders) -> bytes:
        exchange = self._exchange
        parts = [STATUS_LINES[status], exchange.common_lines()]
        says_close = False
        for name, value in headers:
            if _CONTROL.search(value):
                raise RuntimeError(f"{name!r}: a header's value has no control characters")
            if name == b"content-length":
                self._length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                exchange.keeps_alive, says_close = False, True
            parts += (name, b": ", value, b"\r\n")
        self._is_bodiless = exchange.head.method == "HEAD" or status in _BODILESS
        if self._length is None and not self._is_bodiless:
            self._is_chunked = exchange.is_chunked
        if not exchange.keeps_alive and not says_close and not exchange.connection.is_last:
            parts.append(CLOSE)
        if self._is_chunked:
            parts.append(b"transfer-encoding: chunked\r\n")
        return b"".join([*parts, b"\r\n"])

    def _body(self, data: Any, *, is_last: bool) -> bytes:
        if self._is_bodiless:
            return b""
        if self._is_chunked:
            framed = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            return framed + b"0\r\n\r\n" if is_last else framed
        if self._length is not None:
            self._length -= len(data)
            if self._length < 0 or (is_last and self._length > 0):
                raise RuntimeError("the body is not as long as its content-length")
        return bytes(data)


def scope_of(exchange: HttpExchange, app_state: Mapping[str, Any]) -> Scope:
    """The request as ASGI has it. app_state: of the lifespan."""
    transport, head = exchange.connection.transport, exchange.head
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1" if head.is_chunked else "1.0",
        "server": _address(transport.get_extra_info("sockname")),
        "client": _address(transport.get_extra_info("peername")),
        "scheme": "https" if transport.get_extra_info("sslcontext") else "http",
        "root_path": "",
        "headers": head.raw_headers,
        "state": dict(app_state),
        "method": head.method,
        "path": head.path,
        "raw_path": head.raw_path,
        "query_string": head.query,
    }


def _address(said: object) -> tuple[str, int] | None:
    """As ASGI has it; None for a Unix socket's."""
    return (str(said[0]), int(said[1])) if isinstance(said, tuple) and len(said) >= 2 else None
