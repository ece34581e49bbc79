"""A real HTTP server on loopback that plays scripted bytes, for tests of whatever speaks HTTP to a provider.

It runs in the test's own event loop and writes exactly the bytes it is told, cut into the chunks it is told:

    from tests.scripted_server import HANG, Reply, ScriptedServer, json_reply, sse_reply

    async def scenario():
        async with ScriptedServer([json_reply({"error": "busy"}, status=429, headers={"retry-after": "2"}),
                                   sse_reply(b"data: 1\\n\\n", b"data: [DONE]\\n\\n")]) as server:
            ...  # talk to server.url, which is http://127.0.0.1:<port>
            assert server.requests[0].path == "/v1/chat/completions"
            assert server.requests[0].json()["model"] == "gpt-4o"

    asyncio.run(scenario())

The script is a list of replies, one a request, in order; the last one is played again for every request after
it. A callable `(Request) -> Reply` in place of the list answers by content. A reply's body is a sequence of steps:

    bytes      one chunk, flushed on its own (an HTTP/1.1 chunk, unless content_length)
    a float    a pause of that many seconds, which ends when the client leaves
    an Event   a wait until it is set
    HANG       nothing more, until the client leaves or the server closes
    CUT        the connection is closed here, before the body is complete
    RESET      the same with a TCP reset

`Reply(status=None, …)` sends no status line at all: its steps are the raw bytes of the connection, so `[HANG]`
is a server that never answers, `[CUT]` one that hangs up and `[b"junk"]` one that does not speak HTTP.

`server.requests` holds what was asked (path, lower-case headers, body) as soon as it has been read.
`await server.client_left(i)` returns when the client of request i has closed its connection, which is how a test
sees that a cancelled call was cancelled upstream; the reply must have a HANG or a pause to notice it. Bound it with
asyncio.timeout. Connections are kept alive; `server.connections` counts how many were opened.

With `tls`, a server's ssl.SSLContext, it speaks TLS, and `server.url` begins with https.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self


class Act(Enum):
    """What a step does that is neither bytes nor a pause."""

    HANG = "hang"
    CUT = "cut"
    RESET = "reset"


HANG, CUT, RESET = Act.HANG, Act.CUT, Act.RESET
Step = bytes | float | Act | asyncio.Event

LOOK_S = 0.02  # how often a pause looks whether the client is still there


@dataclass(frozen=True)
class Request:
    """What a client asked. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """One answer. headers: besides those of the body's framing. content_length: not chunked but with a length.

    head_delay_s: the wait before the status line.
    """

    steps: Sequence[Step] = ()
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_length: bool = False
    head_delay_s: float = 0.0


def json_reply(payload: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A whole JSON body. payload: bytes are sent as they are."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Reply([body], status, {"content-type": "application/json", **(headers or {})}, content_length=True)


def sse_reply(*steps: Step, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A stream of server-sent events; steps need not be whole events."""
    return Reply(steps, status, {"content-type": "text/event-stream; charset=utf-8", **(headers or {})})


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """`data` cut at these offsets, in any order; empty parts are left out."""
    places = [0, *sorted({min(max(c, 0), len(data)) for c in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places) if a < b]


class ScriptedServer:
    """An async context manager; `url` and `requests` are there inside it."""

    def __init__(self, script: Sequence[Reply] | Callable[[Request], Reply], tls: ssl.SSLContext | None = None) -> None:
        self._script, self._tls = script, tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._left: list[asyncio.Event] = []
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    async def client_left(self, i: int = 0) -> None:
        """Returns when the client of request i, which must have been read, has closed its connection."""
        await self._left[i].wait()

    async def __aenter__(self) -> Self:
        # Not start_server's own callback task: its end must be awaited, or the loop closes over open sockets.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=64 * 1024 * 1024, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lefts: list[asyncio.Event] = []
        try:
            while (request := await _read_request(reader)) is not None:
                left = asyncio.Event()
                lefts.append(left)
                self._left.append(left)
                self.requests.append(request)
                if not await self._play(self._reply(request), reader, writer):
                    break
        except ConnectionError:
            pass  # the client went away; that is its right
        finally:
            for left in lefts:
                left.set()
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    def _reply(self, request: Request) -> Reply:
        if callable(self._script):
            return self._script(request)
        return self._script[min(len(self.requests), len(self._script)) - 1]

    async def _play(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can take another request."""
        await _pause(reply.head_delay_s, reader)
        is_chunked = reply.status is not None and not reply.content_length
        if reply.status is not None:
            length = sum(len(step) for step in reply.steps if isinstance(step, bytes))
            length += any(isinstance(step, Act) for step in reply.steps)  # more is promised than comes
            framing = "transfer-encoding: chunked" if is_chunked else f"content-length: {length}"
            lines = [f"HTTP/1.1 {reply.status} Scripted", framing, *(f"{k}: {v}" for k, v in reply.headers.items())]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
            await writer.drain()
        for step in reply.steps:
            if isinstance(step, Act):
                await _end(step, reader, writer)
                return False
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, bytes):
                writer.write(b"%x\r\n%b\r\n" % (len(step), step) if is_chunked and step else step)
                await writer.drain()
                # Hand the loop over, so that a client in the same loop may read this chunk on its own.
                await asyncio.sleep(0)
            else:
                await _pause(step, reader)
        if is_chunked:
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        return reply.status is not None


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if "chunked" in headers.get("transfer-encoding", ""):
        body = await _read_chunked(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body)


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)


async def _pause(seconds: float, reader: asyncio.StreamReader) -> None:
    """Raises ConnectionResetError when the client leaves meanwhile."""
    until = asyncio.get_running_loop().time() + seconds
    while (left_s := until - asyncio.get_running_loop().time()) > 0:
        if reader.at_eof() or reader.exception() is not None:
            raise ConnectionResetError("the client left during a pause")
        await asyncio.sleep(min(left_s, LOOK_S))


async def _end(act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if act is HANG:
        await reader.read()  # until the client leaves
    elif act is RESET:
        writer.transport.abort()
