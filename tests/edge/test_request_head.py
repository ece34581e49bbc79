"""A head that comes again on its connection: what it is known by makes no difference to what a client gets."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.auth import Entrance, Operator
from gateway.edge.http_exchange import HttpExchange
from gateway.edge.request_head import KNOWN_LINES_MAX, RequestHead, known_again
from gateway.edge.request_reader import HEAD_BYTES_MAX, LESSONS_MAX, RequestReader
from gateway.front import Gateway
from gateway.keys.directory import Caller, Directory
from gateway.keys.model import Held
from gateway.keys.secret import digest_of, new_secret
from gateway.reply import Sink
from tests.edge.stage import BODY_BYTES_MAX, Asked, Client, Stage, chunked, echo, playing, request
from tests.keys.making import a_key
from tests.virtual_time import run

FIRST = request("/hot", b"hello", "x-one: 1", "X-Two:  two  ")


def got(*parts: bytes) -> tuple[bytes, list[Any], bool]:
    """What the client of these parts got, what was asked for, and whether its connection was closed."""
    stage = Stage()

    async def scenario() -> Client:
        client = stage.client()
        for part in parts:
            if client.is_read:  # else it is no HTTP, and what comes behind it is not looked at
                await client.sends(part)
        return client

    client = run(scenario())
    return client.sent, stage.asked, client.is_closing()


def is_known(data: bytes, *before: bytes) -> bool:
    """Whether a head that has come in this piece is known when it comes again: it is then not parsed. before: what came first."""
    came: list[HttpExchange] = []
    stage = Stage()

    async def scenario() -> None:
        connection = stage.client().connection
        connection.came = came.append  # type: ignore[method-assign]
        reader = RequestReader(connection, stage.hot)
        for piece in (*before, data, data):
            reader.feed(piece)

    run(scenario())
    return len(came) == len(before) + 2 and came[-2].head is came[-1].head


def test_a_head_is_known_by_its_bytes() -> None:
    assert is_known(FIRST)
    assert is_known(request("/hot", b""))
    assert is_known(request("/hot", b"\r\n\r\n"))


@pytest.mark.parametrize(
    "data",
    [
        request("/other", b"hello"),
        request("/hot", b"hello", method="PUT"),
        request("/hot", b"hello", version="1.0"),
        request("/hot", b"hello", "connection: close"),
        request("/hot", b"hello", "expect: 100-continue"),
        request("/hot", b"hello", "connection: upgrade", "upgrade: h2c"),
        request("/hot", b"hello", "x: " + "x" * 10_000),
        request("/hot", b"hello", *[f"x{n}:" for n in range(KNOWN_LINES_MAX)]),
        b"POST /hot HTTP/1.1\r\nhost: here\r\n\r\n",
        chunked("/hot", b"hello"),
        FIRST + b"\r\n",
        b"\r\n\r\n" + FIRST,
        FIRST + FIRST,
    ],
    ids=[
        *["cold", "method", "version", "close", "expect", "upgrade", "large", "lines", "no length"],
        *["chunked", "line behind", "lines before", "two"],
    ],
)
def test_one_with_anything_about_it_is_not(data: bytes) -> None:
    assert not is_known(data)


@pytest.mark.parametrize("body", [b"hello", b"", b"h", b"x" * BODY_BYTES_MAX, b"x" * (BODY_BYTES_MAX + 1), b"stream"])
def test_it_may_have_a_body_of_another_length(body: bytes) -> None:
    again = request("/hot", body, "x-one: 1", "X-Two:  two  ")
    sent, asked, is_closed = got(FIRST, again, FIRST)
    assert (sent, asked, is_closed) == got(FIRST + again + FIRST)
    for one in asked:
        assert int(one.headers[b"content-length"]) == len(one.body)
    cut = len(again) - len(body) // 2 - 1
    assert got(FIRST, again[:cut], again[cut:]) == got(FIRST + again)


def test_it_does_not_matter_where_it_is_cut_nor_what_comes_with_it() -> None:
    data = FIRST + request("/hot", b"hello there", "x-one: 1", "X-Two:  two  ") + chunked("/hot", b"1", b"2") + FIRST
    whole = got(FIRST + data)
    assert len(whole[1]) == 5
    for place in range(1, len(data)):
        assert got(FIRST, data[:place], data[place:]) == whole, data[:place]
        assert got(FIRST + data[:place], data[place:]) == whole, data[:place]


def test_who_never_says_the_same_is_not_learnt_from_for_ever() -> None:
    others = [request("/hot", b"hello", f"x: {n}") for n in range(LESSONS_MAX)]
    assert is_known(FIRST, *others[1:]) and not is_known(FIRST, *others)


@pytest.mark.parametrize(
    ("data", "body_bytes"),
    [
        (FIRST.replace(b"x-one: 1\r\n", b"x-one: 1\n"), 5),
        (FIRST.replace(b"x-one: 1\r\n", b"x-one: 1\r"), 5),
        (FIRST.replace(b"Content-Length: 5", b"content-length: 4\r\nContent-Length: 5"), 5),
        (FIRST + b"x", 5),
        (FIRST[:-1], 5),
        (FIRST, 6),
    ],
    ids=["feed", "return", "two lengths", "more", "less", "other length"],
)
def test_what_might_be_read_in_two_ways_is_not_known(data: bytes, body_bytes: int) -> None:
    """Whatever the parser makes of it: this one takes none of them."""
    head = RequestHead("POST", "/hot", b"/hot", b"", [(b"content-length", b"5")], keeps_alive=True, is_chunked=True)
    hot = Stage().hot["/hot"]
    assert known_again(head, hot, FIRST, 5) is not None
    assert known_again(head, hot, data, body_bytes) is None


@pytest.mark.parametrize("length", ["5" * 13, "5" * 30, "", "-5", "+5", "5 5", "\u0665", "0x5", "5_0"])
def test_a_length_that_is_not_like_one_is_the_parsers_to_read(length: str) -> None:
    other = FIRST.replace(b"Length: 5", b"Length: " + length.encode())
    assert got(FIRST, other) == got(FIRST + other)


def test_a_head_behind_the_rest_of_a_body_is_not_known_with_it() -> None:
    rest = FIRST[-2:]
    assert got(FIRST[:-2], rest + FIRST, rest + FIRST) == got(FIRST + FIRST + rest + FIRST)


@pytest.mark.parametrize("last", [request("/hot", b"last", "connection: close"), request("/hot", b"last", version="1.0")])
def test_nothing_is_known_behind_the_last_request(last: bytes) -> None:
    async def late(asked: Asked, sink: Sink) -> None:
        await asyncio.sleep(5)
        await echo(asked, sink)

    stage = Stage(late)

    async def play(client: Client, stage: Stage) -> None:
        await client.sends(FIRST)
        await asyncio.sleep(6)
        await client.sends(last[:9], last[9:], FIRST[:-2], FIRST[-2:])
        assert client.is_read
        await asyncio.sleep(6)

    client = playing(play, stage)
    assert [answer.body for answer in client.answers] == [b"hello", b"last"]
    assert len(stage.asked) == 2 and client.is_closing()


def test_line_ends_between_two_requests_do_not_add_up() -> None:
    sent, asked, is_closed = got(FIRST, *[b"\r\n" * (HEAD_BYTES_MAX // 5), FIRST] * 4)
    assert len(asked) == 5 and not is_closed and b" 431 " not in sent


def test_a_body_that_looks_like_a_head_is_a_body() -> None:
    data = request("/hot", FIRST, "x-one: 1", "X-Two:  two  ")
    start = len(data) - len(FIRST)
    whole = got(data + FIRST)
    assert [one.body for one in whole[1]] == [FIRST, b"hello"]
    assert got(data[:start], data[start:], FIRST) == whole
    assert got(FIRST, data[:start], data[start:], FIRST)[1] == got(FIRST + data + FIRST)[1]


@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\0", b" ", b"0", b"9", b":", b"_", b"\xff"])
def test_a_byte_that_is_not_the_same_counts(byte: bytes) -> None:
    for place in range(len(FIRST)):
        other = FIRST[:place] + byte + FIRST[place + 1 :]
        assert got(FIRST, other, FIRST) == got(FIRST + other + FIRST), other


@given(
    st.lists(
        st.sampled_from(
            [
                FIRST,
                request("/hot", b"hello there", "x-one: 1", "X-Two:  two  "),
                request("/hot", FIRST, "x-one: 1", "X-Two:  two  "),
                chunked("/hot", FIRST),
                request("/other", FIRST),
                request("/other", b"", method="GET"),
                FIRST[:40],
                b"x",
                b"\r\n",
            ]
        ),
        max_size=5,
    ),
    st.data(),
)
def test_any_talk_is_heard_as_it_would_be_at_once(said: list[bytes], draw: st.DataObject) -> None:
    data = FIRST + b"".join(said)
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(data)) | st.sampled_from([len(FIRST)]), max_size=4)) | {0, len(data)})
    parts = [data[start:end] for start, end in itertools.pairwise(cuts)]
    assert got(*parts) == got(data)


# Whose it is.


class Guarded(Stage):
    """Behind a gateway's door. now: its clock. admitted: the keys of those who were let in."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.secret = 1000.0, new_secret()
        self.directory = Directory(lambda: self.now)
        entrance = Entrance(self.directory, Operator("admin"), is_insecure=False)
        self.gateway = Gateway(contextlib.nullcontext, self.directory, entrance)
        self.admitted: list[str] = []

    def knows(self, **fields: Any) -> None:
        self.directory.replace([Held(digest_of(self.secret.encode()), a_key(**fields), None)])

    def admit(self, exchange: HttpExchange) -> None:
        self.gateway.admit(exchange)
        self.admitted.append(exchange.tenant.key)

    def told(self, *changes: Callable[[], None], secret: str | None = None) -> list[str]:
        """What is said to one client's requests, each after a change: the key it is let in by, or the code of the refusal."""
        data = request("/hot", b"hello", f"authorization: Bearer {secret or self.secret}").replace(
            b"Host: here", b"Host: localhost"
        )

        async def scenario() -> Client:
            client = self.client()
            for change in changes:
                change()
                await client.sends(data)
            return client

        admitted = iter(self.admitted)
        return [next(admitted) if a.status == 200 else json.loads(a.body)["error"]["code"] for a in run(scenario()).answers]


def test_whoever_was_let_in_is_let_in_again_as_long_as_nothing_else_is_known() -> None:
    door = Guarded()

    def expire() -> None:
        door.now = 2000.0

    changes = [
        lambda: door.knows(id="key_1", expires_at=2000.0),
        lambda: None,
        lambda: door.knows(id="key_1", revoked_at=1.0),
        lambda: door.knows(id="key_2", expires_at=2000.0),
        expire,
        lambda: door.knows(id="key_3"),
        lambda: door.directory.replace([]),
    ]
    refused = "invalid_api_key"
    assert door.told(*changes) == ["key_1", "key_1", refused, "key_2", refused, "key_3", refused]


def test_the_first_key_shuts_out_who_was_let_in_without_one() -> None:
    door = Guarded()
    first, *others = door.told(lambda: None, lambda: None, door.directory.close, lambda: door.knows(id="key_1"))
    assert first.startswith("open-") and others == [first, "invalid_api_key", "key_1"]


def test_the_operator_is_known_again() -> None:
    door = Guarded()
    door.knows(id="key_1")
    assert door.told(lambda: None, lambda: None, secret="admin") == ["operator"] * 2


def test_whoever_is_let_in_again_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Guarded()
    door.knows(id="key_1")
    looked_up: list[bytes | None] = []
    look = door.directory.caller_of

    def counted(credential: bytes | None) -> Caller:
        looked_up.append(credential)
        return look(credential)

    monkeypatch.setattr(door.directory, "caller_of", counted)
    assert door.told(*[lambda: None] * 3) == ["key_1"] * 3
    assert looked_up == [door.secret.encode()]


def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_let_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Guarded()
    door.knows(id="key_1")
    look = door.directory.caller_of

    def slowly(credential: bytes | None) -> Caller:
        caller = look(credential)
        door.knows(id="key_1", revoked_at=1.0)  # by the thread that reads the keys
        return caller

    monkeypatch.setattr(door.directory, "caller_of", slowly)
    assert door.told(lambda: None, lambda: None) == ["key_1", "invalid_api_key"]


def test_each_request_has_an_id_of_its_own_or_the_callers() -> None:
    ids: list[str] = []

    class Noted(Guarded):
        def admit(self, exchange: HttpExchange) -> None:
            super().admit(exchange)
            ids.append(exchange.id)

    door = Noted()
    door.told(lambda: None, lambda: None)
    door.told(lambda: None, lambda: None, secret="x\r\nx-request-id: mine\r\nanthropic-version: 2023-06-01")
    assert ids[0] != ids[1] and ids[2:] == ["mine", "mine"]
