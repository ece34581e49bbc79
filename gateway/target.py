"""A model of a plan with what it takes to call it, and what a call is given before it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.errors import UpstreamError
from gateway.health.gate import Place
from gateway.health.model import ModelHealth
from gateway.policy.catalog import Model
from gateway.policy.failover import Priority
from gateway.pricing.tokens import CHARACTERS, TokenCounter
from gateway.providers.base import Provider
from gateway.request import ChatRequest, Native
from gateway.usage import Usage


class Hold(Protocol):
    """What one call holds of a model's rate limit."""

    def settle(self, tokens: int) -> None:
        """The call has ended, and took so many; once."""
        ...


class Quota(Protocol):
    """A model's own rate limit."""

    async def reserve(self, request: ChatRequest) -> Hold:
        """Raises UpstreamError (fault `limited`, retry_after_s) when it is spent."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """A model of the plan with what it takes to call it. quota: None for a model without a rate limit.

    tokens: counts what the model's provider does not.
    """

    model: Model
    provider: Provider
    health: ModelHealth
    quota: Quota | None = None
    tokens: TokenCounter = CHARACTERS

    def lacking(self, native: Native) -> UpstreamError | None:
        """Why it cannot take the request at all: part of it has no place in any dialect but the caller's own."""
        if not native.only or native.dialect in self.provider.dialects:
            return None
        named = ", ".join(f"`{name}`" for name in native.only[:5])
        said_in = f"can be said in the caller's dialect ({native.dialect}) alone"
        message = f"{self.model.name}: {named} {said_in}, and it speaks another"
        return UpstreamError(message, fault="unsupported", code="unsupported_parameter", param=native.only[0])


@dataclass(frozen=True, slots=True)
class Admission:
    """What a call was given before it was sent, and gives back when it ends."""

    place: Place | None = None
    hold: Hold | None = None

    def end(self, usage: Usage | None) -> None:
        """Give it back; once."""
        if self.place is not None:
            self.place.leave()
        if self.hold is not None:
            self.hold.settle(0 if usage is None else usage.input + usage.output)


FREE: Final = Admission()


async def admit(target: Target, request: ChatRequest, priority: Priority, until: float) -> Admission:
    """A place at the model and its provider, and a part of the model's rate limit, where it has either.

    until: on the clock, how long a place may be waited for. Raises UpstreamError (faults `busy` and `limited`).
    """
    if not target.health.is_bounded and target.quota is None:
        return FREE
    place = await target.health.enter(priority, until) if target.health.is_bounded else None
    try:
        hold = await target.quota.reserve(request) if target.quota is not None else None
    except BaseException:
        if place is not None:
            place.leave()
        raise
    return Admission(place, hold)
