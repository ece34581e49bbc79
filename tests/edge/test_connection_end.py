"""A connection whose client leaves, or does not read."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.edge.asgi import Receive, Scope, Send
from gateway.edge.connection import Connection
from gateway.edge.dialect import Incoming
from gateway.edge.endpoint import Endpoint
from gateway.edge.exchange import SEND_S
from gateway.errors import ClientError
from gateway.reply import Sink
from tests.edge.stage import (
    BODY_BYTES_MAX,
    CLOSING,
    Asked,
    Client,
    EchoDialect,
    Stage,
    Story,
    playing,
    request,
    say,
    settled,
    three_events,
)

# Clients that leave.


def test_who_leaves_before_the_body_is_there_asked_for_nothing() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"hello")[:-1])
        client.leaves()
        await asyncio.sleep(100)
        assert (stage.asked, stage.state.tasks, stage.state.connections, client.sent) == ([], set(), set(), b"")

    playing(play)


def test_who_leaves_before_the_work_begins_asked_for_nothing() -> None:
    async def play(client: Client, stage: Stage) -> None:
        client.connection.data_received(request("/hot", b"hello"))
        client.leaves()
        await settled()
        assert (stage.asked, stage.state.tasks) == ([], set())

    playing(play)


@pytest.mark.parametrize("is_polite", [True, False])
def test_who_leaves_meanwhile_cancels_the_work_and_what_waits_behind_it(*, is_polite: bool) -> None:
    story = Story()

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"1") + request("/hot", b"2"))
        if is_polite:
            assert not client.connection.eof_received()  # it has ended its side: the transport closes
            client.close()
        else:
            client.leaves()
        await settled()
        assert (story.said, client.sent, stage.state.tasks) == (["begun", "cancelled"], b"", set())

    playing(play, Stage(story))


def test_who_leaves_between_two_answers_is_asked_no_more_of() -> None:
    async def play(client: Client, stage: Stage) -> None:
        async def leaves(asked: Asked, sink: Sink) -> None:
            await sink.whole(b"{}", [])
            client.leaves()

        stage.play = leaves
        await client.sends(request("/hot", b"1") + request("/hot", b"2"))
        assert [asked.body for asked in stage.asked] == [b"1"]
        assert (len(client.answers), stage.state.tasks) == (1, set())

    playing(play)


def test_who_leaves_in_mid_stream_cancels_the_work() -> None:
    async def begins(sink: Sink) -> None:
        await sink.begin([])
        await say(sink, b"data: 1\n\n")

    story = Story(begins)

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"stream"))
        assert client.sent.endswith(b"data: 1\n\n\r\n")
        client.leaves()
        await settled()
        assert story.said == ["begun", "cancelled"]

    playing(play, Stage(story))


def test_who_leaves_with_its_answer_does_not_cut_the_end_of_the_work_short() -> None:
    async def answers(sink: Sink) -> None:
        await sink.whole(b"{}", [])

    story = Story(answers)

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"))
        client.leaves()
        await asyncio.sleep(1001)
        assert (story.said, stage.state.tasks) == (["begun", "done"], set())

    playing(play, Stage(story))


def test_who_leaves_without_reading_the_answer_does_not_cut_the_end_of_the_work_short() -> None:
    async def answers(sink: Sink) -> None:
        await sink.whole(b"{}", [])

    story = Story(answers)

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot"))
        client.leaves()
        await asyncio.sleep(1001)
        assert (story.said, client.sent, stage.state.tasks) == (["begun", "done"], b"", set())

    playing(play, Stage(story))


def test_what_is_said_to_who_has_left_is_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    async def goes_on(asked: Asked, sink: Sink) -> None:
        await sink.begin([])
        try:
            await asyncio.sleep(1000)
        finally:
            await say(sink, b"data: 1\n\n")
            await sink.end(CLOSING)

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot", b"stream"))
        before = client.sent
        client.leaves()
        await settled()
        assert (client.sent, stage.state.tasks) == (before, set())

    playing(play, Stage(goes_on))
    assert caplog.text == ""


def test_an_application_hears_that_the_client_has_left() -> None:
    heard = []

    async def listens(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([await receive(), await receive()])

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/a", b"1"))
        client.leaves()
        await settled()

    playing(play, Stage(app=listens))
    assert [message["type"] for message in heard] == ["http.request", "http.disconnect"]


# Clients that do not read.


def test_a_client_without_room_is_waited_for() -> None:
    story = Story(three_events)

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot", b"stream"))
        assert client.sent == b""
        await asyncio.sleep(SEND_S - 1)
        client.connection.resume_writing()
        await settled()
        assert client.sent.endswith(b"data: 2\n\n\r\n")

    playing(play, Stage(story))


@pytest.mark.parametrize("body", [b"stream", b"whole"])
def test_a_client_that_does_not_read_is_given_up(body: bytes) -> None:
    async def says(sink: Sink) -> None:
        await (three_events(sink) if body == b"stream" else sink.whole(b"{}", []))

    story = Story(says)

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot", body))
        await asyncio.sleep(SEND_S + 1)
        assert (story.said, client.is_cut, stage.state.tasks) == (["begun", "stalled"], True, set())

    playing(play, Stage(story))


def test_room_that_is_made_before_anybody_waits_for_it_is_waited_for_no_more() -> None:
    connections: list[Connection] = []

    async def says(asked: Asked, sink: Sink) -> None:
        await sink.begin([])
        connections[0].pause_writing()
        pending = sink.events(b"data: 1\n\n")  # awaited by a task that has yet to wake up, where events are passed on
        connections[0].resume_writing()
        assert pending is not None
        await pending
        await sink.end(CLOSING)

    async def play(client: Client, stage: Stage) -> None:
        connections.append(client.connection)
        await client.sends(request("/hot", b"stream"))
        await settled()
        assert client.answers[0].is_whole and b"data: 1\n\n" in client.sent

    playing(play, Stage(says))


def test_who_gives_a_client_up_has_time_to_clean_up() -> None:
    said = []

    async def cleans_up(asked: Asked, sink: Sink) -> None:
        try:
            await three_events(sink)
        finally:
            await asyncio.sleep(5)
            said.append("clean")

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot", b"stream"))
        await asyncio.sleep(SEND_S + 10)
        assert (said, client.is_cut, stage.state.tasks) == (["clean"], True, set())

    playing(play, Stage(cleans_up))


def test_a_client_that_does_not_take_what_keeps_its_stream_alive_is_given_up() -> None:
    story = Story(three_events)

    async def play(client: Client, stage: Stage) -> None:
        stage.hot["/hot"] = Endpoint(EchoDialect(), stage, BODY_BYTES_MAX, 10.0)
        await client.sends(request("/hot", b"stream"))
        client.connection.pause_writing()
        await asyncio.sleep(SEND_S + 11)
        assert (story.said, client.is_cut, stage.state.tasks) == (["begun", "cancelled"], True, set())

    playing(play, Stage(story))


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_client_that_does_not_read_what_was_wrong_is_given_up_without_a_word(
    caplog: pytest.LogCaptureFixture, *, is_ours: bool
) -> None:
    class Wrong(EchoDialect):
        async def read(self, given: Incoming) -> Asked:
            raise KeyError("a mistake of ours") if is_ours else ClientError("a mistake of yours")

    async def play(client: Client, stage: Stage) -> None:
        stage.hot["/hot"] = Endpoint(Wrong(), stage, BODY_BYTES_MAX, 0.0)
        client.connection.pause_writing()
        await client.sends(request("/hot"))
        await asyncio.sleep(SEND_S + 1)
        assert (client.is_cut, stage.state.tasks) == (True, set())

    playing(play)
    gc.collect()  # whereupon the loop complains of what nobody heard of
    assert "ClientStalled" not in caplog.text and ("a mistake of ours" in caplog.text) == is_ours


@pytest.mark.parametrize("leaves", [True, False])
def test_a_client_that_does_not_read_a_refusal_either(*, leaves: bool) -> None:
    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot", b"", "x-api-key: wrong") * 100)
        assert (client.sent, client.is_read) == (b"", False)
        if leaves:
            client.leaves()
        await asyncio.sleep(SEND_S + 1)
        assert (client.sent, client.is_cut, stage.state.tasks) == (b"", not leaves, set())

    playing(play)
