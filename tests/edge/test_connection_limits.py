"""A connection and what a client may send wrong: too much, too late, garbage."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.edge.asgi import Receive, Scope, Send, respond
from gateway.edge.asgi_call import BODY_BYTES_HELD
from gateway.edge.body_bounds import BODY_S, DISCARD_FACTOR
from gateway.reply import Sink
from tests.edge.stage import (
    BODY_BYTES_MAX,
    Asked,
    Client,
    Stage,
    Story,
    chunked,
    echo_app,
    playing,
    request,
    settled,
)

# Bodies.


@pytest.mark.parametrize("size", [BODY_BYTES_MAX, BODY_BYTES_MAX + 1])
def test_a_body_may_have_its_limit_and_not_a_byte_more(size: int) -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"x" * size), chunked("/hot", b"x" * 500, b"x" * (size - 500)))

    client = playing(play)
    fits = size <= BODY_BYTES_MAX
    assert [answer.status for answer in client.answers] == [200, 200] if fits else [413, 413]
    if not fits:
        assert b"has 1001 bytes, the limit is 1000" in client.answers[0].body
        assert b"has more than 1000 bytes" in client.answers[1].body


def test_a_body_that_is_much_too_large_is_refused_before_its_end_and_the_rest_is_nobodys() -> None:
    async def play(client: Client, stage: Stage) -> None:
        data = request("/hot", b"x" * 10_000)
        head = len(data) - 10_000
        await client.sends(data[: head + BODY_BYTES_MAX * DISCARD_FACTOR])
        assert client.sent == b""
        exchange = client.connection.answering
        assert exchange is not None and exchange.chunks == []
        await client.sends(data[head + BODY_BYTES_MAX * DISCARD_FACTOR : -1])
        assert [answer.status for answer in client.answers] == [413]
        await client.sends(data[-1:], request("/hot", b"next"))
        assert [answer.status for answer in client.answers] == [413, 200]
        assert exchange.chunks == []
        assert [asked.body for asked in stage.asked] == [b"next"]

    playing(play)


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"hello")[:-2])
        await asyncio.sleep(BODY_S - 1)
        assert client.sent == b""
        await asyncio.sleep(2)
        assert [answer.status for answer in client.answers] == [408]
        await client.sends(b"lo", request("/hot", b"next"))
        assert [answer.body for answer in client.answers][1:] == [b"next"]
        await asyncio.sleep(BODY_S + 1)  # nothing is left of the timer
        assert len(client.answers) == 2

    playing(play)


def test_a_body_in_time_is_answered_and_its_timer_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    async def play(client: Client, stage: Stage) -> None:
        data = request("/hot", b"hello")
        await client.sends(data[:-3], data[-3:-2])
        await asyncio.sleep(BODY_S - 1)
        await client.sends(data[-2:])
        await asyncio.sleep(BODY_S)
        assert [answer.status for answer in client.answers] == [200]

    playing(play)
    gc.collect()  # whereupon the loop complains of what nobody heard of
    assert caplog.text == ""


def test_a_compressed_body_is_refused_before_it_comes() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"hello", "Content-Encoding: gzip").removesuffix(b"hello"))
        assert [answer.status for answer in client.answers] == [415]
        await client.sends(b"hello", request("/hot", b"next", "Content-Encoding: Identity "))
        assert [answer.status for answer in client.answers] == [415, 200]

    playing(play)


def test_who_is_refused_early_may_go_on() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"hello", "x-api-key: wrong")[:-3])
        assert [answer.status for answer in client.answers] == [401]
        await client.sends(b"llo" + request("/hot", b"next"))
        assert [answer.status for answer in client.answers] == [401, 200]
        assert [asked.body for asked in stage.asked] == [b"next"]

    playing(play)


def test_no_more_of_a_body_is_held_than_an_application_reads() -> None:
    go = asyncio.Event()
    sizes = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await go.wait()
        while (message := await receive())["more_body"]:
            sizes.append(len(message["body"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def play(client: Client, stage: Stage) -> None:
        data = request("/a", b"x" * BODY_BYTES_HELD * 3)
        await client.sends(data[:-100])
        assert not client.is_read
        go.set()
        await settled()
        assert client.is_read
        await client.sends(data[-100:])
        assert client.answers[0].status == 204

    playing(play, Stage(app=slow))
    assert sum(sizes) == BODY_BYTES_HELD * 3 - 100


@pytest.mark.parametrize("path", ["/hot", "/a"])
def test_no_more_is_held_of_a_request_that_waits_than_came_with_the_one_before(path: str) -> None:
    async def slow(asked: Asked, sink: Sink) -> None:
        await asyncio.sleep(5)
        await sink.whole(b"{}", [])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(5)
        await echo_app(scope, receive, send)

    async def play(client: Client, stage: Stage) -> None:
        data = request("/hot", b"x" * BODY_BYTES_MAX)
        await client.sends(request(path) + data[:-1])
        assert not client.is_read
        await asyncio.sleep(6)
        assert client.is_read
        await client.sends(data[-1:])
        await asyncio.sleep(6)
        assert [answer.status for answer in client.answers] == [200, 200]

    playing(play, Stage(slow, app))


# Garbage.


def test_garbage_is_a_400_and_the_end() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")

    client = playing(play)
    assert (client.answers[0].status, client.answers[0].headers["connection"], client.is_closing()) == (400, "close", True)


@pytest.mark.parametrize("path", ["/hot", "/a"])
@pytest.mark.parametrize("is_together", [True, False])
def test_what_came_before_garbage_is_answered(path: str, *, is_together: bool) -> None:
    parts = [request(path, b"1") + request(path, b"2"), b"garbage\r\n\r\n"]

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(*([b"".join(parts)] if is_together else parts))

    client = playing(play)
    assert [answer.status for answer in client.answers] == [200, 200, 400]
    assert client.is_closing()


def test_more_garbage_while_an_answer_is_under_way_changes_nothing() -> None:
    async def late(sink: Sink) -> None:
        await asyncio.sleep(5)
        await sink.whole(b"{}", [])

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"), b"garbage\r\n\r\n")
        client.connection.data_received(b"which was on its way\r\n\r\n")
        await asyncio.sleep(6)
        assert [answer.status for answer in client.answers] == [200, 400]

    playing(play, Stage(Story(late)))


@pytest.mark.parametrize("path", ["/hot", "/a"])
def test_a_body_that_is_garbage_has_nobody_answer_it(path: str) -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(chunked(path, b"12345").partition(b"5\r\n12345")[0], b"zz\r\n")
        assert (stage.asked, stage.state.tasks) == ([], set())

    client = playing(play)
    assert ([answer.status for answer in client.answers], client.is_closing()) == ([400], True)


@pytest.mark.parametrize("path", ["/hot", "/a"])
def test_garbage_behind_an_answer_that_came_early_is_the_end(path: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 401, b"{}", [])

    async def play(client: Client, stage: Stage) -> None:
        data = chunked(path, b"12345").replace(b"Host", b"X-Api-Key: wrong\r\nHost")
        await client.sends(data.partition(b"5\r\n12345")[0], b"zz\r\n")

    client = playing(play, Stage(app=app))
    assert ([answer.status for answer in client.answers], client.is_closing()) == ([401], True)


def test_garbage_behind_an_answer_that_is_not_read_does_not_take_its_place() -> None:
    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        data = chunked("/hot", b"12345").replace(b"Host", b"X-Api-Key: wrong\r\nHost")
        await client.sends(data.partition(b"5\r\n12345")[0], b"zz\r\n")
        client.connection.resume_writing()

    client = playing(play)
    assert ([answer.status for answer in client.answers], client.is_closing()) == ([401], True)


def test_garbage_does_not_end_up_in_an_answer() -> None:
    async def begins(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(chunked("/a", b"12345").partition(b"5\r\n12345")[0], b"zz\r\n")

    client = playing(play, Stage(app=begins))
    assert client.sent.count(b"HTTP/1.1") == 1
    assert client.is_closing() and not client.answers[0].is_whole
