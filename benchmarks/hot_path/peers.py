"""Who the gateway talks to: a client that asks over one kept connection, and a provider whose answers are written beforehand."""

from __future__ import annotations

import json
import re

from benchmarks.hot_path.network import InMemoryLoop, InMemoryTransport

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)(?=\r\n|$)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream" *: *true')
_SIGNS = (b'"finish_reason":', b'"stop_reason":', b'"embedding":')  # of an answer that is whole
_USAGE = {"prompt_tokens": 200, "completion_tokens": 128, "total_tokens": 328}
_WORDS = 128  # of a whole answer
EVENTS = 64  # with content, of a stream


class _Messages:
    """Where HTTP/1.1 messages end, those with a length and chunked ones. Keeps their heads alone, since bodies can be large."""

    def __init__(self) -> None:
        self._head = b""
        self._missing = 0  # bytes of the body; -1: it is chunked

    def add(self, data: bytes) -> bool:
        """Whether the message is whole now."""
        if not self._head:
            head, _, data = data.partition(b"\r\n\r\n")
            self._head = head
            found = _LENGTH.search(head)
            self._missing = int(found[1]) if found else -1
        if self._missing < 0:
            is_whole = data.endswith(b"0\r\n\r\n")
        else:
            self._missing -= len(data)
            is_whole = not self._missing
        if is_whole:
            self._head = b""
        return is_whole


class Client:
    """One keep-alive connection to the gateway."""

    def __init__(self, loop: InMemoryLoop) -> None:
        self._messages, self._parts = _Messages(), list[bytes]()
        self._loop, self._answer = loop, loop.create_future()
        self._transport = loop.connect(self)

    async def ask(self, request: bytes) -> None:
        """Send it, and return when the answer is whole. Raises RuntimeError for any but a good one."""
        self._answer = self._loop.create_future()
        self._transport.feed(request)
        answer: bytes = await self._answer
        if not answer.startswith(b"HTTP/1.1 200 ") or not any(sign in answer for sign in _SIGNS):
            raise RuntimeError(f"not an answer: {answer[:2000]!r}")

    def received(self, data: bytes, transport: InMemoryTransport) -> None:
        self._parts.append(data)
        if self._messages.add(data):
            self._answer.set_result(b"".join(self._parts))
            self._parts.clear()

    def lost(self) -> None:
        if not self._answer.done():
            self._answer.set_exception(ConnectionError("the gateway closed the connection"))

    def close(self) -> None:
        self._transport.close()


class Provider:
    """A connection to a model that answers at once: a stream's events come one by one, each once the last has been dealt with."""

    def __init__(self) -> None:
        self._messages, self._pieces = _Messages(), list[bytes]()

    def received(self, data: bytes, transport: InMemoryTransport) -> None:
        if b" /v1/embeddings " in data:
            self._pieces = [VECTOR]
        elif _STREAM.search(data):
            self._pieces = STREAM
        if self._messages.add(data):
            for piece in self._pieces or [WHOLE]:
                transport.feed_when_idle(piece)
            self._pieces = []

    def lost(self) -> None:
        """Nothing waits for it."""


def _whole(body: object) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(data), data)


def _event(delta: dict[str, str] | None, finish: str | None = None, **more: object) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    data = b"data: " + json.dumps({**_BASE, "object": "chat.completion.chunk", "choices": choices, **more}).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


_BASE = {"id": "chatcmpl-mock", "created": 1700000000, "model": "mock"}
_TEXT = {"role": "assistant", "content": " ".join(f"word{i % 10}" for i in range(_WORDS))}
_CHOICE = {"index": 0, "message": _TEXT, "finish_reason": "stop"}
WHOLE = _whole({**_BASE, "object": "chat.completion", "choices": [_CHOICE], "usage": _USAGE})
VECTOR = _whole(
    {
        "object": "list",
        "model": "mock",
        "data": [{"object": "embedding", "index": 0, "embedding": [i / 1000 for i in range(256)]}],
        "usage": {"prompt_tokens": 200, "total_tokens": 200},
    }
)
STREAM = [
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    *(_event({"content": f"word{i} "}) for i in range(EVENTS)),
    _event({}, "stop"),
    _event(None, usage=_USAGE),
    b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n",
]
