"""HTTP clients for the bare pass-through, each as a function that forwards one body.

`raw` is the floor: a keep-alive connection and httptools, without time limits, TLS, proxies or back-pressure. The others are
whole clients. Whichever is asked for must be installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

Reply = tuple[int, bytes, bytes | AsyncIterator[bytes]]  # status, content type, the body or a stream's pieces
Forward = Callable[[bytes], Awaitable[Reply]]
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-mock"}
STREAM = b"text/event-stream"


class RawConnection(asyncio.Protocol):
    """One connection with at most one request under way; it comes back to `idle` by itself."""

    def __init__(self, idle: list[RawConnection], parser: Callable[[RawConnection], Any]) -> None:
        self._idle, self._new_parser = idle, parser

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    @property
    def is_usable(self) -> bool:
        return not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Reply]:
        self._parser = self._new_parser(self)
        self._reply: asyncio.Future[Reply] = self._loop.create_future()
        self._type, self._parts, self._is_whole = b"", [], False
        self._wakened: asyncio.Future[None] | None = None
        self._transport.write(request)
        return self._reply

    _type: bytes
    _parts: list[bytes]
    _is_whole: bool

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_whole = True
        self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._type = value

    def on_headers_complete(self) -> None:
        if self._type.startswith(STREAM):
            self._reply.set_result((self._parser.get_status_code(), self._type, self._pieces()))

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        self._is_whole = True
        if not self._reply.done():
            self._reply.set_result((self._parser.get_status_code(), self._type, b"".join(self._parts)))
            self._idle.append(self)

    async def _pieces(self) -> AsyncIterator[bytes]:
        while True:
            if self._parts:
                data, self._parts = b"".join(self._parts), []
                yield data
            elif self._is_whole:
                self._idle.append(self)
                return
            else:
                self._wakened = self._loop.create_future()
                await self._wakened

    def _wake(self) -> None:
        if self._wakened is not None and not self._wakened.done():
            self._wakened.set_result(None)


async def raw(stack: contextlib.AsyncExitStack, url: str) -> Forward:
    """Forwards by RawConnection."""
    parser = importlib.import_module("httptools").HttpResponseParser
    parts, idle, loop = urllib.parse.urlsplit(url), list[RawConnection](), asyncio.get_running_loop()
    host, port = parts.hostname or "", parts.port or 80
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"host": parts.netloc, **HEADERS}.items())
    head = f"POST {parts.path} HTTP/1.1\r\n{lines}content-length: ".encode()

    async def forward(body: bytes) -> Reply:
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                return await connection.ask(request)
        _, connection = await loop.create_connection(lambda: RawConnection(idle, parser), host, port)
        return await connection.ask(request)

    return forward


async def own(stack: contextlib.AsyncExitStack, url: str) -> Forward:
    """Forwards by Turnout's own client."""
    client = importlib.import_module("gateway.providers.http").HttpClient("bare", proxies={})
    stack.push_async_callback(client.aclose)
    destination = client.destination(url, HEADERS)

    async def forward(body: bytes) -> Reply:
        response = await client.ask(destination, body, connect_s=5.0)
        content_type = response.headers["content-type"].encode()
        if content_type.startswith(STREAM):
            return response.status, content_type, pieces(response)
        return response.status, content_type, await response.read_whole()

    async def pieces(response: Any) -> AsyncIterator[bytes]:
        try:
            while piece := await response.read_chunk():
                yield piece
        finally:
            response.close()

    return forward


async def aiohttp(stack: contextlib.AsyncExitStack, url: str) -> Forward:
    """Forwards by aiohttp."""
    library = importlib.import_module("aiohttp")
    connector = library.TCPConnector(limit=0)
    session = await stack.enter_async_context(
        library.ClientSession(connector=connector, cookie_jar=library.DummyCookieJar(), auto_decompress=False)
    )

    async def forward(body: bytes) -> Reply:
        reply = await session.post(url, data=body, headers=HEADERS)
        content_type = reply.headers["content-type"].encode()
        is_stream = content_type.startswith(STREAM)
        return reply.status, content_type, reply.content.iter_any() if is_stream else await reply.read()

    return forward


async def pyreqwest(stack: contextlib.AsyncExitStack, url: str) -> Forward:
    """Forwards by pyreqwest, a client in Rust."""
    builder = importlib.import_module("pyreqwest.client").ClientBuilder
    client = await stack.enter_async_context(builder().max_connections(1000).build())

    async def forward(body: bytes) -> Reply:
        # Without the limit of 0 it holds back the first 64 KiB of a stream.
        request = client.post(url).headers(HEADERS).body_bytes(body).streamed_read_buffer_limit(0).build_streamed()
        reply = await request.__aenter__()
        content_type = reply.headers["content-type"].encode()
        if content_type.startswith(STREAM):
            return reply.status, content_type, pieces(request, reply)
        data = bytes(await reply.bytes())
        await request.__aexit__(None, None, None)
        return reply.status, content_type, data

    async def pieces(request: Any, reply: Any) -> AsyncIterator[bytes]:
        while (piece := await reply.body_reader.read_chunk()) is not None:
            yield bytes(piece)
        await request.__aexit__(None, None, None)

    return forward


CLIENTS: dict[str, Callable[[contextlib.AsyncExitStack, str], Awaitable[Forward]]] = {
    "raw": raw,
    "own": own,
    "aiohttp": aiohttp,
    "pyreqwest": pyreqwest,
}
