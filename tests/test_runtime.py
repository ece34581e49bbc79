"""What a policy that is ready to serve tells of its models: to the router, and to Prometheus."""

from __future__ import annotations

import asyncio

from gateway.exposition import exposition
from gateway.fleet import Fleet
from gateway.health.model import Health
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimits
from gateway.metrics import Metrics
from gateway.policy.compile import compile_policy
from gateway.providers.fake import FakeProvider
from gateway.router import Router
from gateway.runtime import Runtime

POLICY = """
version: 1
providers: {p: {kind: fake}}
models:
  a: {provider: p, id: one, price: unknown}
  b: {provider: p, id: two, price: unknown}
  c: {provider: p, id: three, price: unknown}
routes:
- {name: rare, when: {model: rare}, model: c, fallback: [a], latency_guard: {ttft: ">1s", then: a}}
- {name: all, balance: [{model: a}, {model: b}], fallback: [c]}
"""


async def runtime(text: str = POLICY) -> Runtime:
    policy = compile_policy("p.yaml", text, env={}, price_of=lambda provider, id_: None, read_file=lambda name: "")
    fleet = Fleet(lambda name, spec, model, unavailable: FakeProvider(name), Health(), Limits(MemoryLimits(), Metrics()))
    return Runtime(Router(policy, None, None, None, {}), await fleet.targets(policy))


def test_only_models_that_are_balanced_have_a_load() -> None:
    async def scenario() -> None:
        now = await runtime()
        for target in now.targets.values():
            target.health.pace.answered(100, True, 2.0)
        loads = {name: candidate.load for name, candidate in now.candidates().items()}
        assert loads["a"] > 1.0 and loads["b"] > 1.0 and loads["c"] == 0.0

        before = now.candidates()["a"].load
        now.targets["a"].health.pace.answered(100, True, 9.0)
        assert now.candidates()["a"].load > before

    asyncio.run(scenario())


def test_candidates_are_the_same_until_a_model_becomes_unavailable() -> None:
    async def scenario() -> None:
        now = await runtime(POLICY.replace("balance: [{model: a}, {model: b}]", "model: a"))
        before = now.candidates()
        assert now.candidates() is before and before["b"].unavailable is None
        provider = now.targets["b"].provider
        assert isinstance(provider, FakeProvider)
        provider.unavailable = "KEY is not set"
        assert now.candidates()["b"].unavailable == "KEY is not set"
        provider.unavailable = None
        assert now.candidates() == before

    asyncio.run(scenario())


def test_metrics_tell_the_state_of_every_model() -> None:
    async def scenario() -> None:
        now = await runtime()
        rule = now.policy.routes[0].failover.guard
        assert rule is not None
        for _ in range(6):
            now.targets["c"].health.guard(rule).noted(1.0, 100, True, is_over=False)
        metrics = Metrics()
        metrics.states = now.gauges
        metrics.breaker_opened("p/one")
        text = exposition(metrics, "")[0].decode()
        for line in (
            'turnout_latency_guard{model="c"} 1.0',
            'turnout_latency_guard{model="a"} 0.0',
            'turnout_breaker_open{model="b"} 0.0',
            'turnout_breaker_openings_total{breaker="p/one"} 1.0',
            'turnout_in_flight{model="a"} 0.0',
            'turnout_queue_waiting{provider="p"} 0.0',
        ):
            assert line in text.splitlines()
        other = Metrics()
        other.peers = lambda: [metrics.counted(), metrics.counted()]
        assert 'turnout_latency_guard{model="c"} 1.0' in exposition(other, "")[0].decode().splitlines()

    asyncio.run(scenario())
