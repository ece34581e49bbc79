"""A provider that costs next to nothing: raw asyncio on uvloop, every answer built before the first request comes.

    python -m benchmarks.gateways.mock_upstream --port 9100

It says the same to everybody: 128 words at once, or, if the request wants a stream, CHUNKS events PAUSE_S apart.
GET /stats says how many of both it has sent: what a gateway answers from a cache does not come here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from typing import Any, cast

import uvloop

CHUNKS = 64
PAUSE_S = 0.005
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream" *: *true')
_BASE = {"id": "chatcmpl-mock", "created": 1_700_000_000, "model": "mock"}
_USAGE = {"prompt_tokens": 200, "completion_tokens": 128, "total_tokens": 328}


def _event(delta: dict[str, str] | None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    fields = {**_BASE, "object": "chat.completion.chunk", "choices": choices, **more}
    return _chunk(b"data: " + json.dumps(fields).encode() + b"\n\n")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _whole(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _completion() -> bytes:
    message = {"role": "assistant", "content": " ".join(f"word{i % 10}" for i in range(128))}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return json.dumps({**_BASE, "object": "chat.completion", "choices": choices, "usage": _USAGE}).encode()


ANSWER = _whole(_completion())
ALIVE = _whole(b'{"status": "ok"}')
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FIRST = HEAD + _event({"role": "assistant", "content": ""})
TOKEN = _event({"content": " token"})
LAST = _event({}, "stop") + _event(None, usage=_USAGE) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


SENT = {"requests": 0, "chunks": 0}


class Upstream(asyncio.Protocol):
    """One connection. Nobody pipelines here, nor sends a body without its length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which is none by inheritance
        self._loop, self._rest = asyncio.get_running_loop(), b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        head, separator, body = self._rest.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if separator and len(body) >= (int(length[1]) if length else 0):
            self._rest = b""
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET "):
            self._transport.write(_whole(json.dumps(SENT).encode()) if head.startswith(b"GET /stats ") else ALIVE)
            return
        SENT["requests"] += 1
        if _STREAM.search(body):
            self._transport.write(FIRST)
            self._send_token(CHUNKS)
        else:
            self._transport.write(ANSWER)

    def _send_token(self, left: int) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(TOKEN if left else LAST)
        if left:
            SENT["chunks"] += 1
            self._loop.call_later(PAUSE_S, self._send_token, left - 1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=9100)
    port = parser.parse_args().port
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
