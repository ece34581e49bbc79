"""Usage to nano-USD, in integers. One function prices everything: streams and not, every dialect, every attempt, the baseline."""

from __future__ import annotations

from gateway.policy.catalog import BusyPrice, Price, Rates
from gateway.usage import Usage


def cost_nusd(price: Price | None, usage: Usage | None, busy_s: float | None = None) -> int | None:
    """What one attempt cost in nano-USD, rounded half up once; None if that cannot be known.

    usage: of one request, since its input decides which tier of the price holds for all of it.
    busy_s: machine seconds that it is charged, for models paid by the hour. No usage and no machine time: nothing
    was bought.
    """
    if isinstance(price, BusyPrice):
        # A clock's float ends here: whole nanoseconds of it are paid, and rounded once.
        return None if busy_s is None else (price.pusd_per_second * round(busy_s * 1e9) + 5 * 10**11) // 10**12
    if usage is None:
        return 0
    if price is None or usage.unpriced is not None:
        return None
    rates = price.rates(usage.input, usage.service) if price.tiers or price.services else price
    if usage.cached_input or usage.cache_write or usage.audio_input or usage.reasoning or usage.audio_output or usage.images:
        pusd = _input_pusd(rates, usage) + _output_pusd(rates, usage) + usage.images * (rates.image or 0)
    else:
        pusd = usage.input * rates.input + usage.output * rates.output  # what the sums above come to, as they mostly do
    return (pusd + 500) // 1000


def _input_pusd(rates: Rates, usage: Usage) -> int:
    """Each input token once: read from the cache, written to it, fresh audio, or fresh text.

    Counts do not say how much of the audio was cached. It is taken to be as little as they allow: the tokens that would
    otherwise be counted twice, which are paid as cached.
    """
    fresh = max(usage.input - usage.cached_input - usage.cache_write, 0)
    audio = min(usage.audio_input, fresh)
    hour = min(usage.cache_write_1h, usage.cache_write)
    return (
        (fresh - audio) * rates.input
        + audio * _own(rates.audio_input, rates.input)
        + usage.cached_input * rates.cached_input
        + (usage.cache_write - hour) * rates.cache_write
        + hour * _own(rates.cache_write_1h, rates.cache_write)
    )


def _output_pusd(rates: Rates, usage: Usage) -> int:
    """Each output token once: reasoning, audio, or the text that is left."""
    reasoning = min(usage.reasoning, usage.output)
    audio = min(usage.audio_output, usage.output - reasoning)
    return (
        (usage.output - reasoning - audio) * rates.output
        + reasoning * _own(rates.reasoning, rates.output)
        + audio * _own(rates.audio_output, rates.output)
    )


def _own(rate: int | None, whole: int) -> int:
    return whole if rate is None else rate


def usd(nusd: int | None) -> float | None:
    """nano-USD as dollars, for people and JSON."""
    return None if nusd is None else nusd / 1e9
