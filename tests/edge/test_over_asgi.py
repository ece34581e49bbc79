"""The same requests to the gateway on its own connections and as an ASGI application of uvicorn's: the same bytes come back."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
import uvicorn

from tests.live_gateway import LiveGateway
from tests.scenario.policies import two_models

SAID: Final = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
# What is different each time, wherever it stands.
DIFFERS: Final = [
    (rb"date: [^\r]+", b"date: D"),
    (rb"req_[0-9a-f]{32}", b"req_I"),
    (rb'"(id|item_id)":"[^"]+"', b'"id":"I"'),
    (rb'"(created|created_at|completed_at)":[0-9.]+', b'"created":0'),
    (rb"overhead-ms: [0-9.]+", b"overhead-ms: 0"),
]


class OverAsgi(LiveGateway):
    """Served by a server that knows nothing but ASGI."""

    def served_with(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.app, loop="uvloop", http="httptools", lifespan="on", server_header=False, access_log=False, log_config=None
        )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveGateway, LiveGateway]]:
    policy = two_models(["ok"]).replace("300ms", "20s").replace("total: 3s", "total: 30s")  # nothing is late here
    folder = tmp_path_factory.mktemp
    with LiveGateway(folder("own"), policy, body_bytes_max=5000) as own:
        with OverAsgi(folder("asgi"), policy, body_bytes_max=5000) as asgi:
            yield own, asgi


def post(path: str, body: bytes | dict[str, Any], *lines: str, method: str = "POST", version: str = "1.1") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/{version}", "host: localhost", f"content-length: {len(data)}", *lines, "", ""]
    return "\r\n".join(head).encode() + data


def heard(gateway: LiveGateway, *parts: bytes) -> bytes:
    """All that comes back until the server closes, without what differs each time. parts: not all sent at once."""
    address = httpx.URL(gateway.url)
    with socket.create_connection((address.host, address.port or 0), timeout=10) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for place, part in enumerate(parts):
            time.sleep(0.05 if place else 0)
            line.sendall(part)
        got = b"".join(iter(lambda: line.recv(65536), b""))
    for pattern, same in DIFFERS:
        got = re.sub(pattern, same, got)
    return without_cuts(got)


def without_cuts(got: bytes) -> bytes:
    """What was sent together depends on what came together: chunks are laid together."""
    return re.sub(rb"\n\r\n[0-9a-f]+\r\n", b"\n", re.sub(rb"\r\n\r\n[0-9a-f]+\r\n", b"\r\n\r\n", got))


CLOSE: Final = "connection: close"
CHAT: Final = "/v1/chat/completions"
MESSAGES: Final = {**SAID, "max_tokens": 100}


@pytest.mark.parametrize(
    "data",
    [
        post(CHAT, SAID, CLOSE),
        post(CHAT, {**SAID, "stream": True}, CLOSE),
        post(CHAT, {**SAID, "stream": True, "stream_options": {"include_usage": True}}, CLOSE),
        post("/v1/messages", MESSAGES, CLOSE),
        post("/v1/messages?beta=true", {**MESSAGES, "stream": True}, CLOSE, "anthropic-version: 2023-06-01"),
        post("/v1/responses", {"model": "auto", "input": "hello", "store": False}, CLOSE),
        post("/v1/completions", {"model": "auto", "prompt": "hello"}, CLOSE),
        post(CHAT, SAID, CLOSE, "x-request-id: mine"),
        post(CHAT, SAID, "connection: keep-alive") + post(CHAT, SAID, CLOSE),
        post(CHAT, SAID) + post("/health/live", b"", method="GET") + post(CHAT, SAID) + post("/none", SAID, CLOSE),
        post(CHAT, SAID, "expect: 100-continue", CLOSE),
        post(CHAT, SAID, version="1.0"),
        post(CHAT, b"{}", CLOSE),
        post(CHAT, b"", CLOSE),
        post(CHAT, b"x" * 6000, CLOSE),
        post(CHAT, SAID, CLOSE, "content-encoding: gzip"),
        post(CHAT, SAID, CLOSE, "origin: https://evil.example"),
        post("/v1/messages", b"{}", CLOSE),
        post("/v1/messages", SAID, CLOSE, "origin: https://evil.example"),
        post(CHAT, SAID, CLOSE, "anthropic-version: 2023-06-01", "origin: https://evil.example"),
        post(CHAT, SAID, CLOSE, "x-turnout-cache: sometimes"),
        post("/v1/messages", b"", CLOSE, method="GET"),
        post(CHAT, b"", CLOSE, method="DELETE"),
        post("/health/live", b"", CLOSE, method="HEAD"),
        post("/v1/models", b"", CLOSE, method="GET"),
        post("/v1/route", b"{}", CLOSE),
        post("/v1/route", b"x" * 6000, CLOSE),
        post("/v1/chat/completions/", SAID, CLOSE),
        post("/v1/%63hat/completions?x=1", SAID, CLOSE),
        b"GET /health/live HTTP/1.1\r\nno header\r\n\r\n",
        post(CHAT, SAID, "transfer-encoding: chunked"),
        b"\x00" * 100,
    ],
    ids=lambda data: data.split(b"\r\n")[0][:60].decode("ascii", "replace"),
)
def test_the_answer_is_the_same(pair: tuple[LiveGateway, LiveGateway], data: bytes) -> None:
    own, asgi = (heard(gateway, data) for gateway in pair)
    assert own.startswith(b"HTTP/1.1 ")
    assert own == asgi


@pytest.mark.parametrize(
    ("path", "fields", "line"),
    [(CHAT, SAID, "x-one: 1"), (CHAT, SAID, "x-request-id: mine"), ("/v1/messages", MESSAGES, "anthropic-version: 2023-06-01")],
)
def test_the_same_head_again_and_again_is_answered_the_same(
    pair: tuple[LiveGateway, LiveGateway], path: str, fields: dict[str, Any], line: str
) -> None:
    one, stream = post(path, fields, line), post(path, {**fields, "stream": True}, line)
    cut = len(one) - 20
    parts = [one, one, one[:cut], one[cut:], stream, b"\r\n", one, stream + one, one, post(path, b"{}", line), one]
    own, asgi = (heard(gateway, *parts, post(path, fields, CLOSE)) for gateway in pair)
    assert own.count(b"HTTP/1.1 200 OK") == 10 and own.count(b"HTTP/1.1 400 ") == 1
    assert own == asgi


def test_an_older_client_has_its_stream_without_chunks(pair: tuple[LiveGateway, LiveGateway]) -> None:
    own, _ = pair
    got = heard(own, post(CHAT, {**SAID, "stream": True}, version="1.0"))
    assert got.endswith(b"data: [DONE]\n\n") and b"transfer-encoding" not in got


@pytest.mark.parametrize("path", [CHAT, "/v1/route"])
def test_a_refusal_is_heard_by_who_is_still_sending(pair: tuple[LiveGateway, LiveGateway], path: str) -> None:
    own, _ = pair
    body = b"x" * 3_000_000
    for _ in range(5):  # without care the client would mostly be cut off
        got = heard(own, post(path, body, CLOSE, "origin: https://evil.example"))
        assert got.startswith(b"HTTP/1.1 403 Forbidden") and b'"not_local"' in got
