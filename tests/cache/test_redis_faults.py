"""A real Redis frozen, killed, full, read-only, locked, old or meddled with: misses, a line in the log, no request lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from gateway.cache import redis_wire as wire
from gateway.cache.base import Near, Observation, Selection, Served
from gateway.cache.guarded import Guarded, for_request
from gateway.cache.memory import MemoryStore
from gateway.cache.opening import open_store
from gateway.cache.redis import RedisStore
from gateway.errors import ConfigError, StoreUnavailable
from gateway.store_guard import DEADLINE_S
from tests.contract.store_suite import answer, direction, ids, key
from tests.redis_server import RedisServer

PROBE_S = 0.1


@dataclass
class Watched:
    """A guarded store and what was said of it."""

    store: Guarded
    causes: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def guarded(url: str, deadline_s: float = 2.0) -> AsyncIterator[Watched]:
    """deadline_s: long enough for a machine that is busy with other things."""
    causes: list[str] = []
    store = Guarded(RedisStore(url), causes.append, deadline_s=deadline_s, probe_s=PROBE_S)
    await store.check()
    try:
        yield Watched(store, causes)
    finally:
        await store.aclose()


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server for this test alone, bounded as advised, so that nothing is logged of that."""
    with RedisServer("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        yield server


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "turnout.cache")
    return caplog


async def eventually(is_so: Callable[[], Awaitable[bool]], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not await is_so():
        assert time.monotonic() < until
        await asyncio.sleep(0.02)


async def look_up(store: Guarded) -> bool:
    """One request's look-up: whether it hit."""
    request = for_request(store)
    if await request.get(b"nothing") is not None:
        return True
    near = await request.nearest(b"p", direction(0), 5)
    return bool(near.answers) and await request.serve(Served("r", b"p", near.answers[0].exact, "asked", 0.9)) is not None


def test_a_redis_that_freezes_under_load_costs_no_request_and_little_time(
    own: RedisServer, said: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with guarded(own.url, DEADLINE_S) as watched:
            await watched.store.put(key(), answer(), direction(0), 60)
            took: dict[str, list[float]] = {"cold": [], "well": [], "frozen": []}
            hits = dict.fromkeys(took, 0)
            state, is_done = "cold", False

            async def caller() -> None:
                while not is_done:
                    began, then = time.perf_counter(), state
                    is_hit = await look_up(watched.store)
                    hits[then] += is_hit
                    took[then].append(time.perf_counter() - began)
                    await asyncio.sleep(0.05)

            callers = [asyncio.create_task(caller()) for _ in range(10)]
            await asyncio.sleep(0.3)  # connections are made
            state = "well"
            await asyncio.sleep(1)
            state = "frozen"
            own.freeze()
            try:
                await asyncio.sleep(0.5)
            finally:
                own.thaw()
            is_done = True
            await asyncio.gather(*callers)
            await eventually(lambda: look_up(watched.store))
            p99_ms = {name: round(1000 * float(np.quantile(times, 0.99))) for name, times in took.items()}
            with capsys.disabled():
                sys.stdout.write(f"\n99th percentile of a look-up in ms, when connecting, when well, when frozen: {p99_ms}\n")
            assert hits["well"] > 0  # all of them, on a machine that is not busy with other things
            assert len(took["frozen"]) > len(callers)
            assert max(took["frozen"]) < 0.25
            assert set(watched.causes) == {"timeout"}

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO"]
    assert re.search(r"\(timeout: no reply within \d+ ms\)", said.records[0].getMessage())


def test_a_redis_that_is_killed_and_started_anew_serves_again(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with guarded(own.url) as watched:
            await watched.store.put(key(), answer(), direction(0), 60)
            await asyncio.gather(*(watched.store.get(key().exact) for _ in range(10)))
            own.stop()
            for _ in range(50):
                assert not await look_up(watched.store)
            assert set(watched.causes) == {"connection"}
            assert watched.store.problem is not None and "see that it runs" in watched.store.problem
            own.start()

            async def is_back() -> bool:
                await watched.store.put(key(), answer(), direction(0), 60)
                return await look_up(watched.store)

            await eventually(is_back)
            assert watched.store.problem is None

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO"]


def test_a_restart_that_nobody_saw_costs_nothing(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    """The connections that lie idle lead nowhere; that is noticed and mended within the call."""

    async def scenario() -> None:
        async with guarded(own.url) as watched:
            await asyncio.gather(*(watched.store.get(key().exact) for _ in range(10)))
            own.stop()
            own.start()
            await watched.store.put(key(), answer(), direction(0), 60)
            assert await look_up(watched.store)
            assert watched.causes == []

    asyncio.run(scenario())
    assert said.records == []


def test_without_redis_at_the_start_there_is_a_store_that_finds_it_later(said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = RedisServer("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        causes: list[str] = []
        store = await open_store(server.url, 1_000, causes.append)
        assert isinstance(store, Guarded)
        assert await store.get(key().exact) is None
        assert store.problem is not None
        with pytest.raises(StoreUnavailable):
            await store.entries(Selection(), 1)
        with server:

            async def is_back() -> bool:
                return store.problem is None

            await eventually(is_back)
            await store.put(key(), answer(), direction(0), 60)
            assert await store.get(key().exact) == answer()
            await store.aclose()
        assert set(causes) == {"connection"}

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO"]


def test_a_full_redis_still_serves(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with guarded(own.url) as watched:
            await watched.store.put(key(), answer(), direction(0), 60)
            own.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
            own.command("CONFIG", "SET", "maxmemory", "1")
            for n in range(10):
                await watched.store.put(key(str(n)), answer(str(n)), direction(50 + n), 60)
                await watched.store.observe(b"route", Observation(0.5, True), 60)
            assert set(watched.causes) == {"full"}
            assert await watched.store.get(key().exact) == answer()
            assert await look_up(watched.store), "an answer is served even if that it was cannot be remembered"
            assert watched.store.problem is not None and "allkeys-lru" in watched.store.problem
            own.command("CONFIG", "SET", "maxmemory", "100mb")
            await watched.store.put(key("b"), answer("b"), direction(9), 60)
            assert await watched.store.get(key("b").exact) == answer("b")
            assert watched.store.problem is None

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO"]
    assert "OOM" in said.records[0].getMessage()


def test_what_redis_evicts_to_make_room_is_only_missed() -> None:
    async def scenario() -> None:
        with RedisServer("--maxmemory", "4mb", "--maxmemory-policy", "allkeys-lru") as server:
            async with guarded(server.url) as watched:
                draw = np.random.default_rng(0)
                kept = 0
                for n in range(500):
                    vector = draw.standard_normal(64).astype(np.float32)
                    partition = b"%d" % (n % 10)
                    await watched.store.put(key(str(n), partition), answer(str(n), 9_000), vector, 60)
                    near = await watched.store.nearest(partition, vector, 3)
                    kept += bool(near.answers) and near.answers[0].id == str(n)
                    for neighbour in near.answers:
                        assert neighbour.id == neighbour.question
                assert kept > 400
                assert watched.causes == []
                assert 50 < len(await watched.store.entries(Selection(), 9_999)) < 500

    asyncio.run(scenario())


def test_a_replica_that_may_only_be_read_still_serves(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with guarded(own.url) as watched:
            await watched.store.put(key(), answer(), direction(0), 60)
            own.command("CONFIG", "SET", "replica-serve-stale-data", "yes")
            own.command("REPLICAOF", "127.0.0.1", "1")
            assert await look_up(watched.store)
            await watched.store.put(key("b"), answer("b"), direction(9), 60)
            assert await watched.store.get(key().exact) == answer()
            assert set(watched.causes) == {"readonly"}
            with pytest.raises(StoreUnavailable):
                await watched.store.remove(b"p", [key().exact])
            own.command("REPLICAOF", "NO", "ONE")
            await watched.store.put(key("b"), answer("b"), direction(9), 60)
            assert watched.store.problem is None

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO"]
    assert "primary" in said.records[0].getMessage()


@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:hushhush@"])
def test_a_wrong_password_is_said_and_not_shown(own: RedisServer, said: pytest.LogCaptureFixture, login: str) -> None:
    own.command("CONFIG", "SET", "requirepass", "hushhush")

    async def scenario() -> None:
        async with guarded(own.url.replace("//", f"//{login}")) as watched:
            for _ in range(5):
                assert not await look_up(watched.store)
            await asyncio.sleep(3 * PROBE_S)
            assert set(watched.causes) == {"auth"}
            assert watched.store.problem is not None and "TURNOUT_REDIS_URL" in watched.store.problem
        async with guarded(own.url.replace("//", "//:hushhush@")) as watched:
            await watched.store.put(key(), answer(), direction(0), 60)
            assert await look_up(watched.store)

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING"]
    assert "hushhush" not in said.text and "wrong@" not in said.text


def test_a_user_who_may_not_write_still_reads(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    own.command("ACL", "SETUSER", "reader", "on", "nopass", "~*", "+@read", "+ping", "+info", "+vsim", "+eval")

    async def scenario() -> None:
        async with guarded(own.url) as writer, guarded(own.url.replace("//", "//reader:x@")) as watched:
            await writer.store.put(key(), answer(), direction(0), 60)
            assert await look_up(watched.store)
            for _ in range(5):
                await watched.store.put(key("b"), answer("b"), None, 60)
            assert await watched.store.get(key().exact) == answer()
            assert set(watched.causes) == {"denied"}

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING"]


class OlderRedis:
    """What is said to a real Redis with the names of the vector commands made unknown: as to one that has none."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while part := await source.read(1_000_000):
                for name in (b"VADD", b"VSIM", b"VREM", b"VEMB"):
                    part = part.replace(b"\r\n" + name + b"\r\n", b"\r\nOLD" + name[3:] + b"\r\n")
                sink.write(part)
            sink.close()

        await asyncio.gather(carry(reader, behind_writer), carry(behind_reader, writer))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


def test_a_redis_without_vectors_matches_equal_requests_and_says_so(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with OlderRedis(own.port).running() as url, guarded(url) as watched:
            for _ in range(5):
                await watched.store.put(key(), answer(), direction(0), 60)
                assert await watched.store.get(key().exact) == answer()
                assert await watched.store.nearest(b"p", direction(0), 5) == Near()
            place = await watched.store.find("a")
            assert place is not None and place.embedding is None
            assert watched.store.problem is not None and "8.0 or later" in watched.store.problem
            assert watched.causes == ["unsupported"]
            assert await watched.store.remove(b"p", [key().exact]) == 1
            # Let the other end see the connections close before the loop does.
            await watched.store.aclose()
            await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING"]


def test_vectors_of_another_dimension_and_broken_values_are_said_once_each(
    own: RedisServer, said: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with guarded(own.url) as watched:
            for _ in range(3):
                await watched.store.put(key("two"), answer("two"), direction(0), 60)
                assert await watched.store.nearest(b"p", np.ones(3, np.float32), 5) == Near()
                own.command("HSET", wire.entry_key(key("two").exact), "h", "nonsense")
                assert await watched.store.get(key("two").exact) is None
            assert watched.causes == ["dimension", "broken"] * 3
            assert not watched.store.is_open

    asyncio.run(scenario())
    assert [("dimension" in r.getMessage(), "broken" in r.getMessage()) for r in said.records] == [(True, False), (False, True)]


def test_a_database_that_is_not_there_is_said(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with guarded(own.url.replace("/0", "/999")) as watched:
            assert not await look_up(watched.store)
            assert watched.store.problem is not None and "DB index is out of range" in watched.store.problem

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING"]


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":many\r\n", b"*1\r\n$x\r\n", b"$5\r\nab"])
def test_something_that_is_no_redis_is_a_fault_like_any_other(reply: bytes, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(reply)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, guarded(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as watched:
            assert not await look_up(watched.store)
            assert watched.causes[0] in ("protocol", "connection")
            assert watched.store.is_open

    asyncio.run(scenario())
    assert said.records[0].levelname == "WARNING"


def test_without_an_address_the_store_is_in_memory() -> None:
    for url in (None, ""):
        assert isinstance(asyncio.run(open_store(url, 1_000, lambda cause: None)), MemoryStore)


@pytest.mark.parametrize(
    ("url", "said_of_it"),
    [
        ("http://h", "does not begin with redis://, rediss:// or unix://"),
        ("localhost:6379", "does not begin with redis://, rediss:// or unix://"),
        ("redis://h:port", "has a port that is not a number"),
        ("redis://h/x", "has a database that is not a number"),
        ("redis://h?socket_timeout=1", "has the option 'socket_timeout', which does nothing here"),
        ("redis://h?db=x", "Invalid value for 'db'"),
        ("redis://h?ssl_nonsense=1", "has an option that does not work"),
        ("redis://h?max_connections=0", "allows no connection"),
        ("unix://", "names no socket"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_the_remedy(url: str, said_of_it: str) -> None:
    with pytest.raises(ConfigError) as caught:
        asyncio.run(open_store(url.replace("//h", "//me:hushhush@h"), 1_000, lambda cause: None))
    assert said_of_it in caught.value.message
    assert "redis://user:password@host:6379/0" in caught.value.message
    assert "hushhush" not in caught.value.message


def test_without_the_client_an_address_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r"pip install 'turnout\[redis\]'"):
        asyncio.run(open_store("redis://h", 1_000, lambda cause: None))
    assert isinstance(asyncio.run(open_store(None, 1_000, lambda cause: None)), MemoryStore)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("rediss://me:hushhush@h:7000/2?ssl_cert_reqs=none", "rediss://h:7000/2"),
        ("redis://:hushhush@h", "redis://h:6379/0"),
        ("redis://", "redis://localhost:6379/0"),
        ("unix://me:hushhush@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, address: str) -> None:
    assert RedisStore(url).address == address


def test_a_socket_is_an_address_too(tmp_path: object) -> None:
    with RedisServer("--unixsocket", f"{tmp_path}/s") as server:

        async def scenario() -> None:
            async with guarded(f"unix://{tmp_path}/s") as watched:
                await watched.store.put(key(), answer(), direction(0), 60)
                assert ids(await watched.store.nearest(b"p", direction(0), 1)) == ["a"]

        asyncio.run(scenario())
        assert server.command("DBSIZE") == b":3\r\n"
