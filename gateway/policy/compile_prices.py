"""From `price:` and `gpu:` of a model to its prices in integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction

from gateway.policy.catalog import BusyPrice, Gpu, Price, PriceFrom, TokenPrice
from gateway.policy.rates import RATES, Named, Tariff, token_price
from gateway.policy.schema_models import DatedPriceSpec, GpuSpec, PriceSpec, RatesSpec, ServicesSpec, TariffSpec
from gateway.policy.source import Path

SOURCE = "policy"
Problem = Callable[[Path, str], None]


def given_price(spec: PriceSpec, path: Path, problem: Problem) -> TokenPrice:
    """A price as the policy gives it. path: its place."""
    services = {name: one for name in ServicesSpec.model_fields if (one := getattr(spec.service, name)) is not None}
    return token_price(
        _tariff(spec, path, problem),
        {name: _tariff(one, (*path, "service", name), problem) for name, one in services.items()},
        SOURCE,
    )


def dated_prices(specs: Sequence[DatedPriceSpec], path: Path, problem: Problem) -> tuple[PriceFrom, ...]:
    """Prices with the days from which they hold. path: of the list."""
    for k in _not_after([spec.from_ for spec in specs]):
        problem((*path, k, "from"), "prices go from the oldest to the newest, one a day; put this one where it belongs")
    return tuple(PriceFrom(spec.from_, given_price(spec, (*path, k), problem)) for k, spec in enumerate(specs))


def _tariff(spec: TariffSpec, path: Path, problem: Problem) -> Tariff:
    for k in _not_after([tier.above for tier in spec.tiers]):
        problem((*path, "tiers", k, "above"), "tiers go from the lowest `above` to the highest, each once")
    return Tariff(_named(spec), {tier.above: _named(tier) for tier in spec.tiers})


def _not_after(values: Sequence[float]) -> Iterator[int]:
    """Places of those that are not greater than the one before."""
    return (k for k in range(1, len(values)) if values[k] <= values[k - 1])


def _named(spec: RatesSpec) -> Named:
    """pico-USD: dollars per million tokens are millions of it per token."""
    scales = {name: 10**12 if name == "image" else 10**6 for name in RATES}
    return {name: round(_exact(usd) * scale) for name, scale in scales.items() if (usd := getattr(spec, name)) is not None}


def gpu(spec: GpuSpec) -> Gpu:
    """The machine, by the hour."""
    return Gpu(round(_exact(spec.usd_per_hour) * spec.count * 10**12), is_settled=spec.utilisation == "measured")


def gpu_price(spec: GpuSpec) -> Price:
    """What a second or a token costs: the more, the less of its time the machine is given as busy."""
    utilisation = Fraction(1) if spec.utilisation == "measured" else _exact(spec.utilisation)
    pusd_per_second = _exact(spec.usd_per_hour) * 10**12 / 3600 / utilisation
    if spec.tokens_per_second == "measured":
        return BusyPrice(round(pusd_per_second * spec.count), source="GPU-hours, measured")
    speed = spec.tokens_per_second
    # count GPUs cost count times as much and are count times as fast
    read = round(pusd_per_second / _exact(speed.input))
    write = round(pusd_per_second / _exact(speed.output))
    return TokenPrice(input=read, output=write, cached_input=read, cache_write=read, source="GPU-hours, given speed")


def _exact(written: float) -> Fraction:
    """The number as it stands in the file, 0.1 as a tenth."""
    return Fraction(Decimal(repr(written)))
