"""Usage to money, in integers: against a reference in decimals, token by token."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy.catalog import BusyPrice, Rates, Service, Tier, TokenPrice
from gateway.pricing.cost import cost_nusd, usd
from gateway.usage import Usage

# 2 USD per million tokens in, 8 out, a quarter of it for cached input: gpt-4.1's shape.
PRICE = TokenPrice(input=2_000_000, output=8_000_000, cached_input=500_000, cache_write=2_500_000, source="test")
RICH = TokenPrice(
    2_000,
    8_000,
    500,
    2_500,
    "test",
    cache_write_1h=4_000,
    reasoning=12_000,
    audio_input=6_000,
    audio_output=20_000,
    image=1_000_000,
    tiers=(Tier(1000, Rates(4_000, 12_000, 1_000, 5_000)), Tier(5000, Rates(9_000, 9_000, 9_000, 9_000))),
    services=(
        Service("batch", Rates(1_000, 4_000, 250, 1_250), (Tier(1000, Rates(3_000, 6_000, 750, 3_000)),)),
        Service("priority", Rates(4_000, 16_000, 1_000, 5_000)),
    ),
)
tokens = st.integers(0, 10_000_000)


@pytest.mark.parametrize(
    ("usage", "nusd"),
    [
        (Usage(0, 0), 0),
        (Usage(1, 0), 2_000),
        (Usage(0, 1), 8_000),
        (Usage(1_000_000, 0), 2_000_000_000),
        (Usage(100, 10, cached_input=60), 40 * 2_000 + 60 * 500 + 10 * 8_000),
        (Usage(100, 10, cache_write=60), 40 * 2_000 + 60 * 2_500 + 10 * 8_000),
        # Without rates of their own they cost what they are part of.
        (Usage(100, 10, reasoning=4), 100 * 2_000 + 10 * 8_000),
        (Usage(100, 10, audio_input=30, audio_output=4), 100 * 2_000 + 10 * 8_000),
        (Usage(100, 10, cache_write=60, cache_write_1h=20), 40 * 2_000 + 60 * 2_500 + 10 * 8_000),
        (Usage(100, 10, images=3), 100 * 2_000 + 10 * 8_000),
    ],
)
def test_tokens_cost_what_the_price_says(usage: Usage, nusd: int) -> None:
    assert cost_nusd(PRICE, usage) == nusd


@pytest.mark.parametrize(
    ("usage", "nusd"),
    [
        (Usage(0, 10, reasoning=4), 6 * 8 + 4 * 12),
        (Usage(0, 10, audio_output=4), 6 * 8 + 4 * 20),
        (Usage(0, 10, reasoning=3, audio_output=4), 3 * 8 + 3 * 12 + 4 * 20),
        (Usage(10, 0, audio_input=4), 6 * 2 + 4 * 6),
        (Usage(10, 0, cache_write=4), 6 * 2 + 4 * 2.5),
        (Usage(10, 0, cache_write=4, cache_write_1h=2), 6 * 2 + 2 * 2.5 + 2 * 4),
        (Usage(10, 0, cached_input=4, audio_input=6), 4 * 0.5 + 6 * 6),
        # 12 of 10: at least two of the audio's tokens were cached, and are paid as that.
        (Usage(10, 0, cached_input=4, audio_input=8), 4 * 0.5 + 6 * 6),
        (Usage(10, 0, cached_input=10, audio_input=10), 10 * 0.5),
        (Usage(10, 0, images=2), 10 * 2 + 2 * 1000),
        # What a provider cannot mean: more parts than there are tokens.
        (Usage(0, 10, reasoning=30), 10 * 12),
        (Usage(0, 10, reasoning=8, audio_output=8), 8 * 12 + 2 * 20),
        (Usage(10, 0, cache_write=2, cache_write_1h=9), 8 * 2 + 2 * 4),
    ],
)
def test_each_token_is_paid_once_at_the_rate_of_its_kind(usage: Usage, nusd: float) -> None:
    assert cost_nusd(RICH, usage) == nusd


@pytest.mark.parametrize(
    ("usage", "nusd"),
    [
        (Usage(1000, 1), 1000 * 2 + 8),
        (Usage(1001, 1), 1001 * 4 + 12),
        (Usage(1001, 1, cached_input=1000), 4 + 1000 * 1 + 12),  # cached tokens are input, and count for the tier
        (Usage(5000, 1), 5000 * 4 + 12),
        (Usage(5001, 1), 5001 * 9 + 9),
        (Usage(1000, 1, service="batch"), 1000 * 1 + 4),
        (Usage(1001, 1, service="batch"), 1001 * 3 + 6),
        (Usage(9999, 1, service="priority"), 9999 * 4 + 16),
        (Usage(1001, 1, service="standard"), 1001 * 4 + 12),
    ],
)
def test_length_and_service_choose_the_rates_of_the_whole_request(usage: Usage, nusd: int) -> None:
    assert cost_nusd(RICH, usage) == nusd


rate = st.integers(0, 10**9)
maybe_rate = st.none() | rate
rates = st.builds(
    Rates,
    *(rate,) * 4,
    cache_write_1h=maybe_rate,
    reasoning=maybe_rate,
    audio_input=maybe_rate,
    audio_output=maybe_rate,
    image=st.none() | st.integers(0, 10**12),
)
tiers = st.dictionaries(st.integers(1, 10**6), rates, max_size=3)
count = st.integers(0, 10**6)
KINDS = ("text", "audio", "cached", "written", "written_1h", "answer", "reasoning", "speech", "images")


@given(
    usual=rates,
    long=tiers,
    batch=rates,
    batch_long=tiers,
    counts=st.fixed_dictionaries(dict.fromkeys(KINDS, count)),
    service=st.sampled_from([None, "batch", "flex"]),
)
def test_the_cost_is_that_of_every_token_by_its_kind(
    usual: Rates,
    long: dict[int, Rates],
    batch: Rates,
    batch_long: dict[int, Rates],
    counts: dict[str, int],
    service: str | None,
) -> None:
    def as_tiers(found: dict[int, Rates]) -> tuple[Tier, ...]:
        return tuple(Tier(above, found[above]) for above in sorted(found))

    price = TokenPrice(
        **{name: getattr(usual, name) for name in Rates.__slots__},
        source="test",
        tiers=as_tiers(long),
        services=(Service("batch", batch, as_tiers(batch_long)),),
    )
    read = sum(counts[kind] for kind in ("text", "audio", "cached", "written", "written_1h"))
    usage = Usage(
        input=read,
        output=counts["answer"] + counts["reasoning"] + counts["speech"],
        cached_input=counts["cached"],
        cache_write=counts["written"] + counts["written_1h"],
        cache_write_1h=counts["written_1h"],
        audio_input=counts["audio"],
        reasoning=counts["reasoning"],
        audio_output=counts["speech"],
        images=counts["images"],
        service=service,
    )

    base, longer = (batch, batch_long) if service == "batch" else (usual, long)
    reached = [above for above in longer if read > above]
    asked = longer[max(reached)] if reached else base

    def usd_each(name: str, otherwise: str) -> Decimal:
        pico = getattr(asked, name)
        return Decimal(getattr(asked, otherwise) if pico is None else pico) / Decimal(10**12)

    of_kind = {
        "text": usd_each("input", "input"),
        "audio": usd_each("audio_input", "input"),
        "cached": usd_each("cached_input", "input"),
        "written": usd_each("cache_write", "input"),
        "written_1h": usd_each("cache_write_1h", "cache_write"),
        "answer": usd_each("output", "output"),
        "reasoning": usd_each("reasoning", "output"),
        "speech": usd_each("audio_output", "output"),
        "images": Decimal(asked.image or 0) / Decimal(10**12),
    }
    total = sum((counts[kind] * of_kind[kind] for kind in KINDS), Decimal(0))
    assert cost_nusd(price, usage) == int(total.quantize(Decimal("1e-9"), ROUND_HALF_UP).scaleb(9))


@given(st.builds(Usage, tokens, tokens, tokens, tokens, tokens, audio_input=tokens, audio_output=tokens, cache_write_1h=tokens))
def test_no_count_however_odd_is_paid_to_the_caller(usage: Usage) -> None:
    cost = cost_nusd(RICH, usage)
    assert cost is not None and cost >= 0


def test_an_unknown_price_is_unknown_as_soon_as_something_was_bought() -> None:
    assert cost_nusd(None, Usage(1, 1)) is None
    assert cost_nusd(None, None) == 0
    assert cost_nusd(PRICE, None) == 0
    assert usd(None) is None


def test_machine_time_costs_by_the_second_whatever_the_tokens() -> None:
    an_hour_for_36_cents = BusyPrice(pusd_per_second=100_000_000, source="test")
    assert cost_nusd(an_hour_for_36_cents, Usage(5, 5), busy_s=2.5) == 250_000
    assert cost_nusd(an_hour_for_36_cents, None, busy_s=1.0) == 100_000
    assert cost_nusd(BusyPrice(1, source="test"), None, busy_s=499.6) == 0, "rounded once: not to a pico-USD before"
    assert cost_nusd(BusyPrice(10**18 + 1, source="test"), None, busy_s=1000.0) == 10**18 + 1, "no digit is lost to a float"
    assert cost_nusd(an_hour_for_36_cents, Usage(5, 5)) is None, "a baseline paid by the hour cannot be known from tokens"


def test_half_a_nano_usd_is_rounded_up_once() -> None:
    tiny = TokenPrice(input=500, output=499, cached_input=500, cache_write=500, source="test")
    assert cost_nusd(tiny, Usage(1, 0)) == 1
    assert cost_nusd(tiny, Usage(0, 1)) == 0
    assert cost_nusd(tiny, Usage(3, 0)) == 2  # 1.5, not three times 1


@given(tokens, tokens, tokens, tokens)
def test_costs_of_two_answers_add_up_to_the_cost_of_both(a: int, b: int, c: int, d: int) -> None:
    assert cost_nusd(PRICE, Usage(a, b) + Usage(c, d)) == (cost_nusd(PRICE, Usage(a, b)) or 0) + (
        cost_nusd(PRICE, Usage(c, d)) or 0
    )
