"""Replicas that tell each other of their breakers through a real Redis, and go on alone without it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from gateway.errors import UpstreamError
from gateway.health.board import LEASE_WITHIN_S, Board
from gateway.health.model import Health, ModelHealth
from gateway.health.opening import open_sharing
from gateway.policy.failover import BreakerRule, Capacity
from gateway.redis_link import RedisLink
from tests.redis_server import RedisServer

RULE = BreakerRule(cooldown_s=1.0, cooldown_max_s=4.0)
SOON_S = 5.0  # half a second and a round trip, on a busy machine
DOWN = UpstreamError("no", fault="status", status=500)
GONE = UpstreamError("no", fault="connect")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
def redis(server: RedisServer) -> RedisServer:
    server.command("FLUSHALL")
    return server


class Replica:
    """A gateway's health, shared by a board."""

    def __init__(self, url: str) -> None:
        self.link = RedisLink(url)
        self.board = Board(self.link)
        self.health = Health(sharing=self.board)
        self._running: asyncio.Task[None] | None = None

    def model(self, name: str = "a", credentials: str = "sk-1") -> ModelHealth:
        provider = self.health.provider(("p", credentials), "provider p", RULE, Capacity())
        return self.health.of(("p", credentials, name), f"p/{name}", provider, RULE)

    async def __aenter__(self) -> Replica:
        self._running = asyncio.create_task(self.board.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._running is not None
        self._running.cancel()
        ended = await asyncio.gather(self._running, return_exceptions=True)
        await self.link.aclose()
        assert isinstance(ended[0], asyncio.CancelledError), ended


@contextlib.asynccontextmanager
async def replicas(redis: RedisServer, count: int = 2) -> AsyncIterator[list[Replica]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Replica(redis.url)) for _ in range(count)]


async def soon(is_so: Callable[[], bool], within_s: float = SOON_S) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - it waits for what another replica reads
            await asyncio.sleep(0.02)


def fail(model: ModelHealth, exc: UpstreamError = DOWN, times: int = RULE.failures) -> None:
    for _ in range(times):
        model.breaker.failed(exc)


def test_an_open_breaker_of_one_replica_is_seen_by_the_others(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            a, b = one.model("a"), two.model("a")
            neighbour, stranger = two.model("b"), two.model("a", credentials="sk-2")
            fail(a, UpstreamError("no", fault="status", status=429, retry_after_s=20.0), 1)
            await soon(lambda: b.breaker.is_open)
            assert 14.0 < b.breaker.cooling_s <= 20.0
            assert b.breaker.last_error == "status 429"
            assert neighbour.breaker.is_closed, "it was the model's own"
            assert stranger.breaker.is_closed, "other credentials are another model"

    asyncio.run(scenario())


def test_a_provider_that_is_gone_is_gone_for_all_models_of_all_replicas(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            other = two.model("b")
            fail(one.model("a"), GONE)
            await soon(lambda: not other.breaker.is_closed)
            assert other.breaker.last_error == "connect"

    asyncio.run(scenario())


def test_of_two_replicas_cooldowns_the_longer_wins_for_both(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            a, b = one.model(), two.model()
            fail(a, UpstreamError("no", fault="status", status=429, retry_after_s=100.0), 1)
            fail(b, UpstreamError("no", fault="status", status=429, retry_after_s=50.0), 1)
            await soon(lambda: b.breaker.cooling_s > 60)
            await asyncio.sleep(1.0)
            assert a.breaker.cooling_s > 60

    asyncio.run(scenario())


def test_one_replica_probes_at_a_time_and_its_answer_closes_all(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis, 3) as (one, two, three):
            a, b, c = one.model(), two.model(), three.model()
            fail(a)
            await soon(lambda: b.breaker.is_open and c.breaker.is_open)
            await soon(lambda: a.breaker.cooling_s == b.breaker.cooling_s == c.breaker.cooling_s == 0.0)
            admitted = [model.breaker.admits() for model in (a, b, c)]
            assert admitted == [True, True, True], "each would probe"
            assert [await model.breaker.leased() for model in (b, a, c)] == [True, False, False]
            assert not a.breaker.admits(), "and not at once again"
            b.breaker.answers()
            b.breaker.succeeded()
            await soon(lambda: a.breaker.is_closed and c.breaker.is_closed)
            assert a.breaker.admits() and c.breaker.admits()

    asyncio.run(scenario())


def test_a_probe_that_failed_makes_room_for_the_next_replicas(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            a, b = one.model(), two.model()
            fail(a)
            await soon(lambda: b.breaker.is_open)
            await soon(lambda: a.breaker.cooling_s == b.breaker.cooling_s == 0.0)
            assert a.breaker.admits() and await a.breaker.leased()
            a.breaker.failed(DOWN, is_probe=True)
            await soon(lambda: b.breaker.cooling_s > 1.0)  # twice as long as before
            await soon(lambda: b.breaker.cooling_s == 0.0)
            assert b.breaker.admits() and await b.breaker.leased(), "the lease went back"
            b.breaker.abandoned()
            await soon(lambda: redis.command("EXISTS", *keys(redis, ":probe")) == b":0\r\n")

    asyncio.run(scenario())


def keys(redis: RedisServer, ending: str) -> list[str]:
    found = redis.command("KEYS", f"turnout:breaker:*{ending}").decode().split("\r\n")
    return [line for line in found if line.startswith("turnout:")] or ["none"]


def test_a_replica_that_starts_while_a_breaker_is_open_knows_it(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis, 1) as (one,):
            fail(one.model(), UpstreamError("no", fault="status", status=429, retry_after_s=60.0), 1)
            await soon(lambda: bool(redis.command("DBSIZE") == b":1\r\n"))
            async with replicas(redis, 1) as (two,):
                b = two.model()
                await soon(lambda: b.breaker.is_open)

    asyncio.run(scenario())


def test_what_changed_last_is_told_at_the_end(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis, 1) as (one,):
            model = one.model()
            await asyncio.sleep(0.1)
            fail(model)
        assert redis.command("DBSIZE") == b":1\r\n"

    asyncio.run(scenario())


def test_a_frozen_redis_costs_a_probe_a_moment_and_nobody_else_anything(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "turnout.health")

    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            a, b = one.model(), two.model()
            await asyncio.sleep(0.2)
            redis.freeze()
            try:
                fail(a)
                await soon(lambda: a.breaker.cooling_s == 0.0)
                assert a.breaker.admits()
                began = time.perf_counter()
                assert await a.breaker.leased(), "each replica probes for itself"
                assert time.perf_counter() - began < LEASE_WITHIN_S + 1.0
                a.breaker.failed(UpstreamError("no", fault="status", status=429, retry_after_s=60.0), is_probe=True)
                await soon(lambda: one.board.problem is not None and two.board.problem is not None)
                assert b.breaker.is_closed
                await asyncio.sleep(1.0)
            finally:
                redis.thaw()
            await soon(lambda: b.breaker.is_open, within_s=15.0)
            await soon(lambda: one.board.problem is None and two.board.problem is None)

    asyncio.run(scenario())
    away = [r.message for r in caplog.records if "find" in r.message]
    assert len(away) == 2 and all("each replica finds out by itself which models fail" in line for line in away)


def test_without_redis_from_the_start_each_replica_goes_on_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.health")
    with RedisServer() as gone:
        url = gone.url

    async def scenario() -> None:
        async with Replica(url) as one:
            model = one.model()
            await soon(lambda: one.board.problem is not None)
            fail(model)
            assert not model.breaker.admits()
            await soon(lambda: model.breaker.cooling_s == 0.0)
            assert model.breaker.admits() and await model.breaker.leased()
            model.breaker.succeeded()
            assert model.breaker.is_closed

    asyncio.run(scenario())
    assert [r.message for r in caplog.records if "does not serve" in r.message][1:] == []


def test_a_redis_that_was_started_anew_is_told_again(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            a, b = one.model(), two.model()
            await asyncio.sleep(0.2)
            redis.stop()
            fail(a, UpstreamError("no", fault="status", status=429, retry_after_s=60.0), 1)
            await asyncio.sleep(1.0)
            assert b.breaker.is_closed
            redis.start()
            await soon(lambda: b.breaker.is_open, within_s=15.0)

    asyncio.run(scenario())


def test_the_gateways_part_in_it_lasts_as_long_as_the_gateway(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with open_sharing(None) as alone:
            assert alone is None
        async with open_sharing(redis.url) as sharing:
            assert sharing is not None
            model = Health(sharing=sharing).of("a", "p/a")
            fail(model, GONE)
            await soon(lambda: redis.command("DBSIZE") == b":2\r\n")
            assert sharing.problem is None
        assert [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []

    asyncio.run(scenario())


def test_a_mistake_of_ours_in_the_background_is_said(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with open_sharing(redis.url) as sharing:
            assert sharing is not None
            model = Health(sharing=sharing).of("a", "p/a")
            redis.command("SET", f"turnout:breaker:{model.breaker.own.shared_as}", "c", "PX", "9999")
            model.breaker.own.told_closed = None  # type: ignore[method-assign,assignment]
            await soon(lambda: "by a mistake of the gateway's" in caplog.text)

    asyncio.run(scenario())


def test_what_others_wrote_there_is_passed_over(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis) as (one, two):
            a, b = one.model("a"), one.model("b")
            for model, how in ((a, ["what\xff", "PX", "99999"]), (b, ["o for ever"])):
                redis.command("SET", f"turnout:breaker:{model.breaker.own.shared_as}", *how)
            fail(two.model("c"))
            c = one.model("c")
            await soon(lambda: c.breaker.is_open)
            assert a.breaker.is_closed and b.breaker.is_closed

    asyncio.run(scenario())


def test_a_provider_nobody_asks_for_any_more_is_not_read(redis: RedisServer) -> None:
    async def scenario() -> None:
        async with replicas(redis, 1) as (one,):
            one.model("a")
            one.health.forget(("p", "sk-1", "a"))
            assert len(one.board._breakers) == 0

    asyncio.run(scenario())
