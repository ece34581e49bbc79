"""A client's connection: requests however they are cut, answered in order and in the form that they ask for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.edge.asgi import Receive, Scope, Send, respond
from gateway.edge.http_exchange import HttpExchange
from gateway.reply import Sink
from tests.edge.stage import CLOSING, DATE, Asked, Client, Stage, chunked, request, settled
from tests.virtual_time import run


def talk(*parts: bytes, stage: Stage | None = None) -> Client:
    """What a client gets for these parts, each of which comes on its own."""

    async def scenario() -> Client:
        client = (stage or Stage()).client()
        await client.sends(*parts)
        await settled()
        return client

    return run(scenario())


def bodies(client: Client) -> list[bytes]:
    assert all(answer.is_whole for answer in client.answers)
    return [answer.body for answer in client.answers]


WHOLE = b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: application/json\r\ncontent-length: 5\r\nx-length: 5\r\n\r\nhello" % DATE
STREAMED = (
    b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-route: all\r\ntransfer-encoding: chunked\r\n\r\n"
    b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n" % DATE
)


def test_a_whole_answer_to_the_byte() -> None:
    assert talk(request("/hot", b"hello")).sent == WHOLE


def test_a_stream_to_the_byte() -> None:
    assert talk(request("/hot", b"stream")).sent == STREAMED


@pytest.mark.parametrize("path", ["/hot", "/other"])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_it_does_not_matter_where_a_request_is_cut(path: str, *, is_chunked: bool) -> None:
    body = b"hello there"
    data = chunked(path, body[:1], body[1:]) if is_chunked else request(path, body)
    whole = talk(data).sent
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n") and whole.endswith(body)
    for place in range(1, len(data)):
        assert talk(data[:place], data[place:]).sent == whole, data[:place]
    assert talk(*(data[place : place + 1] for place in range(len(data)))).sent == whole


def test_requests_that_come_together_are_answered_in_order() -> None:
    async def slow_first(asked: Asked, sink: Sink) -> None:
        await asyncio.sleep(10 if asked.body == b"0" else 0)
        await sink.whole(asked.body, [])

    async def scenario() -> None:
        client = Stage(slow_first).client()
        paths = ["/hot", "/hot", "/a", "/hot", "/b", "/c"]
        await client.sends(b"".join(request(path, b"%d" % n) for n, path in enumerate(paths)))
        assert (client.sent, client.is_read) == (b"", False)
        await asyncio.sleep(11)
        assert bodies(client) == [b"0", b"1", b"POST /a 2", b"3", b"POST /b 4", b"POST /c 5"]
        assert client.is_read
        await client.sends(request("/hot", b"6"))
        assert bodies(client)[-1] == b"6"

    run(scenario())


@pytest.mark.parametrize("paths", [("/hot", "/a"), ("/a", "/hot"), ("/hot", "/hot")])
def test_it_does_not_matter_where_pipelined_requests_are_cut(paths: tuple[str, str]) -> None:
    data = request(paths[0], b"one") + request(paths[1], b"two")
    whole = talk(data).sent
    assert whole.count(b"HTTP/1.1 200 OK") == 2
    for place in range(1, len(data)):
        assert talk(data[:place], data[place:]).sent == whole, data[:place]


def test_very_many_refusals_in_a_row() -> None:
    stage = Stage()

    async def scenario() -> None:
        client = stage.client()
        await client.sends(request("/hot", b"", "x-api-key: wrong") * 3000)
        async with asyncio.timeout(60):
            while client.sent.count(b"HTTP/1.1 401") < 3000:
                await settled()
        assert {answer.status for answer in client.answers} == {401}

    run(scenario())
    assert stage.asked == []


def test_who_speaks_the_older_http_is_not_sent_chunks() -> None:
    client = talk(request("/hot", b"stream", version="1.0"))
    head, _, body = client.sent.partition(b"\r\n\r\n")
    assert b"connection: close" in head and b"transfer-encoding" not in head
    assert body == b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
    assert client.is_closing()


@pytest.mark.parametrize("path", ["/hot", "/other"])
def test_who_wants_the_connection_to_end_is_heeded(path: str) -> None:
    client = talk(request(path, b"hello", "Connection: close"))
    assert client.answers[0].headers["connection"] == "close" and client.answers[0].body.endswith(b"hello")
    assert client.is_closing()


@pytest.mark.parametrize("path", ["/hot", "/other"])
def test_who_expects_a_word_before_sending_gets_it(path: str) -> None:
    head, _, _ = request(path, b"hello", "Expect: 100-continue").partition(b"hello")
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"

    async def scenario() -> None:
        client = Stage().client()
        await client.sends(head)
        assert client.sent == interim
        await client.sends(b"hello")
        assert client.sent.startswith(interim + b"HTTP/1.1 200 OK") and client.sent.endswith(b"hello")

    run(scenario())


def test_who_is_refused_is_not_asked_for_the_body() -> None:
    client = talk(request("/hot", b"hello", "Expect: 100-continue", "x-api-key: wrong").removesuffix(b"hello"))
    assert client.sent.startswith(b"HTTP/1.1 401 Unauthorized\r\n")


@pytest.mark.parametrize("path", ["/hot", "/a"])
def test_an_answer_to_who_was_not_told_to_send_the_body_is_the_last(path: str) -> None:
    """What comes next would be taken for the body, whether or not the client sends one."""
    stage = Stage(app=lambda scope, receive, send: respond(send, 401, b"{}", []))
    head, _, _ = request(path, b"hello", "Expect: 100-continue", "x-api-key: wrong").partition(b"hello")
    client = talk(head, request("/hot", b"hello"), stage=stage)
    assert [(answer.status, answer.headers["connection"]) for answer in client.answers] == [(401, "close")]
    assert client.is_closing() and stage.asked == []


def test_who_did_not_wait_for_a_word_may_go_on() -> None:
    refused = request("/hot", b"hello", "Expect: 100-continue", "x-api-key: wrong")
    assert [answer.status for answer in talk(refused, request("/hot")).answers] == [401, 200]


@pytest.mark.parametrize("path", ["/hot", "/a"])
def test_an_older_client_is_sent_no_interim_answer(path: str) -> None:
    client = talk(request(path, b"hello", "Expect: 100-continue", version="1.0"))
    assert client.sent.startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_proposes_another_protocol_is_answered_in_this_one() -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    data = request("/hot", b"one", *upgrade) + request("/hot", b"two", *upgrade) + request("/a", b"three", *upgrade)
    assert bodies(talk(data)) == [b"one", b"two", b"POST /a three"]
    assert bodies(talk(*(data[place : place + 1] for place in range(len(data))))) == [b"one", b"two", b"POST /a three"]


def test_nobody_gets_a_tunnel() -> None:
    client = talk(b"CONNECT example.org:443 HTTP/1.1\r\nhost: example.org\r\n\r\n")
    assert (client.answers[0].status, client.is_closing()) == (400, True)


def test_a_path_and_a_query_are_read_as_they_are_meant() -> None:
    stage = Stage()
    paths = ["/hot?a=b%20c", "/%68ot", "http://here/hot?", "/a%20b?x"]
    client = talk(b"".join(request(path, b"1") for path in paths), stage=stage)
    assert [asked.query for asked in stage.asked] == [b"a=b%20c", b"", b""]
    assert bodies(client) == [b"1", b"1", b"1", b"POST /a b 1"]


@pytest.mark.parametrize("target", ["hot", "http://here?a", "http:///hot", "/h ot", "/\xff"])
def test_a_target_that_is_none_is_a_400(target: str) -> None:
    data = request("/").replace(b"/", target.encode("latin-1"), 1)
    assert [answer.status for answer in talk(data, request("/hot")).answers] == [400]


@pytest.mark.parametrize("path", ["/hot", "/other"])
def test_what_follows_the_last_request_is_none(path: str) -> None:
    stage = Stage()
    client = talk(request(path, b"1", "Connection: close") + request("/hot", b"2") + b"\0garbage", stage=stage)
    assert [answer.body[-1:] for answer in client.answers] == [b"1"]
    assert b"2" not in [asked.body for asked in stage.asked]


def test_what_follows_a_body_in_chunks_is_no_header() -> None:
    told: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.append(b"x-api-key" in dict(scope["headers"]))
        await respond(send, 200, b"{}", [])

    stage = Stage(app=app)
    trailer = b"x-api-key: wrong\r\n"
    talk(b"".join([chunked(path, b"1", trailer=trailer) + request(path, b"2") for path in ("/hot", "/a")]), stage=stage)
    assert [b"x-api-key" in asked.headers for asked in stage.asked] == told == [False, False]


@pytest.mark.parametrize(
    ("value", "plain"),
    [("a\r\nx-evil: 1\r\n\r\n", "a??x-evil: 1????"), ("a\nx-evil: 1", "a?x-evil: 1"), ("a\tb\x7f", "a?b?"), ("größe", "gr??e")],
)
def test_a_header_cannot_bring_another(value: str, plain: str) -> None:
    async def evil(asked: Asked, sink: Sink) -> None:
        await sink.whole(b"{}", [("x-why", value), ("x-route", "all")])

    answer = talk(request("/hot"), stage=Stage(evil)).answers[0]
    assert answer.headers["x-why"] == plain and answer.headers["x-route"] == "all"
    assert "x-evil" not in answer.headers


def test_a_large_answer_is_whole() -> None:
    async def large(asked: Asked, sink: Sink) -> None:
        await sink.whole(b"x" * 1_000_000, [])

    assert bodies(talk(request("/hot"), stage=Stage(large))) == [b"x" * 1_000_000]


def test_a_mistake_behind_the_hot_route_is_a_500_and_the_connection_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def wrong(asked: Asked, sink: Sink) -> None:
        raise KeyError("a mistake of ours")

    client = talk(request("/hot"), request("/a"), stage=Stage(wrong))
    assert [answer.status for answer in client.answers] == [500, 200]
    assert "a mistake of ours" in caplog.text


def test_a_mistake_at_the_entrance_is_a_500_and_the_connection_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(Stage):
        def admit(self, exchange: HttpExchange) -> None:
            super().admit(exchange)
            if b"x-wrong" in exchange.headers:
                raise KeyError("a mistake of ours")

    wrong = request("/hot", b"", "x-wrong: 1")
    client = talk(wrong + wrong + request("/hot"), wrong, stage=Wrong())
    assert [answer.status for answer in client.answers] == [500, 500, 200, 500]
    assert "a mistake of ours" in caplog.text and "req_1" in caplog.text


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([], 500),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\nb")]}], 500),
        ([{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]}], 200),
        ([{"type": "http.response.start", "status": 200}, {"type": "http.response.body", "body": b"x", "more_body": True}], 200),
        (
            [
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]},
                {"type": "http.response.body", "body": b"short"},
            ],
            200,
        ),
    ],
)
def test_an_application_that_does_not_answer_is_told_from_one_that_does(messages: list[dict[str, Any]], status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    client = talk(request("/a"), stage=Stage(app=app))
    assert client.is_closing()
    assert [(answer.status, answer.is_whole) for answer in client.answers] == [(status, status == 500)]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_an_answer_without_a_body_has_none(method: str, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"unsaid"})

    client = talk(request("/a", method=method) + request("/hot", b"hello"), stage=Stage(app=app))
    head, _, rest = client.sent.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert rest == WHOLE


def test_an_application_may_stream() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one ", b"", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    client = talk(request("/a") + request("/hot", b"hello"), stage=Stage(app=app))
    assert bodies(client) == [b"one two", b"hello"]
    assert client.answers[0].headers["transfer-encoding"] == "chunked"


def test_an_answer_has_one_end() -> None:
    problems = []

    async def twice(asked: Asked, sink: Sink) -> None:
        await sink.whole(b"{}", [])
        try:
            await sink.end(CLOSING)
        except RuntimeError as exc:
            problems.append(exc)

    assert bodies(talk(request("/hot"), request("/a"), stage=Stage(twice))) == [b"{}", b"POST /a "]
    assert len(problems) == 1
