"""The least server around LiteLLM's SDK Router, so that the same client can ask it: raw ASGI on uvicorn.

    ROUTER=options.json uvicorn benchmarks.chaos.litellm_server:app

An exception becomes an error response, or after content was sent an error event without `[DONE]`: what an application
learns from the Router is what the client here learns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import openai
from litellm.router import Router

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
MODEL = "chat"


class RouterServer:
    """An ASGI application; its Router lives as long as the server."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self._router = Router(**_options())
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["method"] == "GET":
            await _reply(send, 200, b'{"status": "ok"}')
        else:
            await self._answer(json.loads(await _body(receive)), send)

    async def _answer(self, asked: dict[str, Any], send: Send) -> None:
        try:
            answer = await self._router.acompletion(**{**asked, "model": MODEL})
            if not asked["stream"]:
                await _reply(send, 200, answer.model_dump_json().encode())
                return
        except openai.OpenAIError as exc:  # the base of all that LiteLLM raises
            await _reply(send, getattr(exc, "status_code", None) or 500, _error(exc))
            return
        await _stream(answer, send)


def _options() -> dict[str, Any]:
    options: dict[str, Any] = json.loads(Path(os.environ["ROUTER"]).read_text())
    return options


async def _stream(answer: Any, send: Send) -> None:
    """The answer's events. The status is held back until the first, as an application would not have shown anything yet."""
    is_begun = False
    try:
        async for event in answer:
            if not is_begun:
                headers = [(b"content-type", b"text/event-stream")]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                is_begun = True
            data = b"data: " + event.model_dump_json(exclude_none=True).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})
        data = b"data: [DONE]\n\n"
    except openai.OpenAIError as exc:
        if not is_begun:
            await _reply(send, getattr(exc, "status_code", None) or 500, _error(exc))
            return
        data = b"data: " + _error(exc) + b"\n\n"
    if not is_begun:
        await _reply(send, 200, b"{}")
        return
    await send({"type": "http.response.body", "body": data})


def _error(exc: Exception) -> bytes:
    return json.dumps({"error": {"message": str(exc)[:400], "type": type(exc).__name__}}).encode()


async def _reply(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


app = RouterServer()
