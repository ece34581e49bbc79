"""From the rates that a source names to a whole price: what is charged for that which it does not name. Pure, in integers.

Both prices of the policy and those of the price map come through here, so they mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from gateway.policy.catalog import Rates, Service, Tier, TokenPrice

RATES = tuple(one.name for one in fields(Rates))
OF_INPUT = ("cached_input", "cache_write", "cache_write_1h", "audio_input")
OF_OUTPUT = ("reasoning", "audio_output")

Named = Mapping[str, int]
"""Rates by their name in RATES, those that a source names; always `input` and `output`."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a source says of one way to be served. tiers: by the number of input tokens above which they hold."""

    rates: Named
    tiers: Mapping[int, Named] = field(default_factory=dict)


def token_price(usual: Tariff, services: Mapping[str, Tariff], source: str) -> TokenPrice:
    """The price with every rate that something is charged by.

    Cached input and cache writes without a rate are charged as input. Where a tier or a service names no rate for a part of
    the input or of the output, it keeps the proportion to the whole that it usually has: long prompts at twice the price are
    read from the cache at twice the price. A service that names no tiers has the usual ones in its own proportion.
    """
    base = _base(usual.rates)
    tiers = _tiers(base, usual.tiers)
    return TokenPrice(
        **{name: getattr(base, name) for name in RATES},
        source=source,
        tiers=tiers,
        services=tuple(_service(name, services[name], base, tiers) for name in sorted(services)),
    )


def _base(named: Named) -> Rates:
    return Rates(**{"cached_input": named["input"], "cache_write": named["input"], **named})


def _tiers(base: Rates, named: Mapping[int, Named]) -> tuple[Tier, ...]:
    return tuple(Tier(above, _beside(base, named[above])) for above in sorted(named))


def _service(name: str, tariff: Tariff, base: Rates, usual: tuple[Tier, ...]) -> Service:
    rates = _beside(base, tariff.rates)
    if tariff.tiers:
        return Service(name, rates, _tiers(rates, tariff.tiers))
    long = {
        tier.above: {
            "input": _in_proportion(tier.rates.input, rates.input, base.input),
            "output": _in_proportion(tier.rates.output, rates.output, base.output),
        }
        for tier in usual
    }
    return Service(name, rates, _tiers(rates, long))


def _beside(base: Rates, named: Named) -> Rates:
    """The rates named, and for the others the base's in proportion; an image costs what it usually does."""
    found: dict[str, int | None] = {"image": base.image}
    for parts, whole in ((OF_INPUT, "input"), (OF_OUTPUT, "output")):
        for part in parts:
            rate = getattr(base, part)
            found[part] = None if rate is None else _in_proportion(rate, named[whole], getattr(base, whole))
    return Rates(**{**found, **named})  # type: ignore[arg-type]  # None only where Rates takes it


def _in_proportion(rate: int, whole: int, usual: int) -> int:
    """rate · whole / usual, rounded half up; the new whole where the usual one is free, which has no proportions."""
    return (2 * rate * whole + usual) // (2 * usual) if usual else whole
