"""Each model's state, and each provider's: breaker, capacity, pace, latency guards. Kept by what makes their adapters."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Final, Protocol
from weakref import WeakValueDictionary

from gateway.health.breaker import Breaker
from gateway.health.busy import BusyMeter
from gateway.health.gate import Gate, Place, enter
from gateway.health.guard import Guard
from gateway.health.model_breaker import Lease, ModelBreaker
from gateway.health.pace import Pace
from gateway.policy.failover import BreakerRule, Capacity, GuardRule, Priority

Clock = Callable[[], float]

UNKNOWN_S: Final = 10.0  # supposed of a model that was asked and has not answered yet; as Finagle's penalty
FAILED_MAX: Final = 0.95  # counted of a model's calls when its load is told


class Sharing(Protocol):
    """Replicas of the gateway that tell each other of their breakers."""

    @property
    def problem(self) -> str | None:
        """Why they cannot just now, with the remedy."""
        ...

    def share(self, breaker: Breaker) -> None:
        """From now on until it is gone."""
        ...

    async def leased(self, breakers: Sequence[Breaker]) -> bool:
        """Whether this replica is the one to probe these."""
        ...


class ProviderHealth:
    """What all models of a provider share."""

    def __init__(self, breaker: Breaker, clock: Clock) -> None:
        self.breaker = breaker
        self.gate = Gate(breaker.name, clock=clock)


class ModelHealth:
    """One model's state."""

    def __init__(self, breaker: Breaker, provider: ProviderHealth, lease: Lease | None, clock: Clock) -> None:
        """breaker: its own."""
        self._clock = clock
        self.provider = provider
        self.breaker = ModelBreaker(breaker, provider.breaker, lease)
        self.busy = BusyMeter()
        self.pace = Pace(clock)
        self.gate = Gate(breaker.name, clock=clock)
        self._guards: dict[GuardRule, Guard] = {}

    @property
    def is_bounded(self) -> bool:
        """Whether a call has to `enter`."""
        return self.gate.is_bounded or self.provider.gate.is_bounded

    async def enter(self, priority: Priority, until: float) -> Place:
        """A place for one call, waited for until then on the clock. Raises UpstreamError (`busy`) when there is none.

        The model's own before the provider's: who waits for a slow model must not hold what its provider's others could use.
        """
        return await enter((self.gate, self.provider.gate), priority, until)

    def guard(self, rule: GuardRule) -> Guard:
        """The guard by this rule, the same one each time. Where it sends requests does not matter here."""
        rule = replace(rule, then="")
        guard = self._guards.get(rule)
        if guard is None:
            guard = self._guards[rule] = Guard(self.gate.name, rule, self.pace, self._clock)
        return guard

    def is_slow(self, rules: Iterable[GuardRule]) -> bool:
        """Whether a guard by one of these rules has tripped."""
        guards = (self._guards.get(replace(rule, then="")) for rule in rules)
        return any(guard is not None and guard.is_tripped for guard in guards)

    @property
    def load(self) -> float:
        """Seconds that one more call would take to be answered: what calls take now, times those in flight and itself.

        Divided by the share that is answered: else a model that fails at once would look like the quickest.
        """
        failed, running = self.breaker.failed_share, self.busy.running
        # One that never answered is tried first, but by one call at a time, and not while all it does is fail.
        latency_s = self.pace.latency_s or (UNKNOWN_S if failed or running else 0.0)
        return latency_s * (running + 1) / (1.0 - min(failed, FAILED_MAX))


class Health:
    """Of every model, by what makes its adapter: with another address or key it is another model, and starts well."""

    def __init__(
        self,
        clock: Clock = time.monotonic,
        sharing: Sharing | None = None,
        opened: Callable[[str], None] | None = None,
    ) -> None:
        """sharing: None where this gateway is alone. opened: is called with the name of each breaker that opens."""
        self._clock, self._sharing, self._opened = clock, sharing, opened
        self._models: dict[Hashable, ModelHealth] = {}
        self._providers: WeakValueDictionary[Hashable, ProviderHealth] = WeakValueDictionary()

    def provider(self, key: Hashable, name: str, rule: BreakerRule, capacity: Capacity) -> ProviderHealth:
        """The state under this key, new if there is none; from now on by these rules. Forgotten with its last model."""
        provider = self._providers.get(key)
        if provider is None:
            provider = self._providers[key] = ProviderHealth(self._breaker("provider", key, name), self._clock)
        provider.breaker.obey(rule)
        provider.gate.obey(capacity)
        return provider

    def of(
        self,
        key: Hashable,
        name: str,
        provider: ProviderHealth | None = None,
        rule: BreakerRule | None = None,
        capacity: Capacity | None = None,
    ) -> ModelHealth:
        """The state under this key, new if there is none; from now on by these rules, where they are given.

        name: for the log. provider: of a new one; None for one that it shares with no other model.
        """
        model = self._models.get(key)
        if model is None:
            if provider is None:
                provider = self.provider(("of", key), f"provider of {name}", BreakerRule(), Capacity())
            lease = self._sharing.leased if self._sharing is not None else None
            model = self._models[key] = ModelHealth(self._breaker("model", key, name), provider, lease, self._clock)
        if rule is not None:
            model.breaker.own.obey(rule)
        if capacity is not None:
            model.gate.obey(capacity)
        return model

    def forget(self, key: Hashable) -> None:
        """Nobody asks for it any more."""
        self._models.pop(key, None)

    def _breaker(self, kind: str, key: Hashable, name: str) -> Breaker:
        # The key holds the credentials: who has others must not meet it, and nobody read them in a store.
        shared_as = hashlib.sha256(repr((kind, key)).encode()).hexdigest()[:32]
        breaker = Breaker(name, self._clock, shared_as=shared_as)
        if self._opened is not None:
            breaker.opened = self._opened
        if self._sharing is not None:
            self._sharing.share(breaker)
        return breaker
