"""Events that are passed on where they arrive: in order, within the limits, and as fast as the caller takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from gateway.errors import UpstreamError
from gateway.http1.connection import UNREAD_BYTES_MAX
from gateway.policy.model import Timeouts
from gateway.providers.anthropic_events import AnthropicEvents
from gateway.providers.base import Call, Exchange, Piece
from gateway.providers.event_stream import EventStream
from gateway.providers.http_response import HttpResponse, response_to
from gateway.providers.openai_events import OpenAIEvents
from tests.execution import Bench, Scripted, fault
from tests.http1.played import connected
from tests.providers.openai_calls import COUNTED, DONE, HI, ROLE, STOP, THERE, USAGE
from tests.virtual_time import run

LIMITS = Timeouts(first_token_s=30.0, idle_s=5.0, total_s=60.0)
Step = tuple[float, bytes | UpstreamError]


class Wire:
    """A response whose body comes at these times; b"" is its end. turns: how often a task waited for it."""

    def __init__(self, *steps: Step) -> None:
        self._loop = asyncio.get_running_loop()
        self._come: list[bytes | UpstreamError] = []
        self._listener: Callable[[], None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.turns, self.ended = 0, ""
        for at, what in steps:
            self._loop.call_later(at, self._arrives, what)

    def _arrives(self, what: bytes | UpstreamError) -> None:
        self._come.append(what)
        if self._listener is not None:
            self._listener()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def has_more(self) -> bool:
        return bool(self._come)

    def take(self) -> bytes | None:
        if not self._come:
            return None
        if isinstance(what := self._come.pop(0), UpstreamError):
            raise what
        return what

    def listen(self, listener: Callable[[], None] | None) -> None:
        self._listener = listener

    async def read_chunk(self) -> bytes:
        while (chunk := self.take()) is None:
            self.turns += 1
            self._waiter = self._loop.create_future()
            await self._waiter
        return chunk

    async def finish(self) -> None:
        self.ended = "finished"

    def close(self) -> None:
        self.ended = "closed"


class Streaming(Scripted):
    """A provider that answers with this body."""

    def __init__(self, wire: Wire | HttpResponse, reader: type[OpenAIEvents | AnthropicEvents] = OpenAIEvents) -> None:
        super().__init__("ok")
        self.wire, self._reader = wire, reader

    async def open(self, call: Call) -> Exchange:
        wire: Any = self.wire
        return EventStream("p", wire, self._reader("p"))


class Caller:
    """What was given, and when. takes_s: how long each takes, 0 for no wait at all."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.got: list[tuple[float, bytes]] = []
        self.pieces: list[Piece] = []
        self._takes_s, self._now = takes_s, asyncio.get_running_loop().time
        self._is_busy = False

    def give(self, pieces: list[Piece]) -> Awaitable[None] | None:
        assert not self._is_busy, "it has not taken the last ones"
        self.pieces += pieces
        self.got.append((self._now(), b"".join(piece.data for piece in pieces)))
        return self._taken() if self._takes_s else None

    def hurry(self) -> None:
        """From now on each is taken at once."""
        self._takes_s = 0.0

    async def _taken(self) -> None:
        self._is_busy = True
        await asyncio.sleep(self._takes_s)
        self._is_busy = False


async def passed_on(wire: Wire | HttpResponse, caller: Caller, limits: Timeouts = LIMITS) -> Bench:
    """Begin an answer, and give all the rest of it to the caller."""
    bench = Bench(a=Streaming(wire))
    execution = bench.start(timeouts=limits, attempts=1)
    try:
        if (pending := caller.give(await execution.begin())) is not None:
            await pending
        await execution.pass_on(caller.give)
    finally:
        await execution.aclose()
    return bench


def test_events_are_given_as_they_come_and_no_task_wakes_for_them() -> None:
    async def scenario() -> None:
        cut = [(4, HI[:9]), (5, HI[9:] + THERE)]
        caller, wire = Caller(), Wire((1, ROLE + HI), (2, THERE), (3, HI + HI), *cut, (6, STOP), (7, USAGE + DONE))
        bench = await passed_on(wire, caller)
        assert caller.got == [(1, ROLE + HI), (2, THERE), (3, HI + HI), (5, HI + THERE), (6, STOP), (7, USAGE)]
        assert wire.turns == 2, "for the first content, and for what comes behind the last"
        (attempt,) = bench.attempts
        assert (attempt.outcome, attempt.usage, attempt.ttft_ms, wire.ended) == ("ok", COUNTED, 1000, "finished")

    run(scenario())


def test_a_caller_that_makes_no_room_is_given_nothing_until_it_does() -> None:
    async def scenario() -> None:
        caller, wire = Caller(takes_s=10.0), Wire((0, HI), (1, THERE), (2, HI), (3, THERE), (4, STOP + DONE))
        await passed_on(wire, caller)  # whose own time is no silence of the model
        assert caller.got == [(0, HI), (10, THERE), (20, HI), (30, THERE), (40, STOP)]

    run(scenario())


@pytest.mark.parametrize(
    ("limits", "ends_at", "why"),
    [(LIMITS, 8, "nothing more came within 5.0 s"), (Timeouts(first_token_s=9.0, idle_s=5.0, total_s=6.0), 6, "within 3.0 s")],
)
def test_silence_between_events_is_bounded_and_so_is_the_whole(limits: Timeouts, ends_at: float, why: str) -> None:
    async def scenario() -> None:
        caller, wire = Caller(), Wire((1, HI), (3, THERE), (20, STOP))
        with pytest.raises(UpstreamError, match=why) as caught:
            await passed_on(wire, caller, limits)
        assert (caught.value.fault, asyncio.get_running_loop().time(), wire.ended) == ("timeout", ends_at, "closed")

    run(scenario())


def test_a_stream_that_never_pauses_ends_with_the_requests_time() -> None:
    async def scenario() -> None:
        caller, wire = Caller(), Wire(*((at, HI) for at in range(100)))
        with pytest.raises(UpstreamError) as caught:
            await passed_on(wire, caller)
        assert (caught.value.fault, asyncio.get_running_loop().time()) == ("timeout", 60)

    run(scenario())


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((2.0, THERE + b"data: {oops}\n\n"), "malformed"),
        ((2.0, THERE + b'data: {"error": {"message": "no"}}\n\n'), "reported"),
        ((2.0, THERE + DONE), "cut"),
    ],
)
def test_what_came_before_an_error_is_given(last: Step, expected: str) -> None:
    async def scenario() -> None:
        caller, wire = Caller(), Wire((1, HI), last)
        with pytest.raises(UpstreamError) as caught:
            await passed_on(wire, caller)
        assert (caught.value.fault, wire.ended) == (expected, "closed")
        assert caller.got == [(1, HI), (2, THERE)]

    run(scenario())


@pytest.mark.parametrize("end", [b"", fault("cut", status=None)], ids=["end", "break"])
def test_a_body_that_stops_in_mid_answer_is_cut(end: bytes | UpstreamError) -> None:
    async def scenario() -> None:
        caller = Caller()
        with pytest.raises(UpstreamError) as caught:
            await passed_on(Wire((1, HI), (2, THERE), (3, end)), caller)
        assert caught.value.fault == "cut"
        assert caller.got == [(1, HI), (2, THERE)]

    run(scenario())


def test_a_mistake_of_whoever_is_given_the_events_reaches_whoever_waits() -> None:
    async def scenario() -> None:
        wire, caller = Wire((1, HI), (2, THERE), (3, HI)), Caller()

        def give(pieces: list[Piece]) -> None:
            caller.give(pieces)
            raise ZeroDivisionError

        bench = Bench(a=Streaming(wire))
        execution = bench.start(timeouts=LIMITS)
        await execution.begin()
        with pytest.raises(ZeroDivisionError):
            await execution.pass_on(give)
        assert (wire.ended, caller.got) == ("closed", [(2, THERE)])

    run(scenario())


def test_a_caller_who_leaves_is_given_nothing_more() -> None:
    async def scenario() -> None:
        caller, wire = Caller(), Wire((1, HI), (2, THERE), (4, HI), (5, STOP))
        passing = asyncio.create_task(passed_on(wire, caller))
        await asyncio.sleep(3)
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)
        assert passing.cancelled() and wire.ended == "closed"
        await asyncio.sleep(9)
        assert caller.got == [(1, HI), (2, THERE)]

    run(scenario())


@pytest.mark.parametrize("ends", [OSError("reset"), None], ids=["reset", "end"])
def test_a_connection_that_broke_while_the_caller_made_no_room_is_cut_once_it_has(ends: OSError | None) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connection, transport, _ = connected(loop)
        connection.send(b"POST / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HI)
        caller = Caller(takes_s=3.0)
        for at, event in [(1, THERE), (4, HI)]:
            loop.call_later(at, connection.data_received, event)
        loop.call_later(5, connection.connection_lost, ends)
        loop.call_later(5, caller.hurry)
        with pytest.raises(UpstreamError) as caught:
            await passed_on(response_to(connection, "http://provider.test/"), caller)
        assert (caught.value.fault, loop.time(), transport.is_aborted) == ("cut", 6, True)
        assert caller.got == [(0, HI), (3, THERE), (6, HI)]

    run(scenario())


def test_what_comes_for_a_caller_that_makes_no_room_stays_on_the_network() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connection, transport, home = connected(loop)
        connection.send(b"POST / HTTP/1.1\r\n\r\n", b"")
        many = HI * (UNREAD_BYTES_MAX // len(HI) + 1)
        size = len(HI + THERE + many + STOP + DONE)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + HI)
        caller = Caller(takes_s=2.0)
        paused: list[bool] = []
        loop.call_later(2.5, connection.data_received, THERE)
        loop.call_later(3, connection.data_received, many)
        for at in (4, 4.75):
            loop.call_later(at, lambda: paused.append(transport.is_paused))
        loop.call_later(5, connection.data_received, STOP + DONE)
        await passed_on(response_to(connection, "http://provider.test/"), caller)
        assert (paused, home.kept) == ([True, False], [connection])
        assert caller.got == [(0, HI), (2.5, THERE), (4.5, many), (6.5, STOP)]

    run(scenario())


def test_a_task_that_is_cancelled_by_what_it_is_given_ends_so_and_the_transport_hears_nothing_of_it() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connection, transport, _ = connected(loop)
        connection.send(b"POST / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + HI)
        execution = Bench(a=Streaming(response_to(connection, "http://provider.test/"))).start(timeouts=LIMITS)
        await execution.begin()
        caller = Caller(takes_s=1.0)

        def give(pieces: list[Piece]) -> Awaitable[None] | None:
            passing.cancel()
            return caller.give(pieces)

        passing = asyncio.create_task(execution.pass_on(give))
        await asyncio.sleep(1)
        connection.data_received(THERE)  # raises nothing
        await asyncio.gather(passing, return_exceptions=True)
        assert passing.cancelled() and transport.is_aborted
        assert caller.got == [(1, THERE)]

    run(scenario())


def test_an_answer_ends_with_the_event_that_says_so() -> None:
    def event(**fields: Any) -> bytes:
        return b"data: " + msgspec.json.encode(fields) + b"\n\n"

    async def scenario() -> None:
        begun = event(type="message_start", message={"id": "m", "model": "c", "usage": {"input_tokens": 5, "output_tokens": 1}})
        opened = event(type="content_block_start", index=0, content_block={"type": "text", "text": ""})
        said = event(type="content_block_delta", index=0, delta={"type": "text_delta", "text": "Hi"})
        ended = event(type="message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 9})
        wire = Wire((1, begun + opened + said), (2, said), (3, ended + event(type="message_stop")))
        execution = Bench(a=Streaming(wire, AnthropicEvents)).start(timeouts=LIMITS)
        caller = Caller()
        await execution.begin()
        await execution.pass_on(caller.give)
        assert ([at for at, _ in caller.got], wire.ended, wire.turns) == ([2, 3], "finished", 1)

    run(scenario())
