"""The OpenAI adapter against a real server that plays scripted bytes: one call, its pieces or its error."""

import asyncio
import gc
import json
from typing import Any

import pytest

from gateway.chat import read_head
from gateway.errors import UpstreamError
from gateway.policy.catalog import Model
from gateway.providers.base import Call, Piece
from gateway.providers.http import HttpClient
from gateway.providers.openai import OpenAIProvider
from gateway.request import ChatRequest
from gateway.usage import Usage
from tests.scripted_server import Reply, Request, ScriptedServer, Step, sse_reply

COUNT = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13, "prompt_tokens_details": {"cached_tokens": 5}}
WHOLE = {
    "id": "c1",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi there"}, "finish_reason": "stop"}],
    "usage": COUNT,
    "vendor_extra": {"kept": [1, 2.50]},
}
ANSWERS = list[Piece]


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice], **more}, ensure_ascii=False).encode() + b"\n\n"


ROLE = event({"role": "assistant", "content": ""})
HI, THERE = event({"content": "Hi"}), event({"content": " thére 😀"})
STOP = event({}, "stop")
USAGE = b'data: {"id":"c1","choices":[],"usage":' + json.dumps(COUNT).encode() + b"}\n\n"
DONE = b"data: [DONE]\n\n"
COUNTED = Usage(input=9, output=4, cached_input=5)


def call(is_stream: bool = True, body: dict[str, Any] | None = None) -> Call:
    given = body or {"model": "auto", "messages": [{"role": "user", "content": "Say hi"}], "stream": is_stream}
    raw = json.dumps(given).encode()
    return Call(ChatRequest("req_1", raw, read_head(raw)), Model("m", "p", "gpt-real", None, None), connect_s=2.0)


async def _asked(server: ScriptedServer, made: Call, **options: Any) -> ANSWERS:
    http = HttpClient("test")
    try:
        async with asyncio.timeout(10):
            exchange = await OpenAIProvider("p", http, f"{server.url}/v1/", **options).open(made)
            pieces: ANSWERS = []
            try:
                while not pieces or not pieces[-1].is_end:
                    pieces += await exchange.read()
            except UpstreamError as exc:
                exc.add_note(repr(b"".join(p.data for p in pieces)))
                raise
            finally:
                await exchange.aclose()
            return pieces
    finally:
        await http.aclose()


def asked(reply: Reply, made: Call | None = None, **options: Any) -> tuple[ANSWERS, list[Request]]:
    """The pieces of one answer, and what the server was asked."""

    async def scenario() -> tuple[ANSWERS, list[Request]]:
        async with ScriptedServer([reply]) as server:
            return await _asked(server, made or call(), **options), server.requests

    try:
        return asyncio.run(scenario())
    finally:
        gc.collect()  # an unclosed transport warns when it is collected, and a warning is an error


def failure(reply: Reply, made: Call | None = None, **options: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        asked(reply, made, **options)
    return caught.value


def shown(pieces: ANSWERS) -> bytes:
    return b"".join(p.data for p in pieces)


def stream(*steps: Step) -> ANSWERS:
    return asked(sse_reply(*steps))[0]
