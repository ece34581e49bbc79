"""The least that a Python gateway can be: raw ASGI on uvicorn, bytes passed on unread.

    CLIENT=raw UPSTREAM=http://127.0.0.1:9100/v1 uvicorn benchmarks.gateways.passthrough:app --no-access-log

No decision, no ledger, no check of anything: what Turnout costs is told beside this. CLIENT names the HTTP client towards the
provider, one of CLIENTS in passthrough_clients.py.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from benchmarks.gateways.passthrough_clients import CLIENTS

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Passthrough:
    """An ASGI application; its one client lives as long as the server."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        status, content_type, data = await self._forward(await _body(receive))
        headers = [(b"content-type", content_type)]
        if isinstance(data, bytes):
            headers.append((b"content-length", b"%d" % len(data)))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": data})
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        async for piece in data:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with contextlib.AsyncExitStack() as stack:
            self._forward = await CLIENTS[os.environ["CLIENT"]](stack, os.environ["UPSTREAM"] + "/chat/completions")
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    return body + await _body(receive) if message["more_body"] else body


app = Passthrough()
