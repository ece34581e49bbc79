"""An answer on its way out: one start, in order, kept alive when it is late, and an error that is told whenever it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.dialects.base import Writer
from gateway.dialects.chat_answer import KEEP_ALIVE
from gateway.edge.exchange import Pending
from gateway.edge.sink import BEGIN_S, HttpSink
from gateway.errors import ClientError
from gateway.reply import Closing, Headers
from gateway.tenant import OPERATOR
from gateway.usage import Usage
from tests.edge.stage import EchoDialect, say
from tests.virtual_time import run

CLOSING = Closing(Usage(1, 1), 0.0)


class Wire(EchoDialect):
    """An exchange, and its dialect, that keeps what was sent, and whether the answer was known to be complete by then."""

    def __init__(self) -> None:
        self.id, self.headers, self.query, self.tenant = "req_1", dict[bytes, bytes](), b"", OPERATOR
        self.is_complete = False
        self.starts: list[tuple[int, Headers]] = []
        self.bodies: list[bytes] = []
        self.answered_after: int | None = None

    def whole(self, status: int, body: bytes, headers: Headers) -> Pending:
        self.starts.append((status, headers))
        return self.end(body)

    def start(self, headers: Headers) -> Pending:
        self.starts.append((200, headers))
        return asyncio.sleep(0)

    def write(self, data: bytes) -> Pending:
        self.bodies.append(data)
        return asyncio.sleep(0)

    def end(self, data: bytes) -> Pending:
        assert not self.is_complete
        self.is_complete = True
        self.bodies.append(data)
        return None

    def answered(self, request: Any, writer: Writer) -> None:
        self.answered_after = len(self.bodies)

    def sink(self, keep_alive_s: float = 10.0) -> HttpSink:
        return HttpSink(self, self, None, keep_alive_s)

    @property
    def statuses(self) -> list[int]:
        return [status for status, _ in self.starts]


def playing(play: Callable[[Wire, HttpSink], Awaitable[Any]], keep_alive_s: float = 10.0) -> Wire:
    wire = Wire()

    async def scenario() -> None:
        sink = wire.sink(keep_alive_s)
        await play(wire, sink)
        sink.close()
        await asyncio.sleep(600)  # nothing comes after it

    run(scenario())
    return wire


def test_a_stream_in_time() -> None:
    async def play(wire: Wire, sink: HttpSink) -> None:
        sink.awaits(lambda: [("x-turnout-route", "early")])
        await asyncio.sleep(40)
        await sink.begin([("x-turnout-route", "all")])
        await say(sink, b"data: 1\n\n")
        await sink.end(CLOSING)

    wire = playing(play)
    assert wire.statuses == [200]
    assert ("x-turnout-route", "all") in wire.starts[0][1]
    assert wire.bodies == [b"data: 1\n\n", b"data: [DONE]\n\n"]
    assert wire.answered_after == 1  # before the last bytes


def test_a_late_stream_begins_without_its_first_content() -> None:
    async def play(wire: Wire, sink: HttpSink) -> None:
        sink.awaits(lambda: [("x-turnout-route", "early")])
        await asyncio.sleep(BEGIN_S + 1)
        assert (wire.bodies, len(wire.starts)) == ([KEEP_ALIVE], 1)
        await sink.begin([("x-turnout-route", "all")])
        await say(sink, b"data: 1\n\n")
        await sink.end(CLOSING)

    wire = playing(play)
    assert ("x-turnout-route", "early") in wire.starts[0][1]
    assert wire.bodies == [KEEP_ALIVE, b"data: 1\n\n", b"data: [DONE]\n\n"]


def test_a_late_failure_is_told_in_the_stream() -> None:
    async def play(wire: Wire, sink: HttpSink) -> None:
        sink.awaits(list)
        await asyncio.sleep(BEGIN_S + 1)
        await sink.fail(ClientError("no such thing", status=404, code="model_not_found"), [])

    wire = playing(play)
    assert wire.statuses == [200]
    assert b"model_not_found" in wire.bodies[-1] and b"[DONE]" not in wire.bodies[-1]
    assert wire.is_complete


def test_a_failure_in_time_has_its_status() -> None:
    async def play(wire: Wire, sink: HttpSink) -> None:
        sink.awaits(list)
        await asyncio.sleep(1)
        await sink.fail(ClientError("no such thing", status=404, code="model_not_found"), [])

    wire = playing(play)
    assert wire.statuses == [404]
    assert len(wire.bodies) == 1


def test_silence_between_events_is_filled() -> None:
    async def play(wire: Wire, sink: HttpSink) -> None:
        await sink.begin([])
        await say(sink, b"data: 1\n\n")
        await asyncio.sleep(25)
        await say(sink, b"data: 2\n\n")
        await sink.end(CLOSING)

    wire = playing(play)
    assert wire.bodies == [b"data: 1\n\n", KEEP_ALIVE, KEEP_ALIVE, b"data: 2\n\n", b"data: [DONE]\n\n"]


def test_nothing_is_filled_where_that_is_turned_off() -> None:
    async def play(wire: Wire, sink: HttpSink) -> None:
        sink.awaits(list)
        await asyncio.sleep(100)
        await sink.begin([])
        await asyncio.sleep(100)
        await sink.end(CLOSING)

    assert playing(play, 0.0).bodies == [b"data: [DONE]\n\n"]


def test_a_mistake_of_ours_is_a_500_or_the_end_of_the_stream() -> None:
    async def before(wire: Wire, sink: HttpSink) -> None:
        await sink.crash()

    async def within(wire: Wire, sink: HttpSink) -> None:
        await sink.begin([])
        await sink.crash()

    assert playing(before).statuses == [500]
    broken = playing(within)
    assert b"internal_error" in broken.bodies[-1] and b"req_1" in broken.bodies[-1]
