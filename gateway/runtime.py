"""One policy, ready to serve: the router and a callable target for each model. Replaced whole on a reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.cache.semantic import Matcher
from gateway.policy.catalog import Model
from gateway.policy.compile import Policy
from gateway.policy.model import Candidate
from gateway.router import Router
from gateway.running import Target


@dataclass(frozen=True)
class Runtime:
    """targets: by model name, one for every model of the policy. matcher: there if some route looks for similar questions."""

    router: Router
    targets: Mapping[str, Target]
    matcher: Matcher | None = None

    @property
    def policy(self) -> Policy:
        return self.router.policy

    @property
    def baseline(self) -> Model | None:
        """The model that savings are counted against."""
        return self.policy.models[self.policy.baseline] if self.policy.baseline else None

    def candidates(self) -> dict[str, Candidate]:
        """Every model with its state just now."""
        return {
            name: Candidate(name, t.model.provider, t.model.context_tokens, t.provider.unavailable)
            for name, t in self.targets.items()
        }


class CurrentRuntime:
    """Which runtime new requests get. Those in flight keep the one they began with."""

    def __init__(self, runtime: Runtime) -> None:
        self.now = runtime
