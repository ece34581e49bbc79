"""Connections over real sockets: kept, expired, closed by either side, cancelled, and none of them left behind."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from gateway.errors import UpstreamError
from gateway.http1.address import Origin
from gateway.http1.connection import UNREAD_BYTES_MAX
from gateway.http1.failures import ConnectFailed
from gateway.http1.pool import Pool
from gateway.providers.base import Sending
from gateway.providers.http import HttpClient
from tests.scripted_server import CUT, HANG, RESET, Reply, Request, ScriptedServer, json_reply, sse_reply

FINE = json_reply({"a": 1})


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    return request.param  # type: ignore[no-any-return]


async def whole(client: HttpClient, url: str) -> bytes:
    response = await client.post(url, {}, b"{}", connect_s=5)
    try:
        return await response.read_whole()
    finally:
        response.close()


def pool_of(client: HttpClient) -> Pool:
    assert client._pool is not None
    return client._pool


async def soon(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110 - counts have no event
            await asyncio.sleep(0.01)


def test_calls_one_after_the_other_share_a_connection(run: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer([FINE, sse_reply(b"data: 1\n\n"), Reply(status=204, content_length=True)]) as server:
            client = HttpClient("test", {})
            for _ in range(5):
                await whole(client, server.url)
            assert (server.connections, pool_of(client).open_count, pool_of(client).idle_count) == (1, 1, 1)
            await client.aclose()
            assert pool_of_none(client)

    run(scenario())


def pool_of_none(client: HttpClient) -> bool:
    return client._pool is None


def test_calls_at_the_same_time_have_one_each_and_keep_them(run: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer([Reply([0.05, b"{}"], content_length=True)]) as server:
            client = HttpClient("test", {})
            for _ in range(2):
                await asyncio.gather(*(whole(client, server.url) for _ in range(50)))
            assert server.connections == 50
            await client.aclose()

    run(scenario())


def test_a_connection_that_the_server_closed_is_not_used(run: Any) -> None:
    async def scenario() -> None:
        client = HttpClient("test", {})
        async with ScriptedServer([FINE]) as server:
            await whole(client, server.url)
            assert pool_of(client).idle_count == 1
        await soon(lambda: pool_of(client).open_count == 0)
        assert pool_of(client).idle_count == 0
        await client.aclose()

    run(scenario())


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize(("method", "tries"), [("GET", 2), ("DELETE", 2), ("POST", 1), ("PATCH", 1)])
def test_what_may_be_asked_twice_is_when_the_server_closes_a_kept_connection(
    run: Any, method: str, tries: int, is_reset: bool
) -> None:
    async def scenario() -> None:
        asked: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            if asked[-1].startswith(b"OPTIONS"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                asked.append(await reader.readuntil(b"\r\n\r\n"))
            if is_reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = HttpClient("test", {})
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        response = await client.send("OPTIONS", url, {}, b"", connect_s=5)
        assert await response.read_whole() == b"ok"
        with pytest.raises(UpstreamError, match="closed the connection without an answer"):  # nor by the second connection
            await client.send(method, url, {}, b"", connect_s=5)
        assert len(asked) == 1 + tries
        await client.aclose()
        server.close()
        await server.wait_closed()

    run(scenario())


def test_a_connection_that_nobody_uses_is_closed() -> None:
    async def scenario() -> None:
        async with ScriptedServer([FINE]) as server:
            loop = asyncio.get_running_loop()
            client = HttpClient("test", {})
            client._pool = pool = Pool(loop, idle_s=0.4)
            await asyncio.gather(*(whole(client, server.url) for _ in range(3)))
            assert pool.open_count == 3
            began = loop.time()
            while pool.open_count > 1:  # the one that is used stays
                await whole(client, server.url)
                await asyncio.sleep(0.02)
            assert 0.15 <= loop.time() - began < 3
            await whole(client, server.url)
            await soon(lambda: pool.open_count == 0)
            assert server.connections == 3
            await client.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize("steps", [[HANG], [b"data: 1\n\n", HANG]], ids=["before the head", "in the body"])
def test_a_call_that_is_cancelled_closes_its_connection_at_once(run: Any, steps: list[Any]) -> None:
    async def scenario() -> None:
        async with ScriptedServer([Reply(steps, None) if steps == [HANG] else sse_reply(*steps)]) as server:
            client = HttpClient("test", {})
            call = asyncio.ensure_future(whole(client, server.url))
            await soon(lambda: len(server.requests) == 1)
            await asyncio.sleep(0.05)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            async with asyncio.timeout(1):
                await server.client_left(0)
            assert pool_of(client).idle_count == 0
            await client.aclose()

    run(scenario())


def test_a_call_that_is_cancelled_while_it_connects_leaves_nothing(run: Any) -> None:
    async def scenario() -> None:
        client, sending = HttpClient("test", {}), Sending()
        call = asyncio.ensure_future(client.post("http://192.0.2.1:9/", {}, b"", connect_s=5, sending=sending))
        await asyncio.sleep(0.05)
        call.cancel()
        results = await asyncio.gather(call, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError | UpstreamError) and not sending.has_line
        await client.aclose()

    run(scenario())


def test_closing_the_client_fails_what_is_under_way(run: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer([Reply([b"abc", HANG], 200)]) as server:
            client = HttpClient("test", {})
            response = await client.post(server.url, {}, b"", connect_s=5)
            assert await response.read_chunk() == b"abc"
            reading = asyncio.ensure_future(response.read_chunk())
            await asyncio.sleep(0)
            await client.aclose()
            with pytest.raises(UpstreamError) as caught:
                await reading
            assert caught.value.fault == "cut"

    run(scenario())


def test_an_answer_without_a_length_is_not_complete_when_we_close_it_ourselves(run: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer([Reply([b"HTTP/1.1 200 OK\r\n\r\nabc", HANG], None)]) as server:
            client = HttpClient("test", {})
            response = await client.post(server.url, {}, b"", connect_s=5)
            reading = asyncio.ensure_future(response.read_whole())
            await asyncio.sleep(0.05)
            await client.aclose()
            with pytest.raises(UpstreamError):
                await reading

    run(scenario())


def test_a_server_that_sends_what_nobody_reads_is_made_to_wait(run: Any) -> None:
    async def scenario() -> None:
        sent = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
            while sent < 100_000_000:
                writer.write(bytes(100_000))
                await writer.drain()
                sent += 100_000
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = HttpClient("test", {})
        response = await client.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"", connect_s=5)
        await asyncio.sleep(0.3)
        assert sent < 50_000_000  # what the kernel's buffers hold, and ours
        assert len(response.take() or b"") <= UNREAD_BYTES_MAX + 1024 * 1024
        assert sent < 50_000_000
        assert 90_000_000 < len(await response.read_whole(100_000_000)) < 100_000_000
        assert pool_of(client).idle_count == 1
        await client.aclose()
        server.close()
        await server.wait_closed()

    run(scenario())


def test_a_request_that_the_server_does_not_read_waits_and_can_be_cancelled(run: Any) -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            await gone.wait()
            writer.transport.abort()

        gone = asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = HttpClient("test", {})
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.post(url, {}, bytes(50_000_000), connect_s=5)
        await soon(lambda: pool_of(client).open_count == 0)
        gone.set()
        await client.aclose()
        server.close()
        await server.wait_closed()

    run(scenario())


def test_ten_thousand_calls_to_a_server_that_closes_as_it_likes_leave_nothing_behind() -> None:
    chance = random.Random(8)

    def reply(request: Request) -> Reply:
        if chance.random() < 0.7:
            return FINE
        return chance.choice([
            sse_reply(b"data: 1\n\n", b"data: 2\n\n"),
            sse_reply(b"data: 1\n\n", CUT),
            sse_reply(b"data: 1\n\n", RESET),
            json_reply({"a": 1}, headers={"connection": "close"}),
            Reply([CUT], None),
            Reply([RESET], None),
            Reply([b"HTTP/1.1 200 OK\r\ncontent-le", CUT], None),
            Reply([b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc", 0.001], None),
            Reply([b"HTTP/1.1 200 OK\r\n\r\nabc", CUT], None),
        ])  # fmt: skip

    async def scenario() -> None:
        outcomes = {"whole": 0, "connect": 0, "cut": 0, "cancelled": 0}

        async def one(client: HttpClient, url: str) -> None:
            if (how := chance.random()) < 0.05:
                call = asyncio.ensure_future(whole(client, url))
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.gather(call, return_exceptions=True)
                outcomes["cancelled"] += 1
                return
            try:
                response = await client.post(url, {}, b"{}", connect_s=20)
                if how < 0.1:
                    response.close()
                elif how < 0.2:
                    await response.finish()
                else:
                    assert await response.read_whole() in (b'{"a": 1}', b"data: 1\n\ndata: 2\n\n", b"a", b"abc")
                outcomes["whole"] += 1
            except UpstreamError as exc:
                outcomes[exc.fault] += 1

        async def many(client: HttpClient, url: str, count: int) -> None:
            for _ in range(count):
                await one(client, url)

        async with ScriptedServer(reply) as server:
            client = HttpClient("test", {})
            before = len(asyncio.all_tasks())
            await many(client, server.url, 1000)
            await asyncio.gather(*(many(client, server.url, 300) for _ in range(30)))
            assert sum(outcomes.values()) == 10_000 and min(outcomes.values()) > 100, outcomes
            pool = pool_of(client)
            await soon(lambda: pool.open_count == pool.idle_count <= 30)
            await client.aclose()
            assert pool.open_count == pool.idle_count == 0
        await soon(lambda: len(asyncio.all_tasks()) <= before)

    uvloop.run(scenario())


@pytest.mark.parametrize(
    ("url", "fault", "words"),
    [
        ("http://127.0.0.1:{port}/", "connect", "cannot connect to 127.0.0.1:{port}: Connection refused"),
        ("http://nobody.invalid/", "connect", "cannot look up nobody.invalid"),
        ("http://" + "a" * 64 + ".test/", "connect", "cannot look up"),
    ],
)
def test_why_there_is_no_connection_is_told(run: Any, url: str, fault: str, words: str) -> None:
    async def scenario() -> None:
        async with ScriptedServer([FINE]) as server:
            port = server.port
        client = HttpClient("test", {})
        with pytest.raises(UpstreamError) as caught:
            await client.post(url.format(port=port), {}, b"", connect_s=5)
        assert caught.value.fault == fault and words.format(port=port) in caught.value.message
        await client.aclose()

    run(scenario())


def test_connect_s_bounds_the_handshake_too(run: Any) -> None:
    async def scenario() -> None:
        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            await writer.wait_closed()
            left.set()

        left = asyncio.Event()
        client, sending = HttpClient("test", {}), Sending()
        async with await asyncio.start_server(never, "127.0.0.1", 0) as server:
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(UpstreamError) as caught:
                # On a busy machine the authorities alone, read in a thread, take a tenth of it.
                await client.post(url, {}, b"", connect_s=1, sending=sending)
            assert caught.value.fault == "timeout" and not sending.has_line
            assert "no connection to 127.0.0.1" in caught.value.message
            async with asyncio.timeout(2):
                await left.wait()
            await client.aclose()

    run(scenario())


def test_sending_knows_when_there_is_a_connection(run: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer([Reply([HANG], None)]) as server:
            client, sending = HttpClient("test", {}), Sending()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await client.post(server.url, {}, b"", connect_s=5, sending=sending)
            assert sending.has_line
            await client.aclose()

    run(scenario())


def test_a_connection_that_is_about_to_close_is_not_given_out() -> None:
    async def scenario() -> None:
        async with ScriptedServer([FINE]) as server:
            client = HttpClient("test", {})
            await whole(client, server.url)
            pool, origin = pool_of(client), Origin(False, "127.0.0.1", server.port)
            (connection,) = pool._idle[origin]
            connection._transport.close()  # as it does by itself at an error, some time before it says so
            assert pool.take(origin) is None
            await client.aclose()

    asyncio.run(scenario())


def test_a_closed_pool_opens_nothing() -> None:
    async def scenario() -> None:
        async with ScriptedServer([FINE]) as server:
            pool = Pool(asyncio.get_running_loop())
            await pool.aclose()
            with pytest.raises(
                ConnectFailed, match="the client was closed"
            ):  # which is not asked for again, as a call is that was cut
                await pool.open(Origin(False, "127.0.0.1", server.port), 5)

    asyncio.run(scenario())
