"""Requests that are wrong below HTTP's surface: cut, without an end, compressed, with lengths that lie. None of them hangs."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.bad_input.conftest import World
from tests.bad_input.endpoints import CHAT, ENDPOINTS, FEEDBACK, Endpoint
from tests.live_gateway import LiveGateway

EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
BODY: Final = json.dumps(CHAT.body).encode()
ANSWERS_S: Final = 20.0


@EACH
@pytest.mark.parametrize(
    ("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", lambda body: b"\x8b" + body)]
)
def test_a_compressed_body_is_refused_by_its_header(here: World, endpoint: Endpoint, coding: str, pack: object) -> None:
    assert callable(pack)
    response = endpoint.post(here.gateway.http, pack(json.dumps(endpoint.body).encode()), {"content-encoding": coding})
    assert response.status_code == 415
    assert endpoint.error(response)["code"] == "unsupported_encoding"
    assert coding in endpoint.error(response)["message"]


@EACH
def test_a_body_in_many_chunks_is_read_as_one(here: World, endpoint: Endpoint) -> None:
    filled = next(iter(endpoint.texts.values()))
    body = json.dumps(filled("grüß 日本 😀"), ensure_ascii=False).encode()
    chunks = (body[place : place + 1] for place in range(len(body)))
    response = here.gateway.http.post(endpoint.path, content=chunks, headers=endpoint.headers)
    assert response.status_code == (404 if endpoint is FEEDBACK else 200), response.text[:300]


def sent(gateway: LiveGateway, data: bytes, *, ends: bool) -> bytes:
    """What comes back for these bytes, read until the gateway closes, or has answered. ends: the client closes its side."""
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=ANSWERS_S) as connection:
        connection.sendall(data)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        got = b""
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                break
            got += more
        return got


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: localhost", *lines, "", ""]).encode()


@EACH
@pytest.mark.parametrize(
    ("name", "lines", "data"),
    [
        ("no length and no body", [], b""),
        ("a length of nothing", ["content-length: 0"], b""),
        ("an empty chunked body", ["transfer-encoding: chunked"], b"0\r\n\r\n"),
        ("a chunk of nonsense", ["transfer-encoding: chunked"], b"zz\r\nhello\r\n0\r\n\r\n"),
        ("a chunk longer than it says", ["transfer-encoding: chunked"], b"2\r\nhello\r\n0\r\n\r\n"),
        ("a length that is none", ["content-length: many"], BODY),
        ("a negative length", ["content-length: -1"], BODY),
        ("two lengths", ["content-length: 5", "content-length: 6"], b"hello!"),
        ("a length and chunks", ["content-length: 5", "transfer-encoding: chunked"], b"0\r\n\r\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_body_that_is_framed_wrongly_is_a_400(
    here: World, endpoint: Endpoint, name: str, lines: list[str], data: bytes
) -> None:
    got = sent(here.gateway, head(endpoint.path, *lines) + data, ends=False)
    assert got.startswith((b"HTTP/1.1 400", b"HTTP/1.1 411")), got[:300]


@pytest.mark.parametrize(
    ("lines", "data"),
    [
        ([f"content-length: {len(BODY) + 10}"], BODY),
        (["transfer-encoding: chunked"], b"%x\r\n%s\r\n" % (len(BODY), BODY)),
        (["transfer-encoding: chunked"], b"%x\r\n%s" % (len(BODY) + 10, BODY)),
        (["transfer-encoding: chunked"], b"%x" % len(BODY)),
    ],
)
def test_a_body_without_its_end_asks_for_nothing_once_the_client_is_gone(here: World, lines: list[str], data: bytes) -> None:
    before = len(here.provider.server.requests)
    address = urlsplit(here.gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=ANSWERS_S) as connection:
        connection.sendall(head(CHAT.path, *lines) + data)
        time.sleep(0.1)
    assert here.gateway.http.get("/health/live").status_code == 200
    assert len(here.provider.server.requests) == before


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS greeting
        b"GET\r\n\r\n",
        b"POST /v1/chat/completions HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx\x00y: 1\r\n\r\n",
        b"\x00" * 1000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(here: World, data: bytes) -> None:
    got = sent(here.gateway, data, ends=True)
    assert got == b"" or got.startswith(b"HTTP/1.1 4"), got[:300]


def test_headers_without_an_end_are_bounded(here: World) -> None:
    data = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n" + b"".join(b"x-%d: %s\r\n" % (n, b"v" * 1000) for n in range(200))
    address = urlsplit(here.gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=ANSWERS_S) as connection:
        connection.sendall(data)
    assert here.gateway.http.get("/health/live").status_code == 200
