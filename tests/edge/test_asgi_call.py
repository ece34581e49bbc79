"""What an application hears and may say over a connection of ours, where it is not the usual."""

from __future__ import annotations

import asyncio
import gc

import pytest

from gateway.edge.asgi import Receive, Scope, Send, respond
from gateway.edge.exchange import SEND_S
from tests.edge.stage import Client, Stage, playing, request


def test_who_listens_for_a_client_that_leaves_hears_of_the_end_of_the_answer() -> None:
    """As streaming responses do, which would not end otherwise."""
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            while (message := await receive())["type"] != "http.disconnect":
                pass
            heard.append(message["type"])

        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            await asyncio.sleep(1)
            await respond(send, 200, b"{}", [])

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/a"))
        await asyncio.sleep(2)
        assert (heard, stage.state.tasks) == (["http.disconnect"], set())

    playing(play, Stage(app=app))


@pytest.mark.parametrize("line", ["x: y", "connection: close"])
def test_an_application_may_end_the_connection(line: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 200, b"{}", [(b"connection", b"close")])

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/a", b"", line))
        assert client.sent.count(b"connection: close") == 1 and client.is_closing()

    playing(play, Stage(app=app))


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_client_that_does_not_read_is_given_up(caplog: pytest.LogCaptureFixture, *, is_ours: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if is_ours:
            raise KeyError("a mistake of ours")
        await respond(send, 200, b"{}", [])

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/a"))
        await asyncio.sleep(SEND_S + 1)
        assert (client.sent, client.is_cut, stage.state.tasks) == (b"", True, set())

    playing(play, Stage(app=app))
    gc.collect()  # whereupon the loop complains of what nobody heard of
    assert "ClientStalled" not in caplog.text and ("a mistake of ours" in caplog.text) == is_ours
