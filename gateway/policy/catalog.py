"""The nouns of `models:`: what can answer, and what it costs.

Prices are integers of pico-USD (1e-12 USD), because the cheapest tokens cost less than a nano-USD
and a float would not add up. An unknown price is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.policy.failover import UNBOUNDED, Capacity, Prefill
from gateway.policy.schema_models import AnthropicProvider, FakeProvider, LiteLLMProvider, LocalProvider, OpenAIProvider

Provider = OpenAIProvider | AnthropicProvider | LiteLLMProvider | LocalProvider | FakeProvider


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """pico-USD per token. `source` says where it comes from, for people."""

    input: int
    output: int
    cached_input: int
    cache_write: int
    source: str


@dataclass(frozen=True, slots=True)
class BusyPrice:
    """A machine by the second: a request pays for its share of the seconds in which the machine was busy."""

    pusd_per_second: int
    source: str


Price = TokenPrice | BusyPrice


@dataclass(frozen=True, slots=True)
class Model:
    """A named model of the policy. price None means that the policy says `price: unknown`."""

    name: str
    provider: str
    id: str
    context_tokens: int | None
    price: Price | None
    prefill: Prefill = "none"
    capacity: Capacity = UNBOUNDED


PriceLookup = Callable[[Provider, str], TokenPrice | None]
"""(provider, model id) to the shipped map's price, None if the map has none."""
