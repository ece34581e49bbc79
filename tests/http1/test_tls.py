"""Whom the client believes: the authorities that are named, for the host that was called, in the time they vouch for."""

from __future__ import annotations

import asyncio
import gc
import ssl
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gateway.errors import UpstreamError
from gateway.http1.tunnel import Tunnel
from gateway.providers.http import HttpClient
from tests.http1.proxies import Proxy
from tests.scripted_server import HANG, ScriptedServer, json_reply, sse_reply

CERTIFICATES = Path(__file__).parent / "certificates"
FINE = json_reply({"a": 1})


def serving(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{name}.pem")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.fixture(autouse=True)
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "authority.pem"))


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    return request.param


async def failing(client: HttpClient, url: str) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await client.post(url, {}, b"{}", connect_s=5)
    await client.aclose()
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_calls_over_tls_share_a_connection(run: Any, host: str) -> None:
    async def scenario() -> None:
        names: list[str | None] = []
        context = serving("here")
        context.sni_callback = lambda _, name, __: names.append(name)
        async with ScriptedServer([FINE, sse_reply(b"data: 1\n\n"), FINE], context) as server:
            client = HttpClient("test", {})
            for body in (b'{"a": 1}', b"data: 1\n\n", b'{"a": 1}'):
                response = await client.post(f"https://{host}:{server.port}/", {}, b"x" * 1_000_000, connect_s=5)
                assert await response.read_whole() == body
            assert [len(request.body) for request in server.requests] == [1_000_000] * 3
            assert server.connections == 1
            assert names == [None if host == "127.0.0.1" else host]
            await client.aclose()

    run(scenario())


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        ("elsewhere", "certificate is not valid for"),
        ("expired", "certificate has expired"),
        ("untrusted", "self-signed certificate"),
    ],
)
def test_a_certificate_that_does_not_vouch_for_the_host_is_not_believed(run: Any, certificate: str, why: str) -> None:
    async def scenario() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        folder = CERTIFICATES if certificate != "untrusted" else CERTIFICATES.parents[1] / "data"
        context.load_cert_chain(folder / f"{certificate}.pem")
        async with ScriptedServer([FINE], context) as server:
            error = await failing(HttpClient("test", {}), server.url)
            assert (error.fault, error.is_retryable) == ("connect", True)
            assert error.message.startswith(f"TLS to 127.0.0.1:{server.port} failed: certificate verify failed: ")
            assert why in error.message
            assert not server.requests

    run(scenario())


def test_an_authority_that_is_not_named_is_not_believed(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    async def scenario() -> None:
        async with ScriptedServer([FINE], serving("here")) as server:
            assert "TLS to" in (await failing(HttpClient("test", {}), server.url)).message

    run(scenario())


def test_a_server_that_speaks_no_tls_is_told_apart(run: Any) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def scenario() -> None:
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        error = await failing(HttpClient("test", {}), f"https://127.0.0.1:{port}/")
        assert error.fault == "connect" and error.message.startswith(f"TLS to 127.0.0.1:{port} failed: ")
        server.close()
        await server.wait_closed()

    run(scenario())


def test_a_cancelled_call_over_tls_closes_its_connection_at_once(run: Any) -> None:
    async def scenario() -> None:
        async with ScriptedServer([sse_reply(b"data: 1\n\n", HANG)], serving("here")) as server:
            client = HttpClient("test", {})
            response = await client.post(server.url, {}, b"{}", connect_s=5)
            assert await response.read_chunk() == b"data: 1\n\n"
            response.close()
            async with asyncio.timeout(2):
                await server.client_left(0)
            await client.aclose()

    run(scenario())


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("server_tls", [False, True], ids=["http", "https"])
def test_a_call_through_a_proxy(run: Any, proxy_tls: bool, server_tls: bool) -> None:
    async def scenario() -> None:
        server_context = serving("here") if server_tls else None
        async with (
            ScriptedServer([FINE, sse_reply(b"data: 1\n\n")], server_context) as server,
            Proxy(server.port, serving("here") if proxy_tls else None) as proxy,
        ):
            address = f"http{'s' if proxy_tls else ''}://us%40er:pass@localhost:{proxy.port}"
            client = HttpClient("test", {"http": address, "https": address})
            target = f"http{'s' if server_tls else ''}://provider.test:8443/v1/x?y"
            for body in (b'{"a": 1}', b"data: 1\n\n"):
                response = await client.post(target, {}, b"{}", connect_s=5)
                assert (response.status, await response.read_whole()) == (200, body)
            assert server.connections == len(proxy.asked) == 1
            authorization = "\r\nproxy-authorization: Basic dXNAZXI6cGFzcw==\r\n"
            assert authorization in proxy.asked[0]
            if server_tls:
                assert proxy.asked[0].startswith("CONNECT provider.test:8443 HTTP/1.1\r\nhost: provider.test:8443\r\n")
                assert server.requests[0].path == "/v1/x?y" and "proxy-authorization" not in server.requests[0].headers
            else:
                assert proxy.asked[0].startswith("POST http://provider.test:8443/v1/x?y HTTP/1.1\r\nhost: provider.test:8443\r\n")
            await client.aclose()

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 3\r\n\r\nno!", "the proxy refused with status 407"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", "the proxy refused with status 502"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "the proxy did not answer in HTTP"),
        (b"HTTP/1.0 200 OK\r\n\r\nand more", "the proxy did not answer in HTTP"),
        (b"SSH-2.0\r\n\r\n", "the proxy did not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "the proxy did not answer in HTTP"),
        (b"", "the proxy closed the connection"),
    ],
)
def test_a_proxy_that_opens_no_tunnel(run: Any, answer: bytes, why: str) -> None:
    async def scenario() -> None:
        async with Proxy(1, None, answer) as proxy:
            client = HttpClient("test", {"https": f"localhost:{proxy.port}"})  # no scheme: http
            error = await failing(client, "https://provider.test/")
            assert (error.fault, error.message) == ("connect", f"cannot connect to provider.test: {why}")

    run(scenario())


def test_a_call_that_is_given_up_while_the_proxy_is_silent_leaves_it(run: Any) -> None:
    async def scenario() -> None:
        left = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            left.set()
            writer.close()

        proxy = await asyncio.start_server(silent, "127.0.0.1", 0)
        client = HttpClient("test", {"https": f"localhost:{proxy.sockets[0].getsockname()[1]}"})
        with pytest.raises(UpstreamError) as caught:
            await client.post("https://provider.test/", {}, b"{}", connect_s=0.2)
        assert caught.value.fault == "timeout"
        async with asyncio.timeout(2):
            await left.wait()
        await client.aclose()
        proxy.close()
        await proxy.wait_closed()

    run(scenario())


def test_bytes_that_come_with_the_handshake_are_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with ScriptedServer([FINE], serving("here")) as server, Proxy(server.port, None) as proxy:
            loop = asyncio.get_running_loop()
            start_tls = loop.start_tls

            async def started(transport: asyncio.WriteTransport, protocol: asyncio.Protocol, *how: Any, **more: Any) -> Any:
                secured = await start_tls(transport, protocol, *how, **more)
                protocol.data_received(b"HTTP/1.1 200 OK\r\n\r\n")
                return secured

            loop.start_tls = started  # type: ignore[method-assign, assignment]
            error = await failing(HttpClient("test", {"https": f"localhost:{proxy.port}"}), "https://provider.test/")
            assert (error.fault, error.is_retryable) == ("connect", True)

    asyncio.run(scenario())
    assert not caplog.records


def test_a_tunnel_that_nobody_waits_for_ends_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        Tunnel(asyncio.get_running_loop()).connection_lost(None)
        gc.collect()

    asyncio.run(scenario())
    assert not caplog.records


def test_a_proxy_that_is_none() -> None:
    async def scenario() -> None:
        for proxy in ("socks5://localhost:1", "http://"):
            error = await failing(HttpClient("test", {"https": proxy}), "https://provider.test/")
            assert error.fault == "connect" and "the proxy's address is not an http or https URL" in error.message

    asyncio.run(scenario())
