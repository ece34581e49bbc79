"""Load for a chat endpoint, and what came of it. Raw asyncio on uvloop, so that the load is not what is measured.

`closed`: so many connections, each asks again as soon as it has its answer; finds the throughput.
`open_`: requests are due at times drawn beforehand, whatever the server does, and their latency counts from then; finds the
latency at a rate. One that finds no idle connection opens one, so a slow answer delays nobody else (no coordinated omission).

Callbacks instead of coroutines, since load and provider share a core, and what they do there bounds what can be measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import math
import random
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from benchmarks.gateways.mock_upstream import CHUNKS
from benchmarks.gateways.prompts import prompt

ANSWER_S = 20.0
_RECONNECT_S = 0.01

now = time.perf_counter


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask. url: up to and with /v1."""

    url: str
    model: str = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Result:
    """Of one run. seconds: how long was counted. Latencies and times to the first token are of what was counted, in seconds, and
    of whole answers only, save that one that never came counts for as long as it was waited for."""

    seconds: float
    latencies_s: list[float] = field(default_factory=list)
    ttfts_s: list[float] = field(default_factory=list)
    answers: int = 0  # whole, those of the warm-up included
    events: int = 0  # of streams, while it was counted
    problems: Counter[str] = field(default_factory=Counter)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way; `done` hears of its end, `heard` of all that comes."""

    ttft_s: float | None
    answer: bytearray
    _whole: int  # the answer's bytes with its head; 0 when it is chunked, -1 before the end of the head

    def __init__(self, done: Callable[[Connection, str | None], None], heard: Callable[[bytes], None] | None) -> None:
        self._done, self._heard = done, heard
        self.due: float | None = None  # of the request under way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's, which is none by inheritance

    @property
    def is_usable(self) -> bool:
        return not self._transport.is_closing()

    def ask(self, request: bytes, due: float) -> None:
        self.due, self.ttft_s, self.answer, self._whole = due, None, bytearray(), -1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.due is None:
            return
        if self._heard is not None:
            self._heard(data)
        answer = self.answer
        answer += data
        if self._whole < 0:
            end = answer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            length = bytes(answer[:end]).lower().partition(b"\r\ncontent-length:")[2]
            self._whole = end + int(length[: length.find(b"\r\n")]) if length else 0
        if self.ttft_s is None and b"data:" in data:
            self.ttft_s = now() - self.due
        if len(answer) >= self._whole if self._whole else answer.endswith(b"0\r\n\r\n"):
            self._done(self, None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.due is not None:
            self._done(self, "cut off")

    def close(self) -> None:
        self._transport.close()


class Load:
    """Use once. serials: shared by all loads of one run, so that no prompt ever comes twice."""

    def __init__(self, target: Target, serials: itertools.count[int], *, is_stream: bool = False) -> None:
        parts = urllib.parse.urlsplit(target.url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._serials, self._is_stream = serials, is_stream
        messages = [{"role": "user", "content": "@"}]
        fields = {"model": target.model, "messages": messages, "temperature": 0.7, "max_tokens": 256, "stream": is_stream}
        self._before, self._after = json.dumps(fields).encode().split(b"@")
        headers = {"host": parts.netloc, "content-type": "application/json", **target.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._head = f"POST {parts.path}/chat/completions HTTP/1.1\r\n{lines}content-length: ".encode()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._is_open = self._is_over = False
        self._rests, self._is_warm, self._warm_answers = asyncio.Event(), asyncio.Event(), 0
        self._begin = self._end = 0.0

    async def closed(self, concurrency: int, seconds: float, warm_up_s: float = 0.0) -> Result:
        """Keep so many requests under way, and count those that end in `seconds` after the warm-up, which lasts until as many
        were answered as are under way at a time."""
        self._result, self._warm_answers = Result(seconds), concurrency
        self._begin = self._end = math.inf
        started = now()
        for _ in range(concurrency):
            self._send(started)
        await asyncio.sleep(warm_up_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._is_warm.wait()
        self._begin = now()
        self._end = self._begin + seconds
        await asyncio.sleep(seconds)
        return await self._ended()

    async def open_(self, rate: float, seconds: float, seed: int, warm_up_s: float = 0.0) -> Result:
        """Send `rate` requests a second at random (Poisson) times; the same ones for the same seed."""
        self._result, self._is_open = Result(seconds), True
        draw, loop = random.Random(seed), asyncio.get_running_loop()
        at = start = now() + 0.05
        self._begin = start + warm_up_s
        self._end = self._begin + seconds
        dues = []
        while (at := at + draw.expovariate(rate)) < self._end:
            dues.append(at)

        def pace() -> None:  # a thread's sleep is good to 0.1 ms, a timer of the loop to 1 ms
            for due in dues:
                time.sleep(max(0.0, due - now()))
                loop.call_soon_threadsafe(self._send, due)

        await asyncio.to_thread(pace)
        return await self._ended()

    def _send(self, due: float) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                self._ask(connection, due)
                return
        task = asyncio.get_running_loop().create_task(self._connect_and_ask(due))
        self._connecting.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting.discard(task)
        self._note_rest()

    async def _connect_and_ask(self, due: float) -> None:
        loop, heard = asyncio.get_running_loop(), self._count_events if self._is_stream else None
        try:
            async with asyncio.timeout(ANSWER_S):
                _, connection = await loop.create_connection(lambda: Connection(self._done, heard), self._host, self._port)
        except (OSError, TimeoutError):
            self._result.problems["no connection"] += 1
            await asyncio.sleep(_RECONNECT_S)
            if not self._is_open and now() < self._end:
                self._send(now())
            return
        self._ask(connection, due)

    def _ask(self, connection: Connection, due: float) -> None:
        self._busy.add(connection)
        body = b"%b%b%b" % (self._before, prompt(next(self._serials)), self._after)
        connection.ask(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), due)

    def _count_events(self, data: bytes) -> None:
        if self._begin <= now() <= self._end:
            self._result.events += data.count(b"data:")

    def _done(self, connection: Connection, problem: str | None) -> None:
        at, due = now(), cast(float, connection.due)
        connection.due = None
        self._busy.discard(connection)
        problem = problem or self._problem(connection.answer)
        if problem is not None:
            self._result.problems[problem] += 1
        else:
            self._result.answers += 1
            if self._result.answers == self._warm_answers:
                self._is_warm.set()
            if due >= self._begin if self._is_open else self._begin <= at <= self._end:
                self._result.latencies_s.append(at - due)
                if connection.ttft_s is not None:
                    self._result.ttfts_s.append(connection.ttft_s)
        self._idle.append(connection)
        if not self._is_open and at < self._end:
            self._send(at)
        self._note_rest()

    def _problem(self, answer: bytearray) -> str | None:
        """What is wrong with an answer that has ended; None if it is whole."""
        if not answer.startswith(b"HTTP/1.1 200"):
            return f"status {answer[9:12].decode('ascii', 'replace')}"
        if not self._is_stream:
            return None if b'"choices"' in answer else "no choices"
        return None if b"[DONE]" in answer and answer.count(b"data:") > CHUNKS else "short stream"

    async def _ended(self) -> Result:
        """The result, after the last answers have come or could have."""
        self._is_over = True
        self._note_rest()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._rests.wait()
        for connection in self._busy:
            self._result.problems["no answer"] += 1
            waited_s = now() - cast(float, connection.due)
            self._result.latencies_s.append(waited_s)
            connection.due = None
        for connection in [*self._idle, *self._busy]:
            connection.close()
        return self._result

    def _note_rest(self) -> None:
        if self._is_over and not self._busy and not self._connecting:
            self._rests.set()


def run(load: Coroutine[Any, Any, Result]) -> Result:
    """The load's result, run on a loop of its own and without the garbage collector, whose pauses would count as latency."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(load)
    finally:
        gc.enable()
