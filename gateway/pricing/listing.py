"""What a price map's file says of a model: its rates, what they were before, and how that becomes a price.

The rates have the names that they have in a policy, in integers of pico-USD. A file is written a line a model, so that a
refresh reads well as a diff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from gateway.policy.capability import Capability
from gateway.policy.catalog import PriceFrom, TokenPrice
from gateway.policy.grammar import day
from gateway.policy.rates import RATES, Named, Tariff, token_price

LICENCE = "MIT"  # of litellm and its table
UNIT = "pico-USD (1e-12 USD) per token, and per image"

Pico = Annotated[int, msgspec.Meta(ge=0)]
Date = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")]


class ListedRates(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The rates that the source names."""

    input: Pico
    output: Pico
    cached_input: Pico | None = None
    cache_write: Pico | None = None
    cache_write_1h: Pico | None = None
    reasoning: Pico | None = None
    audio_input: Pico | None = None
    audio_output: Pico | None = None
    image: Pico | None = None

    def named(self) -> Named:
        """Those that are there, by name."""
        return {name: rate for name in RATES if (rate := getattr(self, name)) is not None}


class ListedTier(ListedRates, kw_only=True, omit_defaults=True):
    """Rates of requests with more than so many input tokens."""

    above: Annotated[int, msgspec.Meta(ge=1)]


class ListedTariff(ListedRates, kw_only=True, omit_defaults=True):
    """Rates of one way to be served."""

    tiers: list[ListedTier] = []

    def tariff(self) -> Tariff:
        return Tariff(self.named(), {tier.above: tier.named() for tier in self.tiers})


class ListedPrice(ListedTariff, kw_only=True, omit_defaults=True):
    """What a model costs by the token."""

    service: dict[str, ListedTariff] = {}

    def price(self, source: str) -> TokenPrice:
        """The whole price. source: for people."""
        return token_price(self.tariff(), {name: one.tariff() for name, one in self.service.items()}, source)


class Earlier(ListedPrice, kw_only=True, omit_defaults=True):
    """What it cost before. until: the first day on which it no longer did."""

    until: Date


class Listed(ListedPrice, kw_only=True, omit_defaults=True):
    """One model. context, output_max: in tokens; what is not there is not known. cannot: what its source says that it lacks.

    was: the oldest first. gone: the day on which the source no longer had it; its last price is kept.
    """

    context: int | None = None
    output_max: int | None = None
    capabilities: list[str] = []
    cannot: list[Capability] = []
    was: list[Earlier] = []
    gone: Date | None = None

    def prices(self, source: str) -> tuple[PriceFrom, ...]:
        """What it cost from when, the oldest first."""
        since, found = 0.0, []
        for one in self.was:
            found.append(PriceFrom(since, one.price(f"{source}, until {one.until}")))
            since = day(one.until)
        return (*found, PriceFrom(since, self.price(source)))


class PriceMap(msgspec.Struct, kw_only=True):
    """The file. date: the day its source was read. version: of the package that it came in, if any.

    The models are read one by one, when they are asked for.
    """

    source: str
    licence: str
    version: str
    date: Date
    unit: str
    rounded: list[str]
    models: dict[str, msgspec.Raw]


def encoded(source: str, version: str, date: str, rounded: Sequence[str], models: Mapping[str, Listed]) -> bytes:
    """The file. source, version, date: as in PriceMap. rounded: models whose price in the source is no whole pico-USD."""
    head = {"source": source, "licence": LICENCE, "version": version, "date": date, "unit": UNIT, "rounded": rounded}
    lines = [f"{_json(name)}:{_json(value)}" for name, value in head.items()]
    entries = ",\n".join(f"{_json(name)}:{_json(models[name])}" for name in sorted(models))
    return ("{" + ",\n".join([*lines, '"models":{\n' + entries]) + "\n}}\n").encode()


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
