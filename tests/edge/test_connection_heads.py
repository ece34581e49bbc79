"""A connection and the heads of requests: how large they may be, wherever they are cut."""

from __future__ import annotations

import asyncio
import json
from typing import Final

import pytest

from gateway.edge.request_reader import HEAD_BYTES_MAX
from gateway.reply import Sink
from tests.edge.stage import BODY_BYTES_MAX, Asked, Client, Stage, chunked, playing, request, settled

FILLED: Final = HEAD_BYTES_MAX - len("/hot") - len("hostherecontent-length0x")


def head(size: int, *lines: str) -> bytes:
    """Of a request without a body."""
    return request("/hot", b"", *lines, f"x: {'x' * size}")


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_head_may_have_its_limit_and_not_a_byte_more(*, is_cut: bool) -> None:
    async def play(client: Client, stage: Stage) -> None:
        fits, too_large = head(FILLED), head(FILLED + 1)
        parts = [fits[:60_000], fits[60_000:], too_large[:60_000], too_large[60_000:]]
        await client.sends(*(parts if is_cut else [fits + too_large]))
        await settled()

    client = playing(play)
    assert [answer.status for answer in client.answers] == [200, 431]
    assert client.is_closing()


@pytest.mark.parametrize(
    "data",
    [
        b"POST /hot HTTP/1.1\r\nhost: " + b"x" * HEAD_BYTES_MAX * 2,
        b"POST /" + b"x" * HEAD_BYTES_MAX * 2,
        b"POST /hot HTTP/1.1\r\n" + b"x: y\r\n" * HEAD_BYTES_MAX,
        b"\r\n" * HEAD_BYTES_MAX,
        chunked("/hot", b"1")[:-2] + b"x: y\r\n" * HEAD_BYTES_MAX,
        chunked("/hot", b"1").partition(b"1\r\n1")[0] + b"1;" + b"x" * HEAD_BYTES_MAX * 2,
    ],
    ids=["value", "url", "lines", "no lines", "trailers", "chunk extension"],
)
def test_a_head_without_an_end_is_refused(data: bytes) -> None:
    stage = Stage()

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(*(data[place : place + 1000] for place in range(0, len(data), 1000)))

    client = playing(play, stage)
    assert ([answer.status for answer in client.answers], stage.asked) == ([431], [])
    assert client.is_closing()


def test_a_head_that_is_too_large_is_refused_in_the_words_of_who_asks() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(head(FILLED + 100, "x-request-id: mine", "anthropic-version: 2023-06-01"))

    (answer,) = playing(play).answers
    said = json.loads(answer.body)
    assert (answer.headers["x-request-id"], answer.headers["connection"]) == ("mine", "close")
    assert (said["type"], said["request_id"]) == ("error", "mine")
    assert "65536 bytes" in said["error"]["message"]


def test_small_pieces_of_a_large_body_are_no_head() -> None:
    async def play(client: Client, stage: Stage) -> None:
        await client.sends(*[chunked("/hot", *[b"x"] * BODY_BYTES_MAX, trailer=b"x: y\r\n") * 10] * 2)
        while len(client.answers) < 20:
            await settled()

    assert {answer.status for answer in playing(play).answers} == {200}


def test_nothing_is_read_behind_a_head_that_is_too_large() -> None:
    async def late(asked: Asked, sink: Sink) -> None:
        await asyncio.sleep(5)
        await sink.whole(b"{}", [])

    stage = Stage(late)

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(request("/hot"), b"POST /hot HTTP/1.1\r\nx: " + b"x" * HEAD_BYTES_MAX)
        client.connection.data_received(b"\r\n\r\n" + request("/hot"))  # which was on its way
        await asyncio.sleep(20)

    assert [answer.status for answer in playing(play, stage).answers] == [200, 431]
    assert len(stage.asked) == 1
