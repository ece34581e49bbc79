"""Whole gateways whose models fail or are full: replicas that tell each other, and requests that wait for a place."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.live_gateway import LiveGateway
from tests.redis_server import RedisServer
from tests.scenario.policies import two_models

DOWN_THEN_WELL = ("500",) * 3 + ("ok",)


def eventually(claim: Callable[[], bool], within_s: float = 10.0) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.05)
    return False


def metric(gateway: LiveGateway, sample: str) -> float:
    """The value of one sample of GET /metrics."""
    for line in gateway.http.get("/metrics").text.splitlines():
        if line.startswith(sample + " "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(f"no {sample}")


def test_what_one_replica_finds_out_the_other_knows(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    policy = two_models(DOWN_THEN_WELL).replace('script: ["500"', 'breaker: {cooldown: 30s}, script: ["500"')
    with RedisServer() as redis, LiveGateway(one, policy, redis_url=redis.url) as first:
        with LiveGateway(two, policy, redis_url=redis.url) as second:
            for n in range(3):
                assert first.attempts(first.chat(f"question {n}")) == [("first", "error"), ("second", "ok")]
            assert eventually(lambda: metric(second, 'turnout_breaker_open{model="first"}') == 1.0)
            assert second.attempts(second.chat("has never asked it")) == [("first", "rejected"), ("second", "ok")]
            assert metric(second, 'turnout_breaker_open{model="second"}') == 0.0
            assert metric(second, 'turnout_breaker_openings_total{breaker="one/first-1"}') == 1.0


def test_a_probe_of_one_replica_that_is_answered_lets_both_ask_again(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    policy = two_models(DOWN_THEN_WELL).replace('script: ["500"', 'breaker: {cooldown: 2s}, script: ["500"')
    with RedisServer() as redis, LiveGateway(one, policy, redis_url=redis.url) as first:
        with LiveGateway(two, policy, redis_url=redis.url) as second:
            for n in range(3):
                first.chat(f"question {n}")
            assert eventually(lambda: metric(second, 'turnout_breaker_open{model="first"}') == 1.0)
            assert eventually(lambda: first.attempts(first.chat("are you back?")) == [("first", "ok")])
            assert eventually(lambda: metric(second, 'turnout_breaker_open{model="first"}') == 0.0)


FULL = """
version: 1
providers:
  one: {kind: fake, words: 6, ttft: 1500ms, max_in_flight: 1, queue: {length: 1, wait: 10s}}
models:
  first: {provider: one, id: first-1, price: unknown}
routes:
  - {name: urgent, when: {model: urgent}, model: first, priority: high}
  - {name: all, model: first}
"""


def test_a_full_provider_has_one_wait_and_sends_the_rest_away(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, FULL) as gateway, ThreadPoolExecutor(3) as pool:

        def ask(prompt: str) -> httpx.Response:
            return gateway.chat(prompt)

        responses = list(pool.map(ask, ["a", "b", "c"]))
        assert sorted(r.status_code for r in responses) == [200, 200, 503]
        (shed,) = [r for r in responses if r.status_code == 503]
        assert shed.json()["error"]["code"] == "overloaded"
        assert int(shed.headers["retry-after"]) >= 1
        assert gateway.chat("and later?").status_code == 200
        assert metric(gateway, 'turnout_in_flight{model="first"}') == 0.0
        assert metric(gateway, 'turnout_queue_waiting{provider="one"}') == 0.0


def test_who_waits_gives_way_to_a_request_of_higher_priority(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, FULL) as gateway, ThreadPoolExecutor(3) as pool:
        in_flight = pool.submit(gateway.chat, "a")
        assert eventually(lambda: metric(gateway, 'turnout_in_flight{model="first"}') == 1.0)
        waiting = pool.submit(gateway.chat, "b")
        assert eventually(lambda: metric(gateway, 'turnout_queue_waiting{provider="one"}') == 1.0)
        urgent = pool.submit(gateway.chat, "c", model="urgent")
        assert [each.result().status_code for each in (in_flight, waiting, urgent)] == [200, 503, 200]
