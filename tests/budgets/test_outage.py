"""Budgets of replicas: together over one Redis, and over one that freezes, dies or loses its keys."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.budgets.base import Ask, Charge
from gateway.budgets.redis import PREFIX, RedisCounts
from gateway.budgets.shared import DEADLINE_S, SharedCounts
from gateway.errors import StoreUnavailable
from gateway.redis_link import RedisLink
from tests.budgets.policies import budgeted
from tests.contract.budgets_suite import AT, account
from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer

ADMIN = {"authorization": "Bearer the-operator"}
COST = 8_000_000


@pytest.fixture
def own() -> Iterator[RedisServer]:
    """A server for this test alone."""
    with RedisServer() as server:
        yield server


@contextlib.asynccontextmanager
async def shared(url: str, deadline_s: float = 2.0) -> AsyncIterator[SharedCounts]:
    counts = SharedCounts(RedisCounts(RedisLink(url)), lambda *_: None, lambda cause: None, deadline_s=deadline_s, probe_s=0.1)
    await counts.check()
    await counts.fill(account().family, dict, AT)
    try:
        yield counts
    finally:
        await counts.aclose()


async def until(is_so: Callable[[], bool], within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - nobody tells it
            await asyncio.sleep(0.02)


def test_while_redis_is_frozen_a_replica_counts_alone_or_refuses_and_in_time(own: RedisServer) -> None:
    async def scenario() -> None:
        async with shared(own.url, DEADLINE_S) as counts:
            counts.settle([Charge(account(), 50, AT, AT)])
            await until(lambda: counts.owed == 0)
            own.freeze()
            try:
                began = time.perf_counter()
                assert not (await counts.reserve("a", [Ask(account(), 60, 100)], AT, 60)).is_held, "it knows what it spent"
                assert (await counts.reserve("b", [Ask(account(), 40, 100)], AT, 60)).is_held
                with pytest.raises(StoreUnavailable):
                    await counts.reserve("c", [Ask(account(), 1, 100, "closed")], AT, 60)
                assert time.perf_counter() - began < 3  # 250 ms by design; the machine is shared
                counts.settle([Charge(account(), 30, AT, AT, "b", 40)])
                assert counts.problem is not None and "no reply within" in counts.problem
            finally:
                own.thaw()
            await until(lambda: counts.problem is None and counts.owed == 0)
            [state] = await counts.states([account()], AT)
            assert (state.spent_nusd, state.reserved_nusd) == (80, 0), "what was counted alone is told when it is back"

    asyncio.run(scenario())


def test_alone_a_replica_goes_by_what_redis_said_last_of_all_of_them(own: RedisServer) -> None:
    async def scenario() -> None:
        async with shared(own.url) as one, shared(own.url) as two:
            one.settle([Charge(account(), 50, AT, AT)])
            await until(lambda: one.owed == 0)
            assert (await two.reserve("a", [Ask(account(), 1, 100)], AT, 60)).is_held
            own.stop()
            assert not (await two.reserve("b", [Ask(account(), 60, 100)], AT, 60)).is_held, "the other one spent 50"
            assert (await two.reserve("c", [Ask(account(), 40, 100)], AT, 60)).is_held
            own.start()

    asyncio.run(scenario())


def test_what_could_not_be_told_is_told_once_when_redis_is_back(own: RedisServer) -> None:
    async def scenario() -> None:
        async with shared(own.url, 0.5) as counts:
            for n in range(5):
                assert (await counts.reserve(f"h{n}", [Ask(account(), 10, 1000)], AT, 60)).is_held
            own.freeze()
            counts.settle([Charge(account(), 7, AT, AT, f"h{n}", 10) for n in range(5)])
            await asyncio.sleep(1.5)  # sent, and no reply: Redis reads it when it is thawed
            assert counts.owed == 5
            own.thaw()
            await until(lambda: counts.owed == 0 and counts.problem is None)
            [state] = await counts.states([account()], AT)
            assert (state.spent_nusd, state.reserved_nusd) == (35, 0)

    asyncio.run(scenario())


def test_an_account_that_somebody_else_wrote_over_keeps_no_other_from_being_counted(own: RedisServer) -> None:
    async def scenario() -> None:
        async with shared(own.url) as counts:
            own.command("SET", f"{PREFIX}spent:{account('spoilt').id}", "text")
            counts.settle([Charge(account("spoilt"), 5, AT, AT)])
            await until(lambda: counts.owed == 0)
            counts.settle([Charge(account(), 7, AT, AT)])
            await until(lambda: counts.owed == 0)
            [state] = await counts.states([account()], AT)
            assert state.spent_nusd == 7
            assert (await counts.reserve("h", [Ask(account("spoilt"), 95, 100)], AT, 60)).is_held, "counted alone, and once more"
            assert not (await counts.reserve("i", [Ask(account("spoilt"), 96, 100)], AT, 60)).is_held

    asyncio.run(scenario())


def gateways(folder: Path, redis: RedisServer, *rules: str) -> contextlib.ExitStack:
    """Two of them, with ledgers of their own, as `.one` and `.two` of what is returned."""
    stack: Any = contextlib.ExitStack()
    for name in ("one", "two"):
        (folder / name).mkdir()
        live = LiveGateway(folder / name, budgeted(*rules), redis_url=redis.url, admin_key="the-operator")
        setattr(stack, name, stack.enter_context(live))
    assert isinstance(stack, contextlib.ExitStack)
    return stack


def spent(gateway: LiveGateway) -> list[tuple[int, int]]:
    rows = gateway.http.get("/admin/budgets", headers=ADMIN).json()["budgets"]
    return [(row["spent_nusd"], row["reserved_nusd"]) for row in rows]


def test_two_gateways_hold_one_budget(tmp_path: Path, redis: RedisServer) -> None:
    # Closed, so that a machine which is too busy for its Redis refuses and does not overspend.
    stack: Any = gateways(tmp_path, redis, "{per: gateway, usd: 0.5/day, on_error: closed}", "{per: key, usd: 9/month}")
    with stack, ThreadPoolExecutor(8) as pool:
        both = [stack.one, stack.two]
        answers = list(pool.map(lambda n: both[n % 2].chat(max_tokens=20), range(100)))
        while answers[-1].status_code != 429:
            answers.append(both[len(answers) % 2].chat(max_tokens=20))
        assert {answer.status_code for answer in answers} <= {200, 429, 503}
        booked = sum(both[n % 2].entry(answer)["cost_nusd"] for n, answer in enumerate(answers) if answer.status_code == 200)
        until = time.monotonic() + 10
        while spent(stack.one)[0] != (booked, 0):
            assert time.monotonic() < until, f"{spent(stack.one)}, and {booked} are booked"
            time.sleep(0.05)
        assert 500_000_000 - 8 * 22_000_000 <= booked <= 500_000_000
        assert spent(stack.two)[0] == (booked, 0)


def test_a_redis_that_lost_its_keys_is_filled_from_the_ledger(tmp_path: Path, own: RedisServer) -> None:
    with LiveGateway(tmp_path, budgeted("{per: key, usd: 0.02/day}"), redis_url=own.url, admin_key="the-operator") as gateway:
        assert [gateway.chat(max_tokens=8).status_code for _ in range(3)] == [200, 200, 429]
        time.sleep(1)  # the ledger is written
        own.command("FLUSHALL")
        assert gateway.chat(max_tokens=8).status_code == 429
        assert spent(gateway) == [(2 * COST, 0)]


def test_a_closed_budget_refuses_while_redis_is_away_and_an_open_one_goes_on(
    tmp_path: Path, own: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "turnout.budgets")
    rules = "{per: key, usd: 0.1/day}", "{per: tag:app, usd: 0.1/day, on_error: closed}"
    with LiveGateway(tmp_path, budgeted(*rules), redis_url=own.url, admin_key="the-operator") as gateway:
        assert gateway.chat(max_tokens=8).status_code == 200
        own.freeze()
        try:
            assert [gateway.chat(max_tokens=8).status_code for _ in range(3)] == [200] * 3
            closed = gateway.chat(max_tokens=8, headers={"x-turnout-tags": "app=web"})
            assert (closed.status_code, closed.json()["error"]["code"]) == (503, "budgets_unavailable")
            assert "what tag app='web' has spent cannot be counted just now" in closed.text
            assert [gateway.chat(max_tokens=60).status_code for _ in range(2)] == [200, 429], "alone it holds as well"
            ready = gateway.http.get("/health/ready").json()
            assert ready["status"] == "degraded" and "the budgets' store" in " ".join(ready["problems"])
        finally:
            own.thaw()
        until = time.monotonic() + 15
        while gateway.http.get("/health/ready").json()["problems"] or spent(gateway)[0] != (5 * COST, 0):
            assert time.monotonic() < until, (spent(gateway), gateway.http.get("/health/ready").json()["problems"])
            time.sleep(0.1)
    assert "counts alone, and budgets that are `on_error: closed` refuse" in caplog.text
