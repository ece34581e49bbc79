"""ASGI in and out: bounded bodies, plain responses, and the watch for a client that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from gateway.edge.body_bounds import BODY_S, DISCARD_FACTOR, check_encoding, late, too_large
from gateway.edge.exchange import taken
from gateway.edge.response_head import plain

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]


class ClientLeft(Exception):
    """The client closed the connection before its request was complete."""


def bounded(send: Send) -> Send:
    """`send`, raising ClientStalled when the client takes too long to make room for a message."""

    async def bounded_send(message: Message) -> None:
        await taken(send(message))

    return bounded_send


def with_header(send: Send, name: bytes, value: str) -> Send:
    """`send`, with this among the response's headers."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (name, value.encode())]}
        await send(message)

    return sending


async def read_body(headers: dict[bytes, bytes], receive: Receive, bytes_max: int) -> bytes:
    """The whole body. Raises ClientError (413, 408, 415) or ClientLeft."""
    check_encoding(headers)
    try:
        async with asyncio.timeout(BODY_S):
            return await _read_body(headers, receive, bytes_max)
    except TimeoutError as exc:
        raise late() from exc


async def _read_body(headers: dict[bytes, bytes], receive: Receive, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= bytes_max:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > bytes_max * DISCARD_FACTOR or not message.get("more_body", False):
            break
    if size <= bytes_max:
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    raise too_large(headers, bytes_max)


async def run_while_connected(work: Coroutine[Any, Any, None], receive: Receive, is_answered: Callable[[], bool]) -> None:
    """Run `work`; when the client leaves before it is answered, cancel it and return once it has cleaned up.

    receive must have given the whole body already: all it still says is that the client left, or (after the last byte
    of the answer) that there is nothing more to come, which is no reason to cut the work's own ending short.
    """
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        if not is_answered():
            has_left = True
            task.cancel()

    watcher = asyncio.create_task(watch(), name="disconnect-watch")
    try:
        await work
    except asyncio.CancelledError:
        # Ours, unless somebody else (a shutdown) wants this task to end as well.
        if not has_left or task.uncancel() > 0:
            raise
    finally:
        watcher.cancel()


async def respond(send: Send, status: int, body: bytes, headers: RawHeaders, content_type: bytes = b"application/json") -> None:
    """One whole response."""
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def raw_headers(headers: list[tuple[str, str]]) -> RawHeaders:
    """As ASGI has them; values become plain text."""
    return [(name.encode("ascii"), plain(value).encode("ascii")) for name, value in headers]
