"""Limits over a Redis that freezes, dies, fills up or comes back: open or closed as the policy says, and never slow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.limits.base import Ask, LimitsUnavailable
from gateway.limits.redis import RedisCounts
from gateway.limits.shared import SharedLimits
from gateway.redis_link import RedisLink
from gateway.store_guard import DEADLINE_S
from tests.contract.limits_suite import passes, window
from tests.limits.policies import limited
from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer

OPEN = Ask(window(1000, 3600), 1)
CLOSED = Ask(replace(window(1000, 3600, holder="c"), on_error="closed"), 1)


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server for this test alone."""
    with RedisServer() as server:
        yield server


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "turnout.limits")
    return caplog


@contextlib.asynccontextmanager
async def shared(url: str, deadline_s: float = 2.0) -> AsyncIterator[tuple[SharedLimits, list[str]]]:
    """With the causes that metrics were told. deadline_s: long enough for a machine that is busy with other things."""
    causes: list[str] = []
    limiter = SharedLimits(RedisCounts(RedisLink(url)), causes.append, deadline_s=deadline_s, probe_s=0.1)
    await limiter.check()
    try:
        yield limiter, causes
    finally:
        await limiter.aclose()


async def until(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.02)


def test_while_redis_is_frozen_a_replica_counts_alone_or_refuses_and_in_time(
    own: RedisServer, said: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with shared(own.url, DEADLINE_S) as (limiter, causes):
            for _ in range(10):
                assert await passes(limiter, OPEN)
            own.freeze()
            took: list[float] = []
            refusals = 0

            async def caller() -> None:
                nonlocal refusals
                for n in range(20):
                    began = time.perf_counter()
                    try:
                        assert (await limiter.reserve([OPEN if n % 2 else CLOSED])).levels[0].remaining >= 900
                    except LimitsUnavailable as exc:
                        refusals += 1
                        assert (exc.status, exc.code, exc.retry_after_s) == (503, "limits_unavailable", 5)
                    took.append(time.perf_counter() - began)
                    await asyncio.sleep(0.01)

            try:
                await asyncio.gather(*(caller() for _ in range(10)))
                assert limiter.problem is not None and "no reply within" in limiter.problem
            finally:
                own.thaw()
            assert refusals == 100
            assert max(took) < 0.25  # 50 ms by design; the machine is shared
            await until(lambda: limiter.problem is None)
            assert await passes(limiter, CLOSED)
            assert set(causes) == {"timeout"}

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO"]
    assert "counts alone, and limits that are `on_error: closed` refuse (timeout: " in said.records[0].getMessage()


def test_what_is_counted_alone_is_bounded_too(own: RedisServer) -> None:
    async def scenario() -> None:
        async with shared(own.url) as (limiter, _):
            three = Ask(window(3, 3600), 1)
            assert await passes(limiter, three)
            own.stop()
            assert [await passes(limiter, three) for _ in range(5)] == [True] * 3 + [False] * 2

    asyncio.run(scenario())


def test_when_redis_comes_back_counting_goes_on_there(own: RedisServer) -> None:
    async def scenario() -> None:
        async with shared(own.url, DEADLINE_S) as (limiter, _):
            tokens = window(100, 3600, unit="tokens")
            before = await limiter.reserve([Ask(tokens, 60)])
            own.freeze()
            alone = await limiter.reserve([Ask(tokens, 90)])
            before.settle(10)  # waits for Redis to be back
            alone.settle(90)
            assert limiter.owed == 1
            own.thaw()
            await until(lambda: limiter.problem is None and limiter.owed == 0)
            assert (await limiter.reserve([Ask(tokens, 5)])).levels[0].remaining == 100 - 10 - 5

    asyncio.run(scenario())


def test_a_redis_that_takes_no_writes_cannot_count_and_is_not_asked_for_each_request(
    own: RedisServer, said: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with shared(own.url) as (limiter, causes):
            own.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
            own.command("CONFIG", "SET", "maxmemory", "1")
            for _ in range(50):
                assert await passes(limiter, OPEN)
            assert limiter.problem is not None and "raise its maxmemory" in limiter.problem
            await asyncio.sleep(0.5)
            assert limiter.problem is not None, "a ping would be answered; a write is not"
            assert set(causes) == {"full"} and len(causes) < 20
            own.command("CONFIG", "SET", "maxmemory", "0")
            await until(lambda: limiter.problem is None)
            own.command("REPLICAOF", "127.0.0.1", "1")
            assert await passes(limiter, OPEN)
            assert limiter.problem is not None and "point to the primary" in limiter.problem

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING", "INFO", "WARNING"]


def test_a_user_who_may_not_write_these_keys_is_told(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    own.command("ACL", "SETUSER", "other", "on", ">secret", "~turnout:cache:*", "+@all")

    async def scenario() -> None:
        async with shared(own.url.replace("//", "//other:secret@")) as (limiter, causes):
            assert await passes(limiter, OPEN)
            assert set(causes) == {"denied"}

    asyncio.run(scenario())
    assert "allow the user all commands on keys that begin with turnout:limit:" in said.records[0].getMessage()


def test_a_key_of_somebody_else_costs_its_own_window_only(own: RedisServer, said: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with shared(own.url) as (limiter, causes):
            own.command("SET", "turnout:limit:key:requests:3600s:abc", "nonsense")
            three = Ask(window(3, 3600), 1)
            assert [await passes(limiter, three) for _ in range(4)] == [True] * 3 + [False]
            assert set(causes) == {"foreign"}
            assert limiter.problem is None
            other = await limiter.reserve([Ask(window(3, 3600, holder="def"), 1)])
            assert own.command("EXISTS", "turnout:limit:key:requests:3600s:def") == b":1\r\n"
            other.settle(0)

    asyncio.run(scenario())
    assert [r.levelname for r in said.records] == ["WARNING"]


def test_corrections_that_wait_for_redis_are_bounded(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.limits.shared.OWED_MAX", 100)

    async def scenario() -> None:
        async with shared(own.url) as (limiter, _):
            tokens = window(1_000_000, 3600, unit="tokens")
            holds = [await limiter.reserve([Ask(tokens, 10)]) for _ in range(150)]
            own.stop()
            await passes(limiter, OPEN)
            for hold in holds:
                hold.settle(1)
            await asyncio.sleep(0.05)
            assert limiter.owed == 100

    asyncio.run(scenario())


def test_two_gateways_share_their_limits_and_outlast_their_redis(tmp_path: Path, own: RedisServer) -> None:
    policy = limited("{per: key, requests: 10/h}", "{per: team, requests: 8/h, on_error: closed, of: [anonymous]}")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    dave = {"authorization": "Bearer dave"}
    with (
        LiveGateway(folders[0], policy, redis_url=own.url) as one,
        LiveGateway(folders[1], policy, redis_url=own.url) as two,
    ):
        spread = [gateway.chat(headers=dave) for gateway in (one, two) * 5]
        assert [int(a.headers["x-ratelimit-remaining-requests"]) for a in spread] == list(range(9, -1, -1))
        assert {one.chat(headers=dave).status_code, two.chat(headers=dave).status_code} == {429}
        own.freeze()
        try:
            answers = [one.chat(headers=dave) for _ in range(3)]
            assert [a.status_code for a in answers] == [200, 200, 200]
            closed = one.chat()
            assert (closed.status_code, closed.json()["error"]["code"]) == (503, "limits_unavailable")
            assert closed.headers["retry-after"] == "5"
            assert one.entry(closed)["outcome"] == "refused"
            ready = one.http.get("/health/ready").json()
            assert ready["status"] == "degraded"
            assert any(problem.startswith("the limits' store at redis://127.0.0.1:") for problem in ready["problems"])
            assert 'turnout_limits_failures_total{cause="timeout"}' in one.http.get("/metrics").text
        finally:
            own.thaw()
        back_by = time.monotonic() + 10
        while one.http.get("/health/ready").json()["status"] != "ok":
            assert time.monotonic() < back_by, "Redis is back, and is not asked"
            time.sleep(0.05)
        assert one.chat(headers=dave).status_code == 429, "what was counted there is not forgotten"
        assert one.chat().status_code == 200


def test_a_redis_that_is_killed_under_load_costs_no_request(tmp_path: Path, own: RedisServer) -> None:
    with LiveGateway(tmp_path, limited("{per: key, requests: 100000/h, tokens: 100000000/h}"), redis_url=own.url) as gateway:
        until = time.monotonic() + 2

        def caller(number: int) -> list[tuple[int, float]]:
            found = []
            while time.monotonic() < until:
                began = time.monotonic()
                answer = gateway.chat(headers={"authorization": f"Bearer {number}"}, stream=number % 2 == 0)
                found.append((answer.status_code, time.monotonic() - began))
            return found

        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(caller, number) for number in range(8)]
            time.sleep(0.6)
            own.stop()
            time.sleep(0.7)
            own.start()
            found = [one for call in calls for one in call.result()]
        assert {status for status, _ in found} == {200}
        assert max(took for _, took in found) < 1.5  # 50 ms by design; the machine is shared
        back_by = time.monotonic() + 10
        while gateway.http.get("/health/ready").json()["status"] != "ok":
            assert time.monotonic() < back_by, "Redis is back, and is not asked"
            time.sleep(0.05)
        gateway.chat(headers={"authorization": "Bearer back"})
        assert int(own.command("DBSIZE")[1:]) >= 2, "it counts there again"


def test_a_model_whose_limit_is_closed_is_passed_over_while_it_cannot_be_counted(tmp_path: Path, own: RedisServer) -> None:
    own.stop()
    policy = limited("{per: model, of: [first], requests: 100/h, on_error: closed}")
    with LiveGateway(tmp_path, policy, redis_url=own.url) as gateway:
        answer = gateway.chat()
        assert (answer.status_code, answer.headers["x-turnout-model"]) == (200, "second")
        rejected = gateway.entry(answer)["attempts"][0]
        assert (rejected["outcome"], rejected["fault"]) == ("rejected", "unavailable")
        assert "cannot be counted just now, and limits[0] of the policy says `on_error: closed`" in rejected["error"]
        own.start()
        back_by = time.monotonic() + 10
        while gateway.chat().headers["x-turnout-model"] != "first":
            assert time.monotonic() < back_by, "its breaker has nothing to do with it"
            time.sleep(0.05)


def test_without_redis_at_the_start_a_gateway_counts_alone_and_says_so(tmp_path: Path, own: RedisServer) -> None:
    own.stop()
    with LiveGateway(tmp_path, limited("{per: key, requests: 2/h}"), redis_url=own.url) as gateway:
        assert [gateway.chat().status_code for _ in range(3)] == [200, 200, 429]
        assert any("the limits' store at" in problem for problem in gateway.http.get("/health/ready").json()["problems"])
