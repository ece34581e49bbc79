"""Providers over reloads: kept while wanted, started when new, closed once idle."""

from __future__ import annotations

import asyncio
import time

from gateway.errors import UpstreamError
from gateway.fleet import Fleet
from gateway.health.model import Health
from gateway.limits.limits import Limits
from gateway.limits.memory import MemoryLimits
from gateway.metrics import Metrics
from gateway.policy.catalog import Model
from gateway.policy.catalog import Provider as ProviderSpec
from gateway.policy.compile import Policy, compile_policy
from gateway.providers.base import Call, Exchange


class Spy:
    """A provider that counts what is done to it."""

    unavailable: str | None = None

    def __init__(self) -> None:
        self.started = self.closed = 0

    async def start(self) -> None:
        self.started += 1

    async def open(self, call: Call) -> Exchange:
        raise AssertionError("nobody calls it here")

    async def aclose(self) -> None:
        self.closed += 1


def policy(**ids: str) -> Policy:
    models = "".join(f"  {name}: {{provider: p, id: {id_}, price: unknown}}\n" for name, id_ in ids.items())
    first = next(iter(ids))
    text = f"version: 1\nproviders: {{p: {{kind: fake}}}}\nmodels:\n{models}routes: [{{name: all, model: {first}}}]\n"
    return compile_policy("p.yaml", text, env={}, price_of=lambda provider, id_: None, read_file=lambda name: "")


def test_a_reload_keeps_what_stays_starts_what_is_new_and_closes_what_is_gone() -> None:
    made: dict[str, Spy] = {}

    def make(name: str, spec: ProviderSpec, model: Model, unavailable: str | None) -> Spy:
        made[model.id] = Spy()
        return made[model.id]

    async def scenario() -> None:
        fleet = Fleet(make, Health(), Limits(MemoryLimits(), Metrics()))
        old, new = policy(a="one", b="two"), policy(a="one", c="three")
        before = await fleet.targets(old)
        after = await fleet.targets(new)
        fleet.retire(old, new)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert after["a"].provider is before["a"].provider
        assert {id_: (spy.started, spy.closed) for id_, spy in made.items()} == {"one": (1, 0), "two": (1, 1), "three": (1, 0)}
        await fleet.aclose()
        assert [spy.closed for spy in made.values()] == [1, 1, 1]

    asyncio.run(scenario())


def test_a_provider_that_still_answers_is_closed_only_when_it_is_done() -> None:
    spy = Spy()

    async def scenario() -> None:
        health = Health()
        fleet = Fleet(lambda name, spec, model, unavailable: spy, health, Limits(MemoryLimits(), Metrics()))
        old, new = policy(a="one"), policy(a="two")
        busy = (await fleet.targets(old))["a"].health.busy
        call = busy.start(time.monotonic())
        await fleet.targets(new)
        fleet.retire(old, new)
        await asyncio.sleep(0.01)
        assert spy.closed == 0
        busy.stop(call, time.monotonic())
        async with asyncio.timeout(5):
            while not spy.closed:  # noqa: ASYNC110 - the fleet polls, so does its test
                await asyncio.sleep(0.01)
        await fleet.aclose()

    asyncio.run(scenario())


BUSY_POLICY = """
version: 1
providers: {{p: {{kind: fake{provider}}}}}
models:
  a: {{provider: p, id: one, price: unknown{model}}}
  b: {{provider: p, id: two, price: unknown}}
routes: [{{name: all, balance: [{{model: a}}, {{model: b}}]}}]
"""


def with_room(provider: str = "", model: str = "") -> Policy:
    text = BUSY_POLICY.format(provider=provider, model=model)
    return compile_policy("p.yaml", text, env={}, price_of=lambda provider, id_: None, read_file=lambda name: "")


def test_a_reload_changes_capacity_and_breaker_in_place_and_forgets_nothing() -> None:
    async def scenario() -> None:
        spies: list[Spy] = []

        def make(name: str, spec: ProviderSpec, model: Model, unavailable: str | None) -> Spy:
            spies.append(Spy())
            return spies[-1]

        fleet = Fleet(make, Health(), Limits(MemoryLimits(), Metrics()))
        old = with_room()
        new = with_room(", max_in_flight: 3, queue: {length: 2}, breaker: {failures: 2}", ", max_in_flight: 1")
        before = await fleet.targets(old)
        health = before["a"].health
        health.breaker.failed(UpstreamError("no", fault="status", status=500))
        assert not health.is_bounded and not before["b"].health.is_bounded
        after = await fleet.targets(new)
        fleet.retire(old, new)
        assert [spy.closed for spy in spies] == [0, 0], "the adapters know nothing of it"
        assert after["a"].health is health and health.provider is after["b"].health.provider
        assert health.gate.is_bounded and health.provider.gate.is_bounded and not after["b"].health.gate.is_bounded
        health.breaker.failed(UpstreamError("no", fault="status", status=500))
        assert not health.breaker.admits(), "two in a row, one of them from before"
        await fleet.targets(with_room())
        assert not health.is_bounded
        await fleet.aclose()

    asyncio.run(scenario())
