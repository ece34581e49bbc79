"""A hot route when it is not answered as usual."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from gateway.dialects.base import Writer
from gateway.dialects.chat_answer import ChatWriter
from gateway.edge.endpoint import Endpoint
from gateway.edge.exchange import SEND_S
from gateway.reply import Sink
from tests.edge.stage import BODY_BYTES_MAX, Asked, Client, EchoDialect, Stage, Story, playing, request, settled, three_events

KEEP_ALIVE_S = 10.0


def test_a_mistake_after_the_answer_changes_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    tasks = []

    async def wrong(asked: Asked, sink: Sink) -> None:
        tasks.append(asyncio.current_task())
        await sink.whole(b"{}", [])
        raise KeyError("a mistake of ours")

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"), request("/a"))
        assert [task.exception() for task in tasks if task is not None] == [None]

    assert [answer.status for answer in playing(play, Stage(wrong)).answers] == [200, 200]
    assert "a mistake of ours" in caplog.text


def test_a_mistake_that_a_client_does_not_read_of_gives_it_up(caplog: pytest.LogCaptureFixture) -> None:
    async def wrong(asked: Asked, sink: Sink) -> None:
        raise KeyError("a mistake of ours")

    async def play(client: Client, stage: Stage) -> None:
        client.connection.pause_writing()
        await client.sends(request("/hot"))
        await asyncio.sleep(SEND_S + 1)
        assert (client.sent, client.is_cut, stage.state.tasks) == (b"", True, set())

    playing(play, Stage(wrong))
    gc.collect()  # whereupon the loop complains of what nobody heard of
    assert "a mistake of ours" in caplog.text and "ClientStalled" not in caplog.text


def test_nothing_is_said_to_keep_a_stream_alive_whose_client_has_left() -> None:
    said: list[bytes] = []

    class Counted(ChatWriter):
        @property
        def keep_alive(self) -> bytes:  # type: ignore[override]
            said.append(b": here\n\n")
            return said[-1]

    class Dialect(EchoDialect):
        def writer(self, request: Any) -> Writer:
            return Counted()

    async def play(client: Client, stage: Stage) -> None:
        stage.hot["/hot"] = Endpoint(Dialect(), stage, BODY_BYTES_MAX, KEEP_ALIVE_S)
        await client.sends(request("/hot", b"stream"))
        await asyncio.sleep(KEEP_ALIVE_S * 2 + 1)
        assert len(said) == 2
        client.leaves()
        await asyncio.sleep(KEEP_ALIVE_S * 3)
        assert len(said) == 2

    playing(play, Stage(Story(three_events)))


@pytest.mark.parametrize("body", [b"stream", b"whole"])
def test_what_is_kept_of_an_answer_is_kept_before_its_end_is_out(body: bytes) -> None:
    kept: list[bool] = []

    async def play(client: Client, stage: Stage) -> None:
        class Keeps(EchoDialect):
            async def answered(self, request: Any, writer: Writer) -> None:
                await asyncio.sleep(1)
                kept.append(any(answer.is_whole for answer in client.answers))

        stage.hot["/hot"] = Endpoint(Keeps(), stage, BODY_BYTES_MAX, 0.0)
        await client.sends(request("/hot", body))
        await asyncio.sleep(2)
        await settled()
        assert client.answers[0].is_whole

    playing(play)
    assert kept == [False]
