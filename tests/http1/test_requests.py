"""What goes out: the same requests as aiohttp's, byte for byte but for the order of the headers, and none that is two."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import UpstreamError
from gateway.http1.address import _known_address
from gateway.http1.failures import CallFailed
from gateway.http1.request import request_of
from gateway.providers.http import HttpClient

DEFAULTS = {"user-agent": "turnout", "accept-encoding": "identity"}
ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


class Listener:
    """Keeps what comes, and says no content."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    async def __aenter__(self) -> Listener:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.at = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came = await reader.readuntil(b"\r\n\r\n")
        if (at := came.lower().find(b"content-length: ")) >= 0:
            came += await reader.readexactly(int(came[at + 16 :].partition(b"\r\n")[0]))
        self.came.append(came)
        writer.write(ANSWER)
        writer.close()
        await writer.wait_closed()


def parts(came: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    head, _, body = came.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    pairs = (header.partition(b": ") for header in headers)
    return line, sorted((name.lower(), value) for name, _, value in pairs), body


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/v1/chat/completions", {"content-type": "application/json", "Authorization": "Bearer x"}, b'{"a": 1}'),
        ("POST", "", {"content-type": "application/json"}, b"{}"),
        ("POST", "/", {"content-type": "application/json", "X-Name": "Jäger 😀"}, b"{}"),
        ("POST", "/a b/ü?q=1&r=ä", {"content-type": "application/json"}, b"{}"),
        ("POST", "/a%20b/%C3%BC?q=%20&r=a+b&s", {"content-type": "application/json"}, b"{}"),
        ("POST", "/a?q=a/b?c:d@e", {"content-type": "application/json"}, b"{}"),
        ("POST", "/a#b", {"content-type": "application/json"}, b"{}"),
        ("POST", "/a", {"User-Agent": "mine", "Accept": "text/event-stream", "Content-Type": "application/json"}, b"{}"),
        ("POST", "/a", {"host": "other.test", "content-type": "application/json"}, b"{}"),
        ("POST", "/a", {"x-empty": "", "content-type": "application/json"}, b"{}"),
        ("POST", "/a", {"content-type": "application/json"}, b""),
        ("PUT", "/a", {"content-type": "application/json"}, b"x" * 300_000),
        ("PATCH", "/a", {"content-type": "application/json"}, b""),
        ("GET", "/a?b=c", {"x-a": "b"}, b""),
        ("DELETE", "/a", {}, b""),
        ("HEAD", "/a", {}, b""),
    ],
)
def test_a_request_is_what_aiohttp_sends(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    async def scenario() -> list[bytes]:
        async with Listener() as server, contextlib.AsyncExitStack() as stack:
            client = HttpClient("turnout", {})
            stack.push_async_callback(client.aclose)
            response = await client.send(method, f"http://{server.at}{path}", headers, body, connect_s=5)
            assert (response.status, await response.read_whole()) == (204, b"")
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=DEFAULTS))
            async with session.request(method, f"http://{server.at}{path}", headers=headers, data=body or None):
                pass
            return server.came

    mine, theirs = asyncio.run(scenario())
    assert parts(mine) == parts(theirs)


def test_credentials_in_a_url_become_a_header_as_with_aiohttp() -> None:
    async def scenario() -> list[bytes]:
        async with Listener() as server, aiohttp.ClientSession(headers=DEFAULTS) as session:
            client, url = HttpClient("turnout", {}), f"http://us%40er:p%3Aass@{server.at}/a"
            (await client.send("GET", url, {}, b"", connect_s=5)).close()
            async with session.get(url):
                pass
            await client.aclose()
            return server.came

    mine, theirs = asyncio.run(scenario())
    assert parts(mine) == parts(theirs)
    assert b"us%40er" not in mine


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text("POST \r\n\x00é", max_size=6))
def test_whatever_is_asked_is_one_request_or_none(path: str, name: str, value: str, method: str) -> None:
    try:
        request = request_of(method, f"http://provider.test/{path}", {name: value}, None)
    except CallFailed:
        return
    lines = request.head.split(b"\r\n")
    assert len(lines) == 3 + (name.lower() not in ("host", "content-length", "transfer-encoding"))
    line = lines[0].split(b" ")
    assert len(line) == 3 and line[1].isascii() and b"\n" not in request.head.replace(b"\r\n", b"")
    assert b"\r" not in request.head.replace(b"\r\n", b"") and b"\x00" not in request.head


@pytest.mark.parametrize("name", ["a b", "", "a:", "ä", "a\r\nb", "a\x00", "(a)"])
def test_a_name_that_is_no_name_is_not_sent(name: str) -> None:
    with pytest.raises(CallFailed, match="is no header name"):
        request_of("POST", "http://provider.test/", {name: "value"}, None)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\x00b", "\ud800"])
def test_a_value_that_is_more_than_a_value_is_not_sent_nor_told(value: str) -> None:
    with pytest.raises(CallFailed, match="the value of header 'authorization'") as caught:
        request_of("POST", "http://provider.test/", {"authorization": value}, None)
    assert value not in str(caught.value)


def test_framing_is_ours_to_say() -> None:
    request = request_of("POST", "http://provider.test/", {"Content-Length": "99", "transfer-encoding": "chunked"}, None)
    assert request.headed(5) == b"POST / HTTP/1.1\r\nhost: provider.test\r\ncontent-length: 5\r\n\r\n"


def test_of_two_names_that_differ_in_case_the_last_counts() -> None:
    request = request_of("POST", "http://provider.test/", {"User-Agent": "a", "user-agent": "b"}, None)
    assert request.head.endswith(b"\r\nuser-agent: b\r\n") and b": a" not in request.head


@pytest.mark.parametrize(
    "url",
    [
        "", "/v1", "provider.test", "ftp://provider.test", "http://", "http:///a", "http://a b/", "http://a\r\nb/", "http://a/\nb",
        "http://a/\x00", "http://[::1", "http://[zz]/", "http://a:b/", "http://a:99999/", "http://a:0/", "http://a:-1/", "file:///a",
        "http://" + "ä" * 100 + "/", "http://./",
    ],
)  # fmt: skip
def test_what_is_no_address_is_not_called(url: str) -> None:
    async def scenario() -> UpstreamError:
        client = HttpClient("turnout", {"http": "http://proxy.test", "https": "http://proxy.test"})
        with pytest.raises(UpstreamError) as caught:
            await client.post(url, {}, b"", connect_s=1)
        await client.aclose()
        return caught.value

    error = asyncio.run(scenario())
    assert (error.fault, error.is_retryable) == ("connect", True)
    assert "is not an address" in error.message


@pytest.mark.parametrize(
    "url", ["provider.test/services/SECRET", "https:///SECRET", "https://[::1/SECRET?key=SECRET", "u:SECRET@a"]
)
def test_what_is_no_address_is_not_told_as_it_may_be_a_secret(url: str) -> None:
    async def scenario() -> str:
        with pytest.raises(UpstreamError) as caught:
            await HttpClient("turnout", {}).post(url, {}, b"", connect_s=1)
        return caught.value.message

    assert "SECRET" not in asyncio.run(scenario())


def test_long_urls_are_not_kept_in_memory() -> None:
    before = _known_address.cache_info().currsize
    for at in range(3):
        request_of("GET", f"http://provider.test/?{at}{'a' * 2000}", {}, None)
    assert _known_address.cache_info().currsize == before
    request_of("GET", "http://provider.test/?short", {}, None)
    assert _known_address.cache_info().currsize == before + 1


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://provider.test", b"provider.test"),
        ("http://provider.test:80/", b"provider.test"),
        ("https://provider.test:443/", b"provider.test"),
        ("https://provider.test:80/", b"provider.test:80"),
        ("http://PROVIDER.test:8080/", b"provider.test:8080"),
        ("http://[::1]:8080/", b"[::1]:8080"),
        ("http://[::1]/", b"[::1]"),
        ("http://bücher.test/", b"xn--bcher-kva.test"),
        ("http://faß.test/", b"xn--fa-hia.test"),  # and not fass.test, which is another's
        ("http://provider.test.:8080/", b"provider.test:8080"),
        ("http://under_score.test/", b"under_score.test"),
        ("http://user:secret@provider.test/", b"provider.test"),
    ],
)
def test_the_host_header_is_the_addresss_authority(url: str, host: bytes) -> None:
    assert b"\r\nhost: %b\r\n" % host in request_of("GET", url, {}, None).head
    assert host == yarl.URL(url).host_port_subcomponent.encode()  # type: ignore[union-attr]


def test_two_sets_of_credentials_are_not_sent() -> None:
    with pytest.raises(CallFailed, match="both the URL and a header"):
        request_of("GET", "http://a:b@provider.test/", {"Authorization": "Bearer x"}, None)
