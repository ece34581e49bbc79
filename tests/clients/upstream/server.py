"""The scripted upstream itself: one port that speaks as OpenAI and as Anthropic, plays cues and records what it was asked.

`GET /recorded` answers with every request so far, oldest first: {"method", "path", "query", "headers" (lower case),
"body" (parsed), "at" (seconds, of a clock that only goes forward), "left" (whether the client closed before the answer's end),
"left_after_s"}. `DELETE /recorded` forgets them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from tests.clients.upstream import chat, messages, responses
from tests.clients.upstream.conversation import Turn, chat_turns, completions_turns, messages_turns, responses_turns
from tests.clients.upstream.cue import Answer, Failure, answer_of, failure_in, plain_answer
from tests.clients.upstream.example import demanded_call

LOOK_S = 0.01  # how often a pause looks whether the client is still there
HANG_S = 120.0
BODY_BYTES_MAX = 64 * 1024 * 1024


@dataclass
class Recorded:
    """One request, as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Any
    at: float
    left: bool = False
    left_after_s: float | None = None


@dataclass(frozen=True)
class Wire:
    """How one endpoint is read and answered."""

    turns: Callable[[dict[str, Any]], list[Turn]]
    whole: Callable[[Answer, dict[str, Any]], dict[str, Any]]
    events: Callable[[Answer, dict[str, Any]], list[bytes]]
    error: Callable[[Failure], dict[str, Any]]
    broken: Callable[[str], bytes]


WIRES = {
    "/v1/chat/completions": Wire(chat_turns, chat.whole, chat.events, chat.error, chat.broken),
    "/v1/completions": Wire(completions_turns, chat.completion, chat.completion_events, chat.error, chat.broken),
    "/v1/responses": Wire(responses_turns, responses.whole, responses.events, chat.error, responses.broken),
    "/v1/messages": Wire(messages_turns, messages.whole, messages.events, messages.error, messages.broken),
}


class Upstream:
    """Its state: what was recorded, and how often each cue has failed."""

    def __init__(self) -> None:
        self.recorded: list[Recorded] = []
        self._failures: dict[str, int] = {}

    def app(self) -> web.Application:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        for path, wire in WIRES.items():
            app.router.add_post(path, self._answering(wire))
        app.router.add_post("/v1/embeddings", self._embed)
        app.router.add_post("/v1/messages/count_tokens", self._count)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/recorded", self._show)
        app.router.add_delete("/recorded", self._forget)
        return app

    def _answering(self, wire: Wire) -> Callable[[web.Request], Any]:
        async def answering(request: web.Request) -> web.StreamResponse:
            noted, began = await self._record(request), time.monotonic()
            turns = wire.turns(noted.body)
            answer = answer_of(turns) or demanded_call(noted.body) or plain_answer(turns)
            try:
                if answer.fail is not None and self._is_due(answer.fail, noted.body):
                    return _failed(answer.fail, wire.error)
                if noted.body.get("stream"):
                    return await _streamed(request, answer, wire.events(answer, noted.body), wire.broken)
                await _pause(request, HANG_S if answer.hang else answer.pause_s)
                if answer.cut:
                    _close(request)
                return web.json_response(wire.whole(answer, noted.body), headers={"x-request-id": "req_1", "request-id": "req_1"})
            except ConnectionError:
                if not answer.cut:
                    noted.left, noted.left_after_s = True, time.monotonic() - began
                return web.Response()  # which nobody reads

        return answering

    async def _record(self, request: web.Request) -> Recorded:
        body = json.loads(await request.read() or b"null")
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.recorded.append(Recorded(request.method, request.path, request.query_string, headers, body, time.monotonic()))
        return self.recorded[-1]

    def _is_due(self, failure: Failure, body: Any) -> bool:
        if failure.times is None:
            return True
        key = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        self._failures[key] = self._failures.get(key, 0) + 1
        return self._failures[key] <= failure.times

    async def _embed(self, request: web.Request) -> web.Response:
        noted = await self._record(request)
        given = noted.body["input"]
        inputs = given if isinstance(given, list) and not (given and isinstance(given[0], int)) else [given]
        for text in inputs:
            if isinstance(text, str) and (failure := failure_in(text)) is not None:
                return _failed(failure, chat.error)
        size, is_base64 = noted.body.get("dimensions") or 4, noted.body.get("encoding_format") == "base64"
        vectors = [embedding(text, size) for text in inputs]
        data = [
            {
                "object": "embedding",
                "index": at,
                "embedding": b64encode(struct.pack(f"<{size}f", *vector)).decode() if is_base64 else vector,
            }
            for at, vector in enumerate(vectors)
        ]
        used = {"prompt_tokens": 5 * len(inputs), "total_tokens": 5 * len(inputs)}
        return web.json_response({"object": "list", "data": data, "model": noted.body["model"], "usage": used})

    async def _count(self, request: web.Request) -> web.Response:
        return web.json_response(messages.count((await self._record(request)).body))

    async def _models(self, request: web.Request) -> web.Response:
        await self._record(request)
        return web.json_response(
            {"object": "list", "data": [{"id": "upstream-1", "object": "model", "created": 1, "owned_by": "upstream"}]}
        )

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(noted) for noted in self.recorded])

    async def _forget(self, _: web.Request) -> web.Response:
        self.recorded.clear()
        return web.Response(status=204)


def embedding(text: Any, size: int) -> list[float]:
    """The vector of a text, or of a list of tokens: multiples of 1/256, which survive 32 bits."""
    digest = hashlib.sha256(json.dumps(text).encode()).digest()
    return [digest[at % len(digest)] / 256 for at in range(size)]


async def _streamed(
    request: web.Request, answer: Answer, events: list[bytes], broken: Callable[[str], bytes]
) -> web.StreamResponse:
    stream = web.StreamResponse(
        headers={"content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_1", "request-id": "req_1"}
    )
    await stream.prepare(request)
    first = events[: max(1, len(events) // 2)]
    ends_early = answer.hang or answer.cut or answer.broken is not None
    for chunk in _chunks(first if ends_early else events, answer.split):
        await _pause(request, answer.pause_s)
        await stream.write(chunk)
    if answer.broken is not None:
        await stream.write(broken(answer.broken))
    if answer.hang:
        await _pause(request, HANG_S)
    if answer.cut:
        _close(request)
    await stream.write_eof()
    return stream


def _chunks(events: list[bytes], size: int | None) -> list[bytes]:
    if size is None:
        return events
    data = b"".join(events)
    return [data[at : at + size] for at in range(0, len(data), size)]


def _failed(failure: Failure, body: Callable[[Failure], dict[str, Any]]) -> web.Response:
    headers = {"x-request-id": "req_1", "request-id": "req_1"}
    if failure.retry_after is not None:
        headers["retry-after"] = f"{failure.retry_after:g}"
    return web.json_response(body(failure), status=failure.status, headers=headers)


async def _pause(request: web.Request, seconds: float) -> None:
    """Raises ConnectionResetError when the client leaves meanwhile."""
    until = time.monotonic() + seconds
    while (left_s := until - time.monotonic()) > 0:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client left")
        await asyncio.sleep(min(left_s, LOOK_S))


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("told to cut")
