"""The two breakers that stand before a model: its own and its provider's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.errors import UpstreamError
from gateway.health.breaker import OURS, Breaker

PROVIDERS_STATUS: Final = frozenset({401, 403})  # the credentials are every model's

Lease = Callable[[Sequence[Breaker]], Awaitable[bool]]
"""Whether this replica is the one to probe these."""


class ModelBreaker:
    """Lets a call through when both do. What fails with the whole provider counts for both, everything else for the model.

    To its callers it is one breaker. A probe may be of either, or of both at once.
    """

    def __init__(self, own: Breaker, provider: Breaker, lease: Lease | None = None) -> None:
        """lease: None where no other replica could probe at the same time."""
        self.own, self.provider, self._lease = own, provider, lease
        self._providers_probe = 0  # which of the provider's probes went through here

    @property
    def parts(self) -> tuple[Breaker, Breaker]:
        """The model's own and its provider's."""
        return self.own, self.provider

    @property
    def is_open(self) -> bool:
        """Whether either cools down."""
        return self.own.is_open or self.provider.is_open

    @property
    def is_closed(self) -> bool:
        """Whether calls go as they come."""
        return self.own.is_closed and self.provider.is_closed

    @property
    def cooling_s(self) -> float:
        """Seconds until a call is let through, 0 if one is now."""
        return max(self.own.cooling_s, self.provider.cooling_s)

    @property
    def waits_as_asked(self) -> bool:
        """Whether the cooldown is one that the provider asked for."""
        return self._longer.waits_as_asked

    @property
    def last_error(self) -> str:
        """The kind of the last failure."""
        return self._longer.last_error

    @property
    def is_probing(self) -> bool:
        return self.own.is_probing or self.provider.is_probing

    @property
    def failed_share(self) -> float:
        """Of the model's last calls, those that failed."""
        return self.own.failed_share

    def admits(self) -> bool:
        """Whether a call may go now; see Breaker.admits."""
        if self.own.is_closed and self.provider.is_closed:  # as nearly always: nobody probes, and nothing is counted
            return True
        if not (self.own.is_ready and self.provider.is_ready):
            return False
        self.own.admits()
        self.provider.admits()
        if self.provider.is_probing:
            self._providers_probe = self.provider.probes
        return True

    async def leased(self) -> bool:
        """Whether the probe that `admits` has just given may go: among replicas that share, one probes at a time.

        If not, the probe has been given back, and the model is not to be asked. Takes some milliseconds.
        """
        if self._lease is None:
            return True
        is_ours = False
        try:
            is_ours = await self._lease([part for part in self.parts if part.is_probing])
        finally:
            if not is_ours:  # or the caller left meanwhile
                self.abandoned()
        return is_ours

    def answers(self) -> None:
        """The probe got content."""
        self.own.answers()
        self.provider.answers()

    def succeeded(self, began: float | None = None) -> None:
        """A call was answered to the end; see Breaker.succeeded."""
        self.own.succeeded(began)
        self.provider.succeeded(began)

    def failed(self, exc: UpstreamError, *, is_probe: bool = False) -> None:
        """One call failed in a way that says something of the model or its provider. Not for what the request is to blame."""
        if exc.fault in OURS:
            if is_probe:
                self.abandoned()
            return
        is_providers_probe = is_probe and self._holds_providers_probe
        self.own.failed(exc, is_probe=is_probe and (self.own.is_probing or not is_providers_probe))
        is_providers = exc.fault == "connect" or exc.status in PROVIDERS_STATUS
        if is_providers or (is_providers_probe and exc.fault == "timeout"):
            self.provider.failed(exc, is_probe=is_providers_probe)
        elif is_providers_probe:
            self.provider.succeeded()  # it was reached and it let us in: what fails is this model

    def abandoned(self) -> None:
        """The probe ended without saying anything: the caller left."""
        self.own.abandoned()
        if self._holds_providers_probe:
            self.provider.abandoned()

    @property
    def _longer(self) -> Breaker:
        """Whichever keeps calls away the longer."""
        return max(self.own, self.provider, key=lambda b: (b.cooling_s, not b.is_closed, b is self.own))

    @property
    def _holds_providers_probe(self) -> bool:
        return self.provider.is_probing and self._providers_probe == self.provider.probes
