"""One policy, ready to serve: the router and a callable target for each model. Replaced whole on a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from gateway.cache.semantic import Matcher
from gateway.health.gauges import Gauges, gauges
from gateway.policy.catalog import Model
from gateway.policy.compile import Policy
from gateway.policy.model import Candidate
from gateway.router import Router
from gateway.target import Target


class _Seen:
    """Candidates as they were, and what made them so."""

    def __init__(self) -> None:
        self.unavailable: list[str | None] | None = None
        self.candidates: Mapping[str, Candidate] = {}


@dataclass(frozen=True)
class Runtime:
    """targets: by model name, one for every model of the policy. matcher: there if some route looks for similar questions."""

    router: Router
    targets: Mapping[str, Target]
    matcher: Matcher | None = None

    @cached_property
    def policy(self) -> Policy:
        return self.router.policy

    @cached_property
    def baseline(self) -> Model | None:
        """The model that savings are counted against."""
        return self.policy.models[self.policy.baseline] if self.policy.baseline else None

    def candidates(self) -> Mapping[str, Candidate]:
        """Every model with its state just now. The same mapping while nothing has changed."""
        unavailable = [target.provider.unavailable for target in self.targets.values()]
        if self._balanced or self._last.unavailable != unavailable:
            self._last.unavailable = unavailable
            self._last.candidates = {
                name: Candidate(name, t.model.provider, t.model.context_tokens, t.provider.unavailable, self._load(name, t))
                for name, t in self.targets.items()
            }
        return self._last.candidates

    def gauges(self) -> Gauges:
        """What the models' state tells Prometheus."""
        rules = [route.failover.guard for route in self.policy.routes if route.failover.guard is not None]
        return gauges([(name, t.model.provider, t.health) for name, t in self.targets.items()], rules)

    @cached_property
    def _last(self) -> _Seen:
        return _Seen()

    @cached_property
    def _balanced(self) -> frozenset[str]:
        """The models whose load some route asks for."""
        return frozenset(name for route in self.policy.routes for name, _ in route.balance)

    def _load(self, name: str, target: Target) -> float:
        return target.health.load if name in self._balanced else 0.0


class CurrentRuntime:
    """Which runtime new requests get. Those in flight keep the one they began with."""

    def __init__(self, runtime: Runtime) -> None:
        self.now = runtime
