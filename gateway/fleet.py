"""The providers that are up, kept over reloads as long as the policy still wants them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from typing import Protocol, runtime_checkable

from gateway.health.model import Health, ModelHealth
from gateway.limits.limits import Limits
from gateway.policy.catalog import Model
from gateway.policy.catalog import Provider as ProviderSpec
from gateway.policy.compile import Policy
from gateway.policy.compile_failover import breaker_rule, capacity
from gateway.pricing.tokens import Vocabularies
from gateway.providers.base import Provider
from gateway.target import Target

log = logging.getLogger("turnout.fleet")

DRAIN_S = 300.0
DRAIN_STEP_S = 0.1

MakeProvider = Callable[[str, ProviderSpec, Model, str | None], Provider]
"""(provider's name, its settings, the model, why it is unavailable) to an adapter."""


@runtime_checkable
class Started(Protocol):
    """A provider that runs something of its own."""

    async def start(self) -> None: ...


class Fleet:
    """make: from settings to an adapter; app.py's, since it names the concrete ones."""

    def __init__(self, make: MakeProvider, health: Health, limits: Limits) -> None:
        self._make, self._health, self._limits = make, health, limits
        self._vocabularies = Vocabularies()
        self._providers: dict[Hashable, Provider] = {}
        self._draining: dict[asyncio.Task[None], Provider] = {}

    async def targets(self, policy: Policy) -> dict[str, Target]:
        """A target for each model of the policy; starts what is new. The old ones stay up until `retire`.

        What is known of a model that stays is kept, and goes by the new policy's breaker and capacity from now on.
        """
        targets = {}
        for name, model in policy.models.items():
            key = _key(policy, model)
            if key not in self._providers:
                spec = policy.providers[model.provider]
                provider = self._make(model.provider, spec, model, policy.unavailable.get(model.provider))
                if isinstance(provider, Started):
                    await provider.start()
                self._providers[key] = provider
            quota = self._limits.of_model(policy.limits, name)
            tokens = self._vocabularies.of(model.id)
            targets[name] = Target(model, self._providers[key], self._health_of(policy, model), quota, tokens)
        return targets

    def retire(self, old: Policy, new: Policy) -> None:
        """Close what only the old policy wanted, once the calls it still answers have ended."""
        kept = {_key(new, model) for model in new.models.values()}
        for model in old.models.values():
            key = _key(old, model)
            if key not in kept and key in self._providers:
                provider = self._providers.pop(key)
                task = asyncio.create_task(self._drain(key, provider, model.name), name=f"drain-{model.name}")
                self._draining[task] = provider

    async def aclose(self) -> None:
        tasks, draining = list(self._draining), list(self._draining.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(provider.aclose() for provider in [*draining, *self._providers.values()]))
        self._draining.clear()
        self._providers.clear()
        await self._vocabularies.aclose()

    def _health_of(self, policy: Policy, model: Model) -> ModelHealth:
        spec = policy.providers[model.provider]
        rule = breaker_rule(spec.breaker)
        shared = self._health.provider(_provider_key(policy, model.provider), f"provider {model.provider}", rule, capacity(spec))
        return self._health.of(_key(policy, model), f"{model.provider}/{model.id}", shared, rule, model.capacity)

    async def _drain(self, key: Hashable, provider: Provider, name: str) -> None:
        busy = self._health.of(key, name).busy
        until = time.monotonic() + DRAIN_S
        while busy.running and time.monotonic() < until:  # noqa: ASYNC110 - an event would cost every request
            await asyncio.sleep(DRAIN_STEP_S)
        # From here on it is closed by us and not by aclose, which may come while we wait.
        task = asyncio.current_task()
        assert task is not None
        del self._draining[task]
        if key not in self._providers:  # else a later policy wanted it again
            self._health.forget(key)
        await provider.aclose()


def _key(policy: Policy, model: Model) -> Hashable:
    """What makes two adapters the same: settings, model, and whether its credentials are there."""
    return (*_provider_key(policy, model.provider), model.id, model.context_tokens)


def _provider_key(policy: Policy, name: str) -> tuple[str, str, str | None]:
    settings = policy.providers[name].model_dump_json(exclude={"breaker", "max_in_flight", "queue"})  # those the adapter ignores
    return name, settings, policy.unavailable.get(name)
