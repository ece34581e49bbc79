"""What several workers do together is what one would have done: entries, spend, counts, look-ups, policies and limits."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from benchmarks.crashes import free_port
from benchmarks.server import TURNOUT, Server, environment
from benchmarks.witness import booked
from tests.budgets.policies import budgeted
from tests.limits.policies import limited
from tests.processes.gateways import gateway
from tests.processes.test_workers import counted, start
from tests.redis_server import RedisServer

pytestmark = pytest.mark.timeout(120)

MOMENT_S = 30.0  # on a busy machine; a tenth of a second elsewhere
AT_A_TIME = 16

# An entry costs 20 words × $2 a million tokens and the prompt.
POLICY = """
version: 1
providers: {rehearsed: {kind: fake, words: 20}}
models: {m: {provider: rehearsed, id: x, price: {input: 1, output: 2}}}
routes: [{name: all, model: m}]
"""


BODY = {"model": "auto", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}


def connecting() -> httpx.AsyncClient:
    """A client that keeps no connection, so that each request goes to any of the workers."""
    return httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=AT_A_TIME, max_keepalive_connections=0))


async def ask_many(server: Server, count: int) -> list[httpx.Response]:
    """So many requests, some at a time."""
    async with connecting() as http:
        asked = (http.post(f"{server.url}/v1/chat/completions", json=BODY) for _ in range(count))
        return await asyncio.gather(*asked)


async def seen(server: Server, path: str, times: int = 16) -> list[httpx.Response]:
    """What is said on so many connections: more than enough to reach every worker."""
    async with connecting() as http:
        return await asyncio.gather(*(http.get(f"{server.url}{path}") for _ in range(times)))


async def policies_of(server: Server) -> set[str]:
    return {said.json()["policy"] for said in await seen(server, "/health/ready")}


def served_by(folder: Path) -> list[int]:
    """How many requests each worker has counted."""
    told = [json.loads(path.read_bytes())["counts"] for path in (folder / "workers").glob("*/*.json")]
    return [sum(count for _, count in counts.get("turnout_requests", [])) for counts in told]


def spent(folder: Path) -> tuple[int, Decimal]:
    """Requests and dollars that `turnout spend` says."""
    command = [*TURNOUT, "spend", "--by", "model", "--json"]
    env = environment(TURNOUT_DATA_DIR=str(folder), TURNOUT_POLICY=str(folder / "policy.yaml"))
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=True)
    rows = json.loads(done.stdout, parse_float=Decimal)["rows"]
    return sum(row["requests"] for row in rows), sum((Decimal(row["cost_usd"]) for row in rows), Decimal())


@pytest.mark.parametrize("workers", [2, 4])
def test_every_worker_serves_and_entries_spend_and_counts_are_those_of_all(tmp_path: Path, workers: int) -> None:
    count = 200

    async def scenario() -> Decimal:
        async with gateway(tmp_path, policy=POLICY, workers=workers) as server:
            answers = await ask_many(server, count)
            assert {answer.status_code for answer in answers} == {200}
            async with asyncio.timeout(MOMENT_S):
                while {counted(said.text) for said in await seen(server, "/metrics")} != {count}:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            served = served_by(tmp_path)
            assert len(served) == workers and min(served) > 0 and sum(served) == count
        return sum((Decimal(answer.headers["x-turnout-cost-usd"]) for answer in answers), Decimal())

    told = asyncio.run(scenario())
    assert len({id_ for id_, *_ in booked(tmp_path / "ledger.db")}) == len(booked(tmp_path / "ledger.db")) == count
    assert spent(tmp_path) == (count, told)


def test_any_worker_finds_what_another_has_served(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, policy=POLICY, workers=3) as server:
            ids = [answer.headers["x-request-id"] for answer in await ask_many(server, 3)]
            async with asyncio.timeout(MOMENT_S):
                for id_ in ids:
                    path = f"/v1/requests/{id_}"
                    while {said.status_code for said in await seen(server, path)} != {200}:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_a_changed_policy_reaches_every_worker(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path, policy=POLICY, workers=3) as server:
            before = await policies_of(server)
            assert len(before) == 1
            (tmp_path / "policy.yaml").write_text(POLICY.replace("name: all", "name: others"))
            async with asyncio.timeout(MOMENT_S):
                while (after := await policies_of(server)) & before:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert len(after) == 1
            assert {a.headers["x-turnout-route"] for a in await ask_many(server, 24)} == {"others"}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (limited("{per: key, requests: 10/min}"), "callers get up to 2 times as much; set TURNOUT_REDIS_URL"),
        (budgeted("{per: key, usd: 1/day}"), "more is spent than they allow; set TURNOUT_REDIS_URL"),
    ],
)
def test_limits_and_budgets_that_workers_cannot_count_together_are_refused_once(tmp_path: Path, policy: str, said: str) -> None:
    (tmp_path / "policy.yaml").write_text(policy)
    done = start(tmp_path, free_port(), "--policy", str(tmp_path / "policy.yaml"))
    assert done.returncode == 1
    assert done.stderr.count(said) == 1 == len(done.stderr.splitlines()), done.stderr
    assert "worker 2" not in done.stderr and "serves on" not in done.stdout


def test_with_redis_workers_hold_limits_together(tmp_path: Path) -> None:
    async def scenario(redis: RedisServer) -> Counter[int]:
        policy = limited("{per: key, requests: 12/h}")
        async with gateway(tmp_path, policy=policy, workers=3, TURNOUT_REDIS_URL=redis.url) as server:
            return Counter(answer.status_code for answer in await ask_many(server, 40))

    with RedisServer() as redis:
        assert asyncio.run(scenario(redis)) == {200: 12, 429: 28}


def test_with_redis_workers_hold_budgets_together(tmp_path: Path) -> None:
    """An answer costs $0.008 and $0.022 are reserved for it, so that the seventh is the last that fits."""

    async def scenario(redis: RedisServer) -> None:
        policy = budgeted("{per: key, usd: 0.07/day}")
        async with gateway(tmp_path, policy=policy, workers=3, TURNOUT_REDIS_URL=redis.url) as server:
            answered, refused = 0, 0
            for answer in await ask_many(server, 20):
                answered += answer.status_code == 200
            while refused < 12:  # a worker each, some of them several times
                status = (await ask_many(server, 1))[0].status_code
                answered, refused = (answered + 1, 0) if status == 200 else (answered, refused + 1)
                await asyncio.sleep(0.05)
            assert answered == 7

    with RedisServer() as redis:
        asyncio.run(scenario(redis))
    _, usd = spent(tmp_path)
    assert usd == Decimal("0.056")
