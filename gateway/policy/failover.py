"""What a policy says of bad days: hedging, the latency guard, breakers, how much may be in flight. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Midstream = Literal["error", "restart", "continue"]
Priority = Literal["high", "normal", "low"]
Prefill = Literal["none", "message", "vllm"]
"""How a model is made to go on from a text: not at all, by a last message of the assistant's, or that with vLLM's fields."""


@dataclass(frozen=True, slots=True)
class HedgeRule:
    """A second target when the first is late. Exactly one of `after_s` and `quantile` is set.

    quantile: of the first target's own usual time to its first content. budget: of the route's requests, the share that
    may be hedged. tools: requests that offer tools too, which are asked twice then.
    """

    after_s: float | None = None
    quantile: float | None = None
    budget: float = 0.05
    tools: bool = False


@dataclass(frozen=True, slots=True)
class GuardRule:
    """While a model's time to first token is over the bound, new requests go to `then`. Exactly one bound is set.

    ratio: times what is normal for it. for_s: how long requests stay away before some try the model again.
    """

    then: str
    ratio: float | None = None
    ttft_s: float | None = None
    for_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Failover:
    """How a route meets trouble, beyond its timeouts and retries.

    min_tokens_per_s: a stream that begins slower than this is left for the next target before the caller sees any of it.
    priority: whose requests wait, and are shed, last when a provider has no room.
    """

    midstream: Midstream = "error"
    hedge: HedgeRule | None = None
    guard: GuardRule | None = None
    min_tokens_per_s: float | None = None
    priority: Priority = "normal"


PLAIN = Failover()


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When calls stop, and for how long. Either bound opens it.

    failures: in a row. share: of the calls of the last window_s, once there are min_calls of them. cooldown_s: the first;
    each failed probe doubles it, up to cooldown_max_s.
    """

    failures: int = 3
    share: float = 0.5
    window_s: float = 30.0
    min_calls: int = 20
    cooldown_s: float = 5.0
    cooldown_max_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many calls may be in flight, None for any number; how many more may wait for a place, and how long."""

    in_flight_max: int | None = None
    queue_length: int = 0
    queue_wait_s: float = 0.0


UNBOUNDED = Capacity()
