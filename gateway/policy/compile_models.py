"""From `providers:` and `models:` to what can be asked: addresses and keys filled in, each model with its price."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.policy import schema_models
from gateway.policy.capability import Capability
from gateway.policy.catalog import CannotLookup, Model, NamesLike, Price, PriceFrom, PriceLookup, Provider, price_at
from gateway.policy.compile_failover import capacity, prefill
from gateway.policy.compile_prices import dated_prices, given_price, gpu, gpu_price
from gateway.policy.failover import Prefill
from gateway.policy.problems import unknown_name
from gateway.policy.schema import PolicyFile
from gateway.policy.source import Path
from gateway.policy.variables import expand

AUTO = "auto"  # the model name with which a caller leaves the choice to the policy


@dataclass(frozen=True, slots=True)
class Served:
    """Who can be asked. unavailable: provider name → why it cannot be called (its key is not set)."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    unavailable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Lookup:
    """The price map, and the moment at which it is asked.

    price_of: what a model cost from when. cannot_of: what it lacks. names_like: what may have been meant by the id of a
    model that it does not have.
    now: seconds since 1970, UTC; of prices with dates, `Model.price` is the one that holds then.
    """

    price_of: PriceLookup
    cannot_of: CannotLookup
    names_like: NamesLike
    now: float


def serve(spec: PolicyFile, env: Mapping[str, str], listed: Lookup, problem: Callable[[Path, str], None]) -> Served:
    """The providers and models of a file. env: for `${NAME}`. problem: told of each mistake, with its place."""
    compiler = _Models(env, listed, problem)
    providers = {name: compiler.provider(name, p) for name, p in spec.providers.items()}
    models = {name: compiler.model(name, m, providers) for name, m in spec.models.items()}
    return Served(providers, models, compiler.unavailable)


class _Models:
    """What is found on the way through the two sections."""

    def __init__(self, env: Mapping[str, str], listed: Lookup, problem: Callable[[Path, str], None]) -> None:
        self.env, self.listed, self.problem = env, listed, problem
        self.unavailable: dict[str, str] = {}
        self.without_address: set[str] = set()  # providers whose base_url is wrong, or in a variable that is not set

    def provider(self, name: str, spec: Provider) -> Provider:
        changed: dict[str, Any] = {}
        for key in ("base_url", "api_key"):
            text = getattr(spec, key, None)
            if text is not None:
                changed[key] = self.expand(name, text, ("providers", name, key))
        headers = getattr(spec, "headers", None)
        if headers:
            changed["headers"] = {k: self.expand(name, v, ("providers", name, "headers", k)) for k, v in headers.items()}
        if isinstance(spec, schema_models.LiteLLMProvider):
            filled = {k: self.expand(name, v, ("providers", name, "params", k)) for k, v in spec.params.given().items()}
            changed["params"] = spec.params.model_copy(update=filled)
        url = changed.get("base_url")
        if url is not None and not is_address(url):
            self.without_address.add(name)
            if "${" not in (getattr(spec, "base_url", None) or ""):
                self.problem(("providers", name, "base_url"), f"{_without_user(url)!r} is not an http:// or https:// address")
        return spec.model_copy(update=changed)

    def expand(self, provider: str, text: str, path: Path) -> str:
        """`${NAME}` and `${NAME:-default}` from the environment; an unset NAME makes the provider unavailable.

        `${NAME:-}` is for what may be left out.
        """

        expanded = expand(text, self.env)
        if expanded.unset is not None:
            self.unavailable.setdefault(provider, f"{expanded.unset} is not set")
        if not expanded.is_readable:
            self.problem(path, f"cannot read the variable in {text!r}; write ${{NAME}} or ${{NAME:-default}}")
        return expanded.text

    def model(self, name: str, spec: schema_models.ModelSpec, providers: Mapping[str, Provider]) -> Model:
        path: Path = ("models", name)
        if name == AUTO:
            self.problem(path, "`auto` is the name of the policy's own choice; call this model something else")
        prices: tuple[PriceFrom, ...] = ()
        goes_on: Prefill = "none"
        provider = providers.get(spec.provider)
        if provider is None:
            self.problem((*path, "provider"), unknown_name("provider", spec.provider, providers, f"model '{name}'"))
        else:
            goes_on = prefill(spec, provider)
            prices = self.prices(name, spec, provider)
        price: Price | None = price_at(prices, self.listed.now) if prices else None
        machine = None if spec.gpu is None else gpu(spec.gpu)
        if spec.gpu is not None:
            price = gpu_price(spec.gpu)
        dated = prices if len(prices) > 1 else ()
        cannot = frozenset[Capability]() if spec.cannot is None else frozenset(spec.cannot)
        if spec.cannot is None and provider is not None and spec.provider not in self.without_address:
            cannot = self.listed.cannot_of(provider, spec.id)
        return Model(name, spec.provider, spec.id, spec.context, price, goes_on, capacity(spec), machine, dated, cannot)

    def prices(self, name: str, spec: schema_models.ModelSpec, provider: Provider) -> tuple[PriceFrom, ...]:
        """Token prices of the policy, else of the map; none for what is paid by the hour, unknown, or a mistake."""
        path: Path = ("models", name, "price")
        if isinstance(spec.price, schema_models.PriceSpec):
            return (PriceFrom(0.0, given_price(spec.price, path, self.problem)),)
        if isinstance(spec.price, list):
            return dated_prices(spec.price, path, self.problem)
        if spec.price == "unknown" or spec.gpu is not None:
            return ()
        if spec.provider in self.without_address:
            return ()  # the map goes by the address; nobody can ask this model before it is there
        found = self.listed.price_of(provider, spec.id)
        if not found:
            self.problem(("models", name), self.unpriced(name, spec.id, provider))
        return found or ()

    def unpriced(self, name: str, model_id: str, provider: Provider) -> str:
        near = " or ".join(f"'{other}'" for other in self.listed.names_like(provider, model_id))
        return (
            f"model '{name}': '{model_id}' has no price in the price map{f'; did you mean {near}?' if near else '.'} "
            f"{'Else add' if near else 'Add'} the one that holds to it: "
            "price: {input: …, output: …}  (US dollars per million tokens), or "
            "gpu: {usd_per_hour: …, count: 1, tokens_per_second: measured}, or  price: unknown"
        )


def is_address(url: str) -> bool:
    """Whether HTTP can be spoken there, as far as its form tells."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a bracket or a port that is none
        return False


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)
