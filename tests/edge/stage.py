"""A connection of ours without a network: a transport in memory, and an application in front of it that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httptools

from gateway.dialects import openai_errors
from gateway.dialects.base import Writer
from gateway.dialects.chat_answer import ChatWriter
from gateway.edge.asgi import ASGIApp, Receive, Scope, Send, respond
from gateway.edge.connection import Connection
from gateway.edge.dialect import Incoming
from gateway.edge.endpoint import Endpoint
from gateway.edge.http_exchange import HttpExchange
from gateway.errors import ClientError, TurnoutError
from gateway.reply import ClientStalled, Closing, Sink
from gateway.tenant import OPERATOR, Tenant
from gateway.usage import Usage
from tests.virtual_time import run

BODY_BYTES_MAX = 1000
KEEP_ALIVE_S = 75
CLOSING = Closing(Usage(1, 1), 0.0)
DATE = b"Sun, 22 Nov 2026 00:00:00 GMT"


@dataclass
class Asked:
    """What the hot route makes of a request."""

    body: bytes
    headers: dict[bytes, bytes]
    query: bytes
    is_stream: bool


class EchoDialect:
    """Takes anything for a request."""

    async def read(self, given: Incoming) -> Any:
        return Asked(given.body, given.headers, given.query, b"stream" in given.body)

    def writer(self, request: Any) -> Writer:
        return ChatWriter()

    def error_body(self, error: TurnoutError, request_id: str) -> dict[str, Any]:
        return openai_errors.error_body(error, request_id)

    def answered(self, request: Any, writer: Writer) -> Awaitable[None] | None:
        """Nothing is kept of it."""
        return None


async def say(sink: Sink, data: bytes) -> None:
    """An event, waited for where it must be."""
    if (pending := sink.events(data)) is not None:
        await pending


async def echo(asked: Asked, sink: Sink) -> None:
    """The body, or, for one that says `stream`, two events."""
    if not asked.is_stream:
        await sink.whole(asked.body, [("x-length", str(len(asked.body)))])
        return
    await sink.begin([("x-route", "all")])
    await say(sink, b"data: 1\n\n")
    await say(sink, b"data: 2\n\n")
    await sink.end(CLOSING)


async def three_events(sink: Sink) -> None:
    """A stream that does not end."""
    await sink.begin([])
    for n in range(3):
        await say(sink, b"data: %d\n\n" % n)


async def echo_app(scope: Scope, receive: Receive, send: Send) -> None:
    """The same over ASGI: method, path and body."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await respond(send, 200, f"{scope['method']} {scope['path']} ".encode() + body, [])


@dataclass
class Stage:
    """The application. play: what the hot route at /hot does; app: what all else does; asked: of the hot route, in order."""

    play: Callable[[Asked, Sink], Awaitable[None]] = echo
    app: ASGIApp = echo_app
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hot: dict[str, Endpoint[Any]] = {"/hot": Endpoint(EchoDialect(), self, BODY_BYTES_MAX, 0.0)}
        self.state = SimpleNamespace(connections=set(), tasks=set(), default_headers=[(b"date", DATE)])

    def admit(self, exchange: HttpExchange) -> None:
        exchange.id, exchange.tenant = "req_1", OPERATOR
        if exchange.headers.get(b"x-api-key") == b"wrong":
            raise ClientError("who are you", status=401, code="invalid_api_key")

    async def handle(self, request: Any, tenant: Tenant, sink: Sink) -> None:
        self.asked.append(request)
        await self.play(request, sink)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def client(self) -> Client:
        """A client that has just connected."""
        config = SimpleNamespace(app=self, timeout_keep_alive=KEEP_ALIVE_S)
        return Client(Connection(config, self.state, {}))


class Client(asyncio.Transport):
    """The transport of a connection, with the client at its other end. sent: what it got. is_read: what it
    sends is."""

    def __init__(self, connection: Connection) -> None:
        super().__init__({"peername": ("127.0.0.1", 4000), "sockname": ("127.0.0.1", 8080)})
        self.connection, self.sent = connection, b""
        self.is_read, self.is_cut = True, False
        self.unread = 0  # bytes that it has not taken
        self.can_hear_an_end = False  # of what is sent to it, before the connection's
        self.has_heard_an_end = False
        self._is_closing = False
        connection.connection_made(self)

    async def sends(self, *parts: bytes) -> None:
        """One after the other."""
        for part in parts:
            assert self.is_read
            if self._is_closing:
                return
            self.connection.data_received(part)
            await settled()

    def leaves(self) -> None:
        """Both ways at once."""
        assert not self._is_closing
        self._is_closing = True
        self.connection.connection_lost(ConnectionResetError())

    @property
    def answers(self) -> list[Answer]:
        """What it got so far, read as HTTP."""
        return answers(self.sent)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self.connection.connection_lost, None)

    def abort(self) -> None:
        self.is_cut = True
        self.close()

    def can_write_eof(self) -> bool:
        return self.can_hear_an_end

    def write_eof(self) -> None:
        assert not self._is_closing
        self.has_heard_an_end = True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        assert self.is_read
        self.is_read = False

    def resume_reading(self) -> None:
        assert not self.is_read
        self.is_read = True

    def get_write_buffer_size(self) -> int:
        return self.unread


@dataclass
class Answer:
    """One response. is_whole: it has come to its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_whole: bool = False


def answers(data: bytes) -> list[Answer]:
    """The responses in these bytes; interim ones are left out."""
    found: list[Answer] = []

    class Reader:
        def on_message_begin(self) -> None:
            found.append(Answer())

        def on_header(self, name: bytes, value: bytes) -> None:
            found[-1].headers[name.decode()] = value.decode()

        def on_headers_complete(self) -> None:
            found[-1].status = parser.get_status_code()

        def on_body(self, body: bytes) -> None:
            found[-1].body += body

        def on_message_complete(self) -> None:
            found[-1].is_whole = True

    parser = httptools.HttpResponseParser(Reader())
    parser.feed_data(data)
    return [answer for answer in found if answer.status != 100]


async def settled() -> None:
    """Once nothing happens any more without time or the network."""
    for _ in range(20):
        await asyncio.sleep(0)


def request(path: str = "/hot", body: bytes = b"", *lines: str, method: str = "POST", version: str = "1.1") -> bytes:
    """A request with a length."""
    head = [f"{method} {path} HTTP/{version}", "Host: here", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(path: str, *chunks: bytes, trailer: bytes = b"") -> bytes:
    """A request in chunks."""
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join([b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]) + b"0\r\n" + trailer + b"\r\n"


class Story:
    """A hot route that takes its time, and what became of it."""

    def __init__(self, then: Callable[[Sink], Awaitable[None]] | None = None) -> None:
        self.said: list[str] = []
        self._then = then

    async def __call__(self, asked: Asked, sink: Sink) -> None:
        self.said.append("begun")
        try:
            if self._then is not None:
                await self._then(sink)
            await asyncio.sleep(1000)
            self.said.append("done")
        except asyncio.CancelledError:
            self.said.append("cancelled")
            raise
        except ClientStalled:
            self.said.append("stalled")
            raise


def playing(play: Callable[[Client, Stage], Awaitable[Any]], stage: Stage | None = None) -> Client:
    async def scenario() -> Client:
        at = stage or Stage()
        client = at.client()
        await play(client, at)
        await settled()
        return client

    return run(scenario())
