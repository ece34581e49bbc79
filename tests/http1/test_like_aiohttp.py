"""The same bytes from the same server, read by this client and by aiohttp: both see the same, however the bytes are cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp
import pytest

from gateway.errors import UpstreamError
from gateway.providers.http import HttpClient
from tests.http1.played import cut
from tests.http1.wires import GOOD, TEXT, WIRES
from tests.scripted_server import CUT, Reply, ScriptedServer

Answer = tuple[int, Mapping[str, str], bytes] | str

# Where aiohttp's answer depends on how the bytes were cut, or never comes, and ours is the same each time.
DIFFERENT: Final[Mapping[str, Answer]] = {
    "more than the length": (
        200,
        {"content-length": str(len(TEXT))},
        TEXT,
    ),  # the answer is whole; what follows costs the connection
    "bad chunk size": "broken off",  # the head came
    "negative chunk size": "broken off",
    "chunk longer than its size": "broken off",
    "half a deflate": "broken off",
    "status 099": "no answer",  # neither an answer nor an interim one
    "interim with a body": "no answer",  # aiohttp skips it, and may wait for ever behind a long one
    "interim with chunks": "no answer",
    "other protocol": "no answer",  # nobody asked for one
}


async def ours(url: str) -> Answer:
    client = HttpClient("test", {})
    try:
        try:
            response = await client.post(url, {}, b"{}", connect_s=5)
        except UpstreamError as exc:
            assert exc.fault == "connect", exc
            return "no answer"
        names = dict(response.headers)
        try:
            return response.status, names, await response.read_whole()
        except UpstreamError as exc:
            assert exc.fault == "cut", exc
            return "broken off"
        finally:
            response.close()
    finally:
        await client.aclose()


async def aiohttps(url: str) -> Answer:
    async with aiohttp.ClientSession() as session:
        try:
            response = await session.post(url, data=b"{}", allow_redirects=False)
        except aiohttp.ClientError:
            return "no answer"
        names = {name.lower(): response.headers[name] for name in response.headers}  # of several the first
        try:
            return response.status, names, await response.read()
        except aiohttp.ClientError:
            return "broken off"
        finally:
            response.close()


def compare(name: str, pieces: Sequence[bytes]) -> Answer:
    async def scenario() -> tuple[Answer, Answer]:
        async with ScriptedServer([Reply([*pieces, CUT], None)]) as server, asyncio.timeout(20):
            return await ours(server.url), DIFFERENT[name] if name in DIFFERENT else await aiohttps(server.url)

    mine, theirs = asyncio.run(scenario())
    assert mine == theirs, [len(piece) for piece in pieces]
    return mine


@pytest.mark.parametrize("name", WIRES)
def test_an_answer_is_what_aiohttp_sees(name: str) -> None:
    assert isinstance(compare(name, [WIRES[name]]), tuple) == (name in GOOD)


@pytest.mark.parametrize("name", WIRES)
def test_an_answer_in_pieces_is_what_aiohttp_sees(name: str) -> None:
    wire, chance = WIRES[name], random.Random(name)
    for _ in range(3):
        places = [chance.randrange(len(wire) + 1) for _ in range(chance.randrange(1, 8))]
        assert isinstance(compare(name, cut(wire, places)), tuple) == (name in GOOD)
