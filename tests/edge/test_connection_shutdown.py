"""A connection whose server ends, in good order and otherwise."""

from __future__ import annotations

import asyncio

import pytest

from gateway.draining import Drain
from gateway.edge.asgi import Receive, Scope, Send
from gateway.errors import ShuttingDown
from gateway.reply import Sink
from tests.edge.stage import Asked, Client, Stage, Story, playing, request, say, settled, three_events


def test_a_server_that_ends_says_so_and_closes_when_it_has_answered() -> None:
    async def late(asked: Asked, sink: Sink) -> None:
        await asyncio.sleep(5)
        await sink.whole(b"{}", [])

    async def play(client: Client, stage: Stage) -> None:
        idle = stage.client()
        await client.sends(request("/hot"))
        for connection in list(stage.state.connections):
            connection.shutdown()
        assert idle.is_closing() and not client.is_closing()
        await asyncio.sleep(6)
        assert client.answers[0].headers["connection"] == "close" and client.is_closing()
        assert stage.state.connections == set()

    playing(play, Stage(late))


@pytest.mark.parametrize("data", [request("/hot", b"stream"), request("/a"), b"\0garbage"])
def test_all_answers_of_a_server_that_ends_say_so_once(data: bytes) -> None:
    async def play(client: Client, stage: Stage) -> None:
        stage.state.default_headers = [*stage.state.default_headers, (b"connection", b"close")]
        await client.sends(data)

    client = playing(play)
    assert client.sent.count(b"connection: close\r\n") == 1
    assert client.is_closing()


@pytest.mark.parametrize("path", ["/hot", "/a"])
def test_work_that_is_cut_leaves_no_answer_that_looks_whole(path: str) -> None:
    async def begins(sink: Sink) -> None:
        await sink.begin([])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(1000)

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request(path, b"stream"))
        for task in list(stage.state.tasks):
            task.cancel()
        await settled()
        assert client.is_closing() and not client.answers[0].is_whole

    playing(play, Stage(Story(begins), app))


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_answer_that_is_broken_off_before_its_head_is_out_is_none(*, is_stream: bool) -> None:
    drain = Drain()

    async def answers(asked: Asked, sink: Sink) -> None:
        try:
            with drain.breakable():
                await (three_events(sink) if is_stream else sink.whole(b"{}", []))
        except ShuttingDown as exc:
            await (sink.break_off(exc) if is_stream else sink.fail(exc, []))

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot"))
        assert drain.break_off() == 1
        await settled()
        assert (client.sent, client.is_cut, stage.state.tasks) == (b"", True, set())

    playing(play, Stage(answers))


def test_a_stream_that_is_broken_off_where_it_is_not_read_says_so_to_who_reads_on() -> None:
    drain = Drain()

    async def play(client: Client, stage: Stage) -> None:
        async def answers(asked: Asked, sink: Sink) -> None:
            await sink.begin([])
            try:
                with drain.breakable():
                    client.connection.pause_writing()
                    await say(sink, b"data: 1\n\n")
            except ShuttingDown as exc:
                await sink.break_off(exc)

        stage.play = answers
        await client.sends(request("/hot"))
        assert drain.break_off() == 1
        await settled()
        client.connection.resume_writing()
        await settled()
        assert client.answers[0].is_whole and b"shutting_down" in client.answers[0].body

    playing(play)


def test_a_request_without_its_body_is_counted_where_the_server_ends() -> None:
    async def play(client: Client, stage: Stage) -> None:
        assert not client.connection.is_owed_a_body
        await client.sends(request("/hot", b"hello")[:-1])
        assert client.connection.is_owed_a_body
        await client.sends(b"o")
        assert not client.connection.is_owed_a_body

    playing(play)
