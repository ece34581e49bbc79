"""The least that a Python gateway can be: raw ASGI on uvicorn, aiohttp towards the provider, bytes passed on unread.

    UPSTREAM=http://127.0.0.1:9100/v1 uvicorn benchmarks.passthrough:app --no-access-log

What Turnout costs is told beside this: same server, same client, no decision, no ledger, no check of anything.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-mock"}


class Passthrough:
    """An ASGI application; its one client lives as long as the server."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
        else:
            await self._forward(await _body(receive), send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._url = os.environ["UPSTREAM"] + "/chat/completions"
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _forward(self, body: bytes, send: Send) -> None:
        async with self._session.post(self._url, data=body, headers=HEADERS) as reply:
            headers = [(b"content-type", reply.content_type.encode())]
            if reply.content_type == "text/event-stream":
                await send({"type": "http.response.start", "status": reply.status, "headers": headers})
                async for data in reply.content.iter_any():
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            else:
                data = await reply.read()
                headers.append((b"content-length", str(len(data)).encode()))
                await send({"type": "http.response.start", "status": reply.status, "headers": headers})
                await send({"type": "http.response.body", "body": data})


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    return body + await _body(receive) if message["more_body"] else body


app = Passthrough()
