"""The adapters' HTTP client: how answers are read, let go and refused. What is on the wire is tested in tests/http1."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

import pytest

from gateway.errors import UpstreamError
from gateway.http1.decoding import PIECE_BYTES_MAX
from gateway.providers.http import HttpClient, addressed, proxy_for
from gateway.providers.http_response import ERROR_BYTES_MAX, FINISH_S, HttpResponse
from tests.scripted_server import CUT, HANG, Reply, ScriptedServer, json_reply, sse_reply

PROXIES = {"http": "http://proxy.test:1", "https": "http://proxy.test:2"}


def with_answer(reply: Reply, look: Callable[[HttpResponse, HttpClient], Awaitable[None]]) -> int:
    """How many connections it took to look at the answer and to make one more call."""

    async def scenario() -> int:
        async with ScriptedServer([reply]) as server, asyncio.timeout(20):
            client = HttpClient("test", {})
            destination = client.destination(server.url, {"a": "b"})
            await look(await client.ask(destination, b"{}", connect_s=5), client)
            await asyncio.sleep(0.02)
            (await client.ask(destination, b"{}", connect_s=5)).close()
            assert len({str(request.headers) for request in server.requests}) == 1
            await client.aclose()
            return server.connections

    return asyncio.run(scenario())


def test_what_is_there_is_read_without_waiting() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        while (chunk := response.take()) is None:
            assert not response.is_read
            await asyncio.sleep(0)
        assert chunk == b'{"a": 1}' and response.is_read
        assert (response.take(), await response.read_chunk(), await response.read_whole()) == (b"", b"", b"")
        response.close()

    assert with_answer(json_reply({"a": 1}), look) == 1


def test_an_end_that_comes_a_little_later_keeps_the_connection_and_nobody_waits_for_it() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        assert await response.read_chunk() == b"data: 1\n\n"
        now = asyncio.get_running_loop().time
        began = now()
        await response.finish()
        assert now() - began < FINISH_S / 2

    assert with_answer(sse_reply(b"data: 1\n\n", 0.005), look) == 1


def test_an_end_that_does_not_come_costs_the_connection() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        assert await response.read_chunk() == b"data: 1\n\n"
        await response.finish()
        await asyncio.sleep(FINISH_S * 2)

    assert with_answer(sse_reply(b"data: 1\n\n", HANG), look) == 2


def test_an_answer_that_was_closed_cannot_be_read_on() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        assert await response.read_chunk() == b"data: 1\n\n"
        response.close()
        with pytest.raises(UpstreamError, match="was closed"):
            await response.read_chunk()

    assert with_answer(sse_reply(b"data: 1\n\n", HANG), look) == 2


def test_what_came_before_a_cut_is_read_first() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        await asyncio.sleep(0.05)
        assert await response.read_chunk() == b"data: 1\n\n"
        for _ in range(2):
            with pytest.raises(UpstreamError) as caught:
                await response.read_chunk()
            assert (caught.value.fault, caught.value.is_retryable) == ("cut", True)
        response.close()

    assert with_answer(sse_reply(b"data: 1\n\n", CUT), look) == 2


@pytest.mark.parametrize("size", [11, 1000])
def test_an_answer_that_is_too_large_is_refused(size: int) -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        with pytest.raises(UpstreamError) as caught:
            await response.read_whole(10)
        assert caught.value.fault == "malformed" and "sent more than 10 bytes" in caught.value.message
        response.close()

    with_answer(Reply([b"x" * size], content_length=True), look)


def test_of_an_error_as_much_is_read_as_words_can_be() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        assert await response.read_error() == b"x" * ERROR_BYTES_MAX
        response.close()

    with_answer(Reply([b"x" * 1_000_000], 500), look)


def test_a_few_bytes_that_expand_to_many_come_in_pieces() -> None:
    async def look(response: HttpResponse, _: HttpClient) -> None:
        size = 0
        while chunk := await response.read_chunk():
            assert len(chunk) <= PIECE_BYTES_MAX and not response.is_read
            size += len(chunk)
        assert size == 30_000_000 and response.is_read
        response.close()

    press = zlib.compressobj(wbits=31)
    bomb = press.compress(bytes(30_000_000)) + press.flush()
    assert len(bomb) < 100_000
    assert with_answer(Reply([bomb], 200, {"content-encoding": "gzip"}, content_length=True), look) == 1


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://provider.test/", "http://proxy.test:1"),
        ("https://provider.test/", "http://proxy.test:2"),
        ("https://user:pass@10.1.2.3:8000/", "http://proxy.test:2"),
        ("http://localhost:1/", None),
        ("http://a.localhost/", None),
        ("https://127.0.0.1/", None),
        ("http://[::1]:5/", None),
        ("http://near.test/", None),
    ],
)
def test_what_goes_through_a_proxy(url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "near.test")
    assert proxy_for(url, PROXIES) == proxy
    assert proxy_for(url, {}) is None


def test_a_callers_query_is_never_more_than_a_query() -> None:
    assert addressed("http://a/b", b"") == "http://a/b"
    assert addressed("http://a/b", b"c=d&e=f%20g") == "http://a/b?c=d&e=f%20g"
    assert addressed("http://a/b", b"c#d\r\n e\xff") == "http://a/b?c%23d%0D%0A%20e%FF"
