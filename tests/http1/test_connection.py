"""One connection, with a list for a transport: answers cut at every byte, bounds, back-pressure, when it may be used again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1.connection import HEAD_BYTES_MAX, UNREAD_BYTES_MAX, WRITE_BYTES
from gateway.http1.failures import BrokenOff, NotHttp
from tests.http1.played import Seen, connected, cut, play, seen
from tests.http1.wires import GOOD, TEXT, WIRES, answer, chunked, sized

KEPT = {
    "length", "length of 0", "chunks", "chunk extensions", "trailers", "HTTP/1.0 kept", "no content", "not modified",
    "continue", "unknown interim", "early hints", "processing", "no reason", "empty reason", "odd status",
    "reason with odd bytes", "upgrade offered",
    "bare line feeds", "folded header", "spaces around a value", "empty value", "latin-1 value", "utf-8 value",
    "control byte in a value", "two of a name", "long header", "line feeds before", "line feeds behind",
    "length of two spellings",
    "gzip", "gzip in chunks", "gzip, empty", "two gzips", "deflate", "bare deflate", "identity", "unknown coding",
}  # fmt: skip


@pytest.mark.parametrize("name", WIRES)
def test_where_an_answer_is_cut_makes_no_difference(name: str) -> None:
    wire = WIRES[name]
    whole = play([wire], ends=True)
    for place in range(0, len(wire), 1 if len(wire) < 1000 else 97):
        assert play(cut(wire, [place]), ends=True) == whole, place
    assert play(cut(wire, range(len(wire))), ends=True) == whole


@pytest.mark.parametrize("name", GOOD)
def test_a_connection_is_kept_after_an_answer_that_leaves_it_open_and_only_then(name: str) -> None:
    seen = play([GOOD[name]], ends=name not in KEPT)
    assert (seen.failure, seen.is_kept) == ("", name in KEPT)


@given(st.lists(st.sampled_from([*WIRES.values()]) | st.binary(max_size=40), max_size=4), st.data(), st.booleans())
def test_any_bytes_end_in_an_answer_or_a_failure(wires: list[bytes], data: st.DataObject, is_head: bool) -> None:
    wire = bytearray(b"".join(wires))
    for place in data.draw(st.lists(st.integers(0, max(len(wire) - 1, 0)), max_size=5)):
        wire[place : place + 1] = data.draw(st.binary(max_size=3))
    cuts = data.draw(st.lists(st.integers(0, len(wire)), max_size=6))
    whole = play([bytes(wire)], ends=True, is_head=is_head)
    assert play(cut(bytes(wire), cuts), ends=True, is_head=is_head) == whole
    assert whole.status or whole.failure == "none"


@pytest.mark.parametrize("name", ["status 099", "interim with a body", "interim with chunks", "other protocol"])
def test_what_is_neither_an_answer_nor_skipped_is_refused_at_once(name: str) -> None:
    assert play([WIRES[name]]).failure == "none"
    assert play(cut(WIRES[name], range(len(WIRES[name])))).failure == "none"


def test_a_head_answer_has_no_body_whatever_it_says() -> None:
    assert play([sized(b"")[:-4] + b"\r\nContent-Length: 9\r\n\r\n"], is_head=True).failure == "none"  # two lengths
    assert play([answer(b"Content-Length: 9")], is_head=True) == Seen(200, ((b"content-length", b"9"),), b"", "", False)


def test_what_came_before_a_break_is_read() -> None:
    found = play([chunked(TEXT, end=b"")], ends=ConnectionResetError("reset"), reads=False)
    assert (found.body, found.failure, found.is_kept) == (TEXT, "broken", False)


@pytest.mark.parametrize("ends", [ConnectionResetError("reset"), TimeoutError("no route")])
def test_a_body_without_a_length_is_not_complete_when_the_connection_breaks(ends: Exception) -> None:
    assert play([answer(body=TEXT)], ends=ends).failure == "broken"


@pytest.mark.parametrize("size", [7, 100, 10_000, 10**9])
def test_headers_are_bounded_however_they_come(size: int) -> None:
    fits = answer(b"X: " + b"y" * (HEAD_BYTES_MAX - len(answer(b"X: "))))
    assert len(fits) == HEAD_BYTES_MAX
    assert play(cut(fits + TEXT, range(0, 10**6, size)), ends=True).body == TEXT
    too_long = fits.replace(b"X: ", b"X:  ")
    assert play(cut(too_long + TEXT, range(0, 10**6, size))).failure == "none"


@pytest.mark.parametrize(
    "endless", [b"a: b\r\n", b"a" * 100, b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["headers", "a name", "interim"]
)
def test_what_never_becomes_an_answer_is_given_up(endless: bytes) -> None:
    begun = b"" if endless.startswith(b"HTTP") else b"HTTP/1.1 200 OK\r\n"
    assert play([begun, *[endless * 100] * 1000]).failure == "none"


@pytest.mark.parametrize("endless", [b"X-%d: y\r\n", b"1;" + b"x" * 100], ids=["trailers", "chunk extension"])
def test_what_is_no_body_is_bounded(endless: bytes) -> None:
    begun = chunked(TEXT, end=b"0\r\n" if endless.startswith(b"X") else b"1;")
    pieces = [endless.replace(b"%d", b"%d" % n) * 10 for n in range(10_000)]
    found = play([begun, *pieces])
    assert (found.body, found.failure) == (TEXT, "broken")


def test_a_long_stream_whose_chunks_come_apart_from_their_sizes_is_not_refused() -> None:
    chunks = [b"1\r\n", b"x\r\n"] * (HEAD_BYTES_MAX // 2)
    found = play([answer(b"Transfer-Encoding: chunked"), *chunks, b"0\r\n\r\n"])
    assert (len(found.body), found.failure, found.is_kept) == (HEAD_BYTES_MAX // 2, "", True)


def test_reading_pauses_when_nobody_takes_and_goes_on_when_somebody_does() -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(answer(b"Content-Length: 100000000"))
        came = 0
        while not transport.is_paused:
            connection.data_received(b"x" * 10_000)
            came += 10_000
        assert UNREAD_BYTES_MAX < came <= UNREAD_BYTES_MAX + 10_000
        assert len(connection.take()) == came and not transport.is_paused
        connection.leave()
        assert transport.is_aborted and not home.kept

    asyncio.run(scenario())


def test_a_connection_is_not_kept_while_it_is_paused() -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        body = b"x" * (UNREAD_BYTES_MAX + 1)
        connection.data_received(answer(b"Content-Length: %d" % len(body), body=body))
        assert transport.is_paused
        connection.leave()  # unread
        assert home.kept == [connection] and not transport.is_paused and connection.take() == b""

    asyncio.run(scenario())


def test_a_big_body_goes_out_as_the_transport_takes_it() -> None:
    async def scenario() -> None:
        connection, transport, _ = connected(asyncio.get_running_loop())
        body = bytes(range(256)) * 4096 * 2
        connection.pause_writing()
        connection.send(b"POST / HTTP/1.1\r\n\r\n", body)
        assert len(transport.written) == 1
        while len(b"".join(transport.written)) < len(body):
            before = len(transport.written)
            connection.resume_writing()
            assert len(transport.written) > before
        assert b"".join(transport.written) == b"POST / HTTP/1.1\r\n\r\n" + body
        assert max(map(len, transport.written)) <= WRITE_BYTES

    asyncio.run(scenario())


def test_an_answer_before_the_request_is_out_is_read_and_costs_the_connection() -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.pause_writing()
        connection.send(b"POST / HTTP/1.1\r\n\r\n", bytes(WRITE_BYTES + 1))
        connection.data_received(sized(TEXT, status=b"413 Too Large"))
        assert (connection.status, connection.take(), connection.is_complete) == (413, TEXT, True)
        connection.leave()
        assert transport.is_aborted and not home.kept

    asyncio.run(scenario())


def test_an_answer_before_the_last_of_the_request_has_left_costs_the_connection() -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.send(b"POST / HTTP/1.1\r\n\r\n", bytes(WRITE_BYTES))
        connection.pause_writing()  # it is all in the transport's buffer
        connection.data_received(sized(TEXT, status=b"413 Too Large"))
        connection.leave()
        assert transport.is_aborted and not home.kept

    asyncio.run(scenario())


def test_two_calls_one_after_the_other() -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        for at, wire in enumerate([chunked(b"one", end=b"0\r\nX-Sum: 1\r\n\r\n"), sized(b"two", b"A: b"), sized(b"three")]):
            connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
            assert (connection.has_head, connection.is_complete) == (False, False)
            connection.data_received(wire)
            found = seen(connection, home, connection.take())
            assert found.body == [b"one", b"two", b"three"][at] and found.is_kept
            assert not any(name == b"x-sum" for name, _ in found.headers)
        assert len(transport.written) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("wire", [sized(b"408"), b"H", b"\r\n", b"\x15\x03"])
def test_bytes_that_nobody_asked_for_close_a_connection_that_waits(wire: bytes) -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(sized(TEXT))
        connection.leave()
        assert home.kept == [connection]
        connection.data_received(wire)
        assert transport.is_aborted and not home.kept

    asyncio.run(scenario())


@pytest.mark.parametrize("behind", [sized(b"evil"), b"HTTP/1.1 2", b"x", b"\x00"])
@pytest.mark.parametrize("is_apart", [False, True])
def test_bytes_behind_an_answer_are_nobodys_answer(behind: bytes, is_apart: bool) -> None:
    wire = sized(TEXT)
    found = play([wire, behind] if is_apart else [wire + behind], reads=False)
    assert (found.status, found.body, found.failure, found.is_kept) == (200, TEXT, "", False)


@pytest.mark.parametrize("is_left", [False, True])
def test_a_connection_that_the_server_has_half_closed_takes_no_more_calls(is_left: bool) -> None:
    async def scenario() -> None:
        connection, _, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(sized(TEXT))
        if is_left:
            connection.leave()
            assert home.kept == [connection]
        connection.eof_received()
        if not is_left:
            assert connection.take() == TEXT
            connection.leave()
        assert not home.kept

    asyncio.run(scenario())


def test_who_waits_is_woken_and_may_stop_waiting() -> None:
    async def scenario() -> None:
        connection, _, _ = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        waiting = asyncio.ensure_future(_wait(connection.arrival()))
        await asyncio.sleep(0)
        connection.data_received(b"HTTP/1.1 200 OK\r\n")
        await asyncio.sleep(0)
        assert not waiting.done()  # no head yet
        connection.data_received(b"Content-Length: 6\r\n\r\n")
        await waiting
        waiting = asyncio.ensure_future(_wait(connection.arrival()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        connection.data_received(b"abc")  # nothing is lost by it
        assert connection.take() == b"abc"
        waiting = asyncio.ensure_future(_wait(connection.arrival()))
        await asyncio.sleep(0)
        connection.connection_lost(OSError(5, "broken"))
        await waiting
        assert isinstance(connection.failure, BrokenOff)

    asyncio.run(scenario())


def test_who_listens_is_told_of_each_arrival_until_the_call_is_over() -> None:
    async def scenario() -> None:
        connection, _, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        heard: list[bytes] = []
        connection.listen(lambda: heard.append(connection.take()))
        connection.data_received(b"ab")
        connection.data_received(b"cdef")
        assert heard == [b"ab", b"cdef"] and connection.is_complete
        connection.leave()
        assert home.kept == [connection]
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        connection.listen(lambda: heard.append(str(connection.failure).encode()))
        connection.connection_lost(OSError(5, "broken"))
        assert heard[2:] == [b"[Errno 5] broken"], "the first one hears nothing of the second call"

    asyncio.run(scenario())


async def _wait(arrival: asyncio.Future[None]) -> None:
    await arrival


@pytest.mark.parametrize(("end", "is_kept"), [(b"0\r\n\r\n", True), (b"5\r\nabcde\r\n0\r\n\r\n", True), (b"zz\r\n", False)])
def test_an_end_that_comes_late_frees_the_connection_without_a_reader(end: bytes, is_kept: bool) -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(chunked(TEXT, end=b""))
        connection.linger(5)
        assert not home.kept and not transport.is_aborted
        connection.data_received(end)
        assert (home.kept == [connection], transport.is_aborted) == (is_kept, not is_kept)
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_an_end_that_does_not_come_closes_the_connection() -> None:
    async def scenario() -> None:
        connection, transport, home = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.data_received(chunked(TEXT, end=b""))
        connection.linger(0.01)
        await asyncio.sleep(0.05)
        assert transport.is_aborted and not home.kept

    asyncio.run(scenario())


def test_our_own_mistake_is_not_taken_for_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        connection, _, _ = connected(asyncio.get_running_loop())
        connection.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        connection.headers = {}
        del connection._fields  # so that the callback fails
        with pytest.raises(Exception, match="callback"):
            connection.data_received(sized(TEXT))
        assert not isinstance(connection.failure, NotHttp)

    asyncio.run(scenario())
