"""Load for a chat endpoint, and what came of it. Raw asyncio on uvloop, so that the load is not what is measured.

`closed`: so many connections, each asks again as soon as it has its answer; finds the throughput.
`open_`: requests leave at times drawn beforehand, whatever the server does; finds the latency at a rate. A request
that finds no idle connection opens one, so a slow answer delays nobody else's start (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import cast

ANSWER_S = 30.0
# A serial number in digits could be a card or a phone number, and would be looked into as no other prompt is.
LETTERS = bytes.maketrans(b"0123456789", b"abcdefghij")
PROMPT = (
    "Our warehouse ships about four hundred parcels a day, most of them before noon, and the carrier picks up twice. "
    "Since the second pick-up moved to three o'clock, orders from the afternoon leave a day later than they used to, and "
    "customers write in to ask where their things are. We could pay for a third pick-up, print labels in the morning for "
    "what is likely to be ordered, or tell people at the checkout when their parcel really leaves. Compare the three by "
    "what they cost in a month, by how soon they can start and by what happens on a day with twice the usual orders. "
    "Then say which one you would try first, how long, and by which number you would know that it worked or did not. "
)


@dataclass
class Result:
    """Of one run. seconds: how long requests were sent. latencies: in seconds, of whole answers only."""

    seconds: float
    by_the_end: int = 0  # whole answers while requests were still being sent
    errors: int = 0
    chunks: int = 0
    latencies: list[float] = field(default_factory=list)

    @property
    def answers(self) -> int:
        return len(self.latencies)

    def latency_ms(self, share: float) -> float:
        """The latency that this share of answers stayed under; NaN without answers."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000 if ordered else float("nan")


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which is none by inheritance
        self._answer: asyncio.Future[bytes] | None = None

    async def ask(self, request: bytes) -> bytes:
        """The answer, head and body as they came. Raises ConnectionError and TimeoutError."""
        if self._transport.is_closing():
            raise ConnectionError("the server closed the connection")
        loop = asyncio.get_running_loop()
        self._answer, self._parts, self._missing = loop.create_future(), bytearray(), -1
        self._transport.write(request)
        expiry = loop.call_later(ANSWER_S, self._fail, TimeoutError())
        try:
            return await self._answer
        finally:
            expiry.cancel()

    def data_received(self, data: bytes) -> None:
        self._parts += data
        if self._missing < 0:
            end = self._parts.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            found = self._parts[:end].lower().partition(b"\r\ncontent-length:")[2]
            self._missing = end + int(found[: found.find(b"\r\n")]) if found else 0  # 0: chunked
        is_whole = len(self._parts) >= self._missing if self._missing else self._parts.endswith(b"0\r\n\r\n")
        if is_whole and self._answer is not None and not self._answer.done():
            self._answer.set_result(bytes(self._parts))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError("cut off"))

    def close(self) -> None:
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Load:
    """url: up to and with /v1. serials: shared by all loads of one run, so that no prompt ever comes twice."""

    def __init__(self, url: str, serials: itertools.count[int], *, is_stream: bool = False) -> None:
        parts = urllib.parse.urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._serials, self._is_stream = serials, is_stream
        messages = [{"role": "user", "content": "Case @@@@@@@@. " + PROMPT}]
        fields = {"model": "auto", "messages": messages, "temperature": 0.7, "max_tokens": 256, "stream": is_stream}
        body = json.dumps(fields).encode()
        head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        self._before, self._after = (
            f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[: body.find(b"@")],
            body[body.rfind(b"@") + 1 :],
        )
        self._idle: list[Connection] = []

    async def closed(self, concurrency: int, seconds: float) -> Result:
        """Keep so many requests under way for `seconds`, then wait for the last answers."""
        result, until = Result(seconds), time.perf_counter() + seconds

        async def client() -> None:
            while time.perf_counter() < until:
                await self._ask(result, until)

        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(client())
        self._close()
        return result

    async def open_(self, rate: float, seconds: float, seed: int) -> Result:
        """Send `rate` requests a second at random (Poisson) times; the same ones for the same seed."""
        result, draw, start = Result(seconds), random.Random(seed), time.perf_counter()
        due_s = draw.expovariate(rate)
        async with asyncio.TaskGroup() as group:
            while due_s < seconds:
                await asyncio.sleep(start + due_s - time.perf_counter())
                group.create_task(self._ask(result, start + seconds))
                due_s += draw.expovariate(rate)
        self._close()
        return result

    async def _ask(self, result: Result, until: float) -> None:
        start = time.perf_counter()
        try:
            connection = self._idle.pop() if self._idle else await self._connect()
            serial = (b"%08d" % next(self._serials)).translate(LETTERS)
            answer = await connection.ask(b"".join((self._before, serial, self._after)))
        except (OSError, TimeoutError):
            result.errors += 1
            return
        end = time.perf_counter()
        self._idle.append(connection)
        if not answer.startswith(b"HTTP/1.1 200") or (b"[DONE]" if self._is_stream else b'"choices"') not in answer:
            result.errors += 1
            return
        result.latencies.append(end - start)
        result.by_the_end += end <= until
        result.chunks += answer.count(b"data: {") if self._is_stream else 0

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self._host, self._port)
        return connection

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()
