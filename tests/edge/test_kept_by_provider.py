"""What a provider keeps, through whole gateways: passed on as it was asked, to those alone to whom the account is open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.edge.asgi import Scope
from gateway.edge.auth import Entrance, Operator
from gateway.keys.directory import Directory
from tests.keys.making import bearer, make
from tests.live_gateway import LiveGateway
from tests.scenario.upstream import Upstream
from tests.scripted_server import CUT, HANG, Reply, Request, json_reply, sse_reply

KEY = "sk-of-the-gateway-0123456789"
ADMIN_KEY = "of-the-operator"
LIST = {"object": "list", "data": [], "has_more": False}
ROUTES = [
    ("GET", "/v1/chat/completions"),
    ("GET", "/v1/chat/completions/chatcmpl_1"),
    ("POST", "/v1/chat/completions/chatcmpl_1"),
    ("DELETE", "/v1/chat/completions/chatcmpl_1"),
    ("GET", "/v1/chat/completions/chatcmpl_1/messages"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("GET", "/v1/responses/resp_1/input_items"),
    ("POST", "/v1/responses/resp_1/cancel"),
]


def policy(*urls: str, dialects: Sequence[str] = ("chat", "responses")) -> str:
    """The providers p0, p1, …; p0 is asked by the only model. One without credentials and one that plays stand before them."""
    providers = "\n".join(
        f'  p{n}: {{kind: openai, base_url: "{url}/v1", api_key: {KEY}, dialects: [{", ".join(dialects)}]}}'
        for n, url in enumerate(urls)
    )
    return f"""
version: 1
providers:
  played: {{kind: fake, words: 6}}
  poor: {{kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: "${{NOT_THERE_AT_ALL}}", dialects: [chat, responses]}}
{providers}
models: {{m: {{provider: p0, id: m-1, price: {{input: 1, output: 2}}}}}}
routes: [{{name: all, model: m}}]
"""


class Provider:
    """Answers with `reply`, and notes what it was asked."""

    def __init__(self) -> None:
        self.reply: Reply = json_reply(LIST)
        self.upstream = Upstream.of(lambda request: self.reply)

    def forget(self) -> None:
        self.reply = json_reply(LIST)
        self.asked.clear()

    @property
    def asked(self) -> list[Request]:
        return self.upstream.server.requests


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Provider, LiveGateway]]:
    one = Provider()
    with one.upstream, LiveGateway(tmp_path_factory.mktemp("kept"), policy(one.upstream.url), body_bytes_max=1000) as gateway:
        yield one, gateway


@pytest.fixture
def provider(world: tuple[Provider, LiveGateway]) -> Provider:
    """Of all tests; it has been asked nothing yet."""
    world[0].forget()
    return world[0]


@pytest.fixture
def gateway(world: tuple[Provider, LiveGateway]) -> LiveGateway:
    """Without keys."""
    return world[1]


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: str(value))
def test_without_keys_everybody_is_passed_on(provider: Provider, gateway: LiveGateway, method: str, path: str) -> None:
    provider.reply = json_reply(b'{ "id":"as it is",  "n":1.0}', status=201)
    body = b'{ "metadata": {"a":"b"} }' if method == "POST" else b""
    query = "limit=2&metadata[a]=b%26c&after=x+y"
    response = gateway.http.request(method, f"{path}?{query}", content=body, headers={"authorization": "Bearer of-the-caller"})
    assert (response.status_code, response.content) == (201, b'{ "id":"as it is",  "n":1.0}')
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    [asked] = provider.asked
    assert (asked.method, asked.path.split("?")[0], asked.body) == (method, path, body)
    assert httpx.QueryParams(asked.path.split("?")[1]) == httpx.QueryParams(query)
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert "of-the-caller" not in str(asked.headers)


def test_a_virtual_key_reaches_nothing_and_the_operator_all(provider: Provider, tmp_path: Path) -> None:
    _, secret = make(tmp_path)
    with LiveGateway(tmp_path, policy(provider.upstream.url), admin_key=ADMIN_KEY) as gateway:
        for method, path in ROUTES:
            for more in ({}, {"x-turnout-provider": "p0"}, {"x-turnout-provider": "nobody"}):
                refused = gateway.http.request(method, path, headers=bearer(secret, **more))
                assert refused.status_code == 404, (method, path)
                assert refused.json()["error"]["code"] in ("not_found", "response_not_found")
                assert "p0" not in refused.text
            assert gateway.http.request(method, path).status_code == 401, (method, path)
            assert gateway.http.request(method, path, headers=bearer("turnout_no_such_key")).status_code == 401
            assert provider.asked == [], (method, path)
        for method, path in ROUTES:
            assert gateway.http.request(method, path, headers=bearer(ADMIN_KEY)).json() == LIST
        assert [(request.method, request.path) for request in provider.asked] == ROUTES


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("a%3Fstream=true", "/v1/responses/a%3Fstream=true"),
        ("a%23b", "/v1/responses/a%23b"),
        ("a%2520b", "/v1/responses/a%2520b"),
        ("%252e%252e", "/v1/responses/%252e%252e"),
        ("a%0d%0ax-evil:%201", "/v1/responses/a%0D%0Ax-evil:%201"),
        ("%C3%A9", "/v1/responses/%C3%A9"),
        ("a;b&c", "/v1/responses/a;b&c"),
        ("..%5C..%5Cfiles", "/v1/responses/..%5C..%5Cfiles"),
        (".", None),
        ("..", None),
        ("%2e%2e", None),
        ("...", None),
        ("..%2Ffiles", None),
        ("..%2F..%2Ffiles", None),
        ("a%2F..%2F..%2Ffiles", None),
        ("x" * 300, None),
        ("resp_turnout_0123456789", None),
    ],
)
def test_an_id_leads_nowhere_else(provider: Provider, gateway: LiveGateway, said: str, asked: str | None) -> None:
    # Past the client, which would make something else of it.
    address = httpx.URL(gateway.url)
    assert address.host and address.port
    with socket.create_connection((address.host, address.port), timeout=10) as line:
        line.sendall(f"GET /v1/responses/{said} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    status = int(answer.split(b" ")[1])
    if asked is None:
        assert (status, provider.asked) == (404, [])
    else:
        assert status == 200
        assert [httpx.URL(request.path).raw_path for request in provider.asked] == [httpx.URL(asked).raw_path]


def test_a_query_holds_nothing_but_a_query(provider: Provider, gateway: LiveGateway) -> None:
    gateway.http.get("/v1/responses/resp_1?include[]=a%0d%0ab%23c&after=%C3%A9")
    [asked] = provider.asked
    path, _, query = asked.path.partition("?")
    assert path == "/v1/responses/resp_1"
    assert httpx.QueryParams(query) == httpx.QueryParams({"include[]": "a\r\nb#c", "after": "é"})


def test_the_first_provider_is_asked_unless_another_is_named(tmp_path: Path) -> None:
    one, two = Provider(), Provider()
    with one.upstream, two.upstream, LiveGateway(tmp_path, policy(one.upstream.url, two.upstream.url)) as gateway:
        gateway.http.get("/v1/responses/resp_1")
        assert (len(one.asked), len(two.asked)) == (1, 0)
        gateway.http.get("/v1/responses/resp_1", headers={"x-turnout-provider": "p1"})
        assert (len(one.asked), len(two.asked)) == (1, 1)
        for name in ("poor", "played", "nobody"):
            refused = gateway.http.get("/v1/responses/resp_1", headers={"x-turnout-provider": name})
            error = refused.json()["error"]
            assert (refused.status_code, error["code"], error["param"]) == (404, "provider_not_found", "x-turnout-provider")
            assert f"'{name}'" in error["message"] and "known: p0, p1" in error["message"]


def test_a_provider_is_not_asked_in_a_dialect_that_it_does_not_speak(provider: Provider, tmp_path: Path) -> None:
    with LiveGateway(tmp_path, policy(provider.upstream.url, dialects=["chat"])) as gateway:
        assert gateway.http.get("/v1/responses/resp_1").json()["error"]["code"] == "response_not_found"
        assert gateway.http.get("/v1/chat/completions/resp_1").status_code == 200
    assert [request.path for request in provider.asked] == ["/v1/chat/completions/resp_1"]


@pytest.mark.parametrize(
    ("reply", "status", "code"),
    [
        (json_reply({"error": {"message": "no such", "code": "gone"}}, status=404), 404, "gone"),
        (json_reply({"error": {"message": "bad", "param": "after"}}, status=400), 400, "invalid_request"),
        (json_reply({"error": {"message": f"wrong key {KEY}", "code": "invalid_api_key"}}, status=401), 502, "upstream_status"),
        (json_reply({"error": {"message": f"key {KEY[:12]}…"}}, status=500), 502, "upstream_status"),
        (json_reply({"error": {"message": "slow"}}, status=429, headers={"retry-after": "7"}), 429, "rate_limit_exceeded"),
        (Reply([b"<html>"], headers={"content-type": "text/html"}), 502, "upstream_malformed"),
        (Reply([b'{"id'], status=302, headers={"location": "http://127.0.0.1:9/"}), 502, "upstream_status"),
        (Reply([b'{"id', CUT], headers={"content-type": "application/json"}), 502, "upstream_cut"),
        (Reply([CUT], status=None), 502, "upstream_connect"),
    ],
)
def test_an_error_has_our_shape_and_no_secret(
    provider: Provider, gateway: LiveGateway, reply: Reply, status: int, code: str
) -> None:
    provider.reply = reply
    response = gateway.http.get("/v1/responses/resp_1")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert {"message", "type", "param", "code"} <= set(error)
    assert KEY[:12] not in response.text
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)


def test_a_stream_is_passed_on_event_by_event(provider: Provider, gateway: LiveGateway) -> None:
    events = [b'event: response.created\ndata: {"n": 1}\n\n', b": still there\n\n", b'data: {"n": 2}\r\n\r\n', b"data: unended"]
    provider.reply = sse_reply(*events)
    response = gateway.http.get("/v1/responses/resp_1?stream=true&starting_after=1")
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.content == b"".join(events)
    assert provider.asked[0].path.endswith("?stream=true&starting_after=1")


def test_a_stream_that_breaks_off_says_so(provider: Provider, gateway: LiveGateway) -> None:
    provider.reply = sse_reply(b'data: {"n": 1}\n\n', b'data: {"n"', 0.1, CUT)
    response = gateway.http.get("/v1/responses/resp_1?stream=true")
    whole, _, last = response.text.partition("event: error\n")
    assert whole == 'data: {"n": 1}\n\n'
    said: dict[str, Any] = httpx.Response(200, text=last.removeprefix("data: ")).json()
    assert (said["type"], said["code"]) == ("error", "upstream_cut")
    assert said["error"]["message"] == said["message"] and "broke off" in said["message"]


@pytest.mark.parametrize("reply", [sse_reply(b"data: 1\n\n", HANG), Reply([HANG], headers={"content-type": "application/json"})])
def test_a_caller_who_leaves_leaves_the_provider(provider: Provider, tmp_path: Path, reply: Reply) -> None:
    provider.reply = reply
    with LiveGateway(tmp_path, policy(provider.upstream.url)) as gateway:
        address = httpx.URL(gateway.url)
        assert address.host and address.port
        line = socket.create_connection((address.host, address.port), timeout=10)
        line.sendall(b"GET /v1/responses/resp_1?stream=true HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        asked = threading.Event()
        while not provider.asked:
            asked.wait(0.01)
        line.close()
        provider.upstream.client_left(-1)


def test_a_body_that_is_too_large_is_not_passed_on(provider: Provider, gateway: LiveGateway) -> None:
    response = gateway.http.post("/v1/chat/completions/chatcmpl_1", content=b"x" * 1001)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")
    assert provider.asked == []


def test_an_answer_that_does_not_come_is_not_waited_for(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.edge.kept_by_provider.ANSWER_S", 0.3)
    provider.reply = Reply([b"{", HANG], headers={"content-type": "application/json"})
    with LiveGateway(tmp_path, policy(provider.upstream.url)) as gateway:
        response = gateway.http.get("/v1/responses/resp_1")
        assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
        provider.upstream.client_left(-1)


def test_nothing_is_booked(provider: Provider, gateway: LiveGateway) -> None:
    response = gateway.http.get("/v1/responses/resp_1")
    assert gateway.http.get(f"/v1/requests/{response.headers['x-request-id']}").status_code == 404
    assert "x-turnout-cost-usd" not in response.headers


def test_whom_insecure_lets_in_besides_sees_nothing_of_the_account(provider: Provider, tmp_path: Path) -> None:
    """From this machine they are told by what a browser, or a proxy in front, says of them."""
    elsewhere = [{"host": "gateway.example"}, {"origin": "https://page.example"}, {"x-forwarded-for": "203.0.113.7"}]
    with LiveGateway(tmp_path, policy(provider.upstream.url), admin_key=ADMIN_KEY, is_insecure=True) as gateway:
        for method, path in ROUTES:
            for headers in elsewhere:
                assert gateway.http.request(method, path, headers=headers).status_code == 404, (method, path, headers)
        assert provider.asked == []
        for method, path in ROUTES:
            assert gateway.http.request(method, path).json() == LIST
            assert gateway.http.request(method, path, headers=bearer(ADMIN_KEY, **elsewhere[0])).json() == LIST


@pytest.mark.parametrize(
    ("client", "is_open"), [(("127.0.0.1", 1), True), (("::1", 1), True), (("203.0.113.7", 1), False), (None, False)]
)
def test_an_account_is_open_to_connections_from_this_machine(client: tuple[str, int] | None, *, is_open: bool) -> None:
    entrance = Entrance(Directory(), Operator(ADMIN_KEY), is_insecure=True)
    scope: Scope = {"type": "http", "path": "/v1/responses/r", "headers": [(b"host", b"localhost")], "client": client}
    entrance.admit(scope, dict(scope["headers"]))
    assert entrance.opens_accounts(scope) == is_open
    scope["headers"].append((b"x-api-key", ADMIN_KEY.encode()))
    assert entrance.opens_accounts(scope)
