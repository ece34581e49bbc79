"""The providers that are up, kept over reloads as long as the policy still wants them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from typing import Protocol, runtime_checkable

from gateway.execute import Target
from gateway.health import Health
from gateway.policy.catalog import Model
from gateway.policy.catalog import Provider as ProviderSpec
from gateway.policy.compile import Policy
from gateway.providers.base import Provider

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

    def __init__(self, make: MakeProvider, health: Health) -> None:
        self._make, self._health = make, health
        self._providers: dict[Hashable, Provider] = {}
        self._draining: set[asyncio.Task[None]] = set()

    async def targets(self, policy: Policy) -> dict[str, Target]:
        """A target for each model of the policy; starts what is new. The old ones stay up until `retire`."""
        targets = {}
        for name, model in policy.models.items():
            key = _key(policy, model)
            if key not in self._providers:
                spec = policy.providers[model.provider]
                provider = self._make(model.provider, spec, model, policy.unavailable.get(model.provider))
                if isinstance(provider, Started):
                    await provider.start()
                self._providers[key] = provider
            targets[name] = Target(model, self._providers[key], self._health.of(model.provider, model.id))
        return targets

    def retire(self, old: Policy, new: Policy) -> None:
        """Close what only the old policy wanted, once the calls it still answers have ended."""
        kept = {_key(new, model) for model in new.models.values()}
        for model in old.models.values():
            key = _key(old, model)
            if key not in kept and key in self._providers:
                task = asyncio.create_task(self._drain(self._providers.pop(key), model), name=f"drain-{model.name}")
                self._draining.add(task)
                task.add_done_callback(self._draining.discard)

    async def aclose(self) -> None:
        for task in self._draining:
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        await asyncio.gather(*(provider.aclose() for provider in self._providers.values()))
        self._providers.clear()

    async def _drain(self, provider: Provider, model: Model) -> None:
        busy = self._health.of(model.provider, model.id).busy
        until = time.monotonic() + DRAIN_S
        try:
            while busy.running and time.monotonic() < until:  # noqa: ASYNC110 - an event would cost every request
                await asyncio.sleep(DRAIN_STEP_S)
        finally:
            await provider.aclose()


def _key(policy: Policy, model: Model) -> Hashable:
    """What makes two adapters the same: settings, model, and whether its credentials are there."""
    spec = policy.providers[model.provider]
    return (model.provider, spec.model_dump_json(), model.id, model.context_tokens, policy.unavailable.get(model.provider))
