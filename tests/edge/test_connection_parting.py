"""When a connection is closed, and how: what its client is owed is heard first."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from gateway.edge.asgi import respond
from gateway.edge.asgi_call import BODY_BYTES_HELD
from gateway.edge.connection import PARTING_S
from gateway.edge.request_reader import HEAD_BYTES_MAX
from gateway.reply import Sink
from tests.edge.stage import KEEP_ALIVE_S, Client, Stage, Story, chunked, playing, request, settled


def test_a_connection_that_is_not_used_is_closed_and_one_that_is_used_is_not() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await asyncio.sleep(KEEP_ALIVE_S - 1)
        await client.sends(request("/hot", b"1"))
        await asyncio.sleep(KEEP_ALIVE_S - 1)
        assert not client.is_closing()
        await asyncio.sleep(2)
        assert client.is_closing() and not client.is_cut

    playing(play)


def test_an_answer_may_take_longer_than_an_idle_connection() -> None:
    async def late(sink: Sink) -> None:
        await asyncio.sleep(KEEP_ALIVE_S * 3)
        await sink.whole(b"{}", [])

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"))
        await asyncio.sleep(KEEP_ALIVE_S * 4 - 1)
        assert client.answers[0].status == 200 and not client.is_closing()
        await asyncio.sleep(2)
        assert client.is_closing()

    playing(play, Stage(Story(late)))


def test_a_connection_whose_client_does_not_read_its_answer_is_cut_in_the_end() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"))
        client.unread = 100
        await asyncio.sleep(KEEP_ALIVE_S * 2 + 1)
        assert client.is_cut

    playing(play)


def test_a_client_that_reads_slowly_gets_all_of_its_answer() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"))
        client.unread = 1000
        while client.unread:
            await asyncio.sleep(KEEP_ALIVE_S - 1)
            client.unread -= 100
        assert not client.is_closing()
        await asyncio.sleep(KEEP_ALIVE_S * 2)
        assert client.is_closing() and not client.is_cut

    playing(play)


@pytest.mark.parametrize("is_body", [True, False])
def test_a_request_may_come_slowly_but_not_for_ever(*, is_body: bool) -> None:
    """A head, or the body of a request that was refused, whose answer is out."""

    async def play(client: Client, stage: Stage) -> None:
        data = request("/hot", b"x" * 1000, "x-api-key: wrong", f"x: {'x' * 1000}")
        sent = len(data) - 1000 if is_body else 20
        await client.sends(data[:sent])
        for place in range(KEEP_ALIVE_S * 2 - 1):
            await asyncio.sleep(1)
            await client.sends(data[sent + place : sent + place + 1])
            assert not client.is_closing()
        await asyncio.sleep(2)
        assert client.is_closing()
        assert len(client.answers) == is_body

    playing(play)


def test_a_request_that_begins_as_the_connection_is_to_be_closed_is_answered() -> None:
    async def play(client: Client, stage: Stage) -> None:
        for _ in range(3):
            data = request("/hot", b"hello")
            await asyncio.sleep(KEEP_ALIVE_S - 1)
            await client.sends(data[:20])
            await asyncio.sleep(2)
            await client.sends(data[20:])
        assert [answer.status for answer in client.answers] == [200, 200, 200]

    playing(play)


def still_sending(data: bytes, rest: int) -> Client:
    """A client that goes on sending, while it could hear what is said to it. rest: how much of the body it still has."""

    async def play(client: Client, stage: Stage) -> None:
        client.can_hear_an_end = True
        await client.sends(data)
        assert client.has_heard_an_end and not client.is_closing()
        said = client.sent
        await client.sends(b"x" * rest + request("/hot"), b"\0garbage")
        await asyncio.sleep(PARTING_S - 1)
        assert not client.is_closing()
        await asyncio.sleep(2)
        assert client.is_closing() and client.sent == said
        assert (stage.asked, stage.state.tasks) == ([], set())

    return playing(play, Stage(app=lambda scope, receive, send: respond(send, 404, b"{}", [])))


@pytest.mark.parametrize(
    ("data", "rest", "status"),
    [
        (request("/hot", b"x" * 100, "x-api-key: wrong", "connection: close")[:-9], 9, 401),
        (request("/hot", b"x" * 100, "x-api-key: wrong", "expect: 100-continue")[:-100], 100, 401),
        (request("/a", b"x" * BODY_BYTES_HELD * 2, "connection: close")[:-9], 9, 404),
        (b"\0garbage", 0, 400),
        (b"POST /hot HTTP/1.1\r\nx: " + b"x" * HEAD_BYTES_MAX, 0, 431),
    ],
    ids=["refused", "not told to send", "not read", "garbage", "too large a head"],
)
def test_a_client_that_is_still_sending_hears_why_the_connection_ends(data: bytes, rest: int, status: int) -> None:
    (answer,) = still_sending(data, rest).answers
    assert (answer.status, answer.is_whole, answer.headers["connection"]) == (status, True, "close")


def test_who_leaves_while_the_connection_ends_leaves_nothing_behind() -> None:
    async def play(client: Client, stage: Stage) -> None:
        client.can_hear_an_end = True
        await client.sends(b"\0garbage")
        client.leaves()
        await asyncio.sleep(KEEP_ALIVE_S * 3)
        assert (stage.state.connections, client.is_cut) == (set(), False)

    playing(play)


def test_a_connection_that_ends_does_not_keep_the_server_from_it() -> None:
    async def play(client: Client, stage: Stage) -> None:
        client.can_hear_an_end = True
        await client.sends(b"\0garbage")
        client.connection.shutdown()
        assert client.is_closing()

    playing(play)


def test_a_connection_that_is_gone_is_freed_at_once() -> None:
    """Not by a collection, which looks at all there is."""

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"), chunked("/hot", b"1")[:-2])
        connection = weakref.ref(client.connection)
        client.leaves()
        del client.connection
        await settled()
        assert connection() is None

    gc.collect()
    gc.disable()
    try:
        playing(play)
    finally:
        gc.enable()
