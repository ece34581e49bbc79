"""Usage to nano-USD, in integers, and the price map that ships with the gateway.

One function prices everything: streams and not, every dialect, every attempt, and the baseline.
"""

from __future__ import annotations

import functools
import urllib.parse
from collections.abc import Collection
from importlib import resources

import msgspec

from gateway.policy.catalog import BusyPrice, Price, Provider, TokenPrice
from gateway.policy.schema_models import AnthropicProvider, LiteLLMProvider, OpenAIProvider
from gateway.usage import Usage

# Servers that speak the OpenAI API, by host, with their name in the price map.
HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "api.deepinfra.com": "deepinfra",
    "generativelanguage.googleapis.com": "gemini",
}


def cost_nusd(price: Price | None, usage: Usage | None, busy_s: float | None = None) -> int | None:
    """What one attempt cost in nano-USD, rounded half up once; None if that cannot be known.

    busy_s: machine seconds that it is charged, for models paid by the hour. No usage and no machine time: nothing
    was bought.
    """
    if isinstance(price, BusyPrice):
        return None if busy_s is None else _nusd(round(price.pusd_per_second * busy_s))
    if usage is None:
        return 0
    if price is None:
        return None
    fresh = max(usage.input - usage.cached_input - usage.cache_write, 0)
    return _nusd(
        fresh * price.input
        + usage.cached_input * price.cached_input
        + usage.cache_write * price.cache_write
        + usage.output * price.output
    )


def _nusd(pusd: int) -> int:
    return (pusd + 500) // 1000


def usd(nusd: int | None) -> float | None:
    """nano-USD as dollars, for people and JSON."""
    return None if nusd is None else nusd / 1e9


class _Listed(msgspec.Struct):
    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None


class _PriceMap(msgspec.Struct):
    date: str
    version: str
    models: dict[str, msgspec.Raw]


@functools.cache
def _price_map() -> _PriceMap:
    return msgspec.json.decode(resources.files("gateway.ledger").joinpath("prices.json").read_bytes(), type=_PriceMap)


def price_map_date() -> str:
    """The day the shipped prices were taken, YYYY-MM-DD."""
    return _price_map().date


def shipped_price(provider: Provider, model_id: str) -> TokenPrice | None:
    """The shipped map's price of a model at its own provider; None where the map has none, as for a server of one's own."""
    if isinstance(provider, OpenAIProvider):
        owner = HOSTS.get(urllib.parse.urlsplit(provider.base_url).hostname or "")
    elif isinstance(provider, AnthropicProvider):
        owner = "anthropic"
    elif isinstance(provider, LiteLLMProvider):
        owner = provider.litellm_provider
    else:
        owner = None
    return listed_price(f"{owner}/{model_id}") if owner else None


def listed_models() -> Collection[str]:
    """The names in the shipped map: the provider's, a slash, the model's id."""
    return _price_map().models.keys()


def listed_price(name: str) -> TokenPrice | None:
    """The shipped map's price under a name such as `openai/gpt-4.1`; None where it has none."""
    prices = _price_map()
    raw = prices.models.get(name)
    if raw is None:
        return None
    listed = msgspec.json.decode(raw, type=_Listed)
    return TokenPrice(
        input=listed.input,
        output=listed.output,
        cached_input=listed.input if listed.cached_input is None else listed.cached_input,
        cache_write=listed.input if listed.cache_write is None else listed.cache_write,
        source=f"price map of {prices.date}",
    )
