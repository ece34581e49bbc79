"""The nouns of `models:`: what can answer, and what it costs.

Prices are integers of pico-USD (1e-12 USD), because the cheapest tokens cost less than a nano-USD
and a float would not add up. An unknown price is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.policy.capability import Capability
from gateway.policy.failover import UNBOUNDED, Capacity, Prefill
from gateway.policy.schema_models import AnthropicProvider, FakeProvider, LiteLLMProvider, LocalProvider, OpenAIProvider

Provider = OpenAIProvider | AnthropicProvider | LiteLLMProvider | LocalProvider | FakeProvider


@dataclass(frozen=True, slots=True)
class Rates:
    """pico-USD per token; `image` per image, on top of its tokens.

    None: there is no rate of its own. Reasoning and audio are then paid as what they are part of, an hour's cache write as any
    other, and an image by its tokens alone.
    """

    input: int
    output: int
    cached_input: int
    cache_write: int
    cache_write_1h: int | None = field(default=None, kw_only=True)
    reasoning: int | None = field(default=None, kw_only=True)
    audio_input: int | None = field(default=None, kw_only=True)
    audio_output: int | None = field(default=None, kw_only=True)
    image: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates of all tokens of a request with more than `above` input tokens."""

    above: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Service:
    """The rates of requests that are served another way than usual, as `batch`, `flex` or `priority`. tiers: ascending."""

    name: str
    rates: Rates
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenPrice(Rates):
    """What a model paid by the token costs: its usual rates, those of long requests, and those of other ways to be served.

    source: where it comes from, for people. tiers: ascending.
    """

    source: str
    tiers: tuple[Tier, ...] = field(default=(), kw_only=True)
    services: tuple[Service, ...] = field(default=(), kw_only=True)

    def rates(self, tokens_in: int, service: str | None = None) -> Rates:
        """What holds for a request of so many input tokens. A service without rates of its own costs what the usual one does."""
        rates: Rates = self
        tiers = self.tiers
        for one in self.services if service is not None else ():
            if one.name == service:
                rates, tiers = one.rates, one.tiers
        for tier in tiers:
            if tokens_in <= tier.above:
                break
            rates = tier.rates
        return rates


@dataclass(frozen=True, slots=True)
class BusyPrice:
    """A machine by the second: a request pays for its share of the seconds in which the machine was busy."""

    pusd_per_second: int
    source: str


Price = TokenPrice | BusyPrice


@dataclass(frozen=True, slots=True)
class PriceFrom:
    """A price and the moment from which it holds, in seconds since 1970, UTC."""

    since: float
    price: TokenPrice


@dataclass(frozen=True, slots=True)
class Gpu:
    """The machine behind a self-hosted model. pusd_per_hour: of all its GPUs, busy or idle.

    is_settled: its utilisation is measured, so what requests were charged is provisional, and each hour is settled until its
    entries add up to what the machine was paid. Otherwise the policy gives the utilisation, and prices have it in them.
    """

    pusd_per_hour: int
    is_settled: bool


@dataclass(frozen=True, slots=True)
class Model:
    """A named model of the policy. price: what holds now; None means that the policy says `price: unknown`.

    prices: what held and will hold, ascending; empty where it is one price at all times. gpu: of a model that is paid by
    machine time. cannot: what it lacks, so that requests that use it are sent elsewhere.
    """

    name: str
    provider: str
    id: str
    context_tokens: int | None
    price: Price | None
    prefill: Prefill = "none"
    capacity: Capacity = UNBOUNDED
    gpu: Gpu | None = None
    prices: tuple[PriceFrom, ...] = ()
    cannot: frozenset[Capability] = frozenset()

    def price_at(self, at: float) -> Price | None:
        """What holds at a moment (seconds since 1970, UTC). Before the first dated price that first one does."""
        return price_at(self.prices, at) if self.prices else self.price


def price_at(prices: tuple[PriceFrom, ...], at: float) -> TokenPrice:
    """The price that holds at a moment. prices: ascending, at least one; the first of them holds before its time as well."""
    found = prices[0]
    for one in prices[1:]:
        if one.since > at:
            break
        found = one
    return found.price


PriceLookup = Callable[[Provider, str], tuple[PriceFrom, ...] | None]
"""(provider, model id) to what the price map says it cost from when, ascending; None if the map has none."""
CannotLookup = Callable[[Provider, str], frozenset[Capability]]
"""(provider, model id) to what the price map says that it lacks; empty where the map says nothing of it."""
NamesLike = Callable[[Provider, str], Sequence[str]]
"""(provider, model id that the price map does not have) to names of it that may have been meant, likeliest first."""
