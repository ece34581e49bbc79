"""From `providers:` and `models:` to what can be asked: addresses and keys filled in, each model with its price."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.policy import schema_models
from gateway.policy.catalog import BusyPrice, Model, Price, PriceLookup, Provider, TokenPrice
from gateway.policy.compile_failover import capacity, prefill
from gateway.policy.failover import Prefill
from gateway.policy.problems import unknown_name
from gateway.policy.schema import PolicyFile
from gateway.policy.source import Path

AUTO = "auto"  # the model name with which a caller leaves the choice to the policy


@dataclass(frozen=True, slots=True)
class Served:
    """Who can be asked. unavailable: provider name → why it cannot be called (its key is not set)."""

    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    unavailable: Mapping[str, str]


def serve(spec: PolicyFile, env: Mapping[str, str], price_of: PriceLookup, problem: Callable[[Path, str], None]) -> Served:
    """The providers and models of a file. env: for `${NAME}`. problem: told of each mistake, with its place."""
    compiler = _Models(env, price_of, problem)
    providers = {name: compiler.provider(name, p) for name, p in spec.providers.items()}
    models = {name: compiler.model(name, m, providers) for name, m in spec.models.items()}
    return Served(providers, models, compiler.unavailable)


class _Models:
    """What is found on the way through the two sections."""

    def __init__(self, env: Mapping[str, str], price_of: PriceLookup, problem: Callable[[Path, str], None]) -> None:
        self.env, self.price_of, self.problem = env, price_of, problem
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
        url = changed.get("base_url")
        if url is not None and not _is_address(url):
            self.without_address.add(name)
            if "${" not in (getattr(spec, "base_url", None) or ""):
                self.problem(("providers", name, "base_url"), f"{_without_user(url)!r} is not an http:// or https:// address")
        return spec.model_copy(update=changed)

    def expand(self, provider: str, text: str, path: Path) -> str:
        """`${NAME}` and `${NAME:-default}` from the environment; an unset NAME makes the provider unavailable.

        `${NAME:-}` is for what may be left out.
        """

        def value(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            text = self.env.get(name) or default
            if text is None:
                self.unavailable.setdefault(provider, f"{name} is not set")
            return text or ""

        expanded = _VARIABLE.sub(value, text)
        if "${" in _VARIABLE.sub("", text):
            self.problem(path, f"cannot read the variable in {text!r}; write ${{NAME}} or ${{NAME:-default}}")
        return expanded

    def model(self, name: str, spec: schema_models.ModelSpec, providers: Mapping[str, Provider]) -> Model:
        path: Path = ("models", name)
        if name == AUTO:
            self.problem(path, "`auto` is the name of the policy's own choice; call this model something else")
        price: Price | None = None
        goes_on: Prefill = "none"
        provider = providers.get(spec.provider)
        if provider is None:
            self.problem((*path, "provider"), unknown_name("provider", spec.provider, providers, f"model '{name}'"))
        else:
            goes_on = prefill(spec, provider)
            if spec.price != "unknown":
                price = self.price(name, spec, provider)
        return Model(name, spec.provider, spec.id, spec.context, price, goes_on, capacity(spec))

    def price(self, name: str, spec: schema_models.ModelSpec, provider: Provider) -> Price | None:
        if isinstance(spec.price, schema_models.PriceSpec):
            return _given_price(spec.price)
        if spec.gpu is not None:
            return _gpu_price(spec.gpu)
        if spec.provider in self.without_address:
            return None  # the map goes by the address; nobody can ask this model before it is there
        found = self.price_of(provider, spec.id)
        if found is None:
            self.problem(
                ("models", name),
                f"model '{name}': '{spec.id}' has no price in the shipped map. Add the one that holds to it: "
                "price: {input: …, output: …}  (US dollars per million tokens), or "
                "gpu: {usd_per_hour: …, count: 1, tokens_per_second: measured}, or  price: unknown",
            )
        return found


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def _is_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # a bracket or a port that is none
        return False


def _without_user(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", url)


def _given_price(spec: schema_models.PriceSpec) -> TokenPrice:
    return TokenPrice(
        input=_pusd(spec.input),
        output=_pusd(spec.output),
        cached_input=_pusd(spec.input if spec.cached_input is None else spec.cached_input),
        cache_write=_pusd(spec.input if spec.cache_write is None else spec.cache_write),
        source="policy",
    )


def _pusd(usd_per_million: float) -> int:
    return round(usd_per_million * 1e6)


def _gpu_price(spec: schema_models.GpuSpec) -> Price:
    pusd_per_second = spec.usd_per_hour * spec.count / 3600 * 1e12
    if spec.tokens_per_second == "measured":
        return BusyPrice(round(pusd_per_second), source="GPU-hours, measured")
    speed = spec.tokens_per_second
    # count GPUs cost count times as much and are count times as fast
    read = round(spec.usd_per_hour / 3600 * 1e12 / speed.input)
    write = round(spec.usd_per_hour / 3600 * 1e12 / speed.output)
    return TokenPrice(input=read, output=write, cached_input=read, cache_write=read, source="GPU-hours, given speed")
